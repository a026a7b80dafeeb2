"""Bugs of liquidation, planted on purpose like those of `orders`; stormy worlds find them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from weakref import WeakKeyDictionary

from pms.contract.journal import Rows
from pms.contract.names import HOUSE
from pms.domain import booking, insurance, liquidation, risk_watch, unwinding
from pms.domain.desk import Desk
from pms.domain.orders import Order, State
from pms.domain.posting import Draft, Posting
from pms.domain.risk_watch import RiskWatch
from pms.domain.sub_accounts import SubAccount
from pms.sim.planted.planting import Patch, mutant
from pms.streamer import unwinder
from pms.streamer.risk import RiskGuard

# --- the entry ---


@mutant("a takeover leaves the account its orders in what it no longer holds", storms=True)
def takeover_without_orders() -> Sequence[Patch]:
    return [(liquidation, "hand_orders", lambda *_: [])]


@mutant("a takeover changes memory, and its entry is lost", storms=True)
def takeover_not_journaled() -> Sequence[Patch]:
    real = RiskWatch.judge

    def judge(self: RiskWatch, account: str, *, now: int) -> Posting | str | None:
        done = real(self, account, now=now)
        if not isinstance(done, Posting) or not done.entry.rows.unwinds:
            return done
        self.desk.last_seq = done.entry.prev
        return None

    return [(RiskWatch, "judge", judge)]


@mutant("positions are taken over at mid, so that the house pays the spread", storms=True)
def taken_at_mid() -> Sequence[Patch]:
    return [(liquidation, "taking_price", lambda desk, position: desk.tops[position.symbol].mid)]


@mutant("what an account owes after a gap stays with it", storms=True)
def debt_not_covered() -> Sequence[Patch]:
    return [(liquidation, "cover", lambda *_: None)]


@mutant("a debt that the insurance paid is paid again after a restart", storms=True)
def debt_paid_again() -> Sequence[Patch]:
    real_cover, real_begin = insurance.cover, RiskGuard.begin
    worlds: WeakKeyDictionary[Any, dict[str, Decimal]] = WeakKeyDictionary()

    def cover(desk: Desk, draft: Draft, holder: SubAccount) -> None:
        owed = max(-holder.balance, Decimal(0))
        real_cover(desk, draft, holder)
        if owed and not holder.balance:
            worlds.setdefault(asyncio.get_running_loop(), {})[holder.id] = owed

    def begin(self: RiskGuard) -> None:
        desk = self.engine.desk
        for account, owed in worlds.get(asyncio.get_running_loop(), {}).items():
            draft = desk.draft("liquidation", at=self.engine.now())
            for name, amount in ((HOUSE, -owed), (account, owed)):
                desk.post(draft, account=name, amount=amount, reason="INSURANCE", reference=None)
            self.engine.outbox.add(Posting(entry=desk.sealed(draft).entry()))
        real_begin(self)

    return [(liquidation, "cover", cover), (RiskGuard, "begin", begin)]


@mutant("which tier an account is in is not remembered by the next life", storms=True)
def tier_forgotten() -> Sequence[Patch]:
    real = Desk.load

    def load(self: Desk, rows: Rows) -> None:
        real(self, rows)
        for account in self.accounts.values():
            account.tier = 0

    return [(Desk, "load", load)]


@mutant("the cancels of a liquidation are journaled, and nobody sends them", storms=True)
def cancels_not_sent() -> Sequence[Patch]:
    def journaled(self: RiskGuard, posting: Posting, *, held: bool) -> None:
        self.unwind()

    return [(RiskGuard, "_journaled", journaled)]


# --- the watch ---


@mutant("of those whom a tick concerns one is judged, and the others are watched no more", storms=True)
def due_dropped() -> Sequence[Patch]:
    real = RiskWatch.due

    def due(self: RiskWatch, symbol: str, mid: Decimal) -> list[str]:
        return real(self, symbol, mid)[:1]

    return [(RiskWatch, "due", due)]


@mutant("accounts are judged on prices that are out of sync or far from the mark", storms=True)
def torn_price_believed() -> Sequence[Patch]:
    def believed(desk: Desk, symbol: str, *, now: int) -> str | None:
        return None if symbol in desk.last_tops else f"{symbol} never had a price"

    return [(risk_watch, "blocked", believed), (liquidation, "taking_price", _last_price)]


def _last_price(desk: Desk, position: Any) -> Decimal:
    top = desk.last_tops[position.symbol]
    return top.bid if position.quantity > 0 else top.ask


# --- the house ---


@mutant("the house's own fills do not lessen what it has to unwind", storms=True)
def unwind_not_lessened() -> Sequence[Patch]:
    return [(booking, "note_traded", lambda *_: None)]


@mutant("the house sends its next order although it does not know of the last", storms=True)
def unwinds_beside_unknown() -> Sequence[Patch]:
    real = unwinding.unwind

    def unwind(desk: Desk, symbol: str, **named: Any) -> Posting | None:
        live: dict[str, Order] = desk.live_of.get(HOUSE, {})
        hidden = {coid: order for coid, order in live.items() if order.state is State.UNKNOWN}
        for coid in hidden:
            del live[coid]
        try:
            return real(desk, symbol, **named)
        finally:
            live.update(hidden)

    return [(unwinder, "unwind", unwind)]
