"""What the exchange forgets, and when that proves an order over.

Binance finds no order that ended without a trade once it is 3 days old, and none at all after 90 (GET
/fapi/v1/order, "These orders will not be found"). So between the two, what is not found either never was, and
of an order that was acknowledged we know better, or has ended without a trade. That the list of open orders
lacks it, twice and further apart than the list may be stale, says once more that it does not rest.

Trap: this proves nothing of an order that traded, and nothing of one that is younger or older: those stay
until an operator ends them.
"""

from __future__ import annotations

from decimal import Decimal

from pms.domain.orders import Order, Seen

DAY_MS = 86_400_000
EMPTY_KEPT_MS = 3 * DAY_MS
ALL_KEPT_MS = 90 * DAY_MS
MARGIN_MS = 3_600_000
"""Between our clock and the exchange's, and for whoever does the forgetting to come round."""

LIST_STALE_MS = 30_000
"""So old the list of open orders may be."""

ZERO = Decimal(0)


def acknowledged(order: Order) -> bool:
    """Whether the exchange had taken the order, and nothing was heard of an end or of a trade."""
    alive = order.exchange_order_id is not None and order.word is not None and not order.state.terminal
    return alive and not order.venue_filled and not order.filled_qty


def proves_over(order: Order, *, unlisted_from: int, unlisted_until: int) -> bool:
    """Whether its absence, by id and from the lists between two exchange times, proves that it ended empty.

    Its age counts from the last moment at which the exchange may have taken it, or its terms: that is never
    too early.
    """
    began = max(order.terms_at, order.spec.admitted_at, order.spec.deadline)
    old_enough = unlisted_until - began > EMPTY_KEPT_MS + MARGIN_MS
    remembered = unlisted_until - order.spec.admitted_at < ALL_KEPT_MS - MARGIN_MS
    lasting = unlisted_until - unlisted_from >= LIST_STALE_MS
    return acknowledged(order) and old_enough and remembered and lasting


def ended_unseen(order: Order) -> Seen:
    """The last word on an order that is proven over."""
    assert order.exchange_order_id is not None
    reason = (
        "proven: the exchange has forgotten it, as it does three days on with what ended without a trade;"
        " it is not found by its id, neither of two lists of open orders shows it, and no trade names it"
    )
    return Seen(order.exchange_order_id, "CANCELED", ZERO, reason)
