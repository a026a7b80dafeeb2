"""What became of a lane, as three tell it who cannot have copied from each other.

The venue's own trades, the record of the algo (or of the single order), and the fills in PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import text

from benchmarks.execution_basket import LegLane
from benchmarks.execution_lanes import Lane
from benchmarks.system import Bench, until
from pms.contract import names
from pms.db.engine import create


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade of a lane; as the venue tells it, or as PostgreSQL does."""

    order: str
    trade_id: int
    side: str
    price: Decimal
    quantity: Decimal
    commission: Decimal
    maker: bool
    at: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """A lane when all is over."""

    lane: Lane
    arrival: Decimal
    last_mid: Decimal
    trades: tuple[Trade, ...]
    #: by the venue, without those that opened the position
    booked: frozenset[Trade]
    #: in PostgreSQL, all of them
    told: frozenset[Trade]
    #: by the venue, all of them
    filled: Decimal
    #: by the record of the algo, or of the order
    quote: Decimal
    fees: Decimal | None
    maker: Decimal | None
    #: of its own side; the record of a single order has neither
    side: str
    #: on which it counts towards its target; "" where it trades on both
    shown: dict[str, Any]
    #: as a page sees it; empty for a single order
    slots: tuple[Any, ...]
    orders: tuple[Any, ...]
    target: Decimal
    status: str
    reason: str | None
    reprices: int
    lasted_ms: int
    #: from the tape's beginning; nothing where it was over before

    def disagreements(self) -> list[str]:
        """Where the three do not say the same, to the last digit; and where a bound was passed."""
        quantity = sum((each.quantity for each in self.trades), Decimal(0))
        quote = sum((each.quantity * each.price for each in self.trades), Decimal(0))
        fees = sum((each.commission for each in self.trades), Decimal(0))
        counted = [each for each in self.trades if each.side == self.side or not self.side]
        towards = sum((each.quantity for each in counted), Decimal(0))
        maker = sum((each.quantity for each in counted if each.maker), Decimal(0))
        ordered = sum((each.filled_qty for each in self.orders), Decimal(0))
        found = [
            f"{what}: the venue {ours}, the record {theirs}"
            for what, ours, theirs in (
                ("filled", quantity, self.filled),
                ("quote", quote, self.quote),
                ("fees", fees, self.fees),
                ("maker", maker, self.maker),
                ("orders", quantity, ordered),
                ("filled, as shown", towards, self.shown.get("filled")),
                ("fees, as shown", fees, self.shown.get("fees")),
            )
            if theirs is not None and ours != theirs
        ]
        if self.booked != self.told:
            found.append(f"PostgreSQL and the venue differ in {self.booked ^ self.told}")
        if self.target and towards > self.target:
            found.append(f"filled {towards} of {self.target}")
        found += [
            f"slot {slot.slot}: filled {slot.filled} of {slot.target}"
            for slot in self.slots
            if slot.filled > slot.target
        ]
        return found


async def read(system: Bench, ended: Sequence[tuple[Lane, Decimal]], *, since: int) -> list[Outcome]:
    """What became of each, with mid at the tape's end, once PostgreSQL has the whole journal.

    `since` is when the tape began to play, ms.
    """
    await until(lambda: _folded(system), "the journal to be folded")
    database = create(system.database_url, name="bench")
    try:
        async with database.connect() as connection:

            async def rows(query: str) -> list[Any]:
                return list((await connection.execute(text(query))).all())

            fills = await rows("select * from pms.fills")
            orders = await rows("select * from pms.orders")
            algos = {row.id: row for row in await rows("select * from pms.algos")}
            slots = await rows("select * from pms.algo_slots order by slot")
    finally:
        await database.dispose()
    told = (await system.admin("trades"))["trades"]
    return [
        Outcome(
            lane,
            lane.moment.mid,
            last_mid,
            shown={} if lane.way.plain else await lane.shown(system),
            **_trades(lane, told, fills),
            **_record(lane, orders, algos, slots, since),
        )
        for lane, last_mid in ended
        if lane.moment is not None
    ]


def _trades(lane: Lane, told: list[dict[str, Any]], fills: list[Any]) -> dict[str, Any]:
    venue = [
        Trade(
            each["clientOrderId"],
            each["id"],
            each["side"],
            Decimal(each["price"]),
            Decimal(each["qty"]),
            Decimal(each["commission"]),
            each["maker"],
            each["time"],
        )
        for each in told
        if each["symbol"] == lane.book
    ]
    booked = {
        Trade(
            row.client_order_id,
            row.trade_id,
            row.side,
            row.price,
            row.quantity,
            row.commission,
            row.maker,
            row.venue_time,
        )
        for row in fills
        if row.symbol == lane.book
    }
    return {
        "trades": tuple(each for each in venue if each.order != lane.began),
        "told": frozenset(venue),
        "booked": frozenset(booked),
    }


def _record(
    lane: Lane, orders: list[Any], algos: dict[str, Any], slots: list[Any], since: int
) -> dict[str, Any]:
    ours = tuple(row for row in orders if row.symbol == lane.book and row.client_order_id != lane.began)
    if lane.way.plain:
        (order,) = ours
        return _of_order(order, since)
    algo = algos[lane.request]
    own = tuple(slot for slot in slots if slot.algo_id == algo.id and slot.symbol == lane.book)
    return {
        "filled": sum((slot.filled for slot in own), Decimal(0)),
        "quote": sum((slot.quote for slot in own), Decimal(0)),
        "slots": own,
        "orders": ours,
        **(lane.record(own, since) if isinstance(lane, LegLane) else _of_algo(algo, since)),
    }


def _of_order(order: Any, since: int) -> dict[str, Any]:
    return {
        "filled": order.filled_qty,
        "quote": order.filled_quote,
        "fees": None,
        "maker": None,
        "side": order.side,
        "slots": (),
        "orders": (order,),
        "target": order.quantity,
        "status": order.state,
        "reason": order.reason,
        "reprices": 0,
        "lasted_ms": max(order.updated_at - since, 0),
    }


def _of_algo(algo: Any, since: int) -> dict[str, Any]:
    return {
        "fees": algo.fees,
        "maker": algo.maker_qty,
        "side": algo.side,
        "target": algo.target,
        "status": algo.status,
        "reason": algo.reason,
        "reprices": algo.reprices,
        "lasted_ms": max(algo.ended_at - since, 0),
    }


async def _folded(system: Bench) -> bool:
    newest = await system.redis.xrevrange(names.JOURNAL, count=1)
    applied = await system.redis.get(names.APPLIED)
    return not newest or int(applied or 0) >= int(newest[0][0].split(b"-")[0])
