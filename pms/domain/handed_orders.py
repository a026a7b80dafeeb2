"""Orders that the house took over with a position: they carry the name of the account they came from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from pms.contract.codes import Code
from pms.contract.names import HOUSE
from pms.domain.orders import Order, State
from pms.domain.sub_accounts import tag

WHY: Final = "the order went to the house with the position that was liquidated"

GONE: Final[dict[str, Any]] = {
    "success": False,
    "state": State.CANCELLED.value,
    "code": Code.TAKEN_OVER,
    "error": WHY,
}
"""What the account is told of it ever after: what it still trades is no more the account's."""


def handed(order: Order) -> bool:
    """Whether an order came to the house from another account."""
    spec = order.spec
    owner = spec.client_order_id.split("_", 2)[1]
    return order.cancel_wanted and spec.sub_account_id == HOUSE and owner != tag(HOUSE)


def withhold(order: Order, *, at: int) -> None:
    """Let nobody send from here on what of an unwanted order was not sent: the order, or its amendment.

    Its deadline is over with the entry that says so, and the send right with it.
    """
    if order.state is State.PLACING:
        order.spec = replace(order.spec, deadline=min(order.spec.deadline, at))
    if order.amend is not None:
        order.amend = replace(order.amend, deadline=min(order.amend.deadline, at))
