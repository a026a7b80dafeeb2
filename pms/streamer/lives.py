"""The streamer's lives: one after the other in one process, and at most one leading anywhere."""

from __future__ import annotations

import asyncio
import signal

import structlog

from pms.bus.lead import NotLeading
from pms.config import Settings
from pms.streamer.process import Streamer
from pms.streamer.world import open_world

log = structlog.get_logger()


async def serve(settings: Settings, *, standby: bool = False) -> None:
    """Run streamers until TERM or INT; a standby waits for the lease as long as it takes.

    A streamer that led and lost the lease becomes a standby: another leads now, or it leads again.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    while not stop.is_set():
        life = asyncio.create_task(Streamer(settings, open_world(settings), standby=standby).run())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([life, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not life.done():
            life.cancel()
            await asyncio.wait([life], timeout=4)
            return
        fault = life.exception()
        if isinstance(fault, NotLeading):
            log.warning("stepping_down", reason=str(fault))
            standby = True
            await asyncio.sleep(0.2)
            continue
        if fault is not None:
            raise fault
