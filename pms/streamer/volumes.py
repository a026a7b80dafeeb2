"""Volumes that algos go by: of the past before one starts, and of the present while one takes part in it.

What cannot be read is missing: a start is refused for want of it, and one that takes part waits. Volumes
only ever come late, never too large: so an algo does less than it might, not more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from pms.binance.client import ExchangeClient
from pms.binance.errors import ExchangeError
from pms.contract.algo_commands import Twap
from pms.contract.commands import Command
from pms.domain.algos.algo import Algo
from pms.domain.algos.volumes import MINUTE_MS, TradedVolumes, day_volumes
from pms.domain.desk import Desk
from pms.flows.volume_history import traded_since, volume_history

log = structlog.get_logger()
FRESH_MS = 3_600_000
GAP_MS = 86_400_000
"""Nobody who takes part was not asked after for so long."""

POLL_S = 5.0
"""A poll of one symbol weighs one: twelve of the minute's 2400."""


@dataclass(slots=True)
class Volumes:
    """Keeps the desk's volumes for those symbols that somebody asks for."""

    desk: Desk
    client: ExchangeClient
    now_ms: Callable[[], int]
    #: the clock that algos start by
    sleep: Callable[[float], Awaitable[None]]
    ask: Callable[[str], None]
    #: ask an algo, by its id: there is more that it may take part in
    _read_at: dict[tuple[str, int], int] = field(default_factory=dict)

    async def prepare(self, command: Command) -> None:
        """Read what a command is decided by."""
        if not isinstance(command, Twap) or command.symbol not in self.desk.instruments:
            return
        try:
            if command.profile == "volume":
                await self._read_days(command.symbol, command.profile_days)
            elif command.profile == "participation":
                await self._read_on(command.symbol, self.now_ms())
        except ExchangeError as error:
            log.warning("volumes_not_read", symbol=command.symbol, error=str(error))

    async def run(self) -> None:
        """Read on for those that take part, for ever."""
        while True:
            await self.sleep(POLL_S)
            await self.poll()

    async def poll(self) -> None:
        """Read what traded in the symbols in which an algo takes part, and ask those algos."""
        taking: dict[str, list[Algo]] = {}
        for algo in self.desk.algos.running():
            if isinstance(algo.terms, Twap) and algo.terms.profile == "participation":
                taking.setdefault(algo.symbol, []).append(algo)
        for symbol, algos in taking.items():
            try:
                await self._read_on(symbol, min(algo.started_at for algo in algos))
            except ExchangeError as error:
                log.warning("volumes_not_read", symbol=symbol, error=str(error))
                continue
            for algo in algos:
                self.ask(algo.id)

    async def _read_days(self, symbol: str, days: int) -> None:
        subject, now = (symbol, days), self.now_ms()
        if now - self._read_at.get(subject, 0) < FRESH_MS:
            return
        found = day_volumes(await volume_history(self.client, symbol, days=days))
        if found is not None:
            self.desk.volumes[subject] = found
            self._read_at[subject] = now

    async def _read_on(self, symbol: str, since: int) -> None:
        """Bars from a time on, or from the last one that is known, if that one is later."""
        known = self.desk.traded.get(symbol)
        newest = None if known is None else known.newest
        start = since - since % MINUTE_MS
        if known is not None and newest is not None and (start in known.bars or newest < start):
            # From the one that was not over: nobody's minutes may have a gap.
            start = max(newest, start - GAP_MS)
        at = self.now_ms()
        bars = await traded_since(self.client, symbol, start)
        self.desk.traded.setdefault(symbol, TradedVolumes()).take(bars, at=at)
