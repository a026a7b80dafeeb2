"""The streamer's lives: one after the other in one process, and at most one leading anywhere."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

import structlog

from pms.bus.lead import NotLeading
from pms.config import Settings
from pms.streamer.left_out import LeftOut, Spoiled
from pms.streamer.process import Streamer
from pms.streamer.world import open_world

log = structlog.get_logger()


async def live(new_life: Callable[[bool], Streamer], *, standby: bool = False) -> None:
    """Run one life after the other; raises what ended one that must not be followed by another.

    A streamer that led and lost the lease becomes a standby: another leads now, or it leads again. One whose
    memory is spoiled by a fault of ours begins anew.
    """
    while True:
        try:
            await new_life(standby).run()
        except NotLeading as fault:
            log.warning("stepping_down", reason=str(fault))
            standby = True
        except Spoiled as fault:
            log.error("beginning_anew", reason=str(fault))
        await asyncio.sleep(0.2)


async def serve(settings: Settings, *, standby: bool = False) -> None:
    """Run streamers until TERM or INT; a standby waits for the lease as long as it takes."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    left_out = LeftOut()

    def new_life(standby: bool) -> Streamer:
        return Streamer(settings, open_world(settings), standby=standby, left_out=left_out)

    living = asyncio.create_task(live(new_life, standby=standby))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([living, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if living.done():
        living.result()
        return
    living.cancel()
    await asyncio.wait([living], timeout=4)
