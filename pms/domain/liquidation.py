"""Liquidation: a book transfer on the tick that crosses the line, in one journal entry.

    WARN         the account is told
    CANCEL       its live orders are wanted cancelled
    DELEVERAGE   parts of its positions go to the house, the largest loss first, until the ratio is back
    TAKEOVER     all its positions go to the house with their orders; what it owes then, the insurance pays

Orders at the exchange could never be on time, nor be sure; the books can. The house gets a position at the
price at which the account could have closed it, best bid or best ask, and closes its own net afterwards
(`unwinding`). Orders in the symbol go with it, or one of them could trade against what is no more there.

A group may have its accounts closed at market in place of that (`closing`), with a weaker promise.

An account is weighed at mid. Nothing is decided on a price that is not in sync, or far from the exchange's
mark: then the account is looked at again with each tick, and an operator is told that it waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from pms.contract.events import LiquidationAction
from pms.domain.algos.ending import shed
from pms.domain.closing import at_market, begin, given_up, part_of
from pms.domain.desk import Desk
from pms.domain.handing import (
    Handed,
    cancel_orders,
    hand_orders,
    hand_position,
    tell_handed,
    tell_orders_gone,
)
from pms.domain.incidents import note_incident
from pms.domain.insurance import cover
from pms.domain.liquidation_told import Part, tell_step, tops_of
from pms.domain.margin import Weight
from pms.domain.orders import Order
from pms.domain.positions import Position
from pms.domain.posting import Draft, Posting
from pms.domain.shedding import by_loss, enough, taking_price
from pms.domain.tiers import Tier, Tiers
from pms.domain.weighing import Weighed, weigh_account, without_price
from pms.domain.winding_up import wind_up


@dataclass(slots=True)
class _Step:
    """One step as it will be told: what was done, and to which part of which position."""

    action: LiquidationAction
    tier: Tier
    part: Part | None = None
    handed: Handed | None = None


def due(desk: Desk, account: str, weight: Weight, tiers: Tiers) -> bool:
    """Whether an account's weight asks for something to be done, or an operator does."""
    holder = desk.accounts[account]
    tier = Tier(holder.tier)
    if tiers.standing(weight, tier, Tier(holder.closing)) is not tier or given_up(desk, account):
        return True
    return tier is Tier.TAKEOVER and not holder.closing and _came_since(desk, account, weight, tiers)


def _came_since(desk: Desk, account: str, weight: Weight, tiers: Tiers) -> bool:
    """Whether an account that was taken over is beyond the line by something that it got behind that.

    An order that was on its way has traded, or what was kept has a price again: no worse tier tells of it.
    """
    held = desk.held.get(account, {})
    return weight.crossed(tiers.ratios.takeover) and any(
        not without_price(desk, symbol) for symbol, _ in held
    )


def liquidate(desk: Desk, account: str, weighed: Weighed, tiers: Tiers, *, now: int) -> Posting | None:
    """Do what an account's weight asks for, and journal it; None where nothing changes.

    Trap: prices must be such that may be acted on (`weighing.blocked`); the caller sees to it.
    """
    if not due(desk, account, weighed.weight, tiers):
        return None
    holder = desk.accounts[account]
    before, weight = Tier(holder.tier), weighed.weight
    tier = tiers.standing(weight, before, Tier(holder.closing))
    draft = desk.draft("liquidation", at=now)
    tops = tops_of(desk, weighed.exposures)
    gone: list[Order] = []
    if tier < before:
        steps = [_Step("REARM", tier)]
    else:
        holder.closing = 0
        steps, gone = _worse(desk, draft, account, before=before, tier=tier, tiers=tiers)
        desk.note_closing(holder)
        tier = tiers.standing(weigh_account(desk, account).weight, tier, Tier(holder.closing))
    holder.tier = tier
    draft.sub_accounts[account] = holder.row()
    cover(desk, draft, holder)
    _tell(desk, draft, account, steps, gone, weight=weight, tops=tops)
    wind_up(desk, draft, account)
    return Posting(
        entry=desk.sealed(draft).entry(),
        events=tuple(draft.events),
        results=tuple(draft.results),
        so_far=tuple(draft.so_far),
    )


def _worse(
    desk: Desk, draft: Draft, account: str, *, before: Tier, tier: Tier, tiers: Tiers
) -> tuple[list[_Step], list[Order]]:
    """Everything from the tier after `before` up to `tier`; a takeover needs no deleveraging first."""
    steps: list[_Step] = []
    gone: list[Order] = []
    if before < Tier.WARN <= tier:
        steps.append(_Step("WARN", Tier.WARN))
    if tier >= Tier.CANCEL:
        shed(desk, draft, account, reason="liquidation")
    if before < Tier.CANCEL <= tier:
        if tier < Tier.TAKEOVER:
            cancel_orders(desk, draft, account)
        steps.append(_Step("CANCEL", Tier.CANCEL))
    if tier < Tier.DELEVERAGE:
        return steps, gone
    _tell_kept(desk, draft, account)
    if at_market(desk, account):
        parts, handed = begin(desk, draft, account, tier, tiers)
        steps += [_Step("CLOSE", tier, part) for part in parts]
        return [*steps, *(_handed(tier, each) for each in handed)], gone
    if tier is Tier.DELEVERAGE:
        for each in _deleverage(desk, draft, account, tiers.ratios.deleverage_to):
            gone += hand_orders(desk, draft, account, each.position.symbol)
            steps.append(_handed(tier, each))
    else:
        for position in by_loss(desk, account):
            gone += hand_orders(desk, draft, account, position.symbol)
            steps.append(_handed(tier, _hand(desk, draft, position, position.quantity)))
        cancel_orders(desk, draft, account)
    return steps, gone


def _handed(tier: Tier, handed: Handed) -> _Step:
    return _Step("TAKEOVER" if tier is Tier.TAKEOVER else "DELEVERAGE", tier, part_of(handed), handed)


def _deleverage(desk: Desk, draft: Draft, account: str, target: Decimal) -> list[Handed]:
    """Hand over as little as brings the account back to a ratio, from the largest loss on."""
    handed: list[Handed] = []
    for position in by_loss(desk, account):
        slack = weigh_account(desk, account).weight.slack(target)
        if slack >= 0:
            break
        handed.append(_hand(desk, draft, position, enough(desk, position, -slack, target)))
    return handed


def _hand(desk: Desk, draft: Draft, position: Position, quantity: Decimal) -> Handed:
    reference = f"liquidation:{draft.first_seq}"
    return hand_position(desk, draft, position, quantity, taking_price(desk, position), reference=reference)


def _tell_kept(desk: Desk, draft: Draft, account: str) -> None:
    """Tell of positions that cannot be taken over: what is to become of them is an operator's decision."""
    kept = {symbol for symbol, _ in desk.held.get(account, {}) if without_price(desk, symbol)}
    for symbol in sorted(kept):
        note_incident(
            draft,
            kind="position_kept",
            severity="critical",
            detail=f"{account} is liquidated but for its {symbol}, which does not trade and has no price",
            subject=f"{account}:{symbol}",
        )


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
        tell_step(
            draft, account, step.action, step.tier, step.part, weight=weight, tops=tops, snapshot=snapshot
        )
        if step.handed is not None:
            tell_handed(desk, draft, step.handed, account=snapshot)
    tell_orders_gone(draft, gone, account=account, snapshot=snapshot)
