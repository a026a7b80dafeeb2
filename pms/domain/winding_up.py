"""Winding up: what ends a liquidation at market, in the very entry that shows it to be over.

A takeover is over when nothing is held but what has no price and does not trade, no order lives that could
make it more, and no fee waits for its price; a deleveraging when the ratio is back and none of its orders
lives, or nothing is left of the account. What is owed is paid in the entry of the trade that closed the last
position, once: the next entry finds nothing owed, unless something came to it.
"""

from __future__ import annotations

from decimal import Decimal

from pms.domain.desk import Desk
from pms.domain.insurance import cover
from pms.domain.liquidation_told import tell_step, tops_of
from pms.domain.orders import Order
from pms.domain.posting import Draft
from pms.domain.tiers import Tier, tiers_of
from pms.domain.unwinding import ORIGIN
from pms.domain.weighing import weigh_account, without_price


def closing_orders(desk: Desk, account: str) -> list[Order]:
    """The live orders by which an account is being closed."""
    return [order for order in desk.orders_of(account, None) if order.spec.origin == ORIGIN]


def _owes_fees(desk: Desk, account: str) -> bool:
    """Whether a fee in another asset still waits for its price: what is owed is not known before."""
    return any(fee.sub_account_id == account for fee in desk.treasury.unpaid.values())


def wind_up(desk: Desk, draft: Draft, account: str, *, target: Decimal | None = None) -> bool:
    """End the account's liquidation at market if it is over, and tell it; returns whether it ended.

    `target` is the ratio that ends a deleveraging; without it only an account without positions is done.
    """
    holder = desk.accounts[account]
    if not holder.closing or closing_orders(desk, account):
        return False
    weighed = weigh_account(desk, account)
    if any(not without_price(desk, symbol) for symbol, _ in desk.held.get(account, {})):
        back = target is not None and weighed.weight.slack(target) >= 0
        if holder.closing == Tier.TAKEOVER or not back:
            return False
    elif desk.orders_of(account, None) or _owes_fees(desk, account):
        return False
    cover(desk, draft, holder)
    holder.closing = 0
    desk.note_closing(holder)
    weighed = weigh_account(desk, account)
    holder.tier = tiers_of(desk, account).standing(weighed.weight, Tier(holder.tier))
    draft.sub_accounts[account] = holder.row()
    tell_step(
        draft,
        account,
        "CLOSED",
        holder.tier,
        None,
        weight=weighed.weight,
        tops=tops_of(desk, weighed.exposures),
        snapshot=desk.snapshot(account),
    )
    return True
