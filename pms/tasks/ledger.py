"""The ledger's task: drain the journal into the archive and PostgreSQL."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from pms.archive.reader import Reader
from pms.archive.writer import Writer
from pms.contract.names import Task
from pms.flows.drain import Archive, drain
from pms.tasks.app import app
from pms.tasks.once import once
from pms.tasks.runtime import database, runtime

log = structlog.get_logger()
LAST_S: Final = 2.0


@app.task(name=Task.FOLD)
def fold_journal() -> int:
    """Archive and fold what the journal holds; returns how many entries were applied."""
    deps = runtime()
    return deps.run(drain(deps.redis, database(), archive=archive()))


def fold_the_rest() -> None:
    """Archive and fold what was journaled while the other parts ended. Never raises.

    Trap: what is left is in Redis alone, and whoever backs up a system at rest has no Redis.
    """
    try:
        runtime().run(_in_time())
    except Exception as error:
        log.warning("the_rest_was_not_folded", error=repr(error))


async def _in_time() -> None:
    async with asyncio.timeout(LAST_S):
        await drain(runtime().redis, database(), archive=archive())


@once
def archive() -> Archive:
    """This process's archive."""
    directory = runtime().settings.archive_dir
    return Archive(Writer(directory), Reader(directory))
