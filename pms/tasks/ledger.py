"""The ledger's task: drain the journal into PostgreSQL."""

from __future__ import annotations

from typing import Any

from pms.contract import names
from pms.contract.names import Task
from pms.db.fold import FoldStopped, fold
from pms.tasks.app import app
from pms.tasks.runtime import database, runtime

MOST_PER_TASK = 20_000
"""After a long outage one task stops here, and the next goes on."""


@app.task(name=Task.FOLD)
def fold_journal() -> int:
    """Fold what the journal holds behind the cursor; returns how many entries were applied."""
    return runtime().run(_fold())


async def _fold() -> int:
    """Fold, and tell the streamer when an entry does not apply: it closes admission then."""
    deps = runtime()
    redis: Any = deps.redis
    try:
        folded = await fold(deps.redis, database(), most=MOST_PER_TASK)
    except FoldStopped as error:
        await redis.set(names.LEDGER_STOPPED, str(error))
        raise
    if await redis.exists(names.LEDGER_STOPPED):
        await redis.delete(names.LEDGER_STOPPED)
    return folded.entries
