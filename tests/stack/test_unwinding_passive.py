"""The house closes passively on the real system: rests, follows the touch, is killed, crosses in the end."""

from __future__ import annotations

from decimal import Decimal

import pytest
from system import System, until
from taken_over import fall, house_orders, lean, taken_over, unwound

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="module")]
D = Decimal


async def test_what_was_taken_over_rests_first_and_is_closed_to_the_last_unit_whatever_dies(
    system: System,
) -> None:
    await system.cli("limits", "set", "*", "liquidation.unwind", "passive,20,20", "--reason", "test")
    await lean(system, "dave", quantity="5", left="1500")
    await fall(system, "-4")
    await taken_over(system, "dave")

    async def resting() -> bool:
        return any(order.type == "LIMIT" and order.state != "placing" for order in await house_orders(system))

    await until(resting, "an order of the house that rests", seconds=20)
    await system.restart("streamer")
    await unwound(system)
    orders = await house_orders(system)
    assert {order.type for order in orders} >= {"LIMIT"}
    for order in orders:
        assert order.state in {"filled", "cancelled", "expired", "rejected"}, order
    taken = await system.rows(
        "select sum(quantity) as quantity from pms.liquidations where sub_account_id = 'dave'"
    )
    assert sum(order.filled_qty for order in orders) == taken[0].quantity
    assert {order.side for order in orders} == {"SELL"}, "never beyond, or it would have been bought back"
    fills = await system.rows(
        "select maker, order_type from (select f.maker, o.type as order_type from pms.fills f"
        " join pms.orders o using (client_order_id) where f.client_order_id like 'PMS\\_house\\_L\\_%') as f"
    )
    assert all(fill.maker for fill in fills if fill.order_type == "LIMIT"), "post-only never takes"
    await system.audit()
