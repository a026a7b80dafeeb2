"""One death with algos of every kind in the middle, and what came of each.

Judged by what the venue wrote down. Then PostgreSQL, Redis and the algo's own record must say the same, and
the independent reader must find that all books agree.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from killed_case import FLYING, Case, Outcome, differs
from killed_system import Death, KilledSystem, now_ms, shown
from killed_venue import Order, Transaction, acts_since, faults_of, final, read, traded


@dataclass(frozen=True, slots=True)
class Row:
    """What happened to one algo."""

    kind: str
    middle: str
    death: str
    standing: str
    #: what it had at the exchange when the others died
    dead_s: float
    acted_s: float | None
    #: from the kill until it placed, moved or cancelled something, or was over
    did: str
    faults: tuple[str, ...]


class Killing:
    """Brings algos in the middle, lets a part of the system die, and judges what the algos made of it."""

    def __init__(self, system: KilledSystem, death: type[Death], cases: Sequence[Case]) -> None:
        self.system, self.cases = system, cases
        self.death = death(system)
        for case in cases:
            case.forgets = death.forgets

    async def run(self) -> list[Row]:
        """Kill, and see; a row for each algo."""
        await self._all("open_account")
        async with self.system.supervised():
            await self._all("begin")
            await self.death.prepare()
            await self._all("last")
            for slow in (True, False):
                await asyncio.gather(*(case.fly() for case in self._flying() if case.slow is slow))
            standing = {case.account: await self._standing(case) for case in self.cases}
            killed_at = now_ms()
            await self.death.strike()
            await self.system.admin("DELETE", "faults")
            await self._all("meanwhile")
            await self.death.back()
            dead_s = (now_ms() - killed_at) / 1000
            stuck = await asyncio.gather(*(case.finish() for case in self.cases), return_exceptions=True)
        await self.system.settled()
        rows = [
            await self._row(case, standing[case.account], (killed_at, dead_s), failed)
            for case, failed in zip(self.cases, stuck, strict=True)
        ]
        try:
            await self.system.flatten()
        except AssertionError as stays:
            # What the algos came to says why something stays.
            told = [f"{row.kind}: {each}" for row in rows for each in row.faults]
            raise AssertionError("\n".join((str(stays), *told))) from stays
        return rows

    async def _row(
        self, case: Case, standing: str, death: tuple[int, float], failed: BaseException | None
    ) -> Row:
        killed_at, dead_s = death
        outcome, history = await self._outcome(case)
        faults = [*faults_of(history, case.bound()), *case.faults(outcome)]
        faults += [each async for each in self._books(case, outcome, history)]
        faults += [] if failed is None else [f"{type(failed).__name__}: {failed}"]
        acts, ended_at = acts_since(history, killed_at), outcome.algo.ended_at
        if ended_at is not None and ended_at <= killed_at:
            faults.append("it was over before anything died")
        times = [at for at in (acts.first_at, ended_at) if at is not None]
        return Row(
            kind=case.kind,
            middle=case.middle,
            death=self.death.name,
            standing=standing,
            dead_s=dead_s,
            acted_s=(min(times) - killed_at) / 1000 if times else None,
            did=f"{acts.placed} new, {acts.moved} moved, {acts.cancelled} gone",
            faults=tuple(faults),
        )

    def _flying(self) -> list[Case]:
        return [case for case in self.cases if case.middle in FLYING]

    async def _all(self, step: str) -> None:
        await asyncio.gather(*(getattr(case, step)() for case in self.cases))

    async def _standing(self, case: Case) -> str:
        """What it has at the venue; and what the engine takes for something else."""
        orders = await case.orders()
        live = [each for each in orders if each in await case.open()]
        unknown = [each for each in orders if await self._engine_state(each) in {"placing", "unknown"}]
        told = f"{len(live)} live" if live else "nothing live"
        return f"{told}, {len(unknown)} unproven" if unknown else told

    async def _engine_state(self, order: dict[str, Any]) -> str:
        state = await self.system.redis.hget(f"pms:order:{order['clientOrderId']}", "state")
        return state.decode() if state else ""

    async def _outcome(self, case: Case) -> tuple[Outcome, list[Transaction]]:
        history = read(self.system.venue_journal, case.account, self.system.steps[case.symbol])
        (algo,) = await self.system.rows("select * from pms.algos where id = :id", id=case.algo_id)
        slots = await self.system.rows("select * from pms.algo_slots where algo_id = :id", id=case.algo_id)
        own = [order for order in final(history).values() if order.letter == case.letter]
        trades = [trade for trade in traded(history) if trade.order in {order.id for order in own}]
        return Outcome(algo, {slot.slot: slot for slot in slots}, own, trades), history

    async def _books(self, case: Case, outcome: Outcome, history: Sequence[Transaction]) -> Any:
        """PostgreSQL, Redis and the algo's record against the venue."""
        rows = await self.system.rows(
            "select * from pms.orders where sub_account_id = :account", account=case.account
        )
        fills = await self.system.rows(
            "select client_order_id, sum(quantity) as quantity from pms.fills"
            " where sub_account_id = :account group by 1",
            account=case.account,
        )
        page = await shown(self.system, case.key, case.algo_id)
        for fault in (
            *_orders(final(history).values(), rows, {row.client_order_id: row.quantity for row in fills}),
            *_slots(outcome),
            *differs("what a page shows", page.get("status"), outcome.algo.status),
            *case.misshown(outcome, page),
        ):
            yield fault


def _orders(venue: Any, rows: Sequence[Any], fills: dict[str, Decimal]) -> Iterator[str]:
    """Each order here and there, what it filled, and that it is over."""
    ours = {row.client_order_id: row for row in rows}
    for order in venue:
        row = ours.pop(order.name, None)
        if row is None:
            yield f"{order.name} is not in PostgreSQL"
            continue
        yield from differs(f"{order.name}, filled", row.filled_qty, order.executed)
        yield from differs(f"{order.name}, fills", fills.get(order.name, Decimal(0)), order.executed)
        if order.live:
            yield f"{order.name} lives on at the venue: {order.live}"
    for row in ours.values():
        if row.filled_qty or row.state not in {"void", "rejected", "expired", "cancelled"}:
            yield f"{row.client_order_id} is {row.state} here, and not at the venue"


def _slots(outcome: Outcome) -> Iterator[str]:
    """Each slot against the trades of its orders."""
    found: dict[int, tuple[Decimal, Decimal]] = {}
    by_id: dict[int, Order] = {order.id: order for order in outcome.orders}
    for trade in outcome.trades:
        slot = by_id[trade.order].slot
        quantity, quote = found.get(slot, (Decimal(0), Decimal(0)))
        found[slot] = quantity + trade.quantity, quote + trade.quantity * trade.price
    for number, slot in outcome.slots.items():
        quantity, quote = found.pop(number, (Decimal(0), Decimal(0)))
        yield from differs(f"slot {number}, filled", slot.filled, quantity)
        yield from differs(f"slot {number}, quote", slot.quote, quote)
    for number in found:
        yield f"slot {number} traded and is not in PostgreSQL"
