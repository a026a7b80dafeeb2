"""What no order is decided against: the limits that stand in the journal before it.

Only those that forbid an order by what it says of itself are judged, in words of this room's own; what only
reduces passes them, but for HALTED.
"""

from __future__ import annotations

from collections.abc import Callable

from pms.contract.journal import Entry, OrderRow
from pms.contract.names import EVERYTHING, HOUSE
from pms.domain.orders import State
from pms.sim.machines.books import Fold

INVARIANT = "no order against a limit"
DECIDES = frozenset(("admitted", "algo"))
"""Entries that bring orders into being; another may tell first of one whose decision came too late."""

LIQUIDATION = "LIQUIDATION"
"""Of orders that are never stopped, for they take risk away."""


class Limited:
    """Judges orders where they are decided."""

    def __init__(self, fail: Callable[..., None], checked: Callable[[str], None]) -> None:
        self._fail = fail
        self._checked = checked

    def before(self, books: Fold, entry: Entry) -> None:
        """Look at the orders that an entry brings into being; `books` are what stood before it."""
        if entry.kind not in DECIDES or not any(
            row.value is not None for row in books.tables["limits"].values()
        ):
            return
        for row in entry.rows.orders:
            new = (row.client_order_id,) not in books.tables["orders"] and State(row.state) is State.PLACING
            if new and row.sub_account_id != HOUSE and row.origin != LIQUIDATION:
                self._checked(INVARIANT)
                if told := _forbidden(books, row):
                    self._fail(INVARIANT, f"{row.client_order_id}: {told}", row.client_order_id)


def _forbidden(books: Fold, row: OrderRow) -> str | None:
    state = _standing(books, row, "trading.state")
    if state == "HALTED":
        return "trading is HALTED"
    if row.reduce_only or _reduces(books, row):
        return None
    symbols, side = _standing(books, row, "trading.symbols"), _standing(books, row, "trading.sides")
    if state == "REDUCE_ONLY":
        return "only what reduces may be traded"
    if symbols is not None and row.symbol not in symbols.split(","):
        return f"only {symbols} may be traded"
    return f"only {side} may be opened" if side not in (None, "BOTH", row.side) else None


def _reduces(books: Fold, row: OrderRow) -> bool:
    """Whether it may do nothing but reduce, by what is held: it is not asked what else rests."""
    sign = 1 if row.side == "BUY" else -1
    return any(
        position.sub_account_id == row.sub_account_id
        and position.symbol == row.symbol
        and position.position_side == row.position_side
        and -position.quantity * sign >= row.quantity
        for position in books.tables["positions"].values()
    )


def _standing(books: Fold, row: OrderRow, name: str) -> str | None:
    """The narrowest setting: the sub-account's over everything's, the symbol's over all symbols'."""
    for scope in (row.sub_account_id, EVERYTHING):
        for symbol in (row.symbol, ""):
            found = books.tables["limits"].get((scope, name, symbol))
            if found is not None and found.value is not None:
                value: str = found.value
                return value
    return None
