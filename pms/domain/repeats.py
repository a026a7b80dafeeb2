"""The orders admitted lately by what they are, so that one that comes twice is seen.

Two requestIds make two orders, whoever clicked twice; only their equal terms betray them. Kept only where
`orders.duplicate` is set.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, NamedTuple

from pms.contract.limits import MOST_WINDOW_MS

KEPT_REPEATS: Final = 100_000
"""Terms remembered at most, of all accounts together."""


class Terms(NamedTuple):
    """What makes two orders the same."""

    sub_account_id: str
    symbol: str
    side: str
    type: str
    quantity: Decimal
    price: Decimal | None


@dataclass(slots=True)
class Repeats:
    """The newest order of each terms: its client order id and when it was admitted."""

    _newest: OrderedDict[Terms, tuple[str, int]] = field(default_factory=OrderedDict)

    def note(self, terms: Terms, client_order_id: str, at: int) -> None:
        """Remember an admitted order; what is older than any limit looks back is forgotten."""
        if at < self._newest.get(terms, ("", 0))[1]:
            return
        self._newest[terms] = client_order_id, at
        self._newest.move_to_end(terms)
        while self._newest:
            _, oldest = next(iter(self._newest.values()))
            if len(self._newest) <= KEPT_REPEATS and oldest >= at - MOST_WINDOW_MS:
                return
            self._newest.popitem(last=False)

    def newest(self, terms: Terms) -> tuple[str, int] | None:
        """The newest order of the same terms."""
        return self._newest.get(terms)
