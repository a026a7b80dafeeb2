"""`pms algo start --dry-run`: the slots that an algo would begin with, and what it would send first.

The very machine that the engine asks, on a desk built from what it has booked and the prices it publishes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import click

from pms.cli.dry_run import closed_because, desk_as_booked, print_refused
from pms.cli.exchange import ExchangeReader
from pms.cli.output import Column, clock, number, print_list
from pms.cli.session import Session
from pms.contract.algo_commands import AlgoStart
from pms.contract.codes import Refusal
from pms.contract.journal import OrderRow
from pms.contract.money import encode, encode_canonical, plain
from pms.contract.reading import read_command
from pms.domain.algos.algo import Algo
from pms.domain.algos.conduct import conduct
from pms.domain.algos.ids import slot_of
from pms.domain.algos.machines import MACHINES
from pms.domain.algos.starting import begin, symbols_of
from pms.domain.algos.throttle import Throttle
from pms.domain.decisions import Asked
from pms.domain.desk import Desk

DUE = Column("dueAt", "due", text=lambda at: "" if at is None else clock(at))
SLOTS = (
    Column("slot", "slot", right=True),
    Column("side", "side"),
    number("target", "target"),
    DUE,
    Column("order", "order", long=True),
)


async def show_plan(session: Session, name: str, fields: dict[str, Any], *, as_json: bool) -> None:
    """Print the plan; exits with 1 where the engine would refuse the start."""
    request_id, now = str(uuid4()), time.time_ns() // 1_000_000
    try:
        text = encode_canonical({"requestId": request_id, **fields})
        command = read_command(name, text)
        assert isinstance(command, AlgoStart)
        async with ExchangeReader(session.settings) as reader:
            desk = await desk_as_booked(
                session, reader, symbols_of(command), account=command.sub_account_id, now=now
            )
        asked = Asked(
            request_id=request_id,
            command=name,
            text=text.decode(),
            at=now,
            deadline=now,
            now=now,
            closed_because=await closed_because(session),
            live_guard=not session.settings.orders_allowed,
            default_leverage=session.settings.default_leverage,
        )
        told = plan_of(desk, asked, command)
    except Refusal as refusal:
        print_refused(refusal, as_json=as_json)
    if as_json:
        click.echo(encode(told))
        return
    target = f" {plain(told['target'])}" if told["target"] else ""
    begins = f" from {plain(told['arrivalPrice'])}" if told["arrivalPrice"] else ""
    click.echo(f"{told['kind']}{target} {told['symbol'] or ''}{begins}")
    print_list([{**slot, "order": _sent(slot)} for slot in told["slots"]], SLOTS, form=None, empty="no slots")
    click.echo("nothing was sent (dry run)")


def plan_of(desk: Desk, asked: Asked, command: AlgoStart) -> dict[str, Any]:
    """What an algo would begin with; raises Refusal where it would not begin."""
    algo = begin(desk, asked, command)
    desk.algos.put(algo)
    done = conduct(desk, algo, MACHINES[algo.kind], asked, Throttle())
    orders: Sequence[OrderRow] = done.posting.entry.rows.orders if done.posting else ()
    first = {slot_of(order.client_order_id): order for order in orders}
    return {
        "success": True,
        "dryRun": True,
        "kind": algo.kind,
        "symbol": algo.symbol or None,
        "side": algo.side or None,
        "target": algo.target,
        "arrivalPrice": algo.arrival,
        "nextAt": done.wake_at,
        "slots": [_slot(algo, number, first.get(number)) for number in sorted(algo.slots)],
    }


def _slot(algo: Algo, number: int, order: OrderRow | None) -> dict[str, Any]:
    slot = algo.slots[number]
    return {
        "slot": number,
        "symbol": slot.symbol,
        "side": slot.side,
        "target": slot.target,
        "dueAt": slot.due_at,
        "type": order.type if order else None,
        "quantity": order.quantity if order else None,
        "price": order.price if order else None,
        "timeInForce": order.time_in_force if order else None,
        "reduceOnly": order.reduce_only if order else None,
        "note": slot.note,
    }


def _sent(slot: dict[str, Any]) -> str:
    """The order that would be sent first, in words."""
    if slot["type"] is None:
        return slot["note"] or ""
    price = f" at {plain(slot['price'])}" if slot["price"] is not None else ""
    words = [slot["type"], f"{plain(slot['quantity'])}{price}", slot["timeInForce"]]
    return " ".join([*(word for word in words if word), *(["reduceOnly"] if slot["reduceOnly"] else [])])
