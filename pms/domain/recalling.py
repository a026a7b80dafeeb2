"""Recalling what became of a command that Redis forgot: the exchange and the journal did not.

None is placed anew, and whatever the time is: what was done is not undone by a deadline.
"""

from __future__ import annotations

from typing import Any

from pms.contract.algo_commands import AlgoStart
from pms.contract.codes import Code
from pms.contract.commands import Batch, Close, CloseAll, Command, Trade
from pms.contract.results import Result
from pms.domain.algos.ids import names_slot
from pms.domain.batching import all_failed, batch_ids, leg_of
from pms.domain.decisions import ID_PERIOD_MS, Asked, answer_of, became, kind_of, met, parent_of
from pms.domain.desk import Desk
from pms.domain.orders import Order, State
from pms.domain.posting import Posting

SINGLE = {"M", "C"}


def met_again(desk: Desk, asked: Asked, command: Command) -> Posting | None:
    """Answer a command whose orders exist already, whatever else would refuse it now; None if none does."""
    match command:
        case Trade() | Close():
            order = _single(desk, asked)
            return None if order is None else met(desk, asked, answer_of(asked, order))
        case Batch():
            legs = [desk.orders.get(coid) for coid in batch_ids(desk, asked, command)]
        case CloseAll():
            # Their ids name positions that are gone. This looks at all orders, but only when Redis forgot.
            legs = [order for order in desk.orders.values() if order.spec.parent_id == asked.request_id]
        case _:
            return None
    if not any(legs):
        return None
    told = [leg_of(order) if order else _never_placed() for order in legs]
    result = Result(
        request_id=asked.request_id,
        command=asked.command,
        sub_account_id=command.sub_account_id,
        state="done",
        details={"orders": told},
        **({"success": True} if any(leg["success"] for leg in told) else all_failed(told)),
    )
    return met(desk, asked, result)


def stands(desk: Desk, asked: Asked, command: Command) -> bool:
    """Whether anything of a command that is served locally is journaled already, or may be.

    An order of an algo that only the exchange remembered names the slot, and whose it is nobody knows yet.
    """
    starts = isinstance(command, AlgoStart)
    return any(
        asked.request_id in {order.spec.parent_id, order.spec.request_id}
        or (
            starts
            and not order.spec.deadline
            and names_slot(order.spec.client_order_id)
            and order.spec.sub_account_id == getattr(command, "sub_account_id", None)
        )
        for order in desk.orders.values()
    )


def recalled(desk: Desk, answer: Result) -> Result:
    """The answer that was given, brought up to what its orders have become since."""
    if answer.state != State.PLACING:
        return answer
    if answer.details and "orders" in answer.details:
        told = [_leg_now(desk, leg) for leg in answer.details["orders"]]
        return answer.model_copy(update={"details": {**answer.details, "orders": told}})
    order = desk.orders.get(answer.order_id or "")
    return answer if order is None else answer.model_copy(update=became(order))


def _single(desk: Desk, asked: Asked) -> Order | None:
    """The one order that came of a command, of today's or yesterday's."""
    for at in (asked.at, asked.at - ID_PERIOD_MS):
        coid = desk.by_parent.get(parent_of(asked.request_id, at=at))
        if coid is not None and kind_of(coid) in SINGLE:
            return desk.orders[coid]
    return None


def _leg_now(desk: Desk, leg: dict[str, Any]) -> dict[str, Any]:
    order = desk.orders.get(leg.get("orderId") or "")
    return leg if order is None else {**leg, **leg_of(order)}


def _never_placed() -> dict[str, Any]:
    error = "the command was lost with Redis; this order was never sent"
    return {"success": False, "code": Code.EXPIRED, "error": error}
