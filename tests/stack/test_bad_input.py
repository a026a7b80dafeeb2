"""Bad commands through all three doors: a coded answer at once, nothing sent, nothing changed."""

from __future__ import annotations

import base64
import json
import signal
from typing import Any
from uuid import uuid4

import pytest
from bad_commands import BAD_COMMANDS, BAD_TEXTS, CODES, TRADE, WITH_LIMIT, Facts, resolved
from system import System, until

from pms.contract.names import COMMAND_LISTS, COMMAND_QUEUE, Queue

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="module")]

LIST_OF = {task: name for name, task in COMMAND_LISTS.items()}
EMBED = b'{"callbacks": null, "errbacks": null, "chain": null, "chord": null}'
GOOD = {"subAccountId": "alice", "symbol": "BTCUSDT", "side": "BUY", "quantity": "0.01", "leverage": 10}


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


async def by_record(system: System, command: str, request: str, text: bytes) -> dict[str, Any]:
    """The door of the JS client: the record, written by the script."""
    await system.requests.submit_text(request, command, text, door="test")
    return await answer_to(system, request)


async def by_list(system: System, command: str, request: str, text: bytes) -> dict[str, Any]:
    """The gateway's old door: a list, and the bridge behind it."""
    await system.redis.lpush(LIST_OF[command], text)
    return await answer_to(system, request)


async def by_task(system: System, command: str, request: str, text: bytes) -> dict[str, Any]:
    """A plain Celery task with the command as keyword arguments; the answer is its Celery result."""
    await push_task(system, command, request, b"[[], " + text + b", " + EMBED + b"]")
    return await celery_result(system, request)


async def push_task(system: System, command: str, task: str, body: bytes) -> None:
    """Push a message as a Celery client of any language writes it."""
    queue = COMMAND_QUEUE.get(command, Queue.COMMANDS)
    message = {
        "body": base64.b64encode(body).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"lang": "js", "task": command, "id": task, "ignore_result": False},
        "properties": {
            "correlation_id": task,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "delivery_tag": str(uuid4()),
            "body_encoding": "base64",
        },
    }
    await system.redis.lpush(queue, json.dumps(message))


async def answer_to(system: System, request: str) -> dict[str, Any]:
    answer = await system.requests.result(request, timeout_s=10)
    assert answer is not None, f"no answer to {request}"
    return dict(json.loads(answer))


async def celery_result(system: System, task: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = []

    async def answered() -> bool:
        meta = await system.redis.get(f"celery-task-meta-{task}")
        if meta is not None:
            found.append(json.loads(meta))
        return bool(found)

    await until(answered, f"the Celery result of {task}")
    assert found[0]["status"] == "SUCCESS", found[0]
    return dict(found[0]["result"])


async def open_door(system: System, door: str) -> None:
    if door == "list" and "bridge" not in system.processes:
        system.start("bridge")
        await system.ready("bridge")


def packed(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields).encode()


DOORS = {"record": by_record, "task": by_task, "list": by_list}


async def test_the_table_is_wide_enough() -> None:
    assert len(BAD_COMMANDS) + len(BAD_TEXTS) >= 60
    assert len(CODES) >= 25, sorted(CODES)


@pytest.mark.parametrize("door", DOORS)
async def test_every_bad_command_is_refused_and_changes_nothing(system: System, door: str) -> None:
    facts = await prepared(system)
    await open_door(system, door)
    await system.settled()
    before = await state(system)
    wrong = []
    for each in BAD_COMMANDS:
        if door == "list" and each.command not in LIST_OF:
            continue  # there is no list for it: accounts are the operator's, by task or record
        request = str(uuid4())
        text = packed({"requestId": request, **resolved(each, facts)})
        answer = await DOORS[door](system, each.command, request, text)
        told = (answer["success"], answer["code"], answer["field"], answer["requestId"])
        limited = each.code not in WITH_LIMIT or None not in (answer["limit"], answer["actual"])
        if told != (False, each.code, each.field, request) or not answer["error"] or not limited:
            wrong.append(f"{each.what}: {answer}")
    assert not wrong, "\n".join(wrong)
    await system.settled()
    assert await state(system) == before


@pytest.mark.parametrize("door", DOORS)
async def test_every_bad_text_is_refused_and_changes_nothing(system: System, door: str) -> None:
    await open_door(system, door)
    await system.settled()
    before = await state(system)
    wrong = []
    for what, text, code, field, doors in BAD_TEXTS:
        if door not in doors:
            continue
        request = str(uuid4())
        whole = (text % request if "%s" in text else text).encode(errors="surrogateescape")
        answer = await DOORS[door](system, TRADE, request, whole)
        if (answer["success"], answer["code"], answer["field"]) != (False, code, field):
            wrong.append(f"{what}: {answer}")
    assert not wrong, "\n".join(wrong)
    await system.settled()
    assert await state(system) == before


@pytest.mark.parametrize("door", DOORS)
async def test_a_repeat_gets_the_first_answer_again(system: System, door: str) -> None:
    await open_door(system, door)
    for fields, code in ((GOOD, None), ({**GOOD, "quantity": 50}, "MARGIN")):
        request = str(uuid4())
        text = packed({"requestId": request, **fields})
        first = await DOORS[door](system, TRADE, request, text)
        placed = await system.placed()
        await system.redis.delete(f"celery-task-meta-{request}")
        again = await DOORS[door](system, TRADE, request, text)
        assert first == again
        assert (first["success"], first["code"]) == (code is None, code)
        assert await system.placed() == placed


async def test_a_task_takes_its_own_id_where_the_command_has_none(system: System) -> None:
    for body in (packed(GOOD), packed({**GOOD, "requestId": None})):
        task = str(uuid4())
        answer = await by_task(system, TRADE, task, body)
        assert (answer["success"], answer["requestId"]) == (True, task), answer
    for task, body, code in (
        ("a-name-of-his-own", packed(GOOD), "MISSING_REQUEST_ID"),
        (str(uuid4()), packed({**GOOD, "requestId": "order-7"}), "BAD_REQUEST_ID"),
    ):
        answer = await by_task(system, TRADE, task, body)
        assert (answer["success"], answer["code"], answer["field"]) == (False, code, "requestId")


@pytest.mark.parametrize("args", [[5], [None], [["BTCUSDT"]], ["buy one"], ["{}"], [{}, {}]], ids=json.dumps)
async def test_a_task_whose_argument_is_no_command_is_refused(system: System, args: list[Any]) -> None:
    task, placed = str(uuid4()), await system.placed()
    await push_task(system, TRADE, task, json.dumps([args, {}, {}]).encode())
    answer = await celery_result(system, task)
    assert (answer["success"], answer["code"], answer["requestId"]) == (False, "BAD_JSON", task)
    assert await system.placed() == placed


async def test_a_task_may_carry_the_command_as_its_one_argument(system: System) -> None:
    task = str(uuid4())
    await push_task(system, TRADE, task, json.dumps([[{"requestId": task, **GOOD}], {}, {}]).encode())
    assert (await celery_result(system, task))["state"] == "filled"


async def test_no_command_has_this_name(system: System) -> None:
    answer = await system.ask("pms.buy_everything")
    assert (answer["success"], answer["code"], answer["field"]) == (False, "UNKNOWN_COMMAND", "command")


async def test_one_request_id_spelt_in_two_ways_is_not_two_orders(system: System) -> None:
    request, placed = str(uuid4()), await system.placed()
    await system.trade("alice", requestId=request)
    other = await system.trade("alice", requestId=request.upper())
    assert (other["success"], other["code"], other["field"]) == (False, "BAD_REQUEST_ID", "requestId")
    assert await system.placed() == placed + 1


async def test_what_nobody_decides_in_time_has_expired(system: System) -> None:
    placed = await system.placed()
    system.processes["streamer"].send_signal(signal.SIGSTOP)
    try:
        answers = [await system.trade("alice", ttlMs=100) for _ in range(2)]
    finally:
        system.processes["streamer"].send_signal(signal.SIGCONT)
    assert [(one["success"], one["code"]) for one in answers] == [(False, "EXPIRED")] * 2
    assert (await system.trade("alice"))["state"] == "filled"
    assert await system.placed() == placed + 1


async def test_what_waited_while_its_door_was_shut_is_stale(system: System) -> None:
    placed, asked = await system.placed(), []
    for part in ("bridge", "worker-orders"):
        system.kill(part)
        await system.redis.delete(f"pms:ready:{part}")
    for _ in range(3):
        listed, task = str(uuid4()), str(uuid4())
        await system.redis.lpush(LIST_OF[TRADE], packed({"requestId": listed, **GOOD}))
        await push_task(system, TRADE, task, b"[[], " + packed(GOOD) + b", " + EMBED + b"]")
        asked += [listed, task]
    for part in ("bridge", "worker-orders"):
        system.start(part)
        await system.ready(part)
    answers = [await answer_to(system, request) for request in asked]
    assert [(one["success"], one["code"]) for one in answers] == [(False, "STALE")] * 6
    assert await system.placed() == placed


@pytest.mark.parametrize("door", DOORS)
async def test_a_request_id_with_other_content_changes_nothing_and_is_told(system: System, door: str) -> None:
    await open_door(system, door)
    request = str(uuid4())
    first = await system.trade("alice", requestId=request)
    placed = await system.placed()
    other = packed({"requestId": request, **GOOD, "side": "SELL"})
    answer = await DOORS[door](system, TRADE, request, other)
    if door == "task":
        assert (answer["success"], answer["code"]) == (False, "REQUEST_ID_REUSED")
    else:
        assert answer == first  # whoever reads the result of that id reads the first command's

    async def told() -> bool:
        query = "select 1 from pms.incidents where kind = 'request_id_reused' and detail like :like"
        return bool(await system.rows(query, like=f"{request}%"))

    await until(told, "the incident")
    assert await system.placed() == placed
    assert await answer_to(system, request) == first


async def test_list_items_without_a_usable_request_id_become_incidents(system: System) -> None:
    await open_door(system, "list")
    items = (
        "{",
        "[]",
        '{"subAccountId":"alice"}',
        f'{{"requestId":"{uuid4()}","side":' + "[" * 100_000,
    )
    for item in items:
        await system.redis.lpush("pms:cmd:trade", item)
    assert (await by_list(system, TRADE, "x", b'{"requestId":"x"}'))["code"] == "BAD_REQUEST_ID"

    async def told() -> bool:
        rows = await system.rows("select count(*) from pms.incidents where kind = 'bad_command'")
        return int(rows[0][0]) == len(items)

    await until(told, "the incidents")


async def test_after_all_this_the_system_trades_and_the_books_agree(system: System) -> None:
    assert (await system.trade("alice", side="SELL"))["state"] == "filled"
    await system.audit()
