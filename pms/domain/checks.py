"""What an order must pass, before it is placed or amended; each check raises a Refusal.

It names the field, the limit and the actual value, and changes nothing.
"""

from __future__ import annotations

from decimal import Decimal

from pms.contract.codes import Code, Refusal
from pms.contract.commands import Trade
from pms.contract.limits import LEVERAGE
from pms.contract.money import plain
from pms.contract.names import HOUSE, INSURANCE
from pms.domain.decisions import Asked
from pms.domain.desk import Desk, Top
from pms.domain.instrument import Instrument, InstrumentError
from pms.domain.positions import Place
from pms.domain.sub_accounts import SubAccount

ZERO = Decimal(0)


def check_open(asked: Asked) -> None:
    """Refuse while nothing may be sent."""
    if asked.live_guard:
        raise Refusal(
            Code.LIVE_GUARD,
            "the exchange is real and PMS_LIVE is not yes-real-money: nothing is sent",
            field="PMS_LIVE",
        )
    if asked.closed_because is not None:
        raise Refusal(Code.NOT_READY, f"admission is closed: {asked.closed_because}")


def known_account(desk: Desk, account: str, *, field: str) -> SubAccount:
    """The account of this id."""
    found = desk.accounts.get(account)
    if found is None:
        raise Refusal(Code.UNKNOWN_ACCOUNT, f"there is no sub-account {account}", field=field, actual=account)
    return found


def trading_account(desk: Desk, account: str, *, field: str = "subAccountId") -> SubAccount:
    """A sub-account that trades by command."""
    found = known_account(desk, account, field=field)
    if account in {HOUSE, INSURANCE}:
        raise Refusal(Code.HOUSE_ONLY, f"the {account} does not trade by command", field=field)
    return found


def listed(desk: Desk, symbol: str) -> Instrument:
    """The symbol, if it trades."""
    instrument = desk.instruments.get(symbol)
    if instrument is None:
        raise Refusal(
            Code.UNKNOWN_SYMBOL, f"the exchange does not list {symbol}", field="symbol", actual=symbol
        )
    if instrument.status != "TRADING":
        raise Refusal(
            Code.SYMBOL_STATUS,
            f"{symbol} is {instrument.status}",
            field="symbol",
            limit="TRADING",
            actual=instrument.status,
        )
    return instrument


def refuse_delivery(instrument: Instrument) -> None:
    """Refuse to open anything in a contract that ends by delivery, for nothing here settles one.

    What is held of one all the same, by hand, is booked and can be closed like any other.
    """
    if not instrument.perpetual:
        raise Refusal(
            Code.SYMBOL_STATUS,
            f"{instrument.symbol} is a delivery contract ({instrument.contract}): nothing is opened in it",
            field="symbol",
            limit="PERPETUAL",
            actual=instrument.contract,
        )


def check_symbol_open(desk: Desk, command: Trade) -> None:
    """Refuse to open what ends by delivery, or where the account is set up otherwise than we reckon."""
    if not command.reduce_only:
        refuse_delivery(desk.instruments[command.symbol])
    reason = desk.headroom.closed_because(command.symbol)
    if reason is not None and not command.reduce_only:
        raise Refusal(Code.NOT_READY, f"admission is closed: {reason}", field="symbol", actual=command.symbol)


def fresh_top(desk: Desk, symbol: str) -> Top:
    """The symbol's best bid and ask, if they are in sync."""
    top = desk.tops.get(symbol)
    if top is None:
        raise Refusal(
            Code.PRICE_STALE, f"there is no price of {symbol} in sync yet", field="symbol", actual=symbol
        )
    return top


def price_and_time(command: Trade) -> tuple[Decimal | None, str | None]:
    """Price and time in force as they fit the order type."""
    if command.type == "MARKET":
        if command.price is not None:
            raise Refusal(
                Code.PRICE_UNWANTED, "a MARKET order has no price", field="price", actual=command.price
            )
        if command.time_in_force is not None:
            raise Refusal(
                Code.TIME_IN_FORCE,
                "a MARKET order has no timeInForce",
                field="timeInForce",
                actual=command.time_in_force,
            )
        return None, None
    if command.price is None:
        raise Refusal(Code.PRICE_MISSING, "a LIMIT order needs a price", field="price")
    return command.price, command.time_in_force or "GTC"


def on_the_grid(
    instrument: Instrument, command: Trade, *, price: Decimal | None, top: Top
) -> tuple[Decimal, Decimal | None]:
    """The symbol's filters; returns the quantity on its step and the price on its tick."""
    if command.quantity <= 0:
        raise Refusal(
            Code.QUANTITY_ZERO,
            "quantity must be above zero",
            field="quantity",
            limit=0,
            actual=plain(command.quantity),
        )
    try:
        quantity = instrument.snap_quantity(command.quantity, market=command.type == "MARKET")
        if price is not None:
            price = instrument.snap_price(price)
            instrument.check_collar(price, side=command.side, reference=top.mid)
        instrument.check_notional(
            price or touch(top, command.side), quantity, reduce_only=command.reduce_only
        )
    except InstrumentError as error:
        raise Refusal(
            Code(error.code), str(error), field=error.field, limit=error.limit, actual=error.actual
        ) from None
    return quantity, price


def leverage_of(
    desk: Desk, asked: Asked, account: str, instrument: Instrument, *, named: int | None, opens: bool
) -> int:
    """The leverage that was named, else what stands in the symbol, else the usual one.

    What only reduces keeps the position's own, whatever it says: a browser sends its slider with every order.
    More may be above what the symbol permits by now, and no close may wait until somebody has lowered it;
    less would hold back margin that nobody judges.
    """
    symbol = instrument.symbol
    standing = desk.standing_leverage(account, symbol)
    if standing is not None and not opens:
        return standing
    leverage = named or standing or _permitted(desk, account, symbol, asked.default_leverage)
    most = instrument.max_leverage
    if most is not None and leverage > most:
        raise Refusal(
            Code.LEVERAGE_RANGE,
            f"{symbol} permits leverage up to {most}",
            field="leverage",
            limit=most,
            actual=leverage,
        )
    return leverage


def _permitted(desk: Desk, account: str, symbol: str, usual: int) -> int:
    """The usual leverage, lowered to the sub-account's limit: nobody asked for it."""
    most = desk.limits.of(account, LEVERAGE, symbol)
    return usual if most is None else max(min(usual, int(most)), 1)


def check_reducing(
    desk: Desk, command: Trade, quantity: Decimal, *, frozen: bool, replaced: Decimal = ZERO
) -> None:
    """Reduce-only truth on the sub-account's own position; the exchange sees only the net.

    `replaced` is what a live order on this side gives up for the quantity asked for.
    """
    if not command.reduce_only and not frozen:
        return
    position = desk.position(*command.place)
    opposite = position.quantity < 0 if command.side == "BUY" else position.quantity > 0
    taken = closing(desk, command.place, command.side) - replaced
    room = abs(position.quantity) - taken if opposite else ZERO
    if quantity <= room:
        return
    if frozen and not command.reduce_only:
        raise Refusal(
            Code.ACCOUNT_FROZEN,
            "the sub-account is frozen and may only reduce",
            field="subAccountId",
            limit=plain(max(room, ZERO)),
            actual=plain(quantity),
        )
    raise Refusal(
        Code.REDUCE_ONLY,
        f"the order would not only reduce: {plain(max(room, ZERO))} can be reduced",
        field="quantity",
        limit=plain(max(room, ZERO)),
        actual=plain(quantity),
    )


def closing(desk: Desk, place: Place, side: str) -> Decimal:
    """What may still trade of a position on a side."""
    account, symbol, position_side = place
    pending = desk.pending.get(account, {}).get((symbol, position_side))
    if pending is None:
        return ZERO
    return pending.buy_qty if side == "BUY" else pending.sell_qty


def touch(top: Top, side: str) -> Decimal:
    """The price that a market order of this side meets first."""
    return top.ask if side == "BUY" else top.bid
