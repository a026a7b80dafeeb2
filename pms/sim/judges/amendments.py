"""What must hold of amendments, people's and algos': each is sent once, as it was wished, and told truly.

The exchange would take the same amendment twice, and a late one after a newer: nothing there protects.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pms.contract.codes import Code
from pms.contract.journal import OrderRow
from pms.sim.machines.books import Fold
from pms.sim.machines.exchange import SimExchange

ONCE, TERMS = "an amendment is sent once, as wished", "terms are the exchange's"
Wish = tuple[int, Decimal, Decimal, str | None]
Terms = tuple[Decimal, Decimal]
"""Total and price."""


@dataclass(slots=True)
class Amendments:
    """Looks at each wish in the journal, at each that the exchange carries out, and at what was told."""

    exchange: SimExchange
    fail: Callable[..., None]
    checked: Callable[[str], None]
    _wishes: dict[str, set[Wish]] = field(default_factory=dict)
    _carried: dict[str, Counter[Terms]] = field(default_factory=dict)

    def wished(self, order: OrderRow) -> None:
        """An order was journaled; perhaps with an amendment in flight."""
        if order.amend_quantity is not None and order.amend_price is not None:
            wish = order.amends, order.amend_quantity, order.amend_price, order.amend_request_id
            self._wishes.setdefault(order.client_order_id, set()).add(wish)

    def carried_out(self, client_order_id: str, quantity: Decimal, price: Decimal) -> None:
        """The exchange has answered an amendment with an order."""
        self.checked(ONCE)
        terms = quantity, price
        carried = self._carried.setdefault(client_order_id, Counter())
        carried[terms] += 1
        wishes = {wish[0] for wish in self._wishes.get(client_order_id, ()) if wish[1:3] == terms}
        if carried[terms] > len(wishes):
            told = f"{client_order_id} was amended to {quantity} at {price} {carried[terms]} times"
            self.fail(ONCE, f"{told}, and was to be {len(wishes)} times", client_order_id)

    def lie(self, request_id: str, answer: dict[str, Any]) -> str | None:
        """What an answer says of an amendment that is not so."""
        order = str(answer.get("orderId"))
        known, carried = self._wishes.get(order, set()), self._carried.get(order, Counter())
        mine = {wish[1:3] for wish in known if wish[3] == request_id}
        if answer["success"] and answer["state"] != "amending" and not any(carried[each] for each in mine):
            return f"was told to be amended, and {order} never was"
        # Whoever is told that it came to nothing may wish the same again: then one of two was carried out.
        all_were = any(carried[each] >= len({w[0] for w in known if w[1:3] == each}) for each in mine)
        if not answer["success"] and answer.get("code") != Code.ORDER_CLOSED and all_were:
            return f"was told {answer['code']}, and {order} was amended"
        return None

    def settled(self, books: Fold) -> None:
        """All is quiet: what rests has the exchange's price and total."""
        for (coid,), row in books.tables["orders"].items():
            theirs = self.exchange.account.latest_by_client_id.get((row.symbol, coid))
            if theirs is None or not theirs.open or not theirs.price:
                continue
            self.checked(TERMS)
            symbol = self.exchange.venue.exchange.markets[row.symbol].symbol
            terms = symbol.quantity(theirs.quantity), symbol.price(theirs.price)
            if (row.quantity, row.price) != terms or row.amend_quantity is not None:
                told = f"{coid} is for {row.quantity} at {row.price}, amended to {row.amend_quantity}"
                self.fail(TERMS, f"{told}; the exchange has {terms}", coid)
