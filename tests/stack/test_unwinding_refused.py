"""The exchange does not take the house's orders: it backs off, tries less, tells an operator, closes all."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest
from system import System, until
from taken_over import fall, house_orders, lean, taken_over, unwound

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="module")]
D = Decimal


async def test_refused_orders_are_halved_told_once_and_all_is_closed_when_the_exchange_relents(
    system: System,
) -> None:
    await lean(system, "carol", quantity="0.5", left="150")
    await system.admin(
        "POST",
        "faults",
        kind="status_before",
        method="POST",
        path="/fapi/v1/order",
        subject="^PMS_house_L_",
        count=-1,
        status=400,
        code=-2019,
        message="Margin is insufficient.",
    )
    await fall(system, "-4")
    await taken_over(system, "carol")

    async def refused_often() -> bool:
        return len([order for order in await house_orders(system) if order.state == "rejected"]) >= 5

    await until(refused_often, "five refused orders", seconds=30)
    await system.restart("streamer")
    orders = await house_orders(system)
    sizes = [order.quantity for order in orders]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[4] <= sizes[0] / 16
    gaps = [after.admitted_at - before.admitted_at for before, after in pairwise(orders)]
    for number, gap in enumerate(gaps):
        assert gap >= 250 * 2**number, "never earlier, whatever was restarted in between"
    incidents = await system.rows(
        "select state, severity, detail from pms.incidents where kind = 'unwinding_refused'"
    )
    assert [(row.state, row.severity) for row in incidents] == [("open", "critical")]
    assert "-2019" in incidents[0].detail
    await system.admin("DELETE", "faults")
    await unwound(system)
    incidents = await system.rows("select state, times from pms.incidents where kind = 'unwinding_refused'")
    assert [row.state for row in incidents] == ["resolved"]
    taken = await system.rows(
        "select sum(quantity) as all from pms.liquidations where sub_account_id = 'carol'"
    )
    assert sum(order.filled_qty for order in await house_orders(system)) == taken[0].all
    await system.audit()
