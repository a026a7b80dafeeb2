"""What an algo must know of the past before it starts: read once an hour, before its command is decided."""

from __future__ import annotations

from dataclasses import dataclass, field

import structlog

from pms.binance.client import ExchangeClient
from pms.binance.errors import ExchangeError
from pms.contract.algo_commands import Twap
from pms.contract.commands import Command
from pms.domain.algos.volumes import day_volumes
from pms.domain.desk import Desk
from pms.flows.volume_history import volume_history

log = structlog.get_logger()
FRESH_MS = 3_600_000


@dataclass(slots=True)
class Volumes:
    """Keeps the desk's volumes by minute of the day for those symbols that somebody asks for."""

    desk: Desk
    client: ExchangeClient
    _read_at: dict[tuple[str, int], int] = field(default_factory=dict)

    async def prepare(self, command: Command) -> None:
        """Read what a command needs. What cannot be read is missing: the decision refuses it."""
        if not isinstance(command, Twap) or command.profile != "volume":
            return
        if command.symbol not in self.desk.instruments:
            return
        subject, now = (command.symbol, command.profile_days), self.client.exchange_now_ms()
        if now - self._read_at.get(subject, 0) < FRESH_MS:
            return
        try:
            bars = await volume_history(self.client, command.symbol, days=command.profile_days)
        except ExchangeError as error:
            log.warning("volumes_not_read", symbol=command.symbol, error=str(error))
            return
        found = day_volumes(bars)
        if found is not None:
            self.desk.volumes[subject] = found
            self._read_at[subject] = now
