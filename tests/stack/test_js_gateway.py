"""The Node client trades against the running system, through the record and through the list."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from js_client import JsClient, install
from system import System, until

from pms.contract.events import OrderEvent, PositionEvent
from pms.contract.results import Result

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="module")]
TRADE = {"subAccountId": "alice", "symbol": "BTCUSDT", "side": "BUY", "quantity": "0.010", "leverage": 20}


@pytest.fixture(scope="module", autouse=True)
def _node() -> None:
    """Skip before the system is started where there is no Node."""
    install()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(_node: None, system: System) -> AsyncIterator[JsClient]:
    client = await JsClient.start(system.environment["PMS_REDIS_URL"])
    await client.ask("follow")
    yield client
    await client.stop()


async def events(client: JsClient, last: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """The events up to the wanted one; each must be of the contract's shape."""
    heard: list[dict[str, Any]] = []
    while not heard or not last(heard[-1]):
        event = (await client.heard())["event"]
        (OrderEvent if event["type"].startswith("order_") else PositionEvent).model_validate(event)
        heard.append(event)
    return heard


async def submit(client: JsClient, command: str, **fields: Any) -> dict[str, Any]:
    answer = (await client.ask("submit", command=command, fields=fields))["answer"]
    Result.model_validate(answer)
    return dict(answer)


async def test_a_market_order_is_filled_and_told(client: JsClient) -> None:
    result = await submit(client, "pms.trade", **TRADE)
    assert (result["success"], result["state"], result["quantity"]) == (True, "filled", 0.01)
    heard = await events(client, lambda event: event["type"] == "position_updated")
    seqs = [event["seq"] for event in heard]
    assert seqs == sorted(set(seqs))
    [filled] = [event for event in heard if event["type"] == "order_filled"]
    assert (filled["clientOrderId"], filled["filledQty"]) == (result["orderId"], 0.01)
    [position] = heard[-1]["account"]["positions"]
    assert (position["side"], position["quantity"], position["leverage"]) == ("LONG", 0.01, 20)


async def test_a_resting_order_is_cancelled(client: JsClient, system: System) -> None:
    low = f"{await system.bid('BTCUSDT') * Decimal('0.98'):.1f}"
    placed = await submit(client, "pms.trade", **TRADE, type="LIMIT", price=low)
    assert (placed["success"], placed["state"]) == (True, "active")
    assert (await submit(client, "pms.cancel", orderId=placed["orderId"]))["success"]
    heard = await events(client, lambda event: event["type"] == "order_cancelled")
    assert heard[-1]["clientOrderId"] == placed["orderId"]


async def test_a_repeat_makes_one_order_and_other_content_is_refused(
    client: JsClient, system: System
) -> None:
    before = await system.placed()
    request_id = str(uuid4())
    first = await submit(client, "pms.trade", requestId=request_id, **TRADE)
    again = await submit(client, "pms.trade", requestId=request_id, **TRADE)
    assert first["success"]
    assert first == again
    other = await submit(client, "pms.trade", requestId=request_id, **(TRADE | {"quantity": "0.020"}))
    assert other["code"] == "REQUEST_ID_REUSED"
    assert await system.placed() == before + 1


async def test_a_refusal_says_which_field_and_which_limit(client: JsClient, system: System) -> None:
    before = await system.placed()
    result = await submit(client, "pms.trade", **(TRADE | {"quantity": "0.0105"}))
    assert (result["success"], result["code"], result["field"]) == (False, "QUANTITY_STEP", "quantity")
    assert await system.placed() == before


async def test_a_gateway_that_was_away_reads_what_it_missed(client: JsClient, system: System) -> None:
    position = (await client.ask("position"))["answer"]
    result = await system.trade("bob")
    away = await JsClient.start(system.environment["PMS_REDIS_URL"])
    await away.ask("follow", position=position)
    heard = await events(away, lambda event: event["type"] == "position_updated")
    await away.stop()
    assert {"order_filled", "position_updated"} <= {event["type"] for event in heard}
    assert heard[-1]["subAccountId"] == "bob"
    assert result["orderId"] in {event.get("clientOrderId") for event in heard}


async def listed(client: JsClient, system: System) -> dict[str, Any]:
    """The answer to a sale that came by the list."""
    request_id = str(uuid4())
    answer = client.ask("result", requestId=request_id)
    item = {**TRADE, "side": "SHORT", "quantity": 0.01, "requestId": request_id, "ttlMs": 30_000}
    await system.redis.lpush("pms:cmd:trade", json.dumps(item))
    return dict((await answer)["answer"])


async def test_a_list_item_is_a_command_like_any_other(client: JsClient, system: System) -> None:
    system.start("bridge")
    await system.ready("bridge")
    await until(system.admitting, "admission")
    result = await listed(client, system)
    while result.get("code") in ("NOT_READY", "PRICE_STALE"):  # a busy machine; a gateway asks anew as well
        result = await listed(client, system)
    assert (result["success"], result["side"], result["state"]) == (True, "SELL", "filled"), str(result)
    report = await system.audit()
    assert report["counts"]["fills"] >= 4
