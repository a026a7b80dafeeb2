"""The dead man's switch at work: renewed by the very loop whose death it guards against.

Nothing here ends an order. What the exchange cancelled while we were gone is told by its feed, or by
the query that recovery makes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

import structlog

from pms.binance.client import ExchangeClient
from pms.binance.errors import ExchangeError
from pms.contract import names
from pms.domain.dead_man import Call, DeadManSwitch

log = structlog.get_logger()
EVERY_S = 1.0
STOP_AGAIN_S = 0.25
LEAVE_S = 2.0
"""So long an orderly end may take to stop the countdowns; who ends us by force waits not much longer."""

State = Literal["off", "idle", "armed", "withheld"]


@dataclass(slots=True)
class DeadMan:
    """Keeps the countdowns running while the streamer finds itself well."""

    switch: DeadManSwitch
    client: ExchangeClient
    resting: Callable[[], Collection[str]]
    ended: Callable[[], Mapping[str, int]]
    """By symbol, how many ms ago an order of ours ended there."""
    unwell: Callable[[], str | None]
    """Why the engine could not look after an order now; the countdowns are left to run out then."""
    alarm: Callable[[str], None]
    monotonic: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    on: bool = True
    _unwell_since: int | None = None
    _alarmed: bool = field(default=False)
    inherited: bool = False
    """Whether what the life before may have left running is among the fuses."""

    async def run(self) -> None:
        """Renew for ever, beginning with what the life before left running."""
        if self.on:
            self.switch.inherit(self.ended(), self.resting(), now=self._now())
            self.inherited = True
        while self.on:
            await self.renew()
            await self.sleep(EVERY_S)
        await self._for_ever()

    def state(self) -> State:
        """What a page shows."""
        if not self.on:
            return "off"
        if self._unwell_since is not None:
            return "withheld"
        return "armed" if self.switch.fuses else "idle"

    async def renew(self) -> None:
        """Make the calls that are due, unless we are not well; checked again before each call."""
        for call in self.switch.due(self.resting(), now=self._now()):
            if not self._well():
                return
            await self._make(call)
        self._well()

    async def leave(self, *, keep_orders: bool) -> None:
        """Orderly end: a successor finds the countdowns running and renews them; if none comes, they fire.

        Where the orders are to be kept all are stopped at once, as often as it takes and there is time for,
        and that none is left is said: whoever asked must not take silence for it.
        """
        if not self.on:
            return
        had = sorted(self.switch.fuses)
        if keep_orders:
            with suppress(TimeoutError):
                async with asyncio.timeout(LEAVE_S):
                    await self._stop_all()
        if self.switch.fuses:
            last = max(fuse.over_at for fuse in self.switch.fuses.values())
            log.log(
                logging.ERROR if keep_orders else logging.WARNING,
                names.LEFT_ARMED,
                symbols=sorted(self.switch.fuses),
                seconds=max(0, (last - self._now()) // 1000),
                meaning="unless a streamer starts in time, the exchange cancels all orders there",
            )
        elif keep_orders and not self.inherited:
            log.error(
                names.LEFT_ARMED,
                symbols=[],
                meaning="the countdowns of the life before may still run; this one has not taken them over",
            )
        elif keep_orders:
            # At a level that no setting hides: it is the proof that `pms down --keep-orders` asks for.
            log.error(names.DEAD_MAN_STOPPED, symbols=had)

    async def _stop_all(self) -> None:
        while self.switch.fuses:
            await asyncio.gather(*(self._make(Call(symbol, 0)) for symbol in self.switch.fuses))
            if self.switch.fuses:
                await self.sleep(STOP_AGAIN_S)

    async def _make(self, call: Call) -> None:
        sent_at = self._now()
        try:
            await self.client.countdown_cancel_all(call.symbol, call.countdown_ms)
        except ExchangeError as error:
            log.warning("countdown_not_set", symbol=call.symbol, ms=call.countdown_ms, error=str(error))
            self.switch.failed(call, now=self._now())
        except asyncio.CancelledError:
            self.switch.failed(call, now=self._now())
            raise
        else:
            self.switch.done(call, sent_at=sent_at)

    def _well(self) -> bool:
        """Whether to go on; one that lasts until orders are about to be cancelled is an incident."""
        reason, now = self.unwell(), self._now()
        if reason is None:
            self._unwell_since, self._alarmed = None, False
            return True
        if self._unwell_since is None:
            self._unwell_since = now
            log.warning("dead_man_withheld", reason=reason)
        if not self._alarmed and now - self._unwell_since > self.switch.countdown_ms // 2:
            self._alarmed = True
            self.alarm(f"{reason}: the exchange will cancel the orders in {', '.join(self.switch.fuses)}")
        return False

    async def _for_ever(self) -> None:
        while True:
            await self.sleep(3600)

    def _now(self) -> int:
        return int(self.monotonic() * 1000)
