"""Keep the start short and the archive small: a state snapshot now and then, finished files packed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from pms.archive.errors import ArchiveError
from pms.archive.segments import pack, segments
from pms.db.errors import Unreachable
from pms.db.load import applied_seq, load_state
from pms.db.state_file import newest_seq, write_state

log = structlog.get_logger()


async def snapshot(engine: AsyncEngine, archive_dir: Path) -> int | None:
    """Write what PostgreSQL holds as a state snapshot; returns its seq, None if there is nothing new.

    While PostgreSQL is away the last one stays, and what was archived since makes it good.
    """
    directory = archive_dir / "state"
    try:
        if await applied_seq(engine) <= newest_seq(directory):
            return None
        state = await load_state(engine)
    except Unreachable as error:
        log.warning("no_snapshot", reason=str(error))
        return None
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
