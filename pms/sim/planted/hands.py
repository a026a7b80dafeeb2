"""Bugs in what follows the exchange's own acts and others' orders; worlds with such hands find them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pms.domain import booking, unwind_debt
from pms.domain.booking import Trade
from pms.domain.desk import Desk
from pms.domain.income import book_incomes
from pms.domain.posting import Draft
from pms.domain.treasury import Treasury
from pms.sim.planted.planting import Patch, mutant
from pms.sim.traffic.hands import draw as others
from pms.streamer import funding, income, outside
from pms.streamer.engine import Engine


def _funds(seed: int) -> bool:
    return any(act.kind == "funding" for act in others(seed))


@mutant("a funding is shared by what accounts hold when it is read", where=others)
def funded_by_the_present() -> Sequence[Patch]:
    def held_at(self: Treasury, symbol: str, at: int) -> dict[tuple[str, str], Any]:
        held = {
            (account, side): each for (account, of, side), each in self.quantities.items() if of == symbol
        }
        return {key: quantity for key, quantity in held.items() if quantity}

    return [(Treasury, "held_at", held_at)]


@mutant("whoever's trade is heard of behind a funding pays nothing for it", where=_funds, only="ws_")
def late_trade_not_funded() -> Sequence[Patch]:
    # Whatever else goes wrong is found within the grace, and the bug would show in a day's silence alone.
    hasty: Sequence[Patch] = [(funding, "GRACE_MS", 300), (outside, "FUNDING_EVERY_S", 0.25)]
    return [(booking, "make_up", lambda *_, **__: None), *hasty]


@mutant("hedged accounts pay a funding for the net of both sides", where=others)
def funded_by_the_net() -> Sequence[Patch]:
    real = Treasury.held_at

    def held_at(self: Treasury, symbol: str, at: int) -> dict[tuple[str, str], Any]:
        held = real(self, symbol, at)
        return {place: quantity for place, quantity in held.items() if place[1] != "SHORT"}

    return [(Treasury, "held_at", held_at)]


@mutant("an income that is read again is booked again", where=others)
def income_twice() -> Sequence[Patch]:
    def again(desk: Desk, *args: Any, **terms: Any) -> Any:
        desk.treasury.incomes.clear()
        return book_incomes(desk, *args, **terms)

    return [(income, "book_incomes", again)]


@mutant("what others trade with the same account is nobody's", where=others)
def foreign_dropped() -> Sequence[Patch]:
    real = Engine.book

    def book(self: Engine, trade: Trade, *args: Any, **terms: Any) -> Any:
        ours = (trade.client_order_id or "").startswith("PMS_")
        return real(self, trade, *args, **terms) if ours else None

    return [(Engine, "book", book)]


@mutant("the house unwinds what others hold, too", where=others)
def foreign_unwound() -> Sequence[Patch]:
    real = booking._tell_foreign

    def told(desk: Desk, draft: Draft, trade: Trade, *, owner: str) -> None:
        real(desk, draft, trade, owner=owner)
        quantity = trade.quantity if trade.side == "BUY" else -trade.quantity
        unwind_debt._move(desk, draft, trade.symbol, quantity, traded=False)

    return [(booking, "_tell_foreign", told)]
