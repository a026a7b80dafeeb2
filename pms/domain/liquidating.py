"""What an account that is being closed at market may still do: reduce at once, and cancel.

An order that rests would hold back its part of the position from being closed, and one that opens would be
closed with the rest. Money stays, too: nobody knows yet what the closing will cost.
"""

from __future__ import annotations

from pms.contract.codes import Code, Refusal
from pms.domain.desk import Desk
from pms.domain.orders import Order
from pms.domain.unwinding import ORIGIN


def refuse_liquidating(desk: Desk, account: str, *, field: str, reduces_at_once: bool = False) -> None:
    """Raise LIQUIDATING where an account is being closed and this is not what it may still do."""
    if not desk.accounts[account].closing or reduces_at_once:
        return
    raise Refusal(
        Code.LIQUIDATING,
        f"{account} is being closed at market: until that is over it may only reduce, and at once",
        field=field,
        actual=account,
    )


def closes(desk: Desk, order: Order) -> bool:
    """Whether an account is closed by this order: then it is no trader's to cancel."""
    return order.spec.origin == ORIGIN and bool(desk.accounts[order.spec.sub_account_id].closing)
