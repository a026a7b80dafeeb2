"""An incident of an order whose end an earlier life journaled, and not yet that it is settled."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

from pms.domain.desk import Desk
from pms.domain.incidents import OF_ORDERS, incident
from pms.domain.open_incidents import MANY
from pms.domain.order_table import SPEC
from pms.domain.orders import Doubtful, Fact, Order, Seen
from pms.streamer.catch_up import CatchUp
from pms.streamer.engine import Engine, Gate
from pms.streamer.outbox import Outbox


def test_what_was_told_of_orders_that_are_over_is_settled_and_of_others_it_stands() -> None:
    nothing: Any = None
    desk = Desk(epoch="e2")
    outbox = Outbox(nothing, withdraw=lambda _: None, sleep=asyncio.sleep)
    engine = Engine(desk, outbox, gate=Gate(), redis_now_ms=lambda: 2_000)
    facts: dict[str, Fact] = {
        "PMS_a_M_1": Seen(1, "CANCELED", Decimal(0)),
        "PMS_a_M_2": Doubtful(),
        "PMS_a_M_3": Seen(3, "NEW", Decimal(0)),
    }
    for name, fact in facts.items():
        order = Order(spec=replace(SPEC, client_order_id=name), quantity=SPEC.quantity, price=SPEC.price)
        order.receive(fact)
        desk.orders[name] = order
    for kind in OF_ORDERS:
        for subject in (*facts, "PMS_a_M_4", MANY):
            told = incident(
                desk, at=1, kind=kind, severity="critical", detail="where is it?", subject=subject
            )
            assert told is not None
    CatchUp(engine, nothing).settle_over()
    for kind in OF_ORDERS:
        assert [row.subject for row in desk.incidents.of_kind(kind)] == ["PMS_a_M_2", "PMS_a_M_3"]
    settled = [row for each in outbox._waiting for row in each.posting.entry.rows.incidents]
    assert {row.state for row in settled} == {"resolved"}
    assert len(settled) == 6
    CatchUp(engine, nothing).settle_over()
    assert len(outbox) == 6, "once"
