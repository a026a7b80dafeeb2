"""The clock's tasks: answer what nobody answered, reconcile, push incidents, keep key and snapshot."""

from __future__ import annotations

import asyncio
import time
from uuid import uuid4

import structlog

from pms.binance.errors import ExchangeError
from pms.contract.names import Task
from pms.flows.push_incidents import Webhook, push
from pms.flows.reconcile import Deps, NoReport, reconcile
from pms.flows.snapshot import pack_finished, snapshot
from pms.flows.sweep import sweep_requests
from pms.tasks.app import app
from pms.tasks.runtime import database, runtime

log = structlog.get_logger()


@app.task(name=Task.SWEEP_REQUESTS)
def sweep_open_requests() -> int:
    """Answer the commands whose deadline is over; returns how many were answered."""
    deps = runtime()
    return deps.run(sweep_requests(deps.redis, deps.serving.requests))


@app.task(name=Task.RECONCILE)
def reconcile_books() -> bool:
    """Let the streamer reconcile, and compare its books with Redis and PostgreSQL; whether all agrees."""
    deps = runtime()
    parts = Deps(
        redis=deps.redis,
        database=database(),
        new_id=lambda: str(uuid4()),
        sleep=asyncio.sleep,
        monotonic=time.monotonic,
    )
    try:
        return deps.run(reconcile(parts)).agrees
    except NoReport as error:
        log.warning("not_reconciled", error=str(error))
        return False


@app.task(name=Task.PUSH_INCIDENTS)
def push_incidents() -> int:
    """Push what changed about incidents to the webhook, if there is one; returns how many it took."""
    deps = runtime()
    if deps.settings.webhook_url is None:
        return 0
    webhook = Webhook(
        url=deps.settings.webhook_url,
        secret=deps.settings.webhook_secret,
        session=deps.session,
        redis=deps.redis,
        new_id=lambda: str(uuid4()),
        now_ms=lambda: time.time_ns() // 1_000_000,
    )
    return deps.run(push(webhook))


@app.task(name=Task.SNAPSHOT)
def keep_snapshot() -> int | None:
    """Write a state snapshot and pack the archive's finished files; returns the snapshot's seq."""
    deps = runtime()
    directory = deps.settings.archive_dir
    deps.run(pack_finished(directory))
    return deps.run(snapshot(database(), directory))


@app.task(name=Task.KEEP_LISTEN_KEY)
def keep_listen_key() -> bool:
    """Prolong the listen key; a dead one is the streamer's to replace, which its own stream tells."""
    deps = runtime()
    try:
        deps.run(deps.client.keep_listen_key())
    except ExchangeError as error:
        log.warning("listen_key_not_kept", error=str(error))
        return False
    return True
