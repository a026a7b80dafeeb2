"""Incidents to a webhook: each change once at least, in order, under an id that stays the same.

dies before the POST      the next run sends it
dies after the POST       the next run sends it again, under the same id: the receiver drops it
the receiver is away      tried again with growing pauses; after the last try it is given up, and
                          that is an incident of its own
two runs at once          a lock lets one of them go; should it run out, a message is doubled
too many wait             Redis keeps the newest; that others left unsent is an incident of its own
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import structlog
from pydantic import SecretStr
from redis.asyncio import Redis

from pms.bus.inbox import Inbox, Noticed
from pms.contract import names
from pms.domain.incident_kinds import kind_of

log = structlog.get_logger()
TIMEOUT_S = 5
LOCK_MS = 30_000
AT_ONCE = 20
HOUR_MS = 3_600_000
PAUSES_S = (2, 5, 15, 60, 120, 300)
"""Before each further try; then a message is given up."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where incidents go; the address may carry a secret and is never told."""

    url: SecretStr
    secret: SecretStr | None
    session: aiohttp.ClientSession
    redis: Redis
    new_id: Callable[[], str]
    now_ms: Callable[[], int]


async def push(webhook: Webhook) -> int:
    """Send what waits; returns how many messages were taken. Never raises what the receiver does."""
    redis: Any = webhook.redis
    lock, mine = f"{names.INCIDENTS_PUSHED}:lock", webhook.new_id()
    if not await redis.set(lock, mine, nx=True, px=LOCK_MS):
        return 0
    try:
        return await _push(webhook, redis)
    finally:
        if await redis.get(lock) == mine.encode():
            await redis.delete(lock)


async def _push(webhook: Webhook, redis: Any) -> int:
    done = await redis.hgetall(names.INCIDENTS_PUSHED)
    # Further ahead than any pause is a clock that was set back, or another machine's: not for an hour.
    if 0 < int(done.get(b"next_try", 0)) - webhook.now_ms() <= max(PAUSES_S) * 1000:
        return 0
    sent, until = 0, webhook.now_ms() + LOCK_MS // 2
    # A webhook that is new gets the last hour, not the history.
    first = str(max(0, webhook.now_ms() - HOUR_MS))
    after = f"({done[b'at'].decode()}" if b"at" in done else first
    if b"at" in done and done.get(b"gap") != done[b"at"]:
        await _tell_what_left(webhook, redis, done[b"at"])
    for stream_id, fields in await redis.xrange(names.INCIDENT_CHANGES, min=after, count=AT_ONCE):
        if webhook.now_ms() > until:
            break
        fault = await _send(webhook, fields)
        if fault is not None and not await _give_up(webhook, redis, stream_id, fault):
            return sent
        await redis.hset(names.INCIDENTS_PUSHED, mapping={"at": stream_id, "tries": 0, "next_try": 0})
        if fault is None:
            sent += 1
    if sent and done.get(b"failing"):
        await redis.hdel(names.INCIDENTS_PUSHED, "failing")
        await _tell(webhook, "it took a message again", over=True)
    return sent


async def _give_up(webhook: Webhook, redis: Any, stream_id: bytes, fault: str) -> bool:
    """Count a failed try; True when it was the last one."""
    tries = await redis.hincrby(names.INCIDENTS_PUSHED, "tries", 1)
    log.warning("webhook_failed", tries=tries, error=fault)
    if tries <= len(PAUSES_S):
        next_try = webhook.now_ms() + PAUSES_S[tries - 1] * 1000
        await redis.hset(names.INCIDENTS_PUSHED, "next_try", next_try)
        return False
    await redis.hset(names.INCIDENTS_PUSHED, "failing", 1)
    await _tell(webhook, f"a message was given up after {tries} tries: {fault}", over=False)
    return True


async def _tell_what_left(webhook: Webhook, redis: Any, at: bytes) -> None:
    """Tell, once, where more waited than is kept: what was sent last is gone, all there is is newer."""
    oldest = await redis.xrange(names.INCIDENT_CHANGES, count=1)
    if not oldest or _place(oldest[0][0]) <= _place(at):
        return
    await _tell(
        webhook,
        f"more than {names.INCIDENT_CHANGES_KEPT} changes waited, older ones left unsent:"
        " `pms incidents` shows what is open",
        over=False,
    )
    await redis.hset(names.INCIDENTS_PUSHED, "gap", at)


def _place(stream_id: bytes) -> tuple[int, int]:
    ms, _, number = stream_id.partition(b"-")
    return int(ms), int(number or 0)


async def _tell(webhook: Webhook, detail: str, *, over: bool) -> None:
    await Inbox(webhook.redis).put(Noticed("webhook_failing", "warning", "webhook", detail, over))


async def _send(webhook: Webhook, fields: dict[bytes, bytes]) -> str | None:
    """POST one change; returns what went wrong, in words without the address."""
    delivery = fields[b"id"].decode()
    body = message(delivery, fields[b"incident"])
    headers = {"Content-Type": "application/json", "X-PMS-Delivery": delivery}
    if webhook.secret is not None:
        headers["X-PMS-Signature"] = signature(webhook.secret, body)
    try:
        async with webhook.session.post(
            webhook.url.get_secret_value(),
            data=body,
            headers=headers,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
        ) as response:
            return None if 200 <= response.status < 300 else f"answered {response.status}"
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        return type(error).__name__


def message(delivery: str, incident: bytes) -> bytes:
    """The body: the incident as journaled, with its evidence opened and its next step."""
    row = json.loads(incident)
    row["evidence"] = json.loads(row["evidence"])
    row["id"] = str(row.pop("seq"))
    row["nextStep"] = kind_of(row["kind"]).next_step
    line = f"{row['severity'].upper()} {row['kind']} {row['state']}: {row['detail']}"
    return json.dumps({"delivery": delivery, "text": line, "incident": row}).encode()


def signature(secret: SecretStr, body: bytes) -> str:
    """HMAC-SHA256 of the body, as hexadecimal digits behind `sha256=`."""
    digest = hmac.new(secret.get_secret_value().encode(), body, hashlib.sha256)
    return f"sha256={digest.hexdigest()}"
