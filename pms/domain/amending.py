"""Amending: a resting order's price or TOTAL quantity, one wish in flight at a time.

    written to the journal     the wish stands; nobody has sent it yet
    its send right is taken    sent once, by whoever won; nobody sends it again
    REST answers               proves nothing but a refusal
    AMENDMENT, or a query      the wish is over: carried out, or the order shows its old terms
    the order is over          so is the wish

Until it is over the order may trade on either terms, so margin is held for the larger of both.

Trap: Binance's PUT takes the total, and cancels an order whose total is not above what is filled. A
trade that comes between this check and the exchange can still make that happen.
"""

from __future__ import annotations

from decimal import Decimal
from typing import cast

from pms.contract.codes import Code, Refusal
from pms.contract.commands import Amend, PositionSide, Trade
from pms.contract.money import booked, plain
from pms.contract.names import amend_id
from pms.contract.results import Result
from pms.domain.checks import (
    check_open,
    check_reducing,
    fresh_top,
    listed,
    on_the_grid,
    trading_account,
)
from pms.domain.decisions import Asked, decided
from pms.domain.desk import TAKER_FEE, Desk, Top
from pms.domain.halts import refuse_halted
from pms.domain.leverage_brackets import check_amended
from pms.domain.limit_checks import check_limits
from pms.domain.liquidating import refuse_liquidating
from pms.domain.orders import Amendment, Order
from pms.domain.pace_checks import check_rate
from pms.domain.posting import Posting
from pms.domain.price_checks import check_price, check_valued
from pms.domain.rows import order_row
from pms.domain.siblings import apart
from pms.domain.stakes import Stake, amended_stake


def admit_amend(desk: Desk, asked: Asked, command: Amend) -> Posting:
    """Decide an amendment; raises Refusal."""
    check_open(asked)
    order = desk.find_order(command.order_id)
    if order is None:
        raise Refusal(Code.UNKNOWN_ORDER, "no order has this id", field="orderId", actual=command.order_id)
    wish = wish_amended(desk, asked, order, command, request_id=asked.request_id)
    spec = order.spec
    draft = desk.draft("amend_wanted", at=asked.now)
    draft.orders[spec.client_order_id] = order_row(order)
    result = Result(
        success=True,
        request_id=asked.request_id,
        command=asked.command,
        sub_account_id=spec.sub_account_id,
        symbol=spec.symbol,
        side=spec.side,
        quantity=wish.quantity,
        order_id=spec.client_order_id,
        exchange_order_id=order.exchange_text,
        state="amending",
        details={"price": plain(wish.price), "filledQty": plain(order.filled_qty)},
    )
    return decided(desk, draft, asked, result, decision="admitted", final=False, orders=(order,))


def wish_amended(
    desk: Desk, asked: Asked, order: Order, command: Amend, *, request_id: str | None
) -> Amendment:
    """Lay a wish over an order and hold margin for it; raises Refusal, and then nothing has changed.

    `request_id` is that of a command that waits for what becomes of it.
    """
    _check_amendable(order)
    quantity, price = _new_terms(desk, asked, order, command)
    wish = Amendment(
        number=order.amends + 1,
        quantity=quantity,
        price=price,
        request_id=request_id,
        epoch=desk.epoch,
        deadline=asked.deadline,
        asked_at=asked.now,
    )
    _reserve(desk, order, wish)
    desk.pace.note_time(desk.limits, order.spec.sub_account_id, asked.now)
    return wish


def withdraw_amend(desk: Desk, order: Order, *, number: int) -> None:
    """Take back a wish that is not journaled: its decision came too late, or there is no margin for it.

    Trap: its price was noted as one of ours; left there, it would refuse whoever comes to meet it, for ever.
    """
    if order.amend is not None and order.amend.number == number:
        order.withdraw_amend()
        desk.resting.remove(amend_id(order.spec.client_order_id, number))
        desk.reserve(order)


def _check_amendable(order: Order) -> None:
    if order.state.terminal:
        raise Refusal(
            Code.ORDER_CLOSED, f"the order is already {order.state}", field="orderId", actual=order.state
        )
    if order.unproven:
        raise Refusal(
            Code.ORDER_UNPROVEN,
            "the exchange has not confirmed the order yet",
            field="orderId",
            actual=order.state,
        )
    if order.cancel_wanted:
        raise Refusal(Code.CANCEL_PENDING, "the order is being cancelled", field="orderId")
    if order.amend is not None:
        raise Refusal(
            Code.AMEND_PENDING,
            f"an amendment to {plain(order.amend.quantity)} at {plain(order.amend.price)} is under way",
            field="orderId",
            actual=order.amend.request_id,
        )
    if order.price is None:
        raise Refusal(
            Code.NOT_AMENDABLE,
            "only a LIMIT order has terms to amend",
            field="orderId",
            limit="LIMIT",
            actual=order.spec.type,
        )


def _new_terms(desk: Desk, asked: Asked, order: Order, command: Amend) -> tuple[Decimal, Decimal]:
    """The total and the price asked for, on the symbol's grid; raises Refusal."""
    spec = order.spec
    if command.quantity is None and command.price is None:
        raise Refusal(Code.MISSING_FIELD, "name a quantity, a price, or both", field="quantity")
    account = trading_account(desk, spec.sub_account_id, field="orderId")
    refuse_halted(desk, account.id, reduce_only=spec.reduce_only)
    refuse_liquidating(desk, account.id, field="orderId")
    top = fresh_top(desk, spec.symbol)
    wished = Trade.model_construct(
        request_id=command.request_id,
        sub_account_id=spec.sub_account_id,
        symbol=spec.symbol,
        side="BUY" if spec.side == "BUY" else "SELL",
        quantity=order.quantity if command.quantity is None else command.quantity,
        type="LIMIT",
        reduce_only=spec.reduce_only,
        position_side=cast("PositionSide", spec.position_side),
    )
    price = order.price if command.price is None else command.price
    instrument = listed(desk, spec.symbol)
    quantity, price = on_the_grid(instrument, wished, price=price, top=top)
    away = apart(desk, instrument, wished, price=price, top=top)
    if away != price:
        quantity, price = on_the_grid(instrument, wished, price=away, top=top)
    assert price is not None
    filled = max(order.venue_filled, order.filled_qty)
    if quantity <= filled:
        raise Refusal(
            Code.BELOW_FILLED,
            f"quantity is the total and must be above {plain(filled)}, which is filled;"
            " to have no more filled, cancel",
            field="quantity",
            limit=plain(filled),
            actual=plain(quantity),
        )
    if (quantity, price) == (order.quantity, order.price):
        raise Refusal(
            Code.NO_CHANGE,
            f"the order is for {plain(quantity)} at {plain(price)} already",
            field="quantity" if command.price is None else "price",
        )
    grows = quantity > order.quantity or price != order.price
    frozen = grows and account.status != "ACTIVE"
    # The position and what the order leaves are by booked trades, so its own part is too.
    asked_for = quantity - order.filled_qty
    check_reducing(desk, wished, asked_for, frozen=frozen, replaced=order.leaves)
    stake = amended_stake(desk, order, total=quantity, price=price, mid=top.mid, asks_more=grows)
    check_amended(desk, instrument, order, stake, mid=top.mid)
    _check_limits(desk, asked, order, stake, top)
    return quantity, price


def _check_limits(desk: Desk, asked: Asked, order: Order, stake: Stake, top: Top) -> None:
    """What an amendment can breach: it makes no order more, and none like another."""
    if stake.price != order.price:
        check_price(desk, asked, stake, top)
    check_limits(desk, asked, stake, top)
    check_rate(desk, asked, stake)


def _reserve(desk: Desk, order: Order, wish: Amendment) -> None:
    """Lay the wish over the order and hold margin for the larger terms; raises Refusal if it is not there."""
    account = order.spec.sub_account_id
    before, leaves = desk.available_margin(account), order.leaves
    order.want_amended(wish)
    desk.reserve(order)
    available = desk.available_margin(account)
    fee = booked((order.leaves - leaves) * wish.price * TAKER_FEE)
    if available < before and not order.spec.reduce_only:
        try:
            check_valued(desk, account)
        except Refusal:
            withdraw_amend(desk, order, number=wish.number)
            raise
    if available < before and available < fee and not order.spec.reduce_only:
        withdraw_amend(desk, order, number=wish.number)
        raise Refusal(
            Code.MARGIN,
            f"the larger order needs {plain(before - available + fee)} more of margin and fee; "
            f"{plain(before)} is available",
            field="quantity",
            limit=plain(before),
            actual=plain(before - available + fee),
        )
