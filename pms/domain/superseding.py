"""An operator's word on an order gives way to the exchange's next one, whichever it is.

The word is kept as the order's reason, so that a restart does not make it the exchange's own.
"""

from __future__ import annotations

from pms.domain.orders import Amended, Fact, Filled, Order, Seen

_MARK = "operator "


def operators_word(actor: str, reason: str) -> str:
    """How an operator's word stands in an order's reason."""
    return f"{_MARK}{actor}: {reason}"


def give_way(order: Order, fact: Fact) -> None:
    """Before a fact of the exchange is taken in: forget an operator's word, if one ended the order."""
    if isinstance(fact, Seen | Filled | Amended) and (order.reason or "").startswith(_MARK):
        order.word = order.reason = None
