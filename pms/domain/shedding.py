"""Shedding: how little of which positions brings an account's ratio back, the largest loss first."""

from __future__ import annotations

from decimal import Decimal

from pms.domain.brackets import maintenance
from pms.domain.desk import Desk
from pms.domain.positions import Position
from pms.domain.weighing import weigh_account, without_price

ZERO = Decimal(0)
ROUNDING = Decimal("0.00000001")
"""What a part realises is booked to eight decimals, perhaps less than it is worth."""


def taking_price(desk: Desk, position: Position) -> Decimal:
    """What the account could have got or had to pay for it at the exchange: the bid for a long."""
    top = desk.tops[position.symbol]
    return top.bid if position.quantity > 0 else top.ask


def by_loss(desk: Desk, account: str) -> list[Position]:
    """An account's positions that can be taken over, the largest loss first."""
    held = [each for each in desk.held.get(account, {}).values() if not without_price(desk, each.symbol)]
    return sorted(held, key=lambda position: position.unrealized(desk.tops[position.symbol].mid))


def enough(desk: Desk, position: Position, missing: Decimal, target: Decimal) -> Decimal:
    """The least part of a position, signed and in steps, that brings that much slack; else all of it.

    Found by halving: what a part brings grows with it as long as half the spread costs less than the margin
    it frees. Where it does not, all of the position goes.
    """
    step = desk.instruments[position.symbol].step if position.symbol in desk.instruments else ZERO
    if not step:
        return position.quantity
    size, sign = abs(position.quantity), 1 if position.quantity > 0 else -1
    low, high = 0, int(size / step)
    missing += ROUNDING
    if brings(desk, position, high * step, target) < missing:
        return position.quantity
    while high - low > 1:
        middle = (low + high) // 2
        does = brings(desk, position, middle * step, target) >= missing
        low, high = (low, middle) if does else (middle, high)
    return high * step * sign


def brings(desk: Desk, position: Position, part: Decimal, target: Decimal) -> Decimal:
    """By how much the slack to a ratio grows when a part, unsigned, goes at the bid or the ask."""
    exposure, mid = desk.exposure(position), desk.tops[position.symbol].mid
    sign = 1 if position.quantity > 0 else -1
    kept = abs(position.quantity) - part
    freed = exposure.maintenance(mid) - maintenance(exposure.brackets, kept * mid)
    return freed - target * part * sign * (mid - taking_price(desk, position))


def parts_to_shed(desk: Desk, account: str, target: Decimal) -> list[tuple[Position, Decimal]]:
    """Positions with the signed part of each that must go; none where the account is at the ratio."""
    parts: list[tuple[Position, Decimal]] = []
    missing = -weigh_account(desk, account).weight.slack(target)
    for position in by_loss(desk, account):
        if missing <= 0:
            break
        part = enough(desk, position, missing, target)
        missing -= brings(desk, position, abs(part), target)
        parts.append((position, part))
    return parts
