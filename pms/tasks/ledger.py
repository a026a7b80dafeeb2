"""The ledger's task: drain the journal into PostgreSQL."""

from __future__ import annotations

from pms.contract.names import Task
from pms.flows.drain import drain
from pms.tasks.app import app
from pms.tasks.runtime import database, runtime


@app.task(name=Task.FOLD)
def fold_journal() -> int:
    """Fold what the journal holds behind the cursor; returns how many entries were applied."""
    deps = runtime()
    return deps.run(drain(deps.redis, database()))
