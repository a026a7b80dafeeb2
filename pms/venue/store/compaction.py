"""The closed segments of a journal into a snapshot, and what is over into the history.

A process of its own, `python -m pms.venue.store.compaction DIRECTORY NOW PARENT`: it reads files, never the
venue's memory, so that matching waits for nothing. Each step leaves a directory that starts to the same
state: rows are entered by their place, a snapshot gets its name when it is whole, what it replaces goes last.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from pms.venue.restore import Remembered
from pms.venue.state import Fact
from pms.venue.store import snapshot
from pms.venue.store.files import COMPACTING, JournalError, StateDirectory, held
from pms.venue.store.history_file import HistoryFile
from pms.venue.store.lines import facts
from pms.venue.store.recovery import Base, newest_good

NICENESS = 10
LOOK_EVERY = 5_000


class Orphaned(Exception):
    """The venue that asked for it is gone; its successor waits for the directory."""


def compact(directory: StateDirectory, *, now: int, wanted: Callable[[], bool] = lambda: True) -> int:
    """Make the newest snapshot; the segment that it is behind. Orphaned where it is `wanted` no more."""
    busy = f"{directory.root} is being compacted"
    with held(directory.root / COMPACTING, wait=False, otherwise=busy):
        base = newest_good(directory)
        history = HistoryFile(directory.history)
        try:
            if base.behind:
                memory = Remembered.fold(base.rows)
                for number in base.behind:
                    memory.go_on(_while(wanted, facts(directory.segment(number))))
                    history.add(memory.depart(), segment=number)
                snapshot.write(directory, base.last, memory.facts())
                tidy(directory, base)
            history.leave(directory, f"{base.last:08d}.jsonl.gz", now=now)
        finally:
            history.close()
        return base.last


def tidy(directory: StateDirectory, base: Base) -> None:
    """Delete what neither the new snapshot nor the one before it needs."""
    for number in directory.snapshots():
        if number not in (base.number, base.last):
            directory.snapshot(number).unlink()
    for number in directory.segments():
        if number <= base.number:
            directory.segment(number).unlink()


def _while(wanted: Callable[[], bool], rows: Iterator[Fact]) -> Iterator[Fact]:
    while part := list(islice(rows, LOOK_EVERY)):
        if not wanted():
            raise Orphaned
        yield from part


def main() -> int:
    """Compact for the process that started this one."""
    root, now, parent = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    os.nice(NICENESS)
    try:
        compact(StateDirectory(root), now=now, wanted=lambda: os.getppid() == parent)
    except Orphaned:
        return 0
    except (JournalError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
