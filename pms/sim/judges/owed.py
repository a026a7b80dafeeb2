"""What the house owes, in arithmetic of the simulator's own: entry by entry, from what moved what it holds.

taken over       meets what the house holds beside its debt, to the other side; the rest is owed
its own trades   of orders that are known: they close, or are owed
all else         trades of orders that nobody knows, an operator's corrections: held beside
lessened         by an entry of its own, to what the house holds to that side
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from pms.contract.journal import Entry, FillRow
from pms.contract.names import HOUSE
from pms.sim.machines.books import Fold

ZERO = Decimal(0)
TAKEN = {"DELEVERAGE", "TAKEOVER"}
CORRECTED = {"adjusted", "reassigned"}
LESSENED = "unwind_lessened"


@dataclass(frozen=True, slots=True)
class Owed:
    """What the house is to close of a symbol, and what it holds beside that; both signed."""

    left: Decimal
    beside: Decimal


def owed(books: Fold, symbol: str) -> Owed:
    """As the books have it."""
    row = books.tables["unwinds"].get((symbol,))
    left = ZERO if row is None else row.quantity
    return Owed(left, house_holds(books, symbol) - left)


def house_holds(books: Fold, symbol: str) -> Decimal:
    """What the house holds of a symbol."""
    rows = books.tables["positions"].items()
    return sum((row.quantity for (owner, of, _), row in rows if (owner, of) == (HOUSE, symbol)), ZERO)


def behind(was: Owed, entry: Entry, books: Fold, symbol: str) -> Owed:
    """What should be behind an entry; `books` have it already."""
    left, beside = was.left, was.beside
    for row in entry.rows.liquidations:
        if row.symbol == symbol and row.action in TAKEN and row.quantity:
            met = _against(beside, row.quantity)
            left, beside = left + row.quantity - met, beside + met
    for fill in entry.rows.fills:
        if (fill.sub_account_id, fill.symbol) != (HOUSE, symbol):
            continue
        moved = _signed(fill)
        if (fill.client_order_id,) in books.tables["orders"]:
            left += moved
        else:
            beside += moved
    if entry.kind in CORRECTED:
        beside = house_holds(books, symbol) - left
    if entry.kind == LESSENED:
        kept = _against(-left - beside, left)
        left, beside = kept, beside + left - kept
    return Owed(left, beside)


def _against(other: Decimal, quantity: Decimal) -> Decimal:
    """The part of a quantity that another of the other side makes nothing."""
    return ZERO if other * quantity >= 0 else min(abs(other), abs(quantity)).copy_sign(quantity)


def _signed(fill: FillRow) -> Decimal:
    return fill.quantity if fill.side == "BUY" else -fill.quantity
