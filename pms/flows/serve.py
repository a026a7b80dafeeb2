"""Serve one command in a worker: await the streamer's decision, then do what it admitted.

The worker decides nothing. Its own time-out means only that it stops waiting; the decision, whoever
wrote it, is what it acts on, and a command that nobody decides is expired by a script.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog
from redis.asyncio import Redis

from pms.bus.decisions import Decisions
from pms.bus.journal import Announced
from pms.bus.requests import SETTLE_GRACE_MS, Record, Requests, ttl_ms
from pms.bus.stale import Stale
from pms.contract import names
from pms.contract.codes import Code
from pms.contract.money import BadJson, encode, encode_canonical
from pms.contract.names import Task
from pms.contract.reading import is_request_id
from pms.contract.results import Result
from pms.flows.amend import amend
from pms.flows.batch import cancel_all_known, place_all
from pms.flows.place import Placing, order_from, place

log = structlog.get_logger()
T = TypeVar("T")
CANCELS = frozenset((Task.CANCEL, Task.CANCEL_ALL))
POLL_S, MOST_POLL_S = 0.25, 1.0
"""When a waiting worker reads the record itself, in case the announcement was missed; each time it waits
twice as long, for whatever holds the streamer up is not mended by sixteen who ask."""

HOLD_S = 0.05
"""A worker's thread is not held longer by one send, nor by a decision whose result nobody waits for."""

MOST_AWAITED = 256
"""Decisions that are awaited without a thread; each is read once a second. Beyond, a thread waits as well."""

LATEST_S = 2.0
"""So long behind its deadline a command is left to the streamer: it alone may still decide it, perhaps after
an hour, and then sends by itself what no worker has."""


@dataclass(frozen=True, slots=True)
class Serving:
    """What serving a command needs."""

    redis: Redis
    requests: Requests
    decisions: Decisions
    placing: Placing
    stale: Stale
    sending: set[asyncio.Task[Any]] = field(default_factory=set)
    #: flows that no thread waits for any more: for room in the rate budget, a slow exchange, a decision
    awaited: set[str] = field(default_factory=set)
    #: of these, the commands whose decision is waited for


async def serve(deps: Serving, request_id: str, *, want_result: bool) -> bytes | None:
    """Serve a recorded command; returns its result if wanted, or if it is known already."""
    decision = await _decision(deps, request_id)
    if decision is None:
        return await deps.requests.settle(request_id)
    known = None
    if isinstance(decision, Record):
        known = decision.result or (decision.answer if decision.decision != "admitted" else None)
    # A cancel has its result with its decision, and is still to be sent.
    if decision.decision == "admitted" and (known is None or decision.command in CANCELS):
        await _carry_out(deps, decision)
    if known is not None or not want_result:
        return known
    return await _result(deps, request_id)


async def _carry_out(deps: Serving, decision: Record | Announced) -> None:
    """Do what was admitted; doing it again finds the send right taken."""
    placing = deps.placing
    match decision.command:
        case Task.TRADE | Task.CLOSE:
            order = order_from(decision.order)
            for client_order_id in decision.orders:
                await hold(deps, place(placing, client_order_id, order=order))
        case Task.BATCH | Task.CLOSE_ALL:
            await hold(deps, place_all(placing, decision.orders))
        case Task.AMEND:
            for client_order_id in decision.orders:
                await hold(deps, amend(placing, client_order_id))
        case Task.CANCEL | Task.CANCEL_ALL:
            await cancel_all_known(deps.redis, placing.client, placing.inbox, decision.orders)


async def hold(deps: Serving, flow: Coroutine[Any, Any, T]) -> T | None:
    """Wait a moment for a flow, then let it go on by itself, and return None.

    Or the orders of one sub-account that wait for its share would hold every thread of the worker, and a
    halt behind them would not even be recorded.
    """
    sending = asyncio.create_task(flow)
    deps.sending.add(sending)
    sending.add_done_callback(deps.sending.discard)
    await asyncio.wait([sending], timeout=HOLD_S)
    if sending.done():
        return sending.result()
    sending.add_done_callback(_tell_fault)
    return None


def _tell_fault(flow: asyncio.Task[Any]) -> None:
    if not flow.cancelled() and (error := flow.exception()) is not None:
        log.warning("held_flow_failed", error=repr(error))


async def _serve_on(deps: Serving, request_id: str, *, want_result: bool) -> bytes | None:
    """Serve a recorded command, on a thread only while somebody waits for its result."""
    if want_result or len(deps.awaited) >= MOST_AWAITED:
        return await serve(deps, request_id, want_result=want_result)
    return await hold(deps, _serve_awaited(deps, request_id))


async def _serve_awaited(deps: Serving, request_id: str) -> bytes | None:
    deps.awaited.add(request_id)
    try:
        return await serve(deps, request_id, want_result=False)
    finally:
        deps.awaited.discard(request_id)


async def serve_message(
    deps: Serving,
    command: str,
    args: Sequence[object],
    fields: dict[str, object],
    *,
    task_id: str,
    waited_ms: int | None,
    want_result: bool,
) -> bytes | None:
    """Serve a task, whichever of the two messages it is: a recorded command's id, or the command itself."""
    if len(args) == 1 and is_request_id(args[0]) and not fields:
        return await _serve_on(deps, str(args[0]), want_result=want_result)
    carried: object = fields
    if args:
        carried = args[0] if len(args) == 1 and not fields else args
    return await serve_plain(
        deps, command, carried, task_id=task_id, waited_ms=waited_ms, want_result=want_result
    )


async def serve_plain(
    deps: Serving, command: str, fields: object, *, task_id: str, waited_ms: int | None, want_result: bool
) -> bytes | None:
    """Serve a plain task, whose message carries the command itself: write its record first.

    It is refused if it waited longer than it has to live, or (`waited_ms` None) nobody knows for how long;
    else it has left to live what is left. Only what is urgent, a cancel or a halt, is always wanted. Trap: an
    old withdrawal, limit or unfreeze does as much harm as an old order, and has no queue in that table.
    """
    if not isinstance(fields, dict):
        what = f"the command is not a JSON object, but {type(fields).__name__}"
        return _refused(task_id, command, Code.BAD_JSON, what, field=None)
    if fields.get("requestId") is None and is_request_id(task_id):
        fields = {**fields, "requestId": task_id}
    request_id = fields.get("requestId")
    if not is_request_id(request_id):
        code = Code.MISSING_REQUEST_ID if request_id is None else Code.BAD_REQUEST_ID
        return _refused(
            str(request_id or ""),
            command,
            code,
            "every command carries a requestId, a UUID in lower case with dashes",
        )
    request_id = str(request_id)
    try:
        whole = encode_canonical({**fields, "requestId": request_id})
    except BadJson as error:
        return _refused(request_id, command, Code.BAD_JSON, str(error), field=None)
    ages = names.COMMAND_QUEUE.get(command) != names.Queue.URGENT
    if ages and (waited_ms is None or waited_ms >= ttl_ms(whole)):
        kind = await deps.stale.refuse(request_id, command, whole, door="task")
    else:
        submitted = await deps.requests.submit_text(
            request_id, command, whole, door="task", wake=False, waited_ms=(waited_ms or 0) if ages else 0
        )
        kind = submitted.kind
    if kind == "conflict":
        text = "this requestId was used for another command, which stands"
        return _refused(request_id, command, Code.REQUEST_ID_REUSED, text)
    return await _serve_on(deps, request_id, want_result=want_result)


async def _decision(deps: Serving, request_id: str) -> Record | Announced | None:
    """The decision, from the record or as announced; None if the command is over, gone, or the streamer's.

    Trap: behind a Redis that forgot, and once claimed, nobody expires a command: who waited for that waited
    for a streamer to come back, however long.
    """
    decided = deps.decisions.expect(request_id)
    poll_s, waited_s = POLL_S, 0.0
    try:
        while True:
            record = await deps.requests.read(request_id)
            if record is None or record.decision is not None or record.result is not None:
                return record
            # Nobody decides after the deadline, and then the answer is due at once.
            left_s = (record.deadline - record.at) / 1000 - waited_s
            if left_s <= -LATEST_S:
                return None
            pause_s = min(poll_s, left_s) if left_s > 0 else poll_s
            await asyncio.wait([decided], timeout=pause_s)
            if decided.done():
                return decided.result()
            if await deps.requests.settle(request_id, record) is not None:
                return await deps.requests.read(request_id)
            poll_s, waited_s = min(2 * poll_s, MOST_POLL_S), waited_s + pause_s
    finally:
        decided.cancel()


async def _result(deps: Serving, request_id: str) -> bytes | None:
    """The command's result; at the latest a second after its deadline."""
    record = await deps.requests.read(request_id)
    if record is None:
        return None
    whole_s = (record.deadline - record.at + SETTLE_GRACE_MS) / 1000
    found = await deps.requests.result(request_id, timeout_s=whole_s)
    return found or await deps.requests.settle(request_id)


def _refused(
    request_id: str, command: str, code: Code, text: str, *, field: str | None = "requestId"
) -> bytes:
    return encode(
        Result(success=False, request_id=request_id, command=command, error=text, code=code, field=field)
    )
