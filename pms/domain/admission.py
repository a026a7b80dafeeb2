"""Admission: whether a command may do what it asks, decided with the reservation in one step.

Each check raises a Refusal that names the field, the limit and the actual value, and changes nothing.
What passes becomes a posting: the order exists from then on, whoever sends it.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, replace
from decimal import Decimal
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from pms.contract.codes import Code, Refusal
from pms.contract.commands import Cancel, CancelAll, Close, Command, Side, Trade
from pms.contract.journal import CommandRow, IncidentRow
from pms.contract.money import Number, booked, encode, plain
from pms.contract.names import HOUSE
from pms.contract.results import Result
from pms.domain.desk import TAKER_FEE, Desk, Top, order_row, position_row, position_view, tag
from pms.domain.instrument import Instrument, InstrumentError
from pms.domain.orders import Order, OrderSpec, State
from pms.domain.posting import Draft, Posting, Undecided

ZERO = Decimal(0)
_quantity: TypeAdapter[Decimal] = TypeAdapter(Number)
NEVER = 2**53
"""A deadline that never comes, ms; the greatest whole number that a Lua number holds."""

MAX_OPEN_ORDERS = 200
"""Live orders a sub-account may have."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A command as it reached the streamer, and the rules of the moment."""

    request_id: str
    command: str
    text: str
    at: int
    #: Redis time of arrival, ms
    deadline: int
    now: int
    #: Redis time of the decision, ms
    closed_because: str | None = None
    #: why admission is closed, or None
    live_guard: bool = False
    #: the exchange is real and real money was not switched on
    default_leverage: int = 10
    stale_after_ms: int = 5000
    exchange_now: int = 0


def admit(desk: Desk, asked: Asked, command: Command) -> Posting:
    """Decide a command; raises Refusal."""
    match command:
        case Trade():
            return _admit_trade(desk, asked, command)
        case Close():
            return _admit_close(desk, asked, command)
        case Cancel():
            return _admit_cancel(desk, asked, command)
        case CancelAll():
            return _admit_cancel_all(desk, asked, command)
        case _:
            raise Refusal(Code.UNKNOWN_COMMAND, f"{asked.command} is not served here", field="command")


def refuse(desk: Desk, asked: Asked, refusal: Refusal, *, echoed: dict[str, object]) -> Posting:
    """Journal a refusal: it changes nothing but the command's own record."""
    draft = desk.draft("refused", at=asked.now)
    result = Result(
        success=False,
        request_id=asked.request_id,
        command=asked.command,
        sub_account_id=_word(echoed.get("subAccountId")),
        symbol=_word(echoed.get("symbol")),
        side=_word(echoed.get("side")),
        quantity=_number(echoed.get("quantity")),
        error=refusal.error,
        code=refusal.code,
        field=refusal.field,
        limit=refusal.limit,
        actual=refusal.actual,
    )
    return decided(desk, draft, asked, result, decision="refused", final=True)


def incident(desk: Desk, *, at: int, kind: str, severity: str, detail: str) -> Posting:
    """Journal something that an operator should see."""
    draft = desk.draft("incident", at=at)
    note_incident(draft, kind=kind, severity=severity, detail=detail)
    return Posting(entry=desk.sealed(draft).entry())


def note_incident(draft: Draft, *, kind: str, severity: str, detail: str) -> None:
    """Add an incident to an entry."""
    draft.incidents.append(
        IncidentRow(
            seq=draft.first_seq + len(draft.incidents),
            kind=kind,
            severity=severity,
            detail=detail,
            at=draft.at,
        )
    )


def decided(
    desk: Desk,
    draft: Draft,
    asked: Asked,
    result: Result,
    *,
    decision: str,
    final: bool,
    orders: tuple[Order, ...] = (),
) -> Posting:
    """Seal a decision: it stands only if the command is still undecided and in time."""
    account = result.sub_account_id
    draft.commands.append(
        CommandRow(
            request_id=asked.request_id,
            command=asked.command,
            sub_account_id=account,
            text=asked.text,
            decision=decision,
            code=result.code,
            client_order_id=orders[0].spec.client_order_id if orders else None,
            answer=encode(result).decode(),
            received_at=asked.at,
            decided_at=asked.now,
        )
    )
    desk.sealed(draft)
    if decision != "expired":
        desk.remember_request(asked.request_id, asked.text, result)
    late = _expired(asked, result)
    other = Draft(prev=draft.prev, base=draft.base, at=asked.now, kind="expired")
    other.commands.append(
        CommandRow(
            request_id=asked.request_id,
            command=asked.command,
            sub_account_id=account,
            text=asked.text,
            decision="expired",
            code=Code.EXPIRED,
            client_order_id=None,
            answer=encode(late).decode(),
            received_at=asked.at,
            decided_at=asked.now,
        )
    )
    # Both alternatives take the same seqs, so that the chain behind them does not depend on the guard.
    entry = draft.entry()
    return Posting(
        entry=entry,
        events=tuple(draft.events),
        results=(result,) if final else (),
        guard=Undecided(asked.request_id, asked.deadline),
        otherwise=other.entry(seq=entry.seq),
        otherwise_results=(late,),
    )


def client_order_id(account: str, kind: str, request_id: str) -> str:
    """`PMS_{sub8}_{kind}_{parent}`: at most 36 characters of Binance's alphabet, the same every time.

    The parent is the request's id, hashed to twenty characters: 120 bits, so that a repeat of the
    request is a repeat of the order.
    """
    return f"PMS_{tag(account)}_{kind}_{parent_of(request_id)}"


def kind_of(order_id: str) -> str:
    """What an order is: M placed by a command, C closing a position. The parent may contain either letter."""
    return order_id.split("_", 3)[2]


def parent_of(request_id: str) -> str:
    """The part of a client order id that names the command."""
    digest = hashlib.blake2b(UUID(request_id).bytes, digest_size=15).digest()
    return base64.urlsafe_b64encode(digest).decode()


def _admit_trade(desk: Desk, asked: Asked, command: Trade) -> Posting:
    _admission_open(asked)
    account = desk.accounts.get(command.sub_account_id)
    if account is None:
        raise Refusal(
            Code.UNKNOWN_ACCOUNT,
            f"there is no sub-account {command.sub_account_id}",
            field="subAccountId",
            actual=command.sub_account_id,
        )
    if account.id == HOUSE:
        raise Refusal(Code.HOUSE_ONLY, "the house does not trade by command", field="subAccountId")
    instrument = _instrument(desk, command.symbol)
    top = _fresh_top(desk, asked, command.symbol)
    price, tif = _price_and_time(command)
    quantity, price = _rules(instrument, command, price=price, top=top)
    leverage = _leverage(desk, asked, command, instrument)
    _reducing(desk, command, quantity, frozen=account.status != "ACTIVE")
    _apart(desk, command, price=price, top=top)
    if account.open_orders >= MAX_OPEN_ORDERS:
        raise Refusal(
            Code.OPEN_ORDERS,
            f"the sub-account has {account.open_orders} open orders, the limit is {MAX_OPEN_ORDERS}",
            limit=MAX_OPEN_ORDERS,
            actual=account.open_orders,
        )
    return _place(
        desk, asked, command, kind="M", quantity=quantity, price=price, time_in_force=tif, leverage=leverage
    )


def _admit_close(desk: Desk, asked: Asked, command: Close) -> Posting:
    _admission_open(asked)
    position = desk.find_position(str(command.position_id))
    if position is None:
        raise Refusal(
            Code.UNKNOWN_POSITION,
            "there is no open position with this id",
            field="positionId",
            actual=command.position_id,
        )
    if position.sub_account_id == HOUSE:
        raise Refusal(Code.HOUSE_ONLY, "the house does not trade by command", field="positionId")
    instrument = _instrument(desk, position.symbol)
    top = _fresh_top(desk, asked, position.symbol)
    side: Side = "SELL" if position.quantity > 0 else "BUY"
    closing = _closing(desk, position.sub_account_id, position.symbol, side)
    quantity = abs(position.quantity) - closing
    if quantity <= 0:
        raise Refusal(
            Code.REDUCE_ONLY,
            "live orders already close all of the position",
            field="positionId",
            limit=plain(abs(position.quantity)),
            actual=plain(closing),
        )
    trade = Trade.model_construct(
        request_id=command.request_id,
        sub_account_id=position.sub_account_id,
        symbol=position.symbol,
        side=side,
        quantity=quantity,
        leverage=position.leverage,
        type="MARKET",
        price=None,
        time_in_force=None,
        reduce_only=True,
    )
    quantity, _ = _rules(instrument, trade, price=None, top=top)
    _apart(desk, trade, price=None, top=top)
    return _place(
        desk,
        asked,
        trade,
        kind="C",
        quantity=quantity,
        price=None,
        time_in_force=None,
        leverage=position.leverage,
    )


def _admit_cancel(desk: Desk, asked: Asked, command: Cancel) -> Posting:
    order = desk.find_order(command.order_id)
    if order is None:
        raise Refusal(Code.UNKNOWN_ORDER, "no order has this id", field="orderId", actual=command.order_id)
    if order.state.terminal:
        raise Refusal(
            Code.ORDER_CLOSED, f"the order is already {order.state}", field="orderId", actual=order.state
        )
    return _want_cancelled(desk, asked, [order], single=True)


def _admit_cancel_all(desk: Desk, asked: Asked, command: CancelAll) -> Posting:
    if command.sub_account_id is not None and command.sub_account_id not in desk.accounts:
        raise Refusal(
            Code.UNKNOWN_ACCOUNT,
            f"there is no sub-account {command.sub_account_id}",
            field="subAccountId",
            actual=command.sub_account_id,
        )
    orders = list(desk.orders_of(command.sub_account_id, command.symbol))
    return _want_cancelled(desk, asked, orders, single=False)


def _want_cancelled(desk: Desk, asked: Asked, orders: list[Order], *, single: bool) -> Posting:
    """Write the wish into each order's row; memory has it once the decision is known to stand.

    Until then nobody may act on it: a decision that came too late tells the trader that nothing was done.
    """
    draft = desk.draft("cancel_wanted", at=asked.now)
    for order in orders:
        draft.orders[order.spec.client_order_id] = order_row(order, unwanted=True)
    first = orders[0] if single else None
    result = Result(
        success=True,
        request_id=asked.request_id,
        command=asked.command,
        sub_account_id=first.spec.sub_account_id if first else None,
        symbol=first.spec.symbol if first else None,
        side=first.spec.side if first else None,
        quantity=first.quantity if first else None,
        order_id=first.spec.client_order_id if first else None,
        exchange_order_id=_text(first.exchange_order_id) if first else None,
        state=first.state.value if first else None,
        details={"cancelling": [order.spec.client_order_id for order in orders]},
    )
    return decided(desk, draft, asked, result, decision="admitted", final=True, orders=tuple(orders))


def _place(
    desk: Desk,
    asked: Asked,
    command: Trade,
    *,
    kind: str,
    quantity: Decimal,
    price: Decimal | None,
    time_in_force: str | None,
    leverage: int,
) -> Posting:
    """Reserve, register and journal one order."""
    coid = client_order_id(command.sub_account_id, kind, asked.request_id)
    if coid in desk.orders:
        return _met_again(desk, asked, desk.orders[coid])
    spec = OrderSpec(
        client_order_id=coid,
        sub_account_id=command.sub_account_id,
        symbol=command.symbol,
        side=command.side,
        type=command.type,
        quantity=quantity,
        price=price,
        time_in_force=time_in_force,
        reduce_only=command.reduce_only,
        leverage=leverage,
        origin="MANUAL",
        parent_id=None,
        request_id=asked.request_id,
        epoch=desk.epoch,
        deadline=asked.deadline,
        admitted_at=asked.now,
    )
    order = Order(spec=spec, quantity=quantity, price=price, updated_at=asked.now)
    position = desk.position(spec.sub_account_id, spec.symbol)
    old_leverage, position.leverage = position.leverage, leverage
    desk.add_order(order)
    available = desk.snapshot(spec.sub_account_id).available_margin
    fee = booked(quantity * (price or _touch(desk.tops[spec.symbol], spec.side)) * TAKER_FEE)
    if available < fee and not command.reduce_only:
        desk.forget_order(order)
        position.leverage = old_leverage
        before = desk.snapshot(spec.sub_account_id).available_margin
        raise Refusal(
            Code.MARGIN,
            f"the order needs {plain(before - available + fee)} of margin and fee; "
            f"{plain(before)} is available",
            field="quantity",
            limit=plain(before),
            actual=plain(before - available + fee),
        )
    draft = desk.draft("admitted", at=asked.now)
    draft.orders[spec.client_order_id] = order_row(order)
    if position.quantity and leverage != old_leverage:
        # The open position's margin is another from now on, whatever becomes of the order.
        draft.positions[spec.sub_account_id, spec.symbol] = position_row(position)
    held = desk.held.get(spec.sub_account_id, {}).get(spec.symbol)
    result = Result(
        success=True,
        request_id=asked.request_id,
        command=asked.command,
        sub_account_id=spec.sub_account_id,
        symbol=spec.symbol,
        side=spec.side,
        quantity=quantity,
        order_id=spec.client_order_id,
        state="placing",
        position=position_view(held) if held else None,
    )
    return decided(desk, draft, asked, result, decision="admitted", final=False, orders=(order,))


def met_again(desk: Desk, asked: Asked) -> Posting | None:
    """Answer a command whose order exists already: Redis forgot the command, the exchange did not.

    None if there is no such order. Whatever the time is: what was done is not undone by a deadline.
    """
    order = desk.by_parent.get(parent_of(asked.request_id))
    return None if order is None else _met_again(desk, replace(asked, deadline=NEVER), desk.orders[order])


def recalled(desk: Desk, answer: Result) -> Result:
    """The answer that was given, brought up to what its order has become since."""
    order = desk.orders.get(answer.order_id or "")
    if order is None or answer.state != State.PLACING:
        return answer
    return answer.model_copy(update=_became(order))


def _met_again(desk: Desk, asked: Asked, order: Order) -> Posting:
    spec = order.spec
    result = Result(
        success=True,
        request_id=asked.request_id,
        command=asked.command,
        sub_account_id=spec.sub_account_id,
        symbol=spec.symbol,
        side=spec.side,
        quantity=spec.quantity,
        order_id=spec.client_order_id,
    ).model_copy(update=_became(order))
    draft = desk.draft("met_again", at=asked.now)
    return decided(desk, draft, asked, result, decision="admitted", final=True)


def _became(order: Order) -> dict[str, object]:
    """What an answer says of an order as it stands."""
    failed = order.state in {State.REJECTED, State.VOID}
    code = (Code.NOT_SENT if order.state is State.VOID else Code.EXCHANGE_REFUSED) if failed else None
    return {
        "success": not failed,
        "state": order.state.value,
        "exchange_order_id": _text(order.exchange_order_id),
        "error": order.why if failed else None,
        "code": code,
    }


def _admission_open(asked: Asked) -> None:
    if asked.live_guard:
        raise Refusal(
            Code.LIVE_GUARD,
            "the exchange is real and PMS_LIVE is not yes-real-money: nothing is sent",
            field="PMS_LIVE",
        )
    if asked.closed_because is not None:
        raise Refusal(Code.NOT_READY, f"admission is closed: {asked.closed_because}")


def _instrument(desk: Desk, symbol: str) -> Instrument:
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


def _fresh_top(desk: Desk, asked: Asked, symbol: str) -> Top:
    top = desk.tops.get(symbol)
    if top is None:
        raise Refusal(
            Code.PRICE_STALE, f"there is no price of {symbol} in sync yet", field="symbol", actual=symbol
        )
    return top


def _price_and_time(command: Trade) -> tuple[Decimal | None, str | None]:
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


def _rules(
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
            price or _touch(top, command.side), quantity, reduce_only=command.reduce_only
        )
    except InstrumentError as error:
        raise Refusal(
            Code(error.code), str(error), field=error.field, limit=error.limit, actual=error.actual
        ) from None
    return quantity, price


def _leverage(desk: Desk, asked: Asked, command: Trade, instrument: Instrument) -> int:
    held = desk.held.get(command.sub_account_id, {}).get(command.symbol)
    leverage = command.leverage or (held.leverage if held else asked.default_leverage)
    most = instrument.max_leverage
    if most is not None and leverage > most:
        raise Refusal(
            Code.LEVERAGE_RANGE,
            f"{command.symbol} permits leverage up to {most}",
            field="leverage",
            limit=most,
            actual=leverage,
        )
    return leverage


def _reducing(desk: Desk, command: Trade, quantity: Decimal, *, frozen: bool) -> None:
    """Reduce-only truth on the sub-account's own position; the exchange sees only the net."""
    if not command.reduce_only and not frozen:
        return
    position = desk.position(command.sub_account_id, command.symbol)
    opposite = position.quantity < 0 if command.side == "BUY" else position.quantity > 0
    closing = _closing(desk, command.sub_account_id, command.symbol, command.side)
    room = abs(position.quantity) - closing if opposite else ZERO
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


def _closing(desk: Desk, account: str, symbol: str, side: str) -> Decimal:
    """What live orders on a side may still trade."""
    pending = desk.pending.get(account, {}).get(symbol)
    if pending is None:
        return ZERO
    return pending.buy_qty if side == "BUY" else pending.sell_qty


def _apart(desk: Desk, command: Trade, *, price: Decimal | None, top: Top) -> None:
    """Refuse what would meet one of our own resting orders: the exchange would expire that one."""
    if command.side == "BUY":
        other = desk.resting.best(command.symbol, "SELL")
        reach = price if price is not None else top.ask
        meets = other is not None and reach >= other
    else:
        other = desk.resting.best(command.symbol, "BUY")
        reach = price if price is not None else top.bid
        meets = other is not None and reach <= other
    if meets and other is not None:
        raise Refusal(
            Code.SELF_MATCH,
            f"the order would meet our own resting order at {plain(other)}",
            field="price" if price is not None else "side",
            limit=plain(other),
            actual=plain(reach),
        )


def _touch(top: Top, side: str) -> Decimal:
    return top.ask if side == "BUY" else top.bid


def _expired(asked: Asked, result: Result) -> Result:
    return Result(
        success=False,
        request_id=asked.request_id,
        command=asked.command,
        sub_account_id=result.sub_account_id,
        symbol=result.symbol,
        side=result.side,
        quantity=result.quantity,
        error="the command was not decided before its deadline; nothing was sent",
        code=Code.EXPIRED,
    )


def _number(value: object) -> Decimal | None:
    """A quantity to echo, if it is one that an answer can carry."""
    try:
        return _quantity.validate_python(value)
    except ValidationError:
        return None


def _word(value: object) -> str | None:
    """A field to echo, at a length that fits an answer."""
    return value[:64] if isinstance(value, str) else None


def _text(value: int | None) -> str | None:
    return None if value is None else str(value)
