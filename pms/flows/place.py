"""Send one admitted order to the exchange, at most once ever.

If the process dies:

    before the right is taken          nothing was sent; anyone may try again, until the deadline voids it
    between the right and the bytes    nothing was sent; nobody sends; the streamer proves it and says so
    after the first byte               perhaps executed; the feed or a query tells
    before the outcome is reported     the streamer finds no word of it and asks the exchange

The message twice, or two senders at once: the second finds the right taken. Late: the script refuses
what is past its deadline, and the exchange refuses a signature older than recvWindow.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from pms.binance.client import ExchangeClient, PlaceOrder, SignedRequest
from pms.binance.errors import (
    DuplicateClientId,
    ExchangeError,
    Overloaded,
    Refused,
    Throttled,
    TimestampRefused,
    Unsent,
)
from pms.bus.inbox import Inbox, Outcome
from pms.bus.journal import ToSend
from pms.bus.rights import Right, Rights
from pms.contract import names

log = structlog.get_logger()
_decoder = msgspec.json.Decoder(ToSend)
PATIENCE_S = 60.0
"""Longer than any deadline: the send right, not this, judges whether an order is too late."""


@dataclass(frozen=True, slots=True)
class Placing:
    """What sending needs."""

    redis: Redis
    client: ExchangeClient
    rights: Rights
    inbox: Inbox
    sender: str
    recv_window_ms: int
    sleep: Callable[[float], Awaitable[None]]


async def place(deps: Placing, client_order_id: str, *, order: PlaceOrder | None = None) -> Right:
    """Sign, take the right, write once, report; returns what the right said.

    `order` spares reading the order's hash. The report may be lost: it only spares the streamer a query.
    """
    if order is None:
        order = await read_order(deps.redis, client_order_id)
        if order is None:
            return Right.UNKNOWN
        (right,) = await deps.rights.refused([client_order_id])
        if right is not None:
            return right
    account, lane = order.account, order.lane
    right = await room(deps, client_order_id, lambda: deps.client.room_for_order(account=account, lane=lane))
    if right is not None:
        return right
    return await send_once(
        deps,
        client_order_id,
        lambda at: deps.client.sign_place(order, timestamp_ms=at, recv_window_ms=deps.recv_window_ms),
    )


async def send_once(deps: Placing, subject: str, sign: Callable[[int], SignedRequest]) -> Right:
    """Sign, take the subject's right, write once, report; the subject is an order or an amendment."""
    unused: int | None = None
    while True:
        signed_at = deps.client.exchange_now_ms()
        request = sign(signed_at)
        right = await take_right(deps, subject, signed_at=signed_at, unused=unused)
        if right is not Right.WON:
            return right
        try:
            ack = await deps.client.send(request)
        except TimestampRefused:
            # The exchange proved that this signature executed nothing; one more, with its own time.
            if unused is not None or not await synced(deps):
                await _report_timestamp(deps, subject)
                return right
            unused = signed_at
            continue
        except ExchangeError as error:
            await report_error(deps, subject, error)
            return right
        await report(deps, subject, "accepted", exchange_order_id=ack.order_id)
        return right


async def take_right(deps: Placing, subject: str, *, signed_at: int, unused: int | None) -> Right:
    """Ask for the right; a lost reply means *not won*: nothing is sent, and it is asked about.

    Behind an `unused` right of ours that is not given anew nobody sends: what the exchange proved of it is
    told, or it would count as sent for as long as our clock was ahead. Not where another may know more.
    """
    right: Right | None = None
    try:
        right = await deps.rights.take(subject, signed_at=signed_at, unused=unused)
    except (RedisError, OSError) as error:
        log.warning("right_not_won", order=subject, error=str(error))
    if unused is not None and right in {Right.LATE, Right.HALTED, None}:
        await _report_timestamp(deps, subject)
    return right or Right.TAKEN


async def _report_timestamp(deps: Placing, subject: str) -> None:
    await report(deps, subject, "refused", code=-1021, text="the timestamp was refused")


async def synced(deps: Placing) -> bool:
    """Whether the exchange's clock could be learnt anew."""
    try:
        await deps.client.sync_time()
    except ExchangeError as error:
        log.warning("clock_not_synced", error=str(error))
        return False
    return True


async def room(deps: Placing, subject: str, take: Callable[[], Awaitable[None]]) -> Right | None:
    """Wait for room in the rate budget, before the right is taken: what is not sent is not lost.

    None once there is room; else why nobody may send it any more: it is late, and the streamer voids it, or
    another has sent it meanwhile. Trap: who asks with what is no longer to be sent uses up the room of
    what still is.
    """
    give_up = PATIENCE_S
    while True:
        try:
            await take()
        except Throttled as error:
            wait = min(max(error.retry_after, 0.05), 1.0)
            give_up -= wait
            if give_up < 0:
                log.warning("no_room", order=subject, error=str(error))
                return Right.LATE
            await deps.sleep(wait)
        else:
            return None
        (right,) = await deps.rights.refused([subject])
        if right is not None:
            return right


async def read_order(redis: Redis, client_order_id: str) -> PlaceOrder | None:
    """Read what is to be sent from the order's hash."""
    untyped: Any = redis
    text = await untyped.hget(names.order_key(client_order_id), "send")
    return order_from(text)


def order_from(text: bytes | str | None) -> PlaceOrder | None:
    """What is to be sent, from its JSON text; None for none."""
    if not text:
        return None
    fields = _decoder.decode(text)
    return PlaceOrder(
        symbol=fields.symbol,
        side=fields.side,
        type=fields.type,
        quantity=fields.quantity,
        price=fields.price,
        time_in_force=fields.time_in_force,
        client_order_id=fields.client_order_id,
        account=fields.account,
        reduce_only=fields.reduce_only,
        lane="reduce" if fields.reduces else "open",
    )


async def report_error(deps: Placing, client_order_id: str, error: ExchangeError) -> None:
    """Tell the streamer what an error proves, if anything."""
    code = getattr(error, "code", None)
    match error:
        case DuplicateClientId():
            await report(deps, client_order_id, "duplicate", code=code)
        case Refused():
            await report(deps, client_order_id, "refused", code=code, text=error.msg)
        case Overloaded():
            # Documented as not executed, and was seen with the order live: it is asked about.
            await report(deps, client_order_id, "unknown", code=code, text=str(error))
        case Throttled():
            await report(deps, client_order_id, "throttled", code=code, text=str(error))
        case Unsent():
            await report(deps, client_order_id, "unsent", text=str(error))
        case _:
            await report(deps, client_order_id, "unknown", code=code, text=str(error))


async def report(
    deps: Placing,
    client_order_id: str,
    word: Any,
    *,
    exchange_order_id: int | None = None,
    code: int | None = None,
    text: str | None = None,
) -> None:
    """Tell the streamer how a request ended; a lost report only costs it a query."""
    outcome = Outcome(client_order_id, deps.sender, word, exchange_order_id, code, text)
    try:
        await deps.inbox.put(outcome)
    except (RedisError, OSError) as error:
        log.warning("outcome_not_reported", order=client_order_id, word=word, error=str(error))
