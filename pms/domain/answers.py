"""Answers: the result of a command, the first time that the outcome is proven."""

from __future__ import annotations

from decimal import Decimal

from pms.contract.account import PositionView
from pms.contract.codes import Code
from pms.contract.money import plain
from pms.contract.names import Task
from pms.contract.results import Result
from pms.domain.batching import tell_leg
from pms.domain.decisions import kind_of
from pms.domain.desk import Desk
from pms.domain.orders import AmendEnd, Amendment, Order, State
from pms.domain.posting import Draft
from pms.domain.rows import position_view

ZERO = Decimal(0)


def answer(
    desk: Desk,
    draft: Draft,
    order: Order,
    *,
    before: State,
    code: Code | None,
) -> None:
    """Give the order's command its result, if this is what it waited for."""
    spec = order.spec
    if not _proven(order, before):
        return
    if spec.parent_id in desk.legs:
        tell_leg(desk, draft, order, parent=spec.parent_id, said={"code": _why(order, code)})
    if spec.request_id is None or order.answered or _answered(order, before):
        return
    order.answered = True
    held = desk.holds(spec.place)
    view = position_view(held) if held else None
    draft.results.append(_result(order, spec.request_id, view=view, code=_why(order, code)))


def _result(order: Order, request_id: str, *, view: PositionView | None, code: Code | None) -> Result:
    spec = order.spec
    return Result(
        success=not order.failed,
        request_id=request_id,
        command=Task.CLOSE if kind_of(spec.client_order_id) == "C" else Task.TRADE,
        sub_account_id=spec.sub_account_id,
        symbol=spec.symbol,
        side=spec.side,
        quantity=spec.quantity,
        order_id=spec.client_order_id,
        exchange_order_id=order.exchange_text,
        state=order.state.value,
        position=view,
        error=order.why if order.failed else None,
        code=code,
    )


def answer_amend(draft: Draft, order: Order, wish: Amendment | None) -> str | None:
    """Give an amendment its result if it is over now; returns why it failed, to be told with the order."""
    if wish is None or order.amend is not None:
        return None
    error: str | None = None
    code: str | None = None
    failed = order.amend_failed
    if order.amend_end is AmendEnd.CLOSED:
        code, error = Code.ORDER_CLOSED, f"the order was {order.state} while its amendment was under way"
    elif order.amend_end is AmendEnd.FAILED and failed is not None:
        code, error = failed.code or Code.EXCHANGE_REFUSED, f"not amended: {failed.reason}"
    if wish.request_id is not None:
        spec = order.spec
        draft.results.append(
            Result(
                success=error is None,
                request_id=wish.request_id,
                command=Task.AMEND,
                sub_account_id=spec.sub_account_id,
                symbol=spec.symbol,
                side=spec.side,
                quantity=order.quantity,
                order_id=spec.client_order_id,
                exchange_order_id=order.exchange_text,
                state=order.state.value,
                error=error,
                code=code,
                details={"price": plain(order.price or ZERO), "filledQty": plain(order.filled_qty)},
            )
        )
    return error


def _why(order: Order, code: Code | None) -> Code | None:
    """The code of what came to nothing."""
    if not order.failed:
        return None
    return code or (Code.NOT_SENT if order.state is State.VOID else Code.EXCHANGE_REFUSED)


def _answered(order: Order, before: State) -> bool:
    """Whether its command had its result before: what rests is answered once it is known to.

    Trap: behind a day the record is gone, and a second result would answer whoever uses the requestId anew.
    """
    return not order.momentary and before not in {State.PLACING, State.UNKNOWN}


def _proven(order: Order, before: State) -> bool:
    """Whether the outcome is proven now and was not before."""
    if before.terminal or not order.answerable:
        return False
    return order.state.terminal or before in {State.PLACING, State.UNKNOWN}
