"""Whether each algo of a crowd was right: the venue's own trades beside PostgreSQL and what was told.

By the venue's trades alone no slot trades beyond its target, no exit beyond what was entered, and none in
the other direction; and the three accounts of it are the same to the last digit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec

from pms.contract import names
from pms.domain.algos.ids import slot_of

ZERO = Decimal(0)
PAGE = 1_000
OVER = frozenset({"finished", "cancelled", "failed"})
_decode = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode


@dataclass(slots=True)
class Judged:
    """What was found."""

    algos: int = 0
    by_status: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    traded: int = 0
    #: algos that traded at all
    trades: int = 0
    told: int = 0
    #: algos whose last event was still to be read
    faults: list[str] = field(default_factory=list)


async def judge(
    rows: Callable[[str], Awaitable[Iterable[Any]]], redis: Any, trades: Iterable[Mapping[str, Any]]
) -> Judged:
    """Compare all algos; the journal must be folded, and every algo over."""
    found = Judged()
    slots: dict[str, dict[int, Any]] = defaultdict(dict)
    for slot in await rows("select * from pms.algo_slots"):
        slots[slot.algo_id][slot.slot] = slot
    parents = {
        row.client_order_id: row
        for row in await rows(
            "select client_order_id, parent_id, side, filled_qty from pms.orders where parent_id is not null"
        )
    }
    executed = _by_algo(parents, trades)
    told = await last_events(redis)
    for algo in await rows("select * from pms.algos"):
        done = executed.get(algo.id, [])
        found.algos += 1
        found.by_status[algo.status] += 1
        found.traded += bool(done)
        found.trades += len(done)
        found.told += algo.id in told
        found.faults += [
            f"{algo.kind} {algo.id[:8]}: {fault}"
            for fault in _faults(algo, slots[algo.id], done, told.get(algo.id))
        ]
    booked: dict[str, Decimal] = defaultdict(Decimal)
    for done in executed.values():
        for trade in done:
            booked[trade["clientOrderId"]] += Decimal(trade["qty"])
    for name, order in parents.items():
        if booked[name] != order.filled_qty:
            found.faults.append(f"{name}: {order.filled_qty} booked, {booked[name]} at the exchange")
    return found


async def last_events(redis: Any) -> dict[str, dict[str, Any]]:
    """The last progress of each algo that the stream of events still has."""
    last: dict[str, dict[str, Any]] = {}
    since = "-"
    while page := await redis.xrange(names.EVENTS_STREAM, since, count=PAGE):
        for _, fields in page:
            event = _decode(fields[b"e"])
            if event["type"].endswith("_progress"):
                last[event["algoId"]] = event
        since = f"({page[-1][0].decode()}"
    return last


def _by_algo(
    parents: Mapping[str, Any], trades: Iterable[Mapping[str, Any]]
) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for trade in sorted(trades, key=lambda each: (each["time"], each["id"])):
        order = parents.get(trade["clientOrderId"])
        if order is not None:
            found[order.parent_id].append(trade)
    return found


def _faults(
    algo: Any, slots: Mapping[int, Any], trades: list[Mapping[str, Any]], told: Mapping[str, Any] | None
) -> Iterable[str]:
    if algo.status not in OVER:
        yield f"is {algo.status}"
    by_slot: dict[int, Decimal] = defaultdict(Decimal)
    for trade in trades:
        by_slot[slot_of(trade["clientOrderId"])] += Decimal(trade["qty"])
    for number in by_slot.keys() | slots.keys():
        slot, traded = slots.get(number), by_slot[number]
        if slot is None:
            yield f"slot {number} traded {traded} and is in no book"
        elif traded != slot.filled:
            yield f"slot {number} counted {slot.filled}, the exchange {traded}"
        elif traded > slot.target:
            yield f"slot {number} traded {traded} of {slot.target}"
    towards = sum((by_slot[number] for number, slot in slots.items() if algo.side in {"", slot.side}), ZERO)
    if algo.target and towards > algo.target:
        yield f"traded {towards} of {algo.target}"
    if told is not None:
        if told["status"] != algo.status:
            yield f"told as {told['status']}, is {algo.status}"
        elif Decimal(told["filled"]) != towards:
            yield f"told {told['filled']} filled, the exchange {towards}"
    if algo.kind == "bracket":
        yield from _exits(algo, trades)


def _exits(algo: Any, trades: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    """At no trade had more been closed than entered."""
    held = ZERO
    for trade in trades:
        held += Decimal(trade["qty"]) if trade["side"] == algo.side else -Decimal(trade["qty"])
        if held < 0:
            yield f"closed {-held} more than it had entered at trade {trade['id']}"
            return
