"""Several orders under one command: `pms.batch` and `pms.close_all`.

Each order is admitted or refused by itself, has its own client order id, its own send right and its
own outcome. The command has one result: when the last order's outcome is proven, or at its deadline
what is known by then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar
from uuid import UUID

from pms.contract.codes import Code, Refusal
from pms.contract.commands import Batch, CloseAll, Trade
from pms.contract.money import plain
from pms.contract.names import HOUSE
from pms.contract.results import Result
from pms.domain.checks import check_open, trading_account
from pms.domain.decisions import Asked, decided, order_id_for
from pms.domain.desk import Desk
from pms.domain.handed_orders import GONE, handed
from pms.domain.orders import Order, State
from pms.domain.placing import Judged, Leverages, judge_close, judge_trade, register
from pms.domain.posting import Draft, Posting
from pms.domain.rows import order_row

_LEG = "0123456789ABCDEFGHIJ"
"""A character for each order of a batch: the client order id must keep to 36."""

_OPEN = {State.PLACING.value, State.UNKNOWN.value}
T = TypeVar("T")


def admit_batch(desk: Desk, asked: Asked, command: Batch) -> Posting:
    """Decide each order of a batch; raises Refusal only for what is wrong with the whole."""
    check_open(asked)
    account = command.sub_account_id
    trading_account(desk, account)

    request = UUID(asked.request_id)
    trades = [
        Trade.model_construct(request_id=request, sub_account_id=account, **dict(terms))
        for terms in command.orders
    ]
    planned = [
        (coid, {"symbol": trade.symbol}, trade)
        for coid, trade in zip(batch_ids(desk, asked, command), trades, strict=True)
    ]
    return _admit_each(desk, asked, planned, lambda trade: judge_trade(desk, asked, trade), account=account)


def batch_ids(desk: Desk, asked: Asked, command: Batch) -> list[str]:
    """The ids of a batch's orders, in its order."""
    return [
        order_id_for(desk, asked, command.sub_account_id, kind=f"B{_LEG[number]}")
        for number in range(len(command.orders))
    ]


def admit_close_all(desk: Desk, asked: Asked, command: CloseAll) -> Posting:
    """Decide the close of each position; none is fine."""
    check_open(asked)
    if command.sub_account_id is not None:
        trading_account(desk, command.sub_account_id)

    accounts = desk.held if command.sub_account_id is None else [command.sub_account_id]
    positions = [
        position
        for account in sorted(accounts)
        for (symbol, _), position in sorted(desk.held.get(account, {}).items())
        if account != HOUSE and command.symbol in {None, symbol}
    ]
    planned = [
        (
            order_id_for(desk, asked, position.sub_account_id, kind="C", part=position.id),
            {
                "subAccountId": position.sub_account_id,
                "symbol": position.symbol,
                "positionId": position.id,
            },
            position,
        )
        for position in positions
    ]
    return _admit_each(
        desk,
        asked,
        planned,
        lambda position: judge_close(desk, asked, position),
        account=command.sub_account_id,
    )


def _admit_each(
    desk: Desk,
    asked: Asked,
    planned: Iterable[tuple[str, dict[str, Any], T]],
    judge: Callable[[T], Judged],
    *,
    account: str | None,
) -> Posting:
    """Judge and register one order after the other, so that each sees what those before it reserved."""
    told: list[dict[str, Any]] = []
    orders: list[Order] = []
    leverages = Leverages(desk)
    for coid, about, subject in planned:
        known = desk.orders.get(coid)
        try:
            order = known or _registered(desk, asked, judge(subject), coid=coid, leverages=leverages)
        except Refusal as refusal:
            told.append({**about, **_refused(refusal)})
            continue
        told.append({**about, **leg_of(order)})
        if known is None:
            orders.append(order)
    admitted = not told or any(leg["success"] for leg in told)
    result = Result(
        request_id=asked.request_id,
        command=asked.command,
        sub_account_id=account,
        state="placing" if orders else "done" if admitted else None,
        details={"orders": told},
        **({"success": True} if admitted else all_failed(told)),
    )
    draft = desk.draft("admitted" if admitted else "refused", at=asked.now)
    for order in orders:
        draft.orders[order.spec.client_order_id] = order_row(order)
    leverages.note(draft)
    if orders:
        desk.legs[asked.request_id] = result
    return decided(
        desk,
        draft,
        asked,
        result,
        decision="admitted" if admitted else "refused",
        final=not orders,
        orders=tuple(orders),
    )


def _registered(desk: Desk, asked: Asked, judged: Judged, *, coid: str, leverages: Leverages) -> Order:
    leverages.before(judged)
    return register(desk, asked, judged, client_order_id=coid, request_id=None, parent_id=asked.request_id)


def tell_leg(desk: Desk, draft: Draft, order: Order, *, parent: str, said: dict[str, Any]) -> None:
    """Note what became of one order, as far as `said` says it; with the last, the result of them all.

    Until then what is known is noted, for the deadline may answer before the last is proven.
    """
    coid, known = order.spec.client_order_id, desk.legs.pop(parent)
    told = [{**leg, **leg_of(order), **said} if leg.get("orderId") == coid else leg for leg in legs_of(known)]
    if any(leg.get("state") in _OPEN for leg in told):
        so_far = desk.legs[parent] = known.model_copy(update={"details": {"orders": told}})
        draft.so_far.append(so_far)
        return
    came_to_something = any(leg["success"] for leg in told)
    update = {"state": "done", "details": {"orders": told}, **({} if came_to_something else all_failed(told))}
    draft.results.append(known.model_copy(update=update))


def legs_of(result: Result) -> list[dict[str, Any]]:
    """What a result says of each of its orders."""
    return list((result.details or {})["orders"])


def all_failed(told: list[dict[str, Any]]) -> dict[str, Any]:
    """What the result says where no order came to anything: the first one's reason."""
    first = told[0]
    return {
        "success": False,
        "code": first["code"],
        "error": f"every order was refused, the first: {first['error']}",
        "field": f"orders[0].{first['field']}" if first.get("field") else None,
        "limit": first.get("limit"),
        "actual": first.get("actual"),
    }


def leg_of(order: Order) -> dict[str, Any]:
    """What a result says of one order among several."""
    failed, spec = order.failed, order.spec
    return {
        "success": not failed,
        "symbol": spec.symbol,
        "side": spec.side,
        "quantity": plain(order.quantity),
        "orderId": spec.client_order_id,
        "exchangeOrderId": order.exchange_text,
        "state": order.state.value,
        "filledQty": plain(order.filled_qty),
        "code": Code.EXCHANGE_REFUSED if failed else None,
        "error": order.why if failed else None,
        **(GONE if handed(order) else {}),
    }


def _refused(refusal: Refusal) -> dict[str, Any]:
    return {
        "success": False,
        "code": refusal.code,
        "error": refusal.error,
        "field": refusal.field,
        "limit": refusal.limit,
        "actual": refusal.actual,
    }
