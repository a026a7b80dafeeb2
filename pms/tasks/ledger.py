"""The ledger's task: drain the journal into the archive and PostgreSQL."""

from __future__ import annotations

from pms.archive.reader import Reader
from pms.archive.writer import Writer
from pms.contract.names import Task
from pms.flows.drain import Archive, drain
from pms.tasks.app import app
from pms.tasks.once import once
from pms.tasks.runtime import database, runtime


@app.task(name=Task.FOLD)
def fold_journal() -> int:
    """Archive and fold what the journal holds; returns how many entries were applied."""
    deps = runtime()
    return deps.run(drain(deps.redis, database(), archive=archive()))


@once
def archive() -> Archive:
    """This process's archive."""
    directory = runtime().settings.archive_dir
    return Archive(Writer(directory), Reader(directory))
