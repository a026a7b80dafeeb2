"""Keep the start short and the archive small: a state snapshot now and then, finished files packed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from pms.archive.errors import ArchiveError
from pms.archive.segments import pack, segments
from pms.bus.inbox import Inbox, Noticed
from pms.db.errors import Unreachable
from pms.db.load import applied_seq, load_state
from pms.db.state_file import newest_seq, write_state

log = structlog.get_logger()
KIND, SUBJECT = "snapshot_missing", "snapshot"
MISSED_IN_A_ROW = 5
"""One is due each minute."""


@dataclass(slots=True)
class Snapshots:
    """Keeps them coming, and tells when none has come for some minutes.

    The last one stays, and what was archived since makes it good; but a start grows longer with every
    entry, and what keeps them away may keep a start away as well.
    """

    engine: AsyncEngine
    archive_dir: Path
    inbox: Inbox
    _missed: int = 0
    _told: bool = True
    #: an incident may stand that an earlier process told

    async def keep(self) -> int | None:
        """Write one, if there is something new; returns its seq."""
        try:
            seq = await snapshot(self.engine, self.archive_dir)
        except (Unreachable, SQLAlchemyError, OSError) as fault:
            self._missed += 1
            reason = str(fault).partition("\n")[0]
            log.warning("no_snapshot", reason=reason, missed=self._missed)
            if self._missed >= MISSED_IN_A_ROW:
                self._told = True
                detail = f"no state snapshot could be made {MISSED_IN_A_ROW} times in a row: {reason}"
                await self.inbox.put(Noticed(KIND, "warning", SUBJECT, detail))
            return None
        self._missed = 0
        if self._told:
            await self.inbox.put(Noticed(KIND, "warning", SUBJECT, "a snapshot can be made again", over=True))
            self._told = False
        return seq


async def snapshot(engine: AsyncEngine, archive_dir: Path) -> int | None:
    """Write what PostgreSQL holds as a state snapshot; returns its seq, None if there is nothing new.

    Raises Unreachable and OSError.
    """
    directory = archive_dir / "state"
    if await applied_seq(engine) <= newest_seq(directory):
        return None
    state = await load_state(engine)
    await asyncio.to_thread(write_state, directory, state)
    return state.applied


async def pack_finished(archive_dir: Path) -> int:
    """Pack the archive's files that are written no more; returns how many. Damage is told, not packed."""
    packed = 0
    for segment in segments(archive_dir)[:-1]:
        if segment.packed:
            continue
        try:
            await asyncio.to_thread(pack, segment)
        except (ArchiveError, OSError) as fault:
            log.error("archive_not_packed", file=segment.path.name, reason=str(fault))
            break
        packed += 1
    return packed
