"""What a sub-account's limits say of an order that would open something; each check raises a Refusal.

Trap: what only reduces passes all of them but a halt. A limit that kept a sub-account in its position would
be the risk that it is there to bound.
"""

from __future__ import annotations

from decimal import Decimal

from pms.contract import limits
from pms.contract.codes import Code, Refusal
from pms.contract.limits import Limit
from pms.contract.money import booked, plain
from pms.domain.decisions import Asked
from pms.domain.desk import Desk, Top
from pms.domain.stakes import Stake, places_of, worst_value

ZERO = Decimal(0)


def check_limits(desk: Desk, asked: Asked, stake: Stake, top: Top) -> None:
    """Everything that bounds what a sub-account may come to hold."""
    check_state(desk, stake.account, stake.symbol, side=stake.side, opens=stake.opens)
    if not stake.opens:
        return
    _check_allowed(desk, stake)
    _check_loss(desk, asked, stake)
    _check_size(desk, stake)
    _check_position(desk, stake, top)
    _check_exposure(desk, stake, top)


def check_leverage(desk: Desk, stake: Stake, *, leverage: int) -> None:
    """The leverage limit of an order; what only reduces keeps the position's own."""
    if not stake.opens:
        return
    _check_leverage(desk, stake.account, stake.symbol, leverage)


def check_set_leverage(desk: Desk, account: str, symbol: str, *, leverage: int, standing: int | None) -> None:
    """The leverage limit of a command; no more than what stands passes: it borrows nothing."""
    if standing is None or leverage > standing:
        _check_leverage(desk, account, symbol, leverage)


def _check_leverage(desk: Desk, account: str, symbol: str, leverage: int) -> None:
    most = desk.limits.of(account, limits.LEVERAGE, symbol)
    if most is not None and leverage > most:
        raise Refusal(
            Code.LEVERAGE_LIMIT,
            f"{account} may have a leverage of {plain(most)} in {symbol} at most",
            field="leverage",
            limit=plain(most),
            actual=leverage,
        )


def check_state(desk: Desk, account: str, symbol: str, *, side: str, opens: bool) -> None:
    """Whether a symbol is traded at all, or only to reduce."""
    state = desk.limits.of(account, limits.STATE, symbol)
    if state == limits.ACTIVE or (state == limits.REDUCE_ONLY and not opens):
        return
    only = " may only be reduced" if state == limits.REDUCE_ONLY else " is not traded at all"
    raise Refusal(
        Code.TRADING_STATE,
        f"{symbol}{only} by {account}: trading.state is {state}",
        field="symbol",
        limit=state,
        actual=side,
    )


def _check_allowed(desk: Desk, stake: Stake) -> None:
    """Which symbols and sides may be opened."""
    symbols = desk.limits.of(stake.account, limits.SYMBOLS)
    if symbols and stake.symbol not in symbols:
        raise Refusal(
            Code.SYMBOL_NOT_ALLOWED,
            f"{stake.account} may not trade {stake.symbol}",
            field="symbol",
            limit=limits.written(symbols),
            actual=stake.symbol,
        )
    side = desk.limits.of(stake.account, limits.SIDES, stake.symbol)
    if side not in {limits.BOTH, stake.side}:
        raise Refusal(
            Code.SIDE_NOT_ALLOWED,
            f"{stake.account} may open {stake.symbol} by {side} only",
            field="side",
            limit=side,
            actual=stake.side,
        )


def _check_loss(desk: Desk, asked: Asked, stake: Stake) -> None:
    most = desk.limits.of(stake.account, limits.DAILY_LOSS)
    if most is None:
        return
    lost = -desk.results.of(stake.account, asked.now)
    if lost > 0 and lost >= most:
        raise Refusal(
            Code.DAILY_LOSS,
            f"{stake.account} has lost {plain(lost)} since 00:00 UTC and may only reduce until the next",
            field="quantity",
            limit=plain(most),
            actual=plain(lost),
        )


def _check_size(desk: Desk, stake: Stake) -> None:
    """The single order; an amendment that does not grow is not judged anew."""
    of = desk.limits.of
    if stake.more_quantity:
        most = of(stake.account, limits.ORDER_QUANTITY, stake.symbol)
        if most is not None and stake.quantity > most:
            raise _above(limits.ORDER_QUANTITY, most, stake.quantity, "the order is for {}")
    if stake.more_value:
        most = of(stake.account, limits.ORDER_NOTIONAL, stake.symbol)
        if most is not None and (value := stake.quantity * stake.at) > most:
            raise _above(limits.ORDER_NOTIONAL, most, value, "the order is worth {}")


def _check_position(desk: Desk, stake: Stake, top: Top) -> None:
    """The position if every open order of the side trades."""
    of = desk.limits.of
    told = f"with every open order of its side the {stake.symbol} position would be"
    if stake.more_quantity:
        most = of(stake.account, limits.POSITION_QUANTITY, stake.symbol)
        if most is not None and stake.worst_quantity > most:
            raise _above(limits.POSITION_QUANTITY, most, stake.worst_quantity, told + " {}")
    if stake.more_worth:
        most = of(stake.account, limits.POSITION_NOTIONAL, stake.symbol)
        if most is not None and (value := stake.worst_value(top.mid)) > most:
            raise _above(limits.POSITION_NOTIONAL, most, value, told + " worth {}")


def _check_exposure(desk: Desk, stake: Stake, top: Top) -> None:
    """All symbols together, and this one's part of them; only where the order adds to it."""
    account, symbol, of = stake.account, stake.symbol, desk.limits.of
    most = of(account, limits.EXPOSURE)
    most_of_equity = of(account, limits.CONCENTRATION_EQUITY, symbol)
    most_of_exposure = of(account, limits.CONCENTRATION_EXPOSURE, symbol)
    if most is None and most_of_equity is None and most_of_exposure is None:
        return
    here, elsewhere = _beside(desk, stake)
    value = stake.worst_value(top.mid) + here
    refusal = None
    if most_of_equity is not None:
        refusal = _above_equity(desk, stake, most_of_equity, value)
    if refusal is None and most is not None and value + elsewhere > most:
        told = "all symbols together would be worth {}"
        refusal = _above(limits.EXPOSURE, most, value + elsewhere, told)
    if refusal is None and most_of_exposure is not None:
        refusal = _above_exposure(desk, stake, most_of_exposure, value, value + elsewhere)
    # Asked last, for it is nearly always so and nearly never matters.
    if refusal is not None and stake.worst_value(top.mid) > worst_value(desk, stake.place):
        raise refusal


def _beside(desk: Desk, stake: Stake) -> tuple[Decimal, Decimal]:
    """What else may come to be held: the other side of this symbol, and all other symbols."""
    here = elsewhere = ZERO
    account, own = stake.account, (stake.symbol, stake.position_side)
    for place in places_of(desk, account):
        if place == own:
            continue
        worth = worst_value(desk, (account, *place))
        if place[0] == stake.symbol:
            here += worth
        else:
            elsewhere += worth
    return here, elsewhere


def _above_equity(desk: Desk, stake: Stake, most: Decimal, value: Decimal) -> Refusal | None:
    equity = desk.equity(stake.account)
    # As a product: an equity of nothing or less carries no position at all.
    if value * 100 <= most * max(equity, ZERO):
        return None
    share = plain(booked(value * 100 / equity)) if equity > 0 else "all"
    told = f"{stake.symbol} would be worth {{}}, {share} % of the equity of {plain(equity)}"
    return _above(limits.CONCENTRATION_EQUITY, most, value, told, actual=share)


def _above_exposure(
    desk: Desk, stake: Stake, most: Decimal, value: Decimal, total: Decimal
) -> Refusal | None:
    if value * 100 <= most * total or total < desk.limits.of(stake.account, limits.CONCENTRATION_FROM):
        return None
    share = plain(booked(value * 100 / total))
    told = f"{stake.symbol} would be worth {{}}, {share} % of all that is held"
    return _above(limits.CONCENTRATION_EXPOSURE, most, value, told, actual=share)


def _above(
    limit: Limit[Decimal | None], most: Decimal, value: Decimal, told: str, *, actual: str | None = None
) -> Refusal:
    assert limit.code is not None
    return Refusal(
        limit.code,
        f"{told.format(plain(value))}; the limit {limit.name} is {plain(most)}",
        field="quantity",
        limit=plain(most),
        actual=actual or plain(value),
    )
