"""One limit order for 1.0, on which the tests of the state machine are made."""

from __future__ import annotations

from decimal import Decimal

from pms.domain.orders import Order, OrderSpec

D = Decimal
SPEC = OrderSpec(
    client_order_id="PMS_a_M_x",
    sub_account_id="a",
    symbol="BTCUSDT",
    side="BUY",
    type="LIMIT",
    quantity=D("1.0"),
    price=D("100"),
    time_in_force="GTC",
    reduce_only=False,
    leverage=10,
    origin="MANUAL",
    parent_id=None,
    request_id=None,
    epoch="e",
    deadline=0,
    admitted_at=0,
)


def fresh() -> Order:
    return Order(spec=SPEC, quantity=SPEC.quantity, price=SPEC.price)
