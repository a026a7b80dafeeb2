"""Admission: whether a command may do what it asks, decided with the reservation in one step.

Each check raises a Refusal that names the field, the limit and the actual value, and changes nothing.
What passes becomes a posting: the order exists from then on, whoever sends it.
"""

from __future__ import annotations

from collections.abc import Sequence

from pms.contract.codes import Code, Refusal
from pms.contract.commands import Amend, Batch, Cancel, CancelAll, Close, CloseAll, Command, Trade
from pms.contract.results import Result
from pms.domain import cancelling
from pms.domain.algos.algo import Algo
from pms.domain.algos.ending import in_scope, sentence
from pms.domain.amending import admit_amend
from pms.domain.batching import admit_batch, admit_close_all
from pms.domain.decisions import Asked, decided
from pms.domain.desk import Desk
from pms.domain.handed_orders import WHY, handed
from pms.domain.liquidating import closes, refuse_liquidating
from pms.domain.orders import Order
from pms.domain.placing import admit_close, admit_trade
from pms.domain.posting import Posting


def admit(desk: Desk, asked: Asked, command: Command) -> Posting:
    """Decide a command; raises Refusal."""
    match command:
        case Trade():
            return admit_trade(desk, asked, command)
        case Batch():
            return admit_batch(desk, asked, command)
        case Amend():
            return admit_amend(desk, asked, command)
        case Close():
            return admit_close(desk, asked, command)
        case CloseAll():
            return admit_close_all(desk, asked, command)
        case Cancel():
            return _admit_cancel(desk, asked, command)
        case CancelAll():
            return _admit_cancel_all(desk, asked, command)
        case _:
            raise Refusal(Code.UNKNOWN_COMMAND, f"{asked.command} is not served here", field="command")


def _admit_cancel(desk: Desk, asked: Asked, command: Cancel) -> Posting:
    order = desk.find_order(command.order_id)
    if order is None:
        raise Refusal(Code.UNKNOWN_ORDER, "no order has this id", field="orderId", actual=command.order_id)
    if order.state.terminal:
        raise Refusal(
            Code.ORDER_CLOSED, f"the order is already {order.state}", field="orderId", actual=order.state
        )
    if handed(order):
        raise Refusal(Code.TAKEN_OVER, f"{WHY}; it is being cancelled", field="orderId")
    if closes(desk, order):
        refuse_liquidating(desk, order.spec.sub_account_id, field="orderId")
    return _want_cancelled(desk, asked, [order], single=True)


def _admit_cancel_all(desk: Desk, asked: Asked, command: CancelAll) -> Posting:
    if command.sub_account_id is not None and command.sub_account_id not in desk.accounts:
        raise Refusal(
            Code.UNKNOWN_ACCOUNT,
            f"there is no sub-account {command.sub_account_id}",
            field="subAccountId",
            actual=command.sub_account_id,
        )
    found = desk.orders_of(command.sub_account_id, command.symbol)
    orders = [order for order in found if not closes(desk, order)]
    algos = in_scope(desk, command.sub_account_id, command.symbol)
    return _want_cancelled(desk, asked, orders, single=False, algos=algos)


def _want_cancelled(
    desk: Desk, asked: Asked, orders: list[Order], *, single: bool, algos: Sequence[Algo] = ()
) -> Posting:
    draft = desk.draft(cancelling.KIND, at=asked.now)
    cancelling.ask(draft, orders, by=asked.request_id)
    draft.algos.update(sentence(algos, by=asked.request_id, reason="all orders were cancelled", at=asked.now))
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
        exchange_order_id=first.exchange_text if first else None,
        state=first.state.value if first else None,
        details={"cancelling": [order.spec.client_order_id for order in orders]},
    )
    return decided(desk, draft, asked, result, decision="admitted", final=True, orders=tuple(orders))
