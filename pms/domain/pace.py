"""What was admitted lately, where a limit looks back: how many orders, and the same one twice.

After a restart it is what the loaded orders tell; amendments that are over are not counted then.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pms.contract import limits
from pms.domain.facts import OrderSpec
from pms.domain.limits import LimitBook
from pms.domain.order_rate import OrderRates
from pms.domain.repeats import Repeats, Terms


@dataclass(slots=True)
class Pace:
    """Times and terms of the newest orders; nothing where no limit asks for them."""

    rates: OrderRates = field(default_factory=OrderRates)
    repeats: Repeats = field(default_factory=Repeats)

    def note_order(self, book: LimitBook, spec: OrderSpec) -> None:
        """Note an order that was admitted: its time, and its terms."""
        account = spec.sub_account_id
        self.note_time(book, account, spec.admitted_at)
        if book.of(account, limits.DUPLICATE, spec.symbol):
            terms = Terms(account, spec.symbol, spec.side, spec.type, spec.quantity, spec.price)
            self.repeats.note(terms, spec.client_order_id, spec.admitted_at)

    def note_time(self, book: LimitBook, account: str, at: int) -> None:
        """Count an order or an amendment that was admitted."""
        most = book.of(account, limits.ORDER_RATE)
        if most is not None:
            self.rates.note(account, at, most=int(most))
