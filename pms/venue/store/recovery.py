"""A start: the newest good snapshot, and what was journaled behind it."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from dataclasses import dataclass

import structlog

from pms.venue.restore import Remembered
from pms.venue.state import Fact
from pms.venue.store import snapshot
from pms.venue.store.files import COMPACTING, JournalError, StateDirectory, held
from pms.venue.store.lines import Step, facts, nobody, torn

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Base:
    """The snapshot to go on from, and the closed segments behind it; number 0 is the empty beginning."""

    number: int
    rows: list[Fact]
    behind: list[int]

    @property
    def last(self) -> int:
        """The last closed segment."""
        return self.behind[-1] if self.behind else self.number


def newest_good(directory: StateDirectory, *, step: Step = nobody) -> Base:
    """Read the newest snapshot that is what was written, and find the segments that it needs.

    A damaged one is told, and the one before it taken; JournalError names the first segment that is missing.
    """
    damage: JournalError | None = None
    closed = directory.segments()
    for number in (*reversed(directory.snapshots()), 0):
        rows: list[Fact] = []
        if number:
            try:
                rows = snapshot.read(directory.snapshot(number), number, step=step)
            except JournalError as error:
                log.error("venue.snapshot_damaged", path=str(directory.snapshot(number)), error=str(error))
                damage = damage or error
                continue
        behind = [each for each in closed if each > number]
        missing = set(range(number + 1, max(behind, default=number) + 1)).difference(behind)
        # A damaged snapshot tells how far there were segments, even where they are all gone
        missing.update(range(number + 1, max(directory.snapshots(), default=0) + 1))
        missing.difference_update(behind)
        if not missing:
            return Base(number, rows, behind)
        because = f" ({damage})" if damage is not None else ""
        raise JournalError(
            f"{directory.segment(min(missing))} is missing, and no good snapshot covers it{because}"
        )
    raise AssertionError("the empty beginning is always good")


def recover(directory: StateDirectory, *, step: Step = nobody) -> tuple[Remembered, Base]:
    """Everything that a venue goes on with. Waits for a compaction that its venue left behind."""
    if directory.resetting.exists():
        raise JournalError(f"{directory.root} was not deleted to the end: `pms venue reset` goes on with it")
    with held(directory.root / COMPACTING, wait=True, otherwise="never said"), _no_collections():
        base = newest_good(directory, step=step)
        return Remembered.fold(journaled(directory, base, step=step)), base


def journaled(directory: StateDirectory, base: Base, *, step: Step = nobody) -> Iterator[Fact]:
    """A snapshot's facts, and all that were journaled behind it, in order."""
    yield from base.rows
    for number in base.behind:
        yield from facts(directory.segment(number), step=step)
    if directory.live.exists():
        yield from facts(directory.live, step=step, whole=False)


def size(directory: StateDirectory) -> int:
    """How many bytes a start reads, if its newest snapshot is good."""
    newest = max(directory.snapshots(), default=0)
    paths = [directory.segment(each) for each in directory.segments() if each > newest]
    paths += [directory.snapshot(newest)] if newest else []
    return sum(path.stat().st_size for path in (*paths, directory.live) if path.exists())


def cut_torn_line(directory: StateDirectory) -> None:
    """Take off a last line that a power cut left without its end: nobody had an answer to it."""
    end = torn(directory.live) if directory.live.exists() else None
    if end is not None:
        log.warning("journal.torn_line", path=str(directory.live), byte=end)
        os.truncate(directory.live, end)


class _no_collections:
    """A million rows at once are no garbage: looking for some in between takes a third of the time."""

    def __enter__(self) -> None:
        self._was = gc.isenabled()
        gc.disable()

    def __exit__(self, *_: object) -> None:
        if self._was:
            gc.enable()
