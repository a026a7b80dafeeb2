"""What rests, may only reduce and is to stay is never for more than there is to be reduced.

Judged in each entry that makes a position smaller or turns it, by the journal alone. An algo that runs sees
to its own orders (`algo_exits`); of one that nobody has confirmed, the end may just have been taken back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from pms.contract.journal import Entry, OrderRow
from pms.contract.names import HOUSE
from pms.domain.orders import State
from pms.sim.machines.books import Fold

FITS = "what only reduces fits"
ZERO = Decimal(0)
RESTING = {State.ACTIVE.value, State.PARTIALLY_FILLED.value}
Place = tuple[str, str, str]


@dataclass(slots=True)
class Reducing:
    """Looks at the orders of each position that shrinks."""

    fail: Callable[..., None]
    checked: Callable[[str], None]
    _shrunk: dict[Place, Decimal] = field(default_factory=dict)
    #: by the entry that is being looked at, and what is left

    def before(self, books: Fold, entry: Entry) -> None:
        """The books as they were: which positions the entry makes smaller."""
        self._shrunk = {}
        for row in entry.rows.positions:
            place = row.sub_account_id, row.symbol, row.position_side
            known = books.tables["positions"].get(place)
            held = known.quantity if known else ZERO
            smaller = abs(row.quantity) < abs(held) or row.quantity * held < 0
            if smaller and place[0] != HOUSE:
                self._shrunk[place] = row.quantity

    def after(self, books: Fold, entry: Entry) -> None:
        """The books with the entry: what is left of their orders."""
        if not self._shrunk:
            return
        orders = [order for order in books.tables["orders"].values() if _may_stay(books, order)]
        for place, held in self._shrunk.items():
            for side, room in (("SELL", held), ("BUY", -held)):
                found = [each for each in orders if (_place(each), each.side) == (place, side)]
                if found:
                    self.checked(FITS)
                leaves = sum((_leaves(each) for each in found), ZERO)
                if leaves > max(room, ZERO):
                    told = f"entry {entry.seq} leaves {held} of {place}, and orders to {side} {leaves}"
                    self.fail(FITS, told, *(each.client_order_id for each in found))


def _may_stay(books: Fold, order: OrderRow) -> bool:
    """Whether an order rests that may only reduce, and nobody wants it gone or sees to it."""
    if not order.reduce_only or order.cancel_wanted or order.state not in RESTING:
        return False
    if order.type == "MARKET" or order.time_in_force in {"IOC", "FOK"}:
        return False
    algo = books.tables["algos"].get((order.parent_id,))
    return algo is None or algo.ended_at is not None


def _place(order: OrderRow) -> Place:
    return order.sub_account_id, order.symbol, order.position_side


def _leaves(order: OrderRow) -> Decimal:
    return max(max(order.quantity, order.amend_quantity or ZERO) - order.filled_qty, ZERO)
