"""The clock's tasks: answer what nobody answered, look for orders that vanished, keep key and snapshot."""

from __future__ import annotations

import time

import structlog

from pms.binance.errors import ExchangeError
from pms.contract.names import Task
from pms.flows.snapshot import pack_finished, snapshot
from pms.flows.sweep import sweep_orphans, sweep_requests
from pms.tasks.app import app
from pms.tasks.runtime import database, runtime

log = structlog.get_logger()


@app.task(name=Task.SWEEP_REQUESTS)
def sweep_open_requests() -> int:
    """Answer the commands whose deadline is over; returns how many were answered."""
    deps = runtime()
    return deps.run(sweep_requests(deps.redis, deps.serving.requests))


@app.task(name=Task.SWEEP_ORPHANS)
def sweep_open_orders() -> int:
    """Tell the streamer of orders that the exchange lists otherwise than we do."""
    deps = runtime()
    return deps.run(
        sweep_orphans(deps.redis, deps.client, deps.serving.placing.inbox, now_ms=time.time_ns() // 1_000_000)
    )


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
