"""Whether an order's price, and the price that it is judged by, make sense: the fat finger's checks.

They stand beside the exchange's own filter (PERCENT_PRICE), which judges by its mark price and permits
what would walk through a whole book.
"""

from __future__ import annotations

from pms.contract import limits
from pms.contract.codes import Code, Refusal
from pms.contract.money import booked, plain
from pms.domain.decisions import Asked
from pms.domain.desk import Desk, Top
from pms.domain.stakes import Stake


def check_valued(desk: Desk, account: str) -> None:
    """Refuse to open while the account holds something that never had a price: nobody knows what it lost."""
    for position in desk.held.get(account, {}).values():
        if desk.last_top(position.symbol) is None:
            raise Refusal(
                Code.PRICE_STALE,
                f"{account} holds {position.symbol}, which has had no price since the start",
                field="symbol",
                actual=position.symbol,
            )


def check_price(desk: Desk, asked: Asked, stake: Stake, top: Top) -> None:
    """How far through the touch, how wide a spread, how old a price; closing needs no good price."""
    if stake.price is not None:
        _check_through(desk, stake, top)
    if stake.opens:
        _check_age(desk, asked, stake, top)
        if stake.price is None:
            _check_spread(desk, stake, top)


def _check_through(desk: Desk, stake: Stake, top: Top) -> None:
    assert stake.price is not None
    percent = desk.limits.of(stake.account, limits.COLLAR, stake.symbol)
    buys = stake.side == "BUY"
    reach = top.ask * (100 + percent) / 100 if buys else top.bid * (100 - percent) / 100
    if stake.price > reach if buys else stake.price < reach:
        raise Refusal(
            Code.PRICE_THROUGH,
            f"a {stake.side} may be priced {plain(percent)} % through the touch at most:"
            f" at {plain(booked(reach))}",
            field="price",
            limit=plain(booked(reach)),
            actual=plain(stake.price),
        )


def _check_spread(desk: Desk, stake: Stake, top: Top) -> None:
    percent = desk.limits.of(stake.account, limits.SPREAD, stake.symbol)
    if (top.ask - top.bid) * 100 <= percent * top.mid:
        return
    raise Refusal(
        Code.SPREAD_WIDE,
        f"the spread of {stake.symbol} is wider than {plain(percent)} %: send a LIMIT order",
        field="type",
        limit=plain(percent),
        actual=plain(booked((top.ask - top.bid) * 100 / top.mid)),
    )


def _check_age(desk: Desk, asked: Asked, stake: Stake, top: Top) -> None:
    """By the exchange's clock, whose time the price carries; not judged where that clock is not known."""
    if not asked.exchange_now:
        return
    most = desk.limits.of(stake.account, limits.PRICE_AGE, stake.symbol)
    age = asked.exchange_now - top.at
    if age > most:
        raise Refusal(
            Code.PRICE_STALE,
            f"the price of {stake.symbol} is {age} ms old",
            field="symbol",
            limit=plain(most),
            actual=age,
        )
