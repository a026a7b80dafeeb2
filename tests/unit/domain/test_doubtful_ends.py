"""What is over by a proof whose guard may yet fail is cancelled like what lives: it may be alive."""

from __future__ import annotations

import pytest
from desk_maker import decide, desk_at, trade

from pms.contract.codes import Code, Refusal
from pms.domain import cancelling
from pms.domain.booking import confirm, observe, unvoid
from pms.domain.desk import Desk
from pms.domain.handing import cancel_orders
from pms.domain.orders import Order, State, Voided


def doubtful(desk: Desk) -> Order:
    """An order that nobody seems to have sent, as long as the journal has not said so."""
    posting = trade(desk, type="LIMIT", price="59000", quantity="0.1")
    order = desk.orders[posting.entry.rows.orders[0].client_order_id]
    observe(desk, order, Voided("its deadline passed"), at=9_000)
    assert order.state is State.VOID
    return order


@pytest.mark.parametrize(
    ("command", "scope"), [("pms.cancel", "orderId"), ("pms.cancel_all", "subAccountId")]
)
def test_a_cancel_on_command_holds_for_one_that_turns_out_alive(command: str, scope: str) -> None:
    desk = desk_at()
    order = doubtful(desk)
    fields = {scope: order.spec.client_order_id if scope == "orderId" else order.spec.sub_account_id}
    entry = decide(desk, command, **fields).entry
    cancelling.settle(desk, entry, held=True)
    unvoid(desk, order)
    assert (order.state, order.cancel_wanted) == (State.PLACING, True)


def test_one_that_is_proven_over_is_closed_to_a_cancel() -> None:
    desk = desk_at()
    order = doubtful(desk)
    confirm(desk, order, at=9_001)
    with pytest.raises(Refusal) as refused:
        decide(desk, "pms.cancel", orderId=order.spec.client_order_id)
    assert refused.value.code is Code.ORDER_CLOSED
    assert not decide(desk, "pms.cancel_all", subAccountId="alice").entry.rows.orders


def test_a_tier_that_cancels_all_cancels_it_too() -> None:
    desk = desk_at()
    order = doubtful(desk)
    draft = desk.draft("liquidation", at=9_001)
    cancel_orders(desk, draft, "alice")
    unvoid(desk, order)
    assert (order.state, order.cancel_wanted) == (State.PLACING, True)
    assert list(draft.orders) == [order.spec.client_order_id]
