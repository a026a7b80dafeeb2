"""A sub-account as it is weighed for liquidation: its positions at mid; and which prices may be acted on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from pms.domain.desk import Desk
from pms.domain.margin import Exposure, Weight, weigh

MOST_OFF = Decimal("0.05")
"""A best bid and ask this far from the mark are a torn book, and nobody is liquidated by them."""

MARK_COUNTS_MS = 3_000
"""An older mark says nothing against the book."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """An account's exposures, the prices they were weighed at, and what came of it."""

    exposures: tuple[Exposure, ...]
    prices: Mapping[str, Decimal]
    weight: Weight


def weigh_account(desk: Desk, account: str) -> Weighed:
    """Weigh an account at the last mid of each symbol; at entry where there never was a price."""
    exposures = tuple(desk.exposure(position) for position in desk.held.get(account, {}).values())
    prices = {exposure.symbol: desk.valued_at(exposure) for exposure in exposures}
    return Weighed(exposures, prices, weigh(desk.accounts[account].balance, exposures, prices))


def blocked(desk: Desk, symbol: str, *, now: int) -> str | None:
    """Why a symbol's price may not be acted on, or None.

    Trap: the words must not change with each tick, or the incident that tells them is journaled with each.
    """
    top = desk.tops.get(symbol)
    if top is None:
        return f"{symbol} has no price in sync"
    mark = desk.marks.get(symbol)
    if mark is None or now - mark.heard_at > MARK_COUNTS_MS:
        return None
    if abs(top.mid - mark.price) > MOST_OFF * mark.price:
        return f"{symbol} is more than {MOST_OFF:.0%} away from its mark price"
    return None
