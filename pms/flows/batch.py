"""Several orders in one request, each sent at most once; and several cancels in one.

Each order has its own send right. The timestamp is fixed first, a right is taken for each order with it,
and only what was won is signed and written: an order that another sender has, or that is void or late,
is left out of the bytes. If the process dies between the rights and the bytes, each order is proven not
executed by itself. A lost answer leaves each of them unknown, an answer speaks for each by itself.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import structlog
from redis.asyncio import Redis

from pms.binance.client import ExchangeClient, PlaceOrder
from pms.binance.errors import ExchangeError, NotFound, Throttled, TimestampRefused
from pms.bus.inbox import Inbox
from pms.bus.rights import Right
from pms.contract import names
from pms.flows.cancel import attend, cancel
from pms.flows.place import Placing, place, read_order, report, report_error, synced, take_right

log = structlog.get_logger()
MOST_PLACED = 5
MOST_CANCELLED = 10
"""Orders in one request (Binance USDⓈ-M batchOrders)."""

CANCELS_AT_ONCE = 8
"""Requests that a cancel of many orders has out at a time; by ones the streamer would come to its help."""


async def place_all(deps: Placing, client_order_ids: Sequence[str]) -> list[Right]:
    """Place orders, five a request where there is room for five; returns what each one's right said."""
    rights: list[Right] = []
    for part in _parts(client_order_ids, MOST_PLACED):
        rights += await _place_part(deps, part)
    return rights


async def _place_part(deps: Placing, client_order_ids: Sequence[str]) -> list[Right]:
    refused = await deps.rights.refused(list(client_order_ids))
    said = {coid: right for coid, right in zip(client_order_ids, refused, strict=True) if right is not None}
    left = [coid for coid in client_order_ids if coid not in said]
    found = await asyncio.gather(*(read_order(deps.redis, coid) for coid in left))
    orders = [order for order in found if order is not None]
    rights = await _place_found(deps, orders)
    said |= {order.client_order_id: right for order, right in zip(orders, rights, strict=True)}
    return [said[coid] for coid in client_order_ids if coid in said]


async def _place_found(deps: Placing, orders: list[PlaceOrder]) -> list[Right]:
    if not orders:
        return []
    if len(orders) == 1:
        # By itself an order costs no request weight.
        return [await place(deps, orders[0].client_order_id, order=orders[0])]
    try:
        await deps.client.room_for_batch(orders)
    except Throttled as error:
        # Where many share, a sub-account's right is less than five at once, and those wait past any deadline.
        log.info("no_room_for_batch", orders=len(orders), error=str(error))
        alone = (place(deps, order.client_order_id, order=order) for order in orders)
        return await asyncio.gather(*alone)
    return await _send(deps, orders, unused=None)


async def _send(deps: Placing, orders: list[PlaceOrder], *, unused: int | None) -> list[Right]:
    """Take the rights, sign what was won, write it once, report each."""
    signed_at = deps.client.exchange_now_ms()
    rights = await asyncio.gather(
        *(take_right(deps, order.client_order_id, signed_at=signed_at, unused=unused) for order in orders)
    )
    won = [order for order, right in zip(orders, rights, strict=True) if right is Right.WON]
    if not won:
        return rights
    request = deps.client.sign_batch(won, timestamp_ms=signed_at, recv_window_ms=deps.recv_window_ms)
    ids = [order.client_order_id for order in won]
    try:
        answers = await deps.client.send_batch(request, ids)
    except TimestampRefused as error:
        # The exchange proved that this signature executed nothing; one more, with its own time.
        if unused is None and await synced(deps):
            await _send(deps, won, unused=signed_at)
            return rights
        answers = [error for _ in won]
    except ExchangeError as error:
        answers = [error for _ in won]
    for coid, answer in zip(ids, answers, strict=True):
        if isinstance(answer, ExchangeError):
            await report_error(deps, coid, answer)
        else:
            await report(deps, coid, "accepted", exchange_order_id=answer.order_id)
    return rights


async def cancel_all_known(
    redis: Redis, client: ExchangeClient, inbox: Inbox, client_order_ids: Sequence[str]
) -> None:
    """Send one cancel for each order that was sent at all, ten of a symbol in one request.

    Whatever an answer does not prove is looked at again by the streamer, whose wish stands.
    """
    untyped: Any = redis
    asked = untyped.pipeline(transaction=False)
    for coid in client_order_ids:
        asked.hget(names.order_key(coid), "symbol").get(names.right_key(coid))
    found = await asked.execute()
    by_symbol: dict[str, list[str]] = defaultdict(list)
    for coid, symbol, right in zip(client_order_ids, found[::2], found[1::2], strict=True):
        if symbol is None or right is None or right == b"void":
            await attend(inbox, coid)
        else:
            by_symbol[symbol.decode()].append(coid)
    slots = asyncio.Semaphore(CANCELS_AT_ONCE)

    async def send(symbol: str, part: Sequence[str]) -> None:
        async with slots:
            await _cancel_part(client, inbox, symbol=symbol, client_order_ids=part)

    parts = [(symbol, part) for symbol, ids in by_symbol.items() for part in _parts(ids, MOST_CANCELLED)]
    await asyncio.gather(*(send(symbol, part) for symbol, part in parts))


async def _cancel_part(
    client: ExchangeClient, inbox: Inbox, *, symbol: str, client_order_ids: Sequence[str]
) -> None:
    if len(client_order_ids) == 1:
        await cancel(client, inbox, symbol=symbol, client_order_id=client_order_ids[0])
        return
    try:
        answers = await client.cancel_batch(symbol=symbol, client_order_ids=client_order_ids)
    except ExchangeError as error:
        log.info("cancels_unproven", orders=len(client_order_ids), error=str(error))
        return
    for coid, answer in zip(client_order_ids, answers, strict=True):
        if isinstance(answer, NotFound):
            await attend(inbox, coid)
        elif isinstance(answer, ExchangeError):
            log.info("cancel_unproven", order=coid, error=str(answer))


def _parts(ids: Sequence[str], most: int) -> list[Sequence[str]]:
    return [ids[at : at + most] for at in range(0, len(ids), most)]
