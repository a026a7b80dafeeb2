"""Liquidation: a book transfer on the tick that crosses the line, in one journal entry.

    WARN         the account is told
    CANCEL       its live orders are wanted cancelled
    DELEVERAGE   parts of its positions go to the house, the largest loss first, until the ratio is back
    TAKEOVER     all its positions go to the house with their orders; what it owes then, the insurance pays

Orders at the exchange could never be on time, nor be sure; the books can. The house gets a position at the
price at which the account could have closed it, best bid or best ask, and closes its own net afterwards
(`unwinding`). Orders in the symbol go with it, or one of them could trade against what is no more there.

An account is weighed at mid. Nothing is decided on a price that is not in sync, or far from the exchange's
mark: then the account is looked at again with each tick, and an operator is told that it waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from pms.contract.events import LiquidationAction, LiquidationEvent
from pms.contract.journal import LiquidationRow
from pms.contract.money import booked, encode
from pms.contract.names import BOTH, HOUSE, INSURANCE
from pms.domain.brackets import maintenance
from pms.domain.desk import Desk
from pms.domain.handing import (
    Handed,
    cancel_orders,
    hand_orders,
    hand_position,
    tell_handed,
    tell_orders_gone,
)
from pms.domain.insurance import open_insurance
from pms.domain.margin import Weight
from pms.domain.orders import Order
from pms.domain.positions import Position
from pms.domain.posting import Draft, Posting
from pms.domain.sub_accounts import SubAccount
from pms.domain.tiers import Tier, Tiers
from pms.domain.weighing import Weighed, weigh_account

ZERO = Decimal(0)
ROUNDING = Decimal("0.00000001")
"""What a part realises is booked to eight decimals, perhaps less than it is worth."""


@dataclass(slots=True)
class _Step:
    """One step as it will be told: what was done, and to which part of which position."""

    action: LiquidationAction
    tier: Tier
    handed: Handed | None = None


def liquidate(desk: Desk, account: str, weighed: Weighed, tiers: Tiers, *, now: int) -> Posting | None:
    """Do what an account's weight asks for, and journal it; None where nothing changes.

    Trap: prices must be such that may be acted on (`weighing.blocked`); the caller sees to it.
    """
    holder = desk.accounts[account]
    before, weight = Tier(holder.tier), weighed.weight
    tier = tiers.standing(weight, before)
    if tier is before:
        return None
    draft = desk.draft("liquidation", at=now)
    tops = _tops(desk, weighed)
    gone: list[Order] = []
    if tier < before:
        steps = [_Step("REARM", tier)]
    else:
        steps, gone = _worse(desk, draft, account, before=before, tier=tier, tiers=tiers)
        tier = tiers.standing(weigh_account(desk, account).weight, tier)
    holder.tier = tier
    draft.sub_accounts[account] = holder.row()
    _cover(desk, draft, holder)
    _tell(desk, draft, account, steps, gone, weight=weight, tops=tops)
    return Posting(entry=desk.sealed(draft).entry(), events=tuple(draft.events), results=tuple(draft.results))


def _worse(
    desk: Desk, draft: Draft, account: str, *, before: Tier, tier: Tier, tiers: Tiers
) -> tuple[list[_Step], list[Order]]:
    """Everything from the tier after `before` up to `tier`; a takeover needs no deleveraging first."""
    steps: list[_Step] = []
    gone: list[Order] = []
    if before < Tier.WARN <= tier:
        steps.append(_Step("WARN", Tier.WARN))
    if before < Tier.CANCEL <= tier:
        if tier < Tier.TAKEOVER:
            cancel_orders(desk, draft, account)
        steps.append(_Step("CANCEL", Tier.CANCEL))
    if tier is Tier.DELEVERAGE:
        for handed in _deleverage(desk, draft, account, tiers.ratios.deleverage_to):
            gone += hand_orders(desk, draft, account, handed.position.symbol)
            steps.append(_Step("DELEVERAGE", tier, handed))
    if tier is Tier.TAKEOVER:
        for position in _by_loss(desk, account):
            gone += hand_orders(desk, draft, account, position.symbol)
            steps.append(_Step("TAKEOVER", tier, _hand(desk, draft, position, position.quantity)))
        cancel_orders(desk, draft, account)
    return steps, gone


def _deleverage(desk: Desk, draft: Draft, account: str, target: Decimal) -> list[Handed]:
    """Hand over as little as brings the account back to a ratio, from the largest loss on."""
    handed: list[Handed] = []
    for position in _by_loss(desk, account):
        slack = weigh_account(desk, account).weight.slack(target)
        if slack >= 0:
            break
        handed.append(_hand(desk, draft, position, _enough(desk, position, -slack, target)))
    return handed


def _enough(desk: Desk, position: Position, missing: Decimal, target: Decimal) -> Decimal:
    """The least part of a position, in steps, whose handing over brings that much slack; else all of it.

    Found by halving: what a part brings grows with it as long as half the spread costs less than the margin
    it frees. Where it does not, all of the position goes.
    """
    step = desk.instruments[position.symbol].step if position.symbol in desk.instruments else ZERO
    if not step:
        return position.quantity
    exposure = desk.exposure(position)
    top = desk.tops[position.symbol]
    sign = 1 if position.quantity > 0 else -1
    size, mid, price = abs(position.quantity), top.mid, _price(desk, position)
    needed = exposure.maintenance(mid)

    def brings(part: Decimal) -> Decimal:
        kept = size - part
        freed = needed - maintenance(exposure.brackets, kept * mid)
        return freed - target * part * sign * (mid - price)

    low, high = 0, int(size / step)
    missing += ROUNDING
    if brings(high * step) < missing:
        return position.quantity
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if brings(middle * step) >= missing else (middle, high)
    return high * step * sign


def _hand(desk: Desk, draft: Draft, position: Position, quantity: Decimal) -> Handed:
    reference = f"liquidation:{draft.first_seq}"
    return hand_position(desk, draft, position, quantity, _price(desk, position), reference=reference)


def _price(desk: Desk, position: Position) -> Decimal:
    """What the account could have got or had to pay for it at the exchange: the bid for a long."""
    top = desk.tops[position.symbol]
    return top.bid if position.quantity > 0 else top.ask


def _by_loss(desk: Desk, account: str) -> list[Position]:
    """An account's positions, the largest loss first."""
    held = desk.held.get(account, {}).values()
    return sorted(held, key=lambda position: position.unrealized(desk.tops[position.symbol].mid))


def _cover(desk: Desk, draft: Draft, holder: SubAccount) -> None:
    """Pay what an account without positions owes: from the insurance, and what that lacks from the house."""
    owed = -holder.balance
    if owed <= 0 or desk.held.get(holder.id):
        return
    reference = f"liquidation:{draft.first_seq}"
    open_insurance(desk, draft)
    paid = min(owed, max(desk.accounts[INSURANCE].balance, ZERO))
    for payer, amount in ((INSURANCE, paid), (HOUSE, owed - paid)):
        desk.post(draft, account=payer, amount=-amount, reason="INSURANCE", reference=reference)
        desk.post(draft, account=holder.id, amount=amount, reason="INSURANCE", reference=reference)


def _tell(
    desk: Desk,
    draft: Draft,
    account: str,
    steps: list[_Step],
    gone: list[Order],
    *,
    weight: Weight,
    tops: str,
) -> None:
    """Rows and events of all steps, each with the account as it is after the whole."""
    snapshot = desk.snapshot(account)
    for step in steps:
        part = step.handed
        draft.liquidations.append(
            LiquidationRow(
                seq=draft.first_seq,
                line=len(draft.liquidations),
                sub_account_id=account,
                action=step.action,
                tier=step.tier,
                symbol=part.position.symbol if part else None,
                quantity=part.quantity if part else None,
                price=part.price if part else None,
                realized=part.move.realized if part else None,
                ratio=weight.ratio,
                equity=booked(weight.equity),
                maintenance=booked(weight.maintenance),
                tops=tops,
                at=draft.at,
                position_side=part.position.position_side if part else BOTH,
            )
        )
        draft.events.append(
            LiquidationEvent(
                seq=draft.event_seq,
                sub_account_id=account,
                action=step.action,
                tier=step.tier,
                symbol=part.position.symbol if part else None,
                side=part.view.side if part else None,
                quantity=abs(part.quantity) if part else None,
                price=part.price if part else None,
                realized_pnl=part.move.realized if part else None,
                ratio=weight.ratio,
                equity=booked(weight.equity),
                maintenance_margin=booked(weight.maintenance),
                timestamp=Decimal(draft.at) / 1000,
                account=snapshot,
            )
        )
        if part is not None:
            tell_handed(desk, draft, part, account=snapshot)
    tell_orders_gone(draft, gone, account=account, snapshot=snapshot)


def _tops(desk: Desk, weighed: Weighed) -> str:
    """The prices that decided, as they will be looked for one day."""
    tops = {exposure.symbol: desk.tops.get(exposure.symbol) for exposure in weighed.exposures}
    return encode(
        {symbol: {"bid": top.bid, "ask": top.ask, "at": top.at} for symbol, top in tops.items() if top}
    ).decode()
