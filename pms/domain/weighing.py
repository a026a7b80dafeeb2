"""A sub-account as it is weighed for liquidation: its positions at mid; and which prices may be acted on.

A position whose symbol is not listed any more, or does not trade, may never have a price again. It must not
keep the account from being judged by its other positions; it counts for no profit, and cannot be taken over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    for symbol, last in prices.items():
        if without_price(desk, symbol):
            prices[symbol] = _worst([each for each in exposures if each.symbol == symbol], last)
    return Weighed(exposures, prices, weigh(desk.accounts[account].balance, exposures, prices))


def without_price(desk: Desk, symbol: str) -> bool:
    """Whether a symbol has no price and need not get one again: it is not listed, or does not trade."""
    if symbol in desk.tops:
        return False
    instrument = desk.instruments.get(symbol)
    return instrument is None or instrument.status != "TRADING"


def _worst(exposures: Sequence[Exposure], last: Decimal) -> Decimal:
    """The price, the last one or an entry, at which positions in one symbol are worth least."""
    entries = (each.cost / each.quantity for each in exposures)
    return min((last, *entries), key=lambda price: sum(each.profit(price) for each in exposures))


def mark_of(desk: Desk, symbol: str, *, now: int) -> Decimal | None:
    """A symbol's mark price, where one was heard of late."""
    mark = desk.marks.get(symbol)
    return None if mark is None or now - mark.heard_at > MARK_COUNTS_MS else mark.price


def blocked(desk: Desk, symbol: str, *, now: int) -> str | None:
    """Why a symbol's price may not be acted on, or None.

    Trap: the words must not change with each tick, or the incident that tells them is journaled with each.
    """
    top = desk.tops.get(symbol)
    if top is None:
        return f"{symbol} has no price in sync"
    mark = mark_of(desk, symbol, now=now)
    if mark is not None and abs(top.mid - mark) > MOST_OFF * mark:
        return f"{symbol} is more than {MOST_OFF:.0%} away from its mark price"
    return None
