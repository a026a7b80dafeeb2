"""Waiting for the lease: the moment a streamer becomes the one that writes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from pms.bus.heartbeat import beat_forever
from pms.bus.lead import LEASE_MS, Lead
from pms.streamer.start import CannotStart

log = structlog.get_logger()
STANDBY = "streamer-standby"
LOOK_EVERY_S = 0.25
PATIENCE_S = LEASE_MS / 1000 * 1.5
"""A lease that is held for longer is not a dead streamer's: somebody renews it."""


@dataclass(slots=True)
class LeaseWait:
    """Takes the lease when it is free."""

    lead: Lead
    redis: Redis
    monotonic: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    standby: bool

    async def win(self) -> None:
        """Return holding the lease. Raises CannotStart where another leads and we are no standby."""
        if await self._take():
            return
        beating = asyncio.create_task(self._beat())
        log.info("standing_by" if self.standby else "waiting_for_the_lease")
        began = self.monotonic()
        try:
            while not await self._take():
                if not self.standby and self.monotonic() - began > PATIENCE_S:
                    raise CannotStart(
                        "another streamer leads this system: stop it, or start this one with --standby"
                    )
                await self.sleep(LOOK_EVERY_S)
        finally:
            beating.cancel()

    async def _take(self) -> bool:
        """Try once; a standby outlives a Redis that is away."""
        try:
            return await self.lead.take()
        except (RedisError, OSError) as error:
            if not self.standby:
                raise
            log.warning("lease_not_asked_for", error=str(error))
            await self.sleep(LOOK_EVERY_S)
            return False

    async def _beat(self) -> None:
        if self.standby:
            await beat_forever(self.redis, STANDBY, os.getpid())
