"""Bad commands through all three doors: a coded answer at once, nothing sent, nothing changed."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any
from uuid import uuid4

import pytest
from bad_commands import BAD_COMMANDS, BAD_TEXTS, CODES, TRADE, Bad, Facts, resolved
from system import System, until

from pms.contract.names import COMMAND_LISTS, COMMAND_QUEUE, Queue

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="module")]

LIST_OF = {task: name for name, task in COMMAND_LISTS.items()}
EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


async def prepared(system: System) -> Facts:
    """Something to be bad against: a position, a live order, an order that is over, a frozen account."""
    if await system.redis.get("test:facts") is None:
        for account in ("carol", "longname-a"):
            await system.account(account, "1000")
        frozen = await system.ask("pms.freeze", subAccountId="carol")
        assert frozen["success"], frozen
        filled = await system.trade("alice")
        price = str(await system.bid("BTCUSDT") - 500)
        resting = await system.trade("bob", type="LIMIT", price=price)
        assert resting["state"] == "active", resting
        facts = {"resting": resting["orderId"], "resting_price": price, "filled": filled["orderId"]}
        await system.redis.set("test:facts", json.dumps(facts))
    return Facts(**json.loads(await system.redis.get("test:facts")))


async def state(system: System) -> dict[str, Any]:
    """What no bad command may change: what reached the exchange, and the books."""
    counts = (await system.admin("GET", "requests"))["counts"]
    return {
        "orders sent": {
            path: n for path, n in counts.items() if "order" in path.lower() and "GET" not in path
        },
        "balances": await system.rows("select id, balance, status from pms.sub_accounts order by 1"),
        "positions": await system.rows(
            "select sub_account_id, symbol, quantity, cost from pms.positions order by 1, 2"
        ),
        "orders": await system.rows("select client_order_id, state from pms.orders order by 1"),
        "ledger": (await system.rows("select count(*) from pms.ledger_entries"))[0][0],
    }


async def by_record(system: System, each: Bad, fields: dict[str, Any]) -> dict[str, Any]:
    return await system.ask(each.command, **fields)


async def by_task(system: System, each: Bad, fields: dict[str, Any]) -> dict[str, Any]:
    """A plain Celery task with the command as keyword arguments; the answer is its Celery result."""
    task = fields.get("requestId") or str(uuid4())
    queue = COMMAND_QUEUE.get(each.command, Queue.COMMANDS)
    body = base64.b64encode(json.dumps([[], fields, EMBED]).encode()).decode()
    message = {
        "body": body,
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"lang": "js", "task": each.command, "id": task, "ignore_result": False},
        "properties": {
            "correlation_id": task,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "delivery_tag": str(uuid4()),
            "body_encoding": "base64",
        },
    }
    await system.redis.lpush(queue, json.dumps(message))
    found: list[dict[str, Any]] = []

    async def answered() -> bool:
        meta = await system.redis.get(f"celery-task-meta-{task}")
        if meta is not None:
            found.append(json.loads(meta))
        return bool(found)

    await until(answered, f"the Celery result of {each.what}")
    assert found[0]["status"] == "SUCCESS", found[0]
    return dict(found[0]["result"])


async def by_list(system: System, each: Bad, fields: dict[str, Any]) -> dict[str, Any]:
    await system.redis.lpush(LIST_OF[each.command], json.dumps(fields))
    answer = await system.requests.result(fields["requestId"], timeout_s=10)
    assert answer is not None, f"no answer to {each.what}"
    return dict(json.loads(answer))


DOORS = {"record": by_record, "task": by_task, "list": by_list}


async def test_the_table_is_wide_enough() -> None:
    assert len(BAD_COMMANDS) + len(BAD_TEXTS) >= 60
    assert len(CODES) >= 25, sorted(CODES)


@pytest.mark.parametrize("door", DOORS)
async def test_every_bad_command_is_refused_and_changes_nothing(system: System, door: str) -> None:
    facts = await prepared(system)
    if door == "list" and "bridge" not in system.processes:
        system.start("bridge")
        await system.ready("bridge")
    await system.settled()
    before = await state(system)
    table = [each for each in BAD_COMMANDS if door != "list" or each.command in LIST_OF]
    wrong = []
    for each in table:
        fields = {"requestId": str(uuid4()), **resolved(each, facts)}
        answer = await DOORS[door](system, each, fields)
        told = (answer["success"], answer["code"], answer["field"])
        if told != (False, each.code, each.field) or not answer["error"]:
            wrong.append(f"{each.what}: {answer}")
    assert not wrong, "\n".join(wrong)
    await system.settled()
    assert await state(system) == before


@pytest.mark.parametrize("door", DOORS)
async def test_a_repeat_gets_the_first_answer_again(system: System, door: str) -> None:
    if door == "list" and "bridge" not in system.processes:
        system.start("bridge")
        await system.ready("bridge")
    each = Bad(
        "too much",
        TRADE,
        {"subAccountId": "alice", "symbol": "BTCUSDT", "side": "BUY", "quantity": "50", "leverage": 1},
        "MARGIN",
    )
    fields = {"requestId": str(uuid4()), **each.fields}
    first = await DOORS[door](system, each, fields)
    if door == "task":
        await system.redis.delete(f"celery-task-meta-{fields['requestId']}")
    again = await DOORS[door](system, each, fields)
    assert first == again
    assert first["code"] == "MARGIN"


async def test_texts_that_are_no_command_are_refused(system: System) -> None:
    for what, text, code in BAD_TEXTS:
        request = str(uuid4())
        await system.requests.submit_text(
            request, TRADE, (text % request if "%s" in text else text).encode(), door="test"
        )
        answer = json.loads(await system.requests.result(request, timeout_s=10) or b"{}")
        assert (answer["success"], answer["code"]) == (False, code), f"{what}: {answer}"


async def test_a_request_id_with_other_content_changes_nothing_and_is_told(system: System) -> None:
    request = str(uuid4())
    first = await system.trade("alice", requestId=request)
    placed = await system.placed()
    fields = {
        "subAccountId": "alice",
        "symbol": "BTCUSDT",
        "side": "SELL",
        "quantity": "0.02",
        "leverage": 10,
    }
    submission = await system.requests.submit(TRADE, {"requestId": request, **fields}, door="test")
    assert submission.kind == "conflict"
    refused = await by_task(system, Bad("reused", TRADE, {}, ""), {"requestId": request, **fields})
    assert (refused["success"], refused["code"]) == (False, "REQUEST_ID_REUSED")

    async def told() -> bool:
        return bool(await system.rows("select 1 from pms.incidents where kind = 'request_id_reused'"))

    await until(told, "the incident")
    assert await system.placed() == placed
    record = await system.requests.read(request)
    assert record is not None
    assert json.loads(record.result or b"{}")["orderId"] == first["orderId"]


async def test_list_items_without_a_usable_request_id_become_incidents(system: System) -> None:
    for item in ("{", "[]", '{"subAccountId":"alice"}', '{"requestId":"x"}'):
        await system.redis.lpush("pms:cmd:trade", item)

    async def told() -> bool:
        rows = await system.rows("select count(*) from pms.incidents where kind = 'bad_command'")
        return int(rows[0][0]) >= 3

    await until(told, "the incidents")


async def test_after_all_this_the_system_trades_and_the_books_agree(system: System) -> None:
    await asyncio.sleep(0)
    assert (await system.trade("alice", side="SELL"))["state"] == "filled"
    await system.audit()
