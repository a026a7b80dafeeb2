"""How many orders a sub-account may have and send, and whether it said the same a moment ago.

Their purpose is order, not risk: the number of open orders holds for what reduces and can rest, too.
Who must get out is not slowed down: what only reduces is counted, and never refused for its rate.
"""

from __future__ import annotations

from decimal import Decimal

from pms.contract import limits
from pms.contract.codes import Code, Refusal
from pms.contract.money import plain
from pms.domain.decisions import Asked
from pms.domain.desk import Desk
from pms.domain.repeats import Terms
from pms.domain.stakes import Stake


def check_count(desk: Desk, stake: Stake) -> None:
    """The open orders there may be, of the sub-account and in the symbol."""
    if stake.momentary and not stake.opens:
        return
    account, symbol = stake.account, stake.symbol
    found = desk.accounts[account].open_orders
    most = desk.limits.of(account, limits.OPEN_ORDERS)
    if found >= most:
        raise _too_many(Code.OPEN_ORDERS, found, most, "")
    pending = desk.pending.get(account, {})
    found = sum(each.orders for (of, _), each in pending.items() if of == symbol)
    most = desk.limits.of(account, limits.OPEN_ORDERS_SYMBOL, symbol)
    if found >= most:
        raise _too_many(Code.OPEN_ORDERS_SYMBOL, found, most, f" in {symbol}")


def _too_many(code: Code, found: int, most: Decimal, where: str) -> Refusal:
    return Refusal(
        code,
        f"the sub-account has {found} open orders{where}, the limit is {plain(most)}",
        field="subAccountId",
        limit=plain(most),
        actual=found,
    )


def check_rate(desk: Desk, asked: Asked, stake: Stake) -> None:
    """The orders and amendments of the last moment."""
    most = desk.limits.of(stake.account, limits.ORDER_RATE)
    if most is None or not stake.opens:
        return
    window = int(desk.limits.of(stake.account, limits.RATE_WINDOW))
    free_at = desk.pace.rates.free_at(stake.account, most=int(most), window_ms=window)
    if asked.now < free_at:
        raise Refusal(
            Code.ORDER_RATE,
            f"{stake.account} sent {int(most)} orders within {window} ms; the next may come"
            f" in {free_at - asked.now} ms",
            field="subAccountId",
            limit=f"{int(most)} in {window} ms",
            actual=f"{int(most) + 1} in {window} ms",
        )


def check_repeat(desk: Desk, asked: Asked, stake: Stake) -> None:
    """An order like one admitted a moment ago, unless that one came to nothing."""
    window = desk.limits.of(stake.account, limits.DUPLICATE, stake.symbol)
    if not window:
        return
    found = desk.pace.repeats.newest(
        Terms(stake.account, stake.symbol, stake.side, stake.type, stake.quantity, stake.price)
    )
    if found is None:
        return
    coid, at = found
    order = desk.orders.get(coid)
    if order is None or order.failed or asked.now - at >= window:
        return
    raise Refusal(
        Code.DUPLICATE_ORDER,
        f"order {coid} is the same and was admitted {asked.now - at} ms ago",
        field="requestId",
        limit=plain(window),
        actual=asked.now - at,
    )
