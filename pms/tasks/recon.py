"""The clock's tasks: look at what waits, reconcile, reckon risk, push incidents, keep the listen key."""

from __future__ import annotations

import asyncio
import time
from functools import cache
from typing import Any
from uuid import uuid4

import structlog

from pms.binance.errors import ExchangeError
from pms.bus.inbox import AskAlgos, Inbox
from pms.config import ConfigError
from pms.contract.money import BadJson, decode_object
from pms.contract.names import Task
from pms.db.errors import DatabaseError
from pms.flows.push_incidents import Webhook, push
from pms.flows.reconcile import Deps, NoReport, reconcile
from pms.flows.snapshot import Snapshots, pack_finished
from pms.flows.sweep import sweep_requests
from pms.tasks.app import app
from pms.tasks.runtime import database, runtime

log = structlog.get_logger()


@app.task(name=Task.SWEEP_REQUESTS)
def sweep_open_requests() -> int:
    """Answer the commands whose deadline is over; returns how many were answered."""
    deps = runtime()
    return deps.run(sweep_requests(deps.redis, deps.serving.requests))


@app.task(name=Task.SWEEP_ALGOS)
def sweep_algos() -> None:
    """Let the streamer look at the algos whose time has come: none depends on one timer alone."""
    deps = runtime()
    deps.run(deps.serving.placing.inbox.put(AskAlgos()))


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
    return deps.run(snapshots().keep())


@cache
def snapshots() -> Snapshots:
    """This process's snapshots: they count how many it has missed."""
    deps = runtime()
    return Snapshots(database(), deps.settings.archive_dir, Inbox(deps.redis))


@app.task(name=Task.RISK)
def report_risk(*args: Any, **fields: Any) -> Any:
    """Reckon the desk's risk: for all to see and against its limits, or for one who asked (`requestId`)."""
    # Here, so that only the worker that reckons carries numpy: every role imports this file.
    from pms.flows import portfolio
    from pms.flows.answer_risk import answer_risk
    from pms.flows.risk_terms import terms_of

    deps = runtime()

    def parts() -> portfolio.Deps:
        terms = terms_of(deps.settings)
        return portfolio.Deps(redis=deps.redis, database=database(), client=deps.client, terms=terms)

    try:
        asked = fields or (args[0] if args else None)
        if asked is None:
            return deps.run(portfolio.watch_risk(parts(), report_id=str(uuid4()))).seq
        asked = asked if isinstance(asked, dict) else decode_object(str(asked))
    except (DatabaseError, ConfigError, BadJson) as error:
        log.warning("no_risk_report", error=str(error))
        return None
    answer = deps.run(answer_risk(deps.redis, parts, asked))
    return None if answer is None else answer.model_dump(mode="json", by_alias=True)


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
