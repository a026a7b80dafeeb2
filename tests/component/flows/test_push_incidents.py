"""The webhook gets each change of an incident once at least, in order, under one id; and can be away."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import ClientSession, web
from pydantic import SecretStr

from pms.bus.connection import connect
from pms.bus.inbox import Inbox, Noticed
from pms.bus.journal import Journal
from pms.bus.lead import Lead
from pms.contract import names
from pms.domain.desk import Desk
from pms.domain.incidents import incident, settled
from pms.domain.posting import Posting
from pms.flows.push_incidents import PAUSES_S, Webhook, push, signature

SECRET = SecretStr("a secret of theirs and ours")
NONCE = "n"


class Receiver:
    """A real HTTP server; answers what it is told to, and remembers what it was sent."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []

    async def take(self, request: web.Request) -> web.Response:
        self.got.append((dict(request.headers), await request.read()))
        return web.Response(status=self.answers.pop(0) if self.answers else 204)

    def states(self) -> list[str]:
        return [json.loads(body)["incident"]["state"] for _, body in self.got]


class Clock:
    """Milliseconds that stand until a test moves them."""

    now = 1_000_000

    def __call__(self) -> int:
        return self.now


class Site:
    """A desk that journals into a real Redis, and the webhook that reads there."""

    def __init__(self, redis: Any, journal: Journal, webhook: Webhook, receiver: Receiver) -> None:
        self.redis, self.journal, self.webhook, self.receiver = redis, journal, webhook, receiver
        self.desk, self.clock = Desk(epoch=NONCE), Clock()

    async def drift(self, difference: str) -> None:
        await self.write(
            incident(
                self.desk,
                at=5,
                kind="drift",
                severity="critical",
                detail=f"BTCUSDT {difference}",
                subject="BTCUSDT",
                evidence={"difference": difference},
            )
        )

    async def write(self, posting: Posting | None) -> None:
        assert posting is not None
        assert await self.journal.append([posting]) == [True]


@pytest.fixture
async def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
async def site(redis_url: str, receiver: Receiver) -> AsyncIterator[Site]:
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    runner = web.AppRunner(app)
    await runner.setup()
    server = web.TCPSite(runner, "127.0.0.1", 0)
    await server.start()
    port = runner.addresses[0][1]
    redis = connect(redis_url, name="test")
    lead = Lead(redis, nonce=NONCE)
    assert await lead.take()
    await lead.open()
    await lead.begin_from(0)
    async with ClientSession() as session:
        clock = Clock()
        webhook = Webhook(
            url=SecretStr(f"http://127.0.0.1:{port}/hook"),
            secret=SECRET,
            session=session,
            redis=redis,
            new_id=lambda: str(uuid4()),
            now_ms=clock,
        )
        site = Site(redis, Journal(redis, nonce=NONCE), webhook, receiver)
        site.clock = clock
        yield site
    await runner.cleanup()
    await redis.aclose()


async def test_each_change_is_pushed_once_signed_with_its_next_step(site: Site) -> None:
    await site.drift("0.1")
    assert await push(site.webhook) == 1
    await site.drift("0.2")
    await site.write(settled(site.desk, at=9, kind="drift", subject="BTCUSDT", how="agree"))
    assert await push(site.webhook) == 2
    assert await push(site.webhook) == 0
    assert site.receiver.states() == ["open", "open", "resolved"]
    deliveries = [json.loads(body)["delivery"] for _, body in site.receiver.got]
    assert len(set(deliveries)) == 3
    headers, body = site.receiver.got[0]
    assert headers["X-PMS-Signature"] == signature(SECRET, body)
    assert headers["X-PMS-Delivery"] == deliveries[0]
    told = json.loads(body)["incident"]
    assert told["evidence"] == {"difference": "0.1"}
    assert "pms reconcile" in told["nextStep"]
    assert await site.redis.hlen(names.INCIDENTS) == 0


async def test_a_run_that_died_after_the_post_sends_it_again_under_the_same_id(site: Site) -> None:
    await site.drift("0.1")
    await push(site.webhook)
    await site.redis.delete(names.INCIDENTS_PUSHED)
    await push(site.webhook)
    first, second = (headers["X-PMS-Delivery"] for headers, _ in site.receiver.got)
    assert first == second


async def test_a_receiver_that_is_away_is_tried_again_later_and_in_order(site: Site) -> None:
    await site.drift("0.1")
    await site.drift("0.2")
    site.receiver.answers = [503]
    assert await push(site.webhook) == 0
    assert await push(site.webhook) == 0
    assert len(site.receiver.got) == 1, "not before the pause is over"
    site.clock.now += PAUSES_S[0] * 1000
    assert await push(site.webhook) == 2
    first, *rest = [json.loads(body)["incident"]["evidence"]["difference"] for _, body in site.receiver.got]
    assert (first, rest) == ("0.1", ["0.1", "0.2"])


async def test_after_the_last_try_it_is_given_up_and_that_is_an_incident(site: Site) -> None:
    await site.drift("0.1")
    site.receiver.answers = [500] * (len(PAUSES_S) + 1)
    for pause in PAUSES_S:
        await push(site.webhook)
        site.clock.now += pause * 1000
    assert await Inbox(site.redis).rest() == []
    await push(site.webhook)
    (noticed,) = await Inbox(site.redis).rest()
    assert isinstance(noticed, Noticed)
    assert (noticed.incident, noticed.over) == ("webhook_failing", False)
    assert "/hook" not in noticed.detail
    await site.drift("0.2")
    assert await push(site.webhook) == 1
    (noticed,) = await Inbox(site.redis).rest()
    assert isinstance(noticed, Noticed)
    assert noticed.over


async def test_two_runs_at_once_do_not_double(site: Site) -> None:
    await site.drift("0.1")
    await site.redis.set(f"{names.INCIDENTS_PUSHED}:lock", "another's", px=30_000)
    assert await push(site.webhook) == 0
    assert site.receiver.got == []
    assert await site.redis.get(f"{names.INCIDENTS_PUSHED}:lock") == b"another's"


async def test_a_new_webhook_gets_the_last_hour_and_not_the_history(site: Site) -> None:
    await site.drift("0.1")
    seconds, micros = await site.redis.time()
    site.clock.now = seconds * 1000 + micros // 1000 + 3_600_001
    assert await push(site.webhook) == 0
    site.clock.now -= 60_000
    assert await push(site.webhook) == 1


async def test_what_redis_forgot_is_told_again_once_under_one_id_and_no_more(site: Site) -> None:
    await site.drift("0.1")
    await site.drift("0.2")
    stands_at = site.desk.last_seq
    rows = site.desk.incidents.rows()
    await site.journal.show_incidents(rows, forgot_at=stands_at)
    assert await site.redis.xlen(names.INCIDENT_CHANGES) == 2, "restarted, and nothing was lost"
    newest = (await site.redis.xrevrange(names.INCIDENT_CHANGES, count=1))[0][0]
    await site.redis.xdel(names.INCIDENT_CHANGES, newest)
    assert await push(site.webhook) == 1
    for _ in range(2):
        # A start that dies behind this begins again.
        await site.journal.show_incidents(rows, forgot_at=stands_at)
    assert await push(site.webhook) == 1
    await site.redis.flushall()
    await site.journal.show_incidents(rows, forgot_at=None)
    assert await push(site.webhook) == 0, "only a Redis that is another has forgotten"
    await site.journal.show_incidents(rows, forgot_at=stands_at)
    assert await push(site.webhook) == 1
    told = [json.loads(body)["incident"]["evidence"]["difference"] for _, body in site.receiver.got]
    assert told == ["0.1", "0.2", "0.2"]
    _, second, third = (headers["X-PMS-Delivery"] for headers, _ in site.receiver.got)
    assert second == third == f"{rows[0].seq}-{stands_at}"
    assert await site.redis.hlen(names.INCIDENTS) == 1


async def test_what_waits_for_the_journal_leaves_with_its_own_entry_alone(site: Site) -> None:
    stands_at = site.desk.last_seq
    opened = incident(site.desk, at=5, kind="drift", severity="critical", detail="x", subject="BTCUSDT")
    await site.journal.show_incidents(site.desk.incidents.rows(), forgot_at=stands_at)
    await site.write(opened)
    assert await push(site.webhook) == 1


async def test_that_changes_left_before_they_were_sent_is_told_once(site: Site) -> None:
    await site.drift("0.1")
    assert await push(site.webhook) == 1
    for number in range(2, 6):
        await site.drift(f"0.{number}")
    await site.redis.xtrim(names.INCIDENT_CHANGES, maxlen=2, approximate=False)
    site.receiver.answers = [500]
    assert await push(site.webhook) == 0
    (noticed,) = await Inbox(site.redis).rest()
    assert isinstance(noticed, Noticed)
    assert (noticed.incident, noticed.over) == ("webhook_failing", False)
    assert "left unsent" in noticed.detail
    site.clock.now += PAUSES_S[0] * 1000
    assert await push(site.webhook) == 2
    assert await push(site.webhook) == 0
    assert await Inbox(site.redis).rest() == []
