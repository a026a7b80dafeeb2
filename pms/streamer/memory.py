"""How full Redis is: its last quarter is kept for fills, which can be neither refused nor put off.

Half full closes admission, three quarters stop algos. Each opens again a little below, so that a
level that trembles at the limit does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

CLOSES_ADMISSION = Decimal("0.50")
STOPS_ALGOS = Decimal("0.75")
SLACK = Decimal("0.03")


@dataclass(slots=True)
class Memory:
    """The level as it was told last; a server without `maxmemory` has none."""

    level: Decimal = Decimal(0)
    admission_closed: bool = False
    algos_stopped: bool = False

    def take(self, info: dict[str, Any]) -> None:
        """Take what INFO memory tells."""
        most = int(info.get("maxmemory", 0))
        self.level = Decimal(int(info["used_memory"])) / most if most else Decimal(0)
        self.admission_closed = self._beyond(CLOSES_ADMISSION, was=self.admission_closed)
        self.algos_stopped = self._beyond(STOPS_ALGOS, was=self.algos_stopped)

    def reason(self) -> str | None:
        """Why admission must be closed, or None."""
        if not self.admission_closed:
            return None
        return f"Redis memory is {self.level:.0%} full, the limit is {CLOSES_ADMISSION:.0%}"

    def _beyond(self, limit: Decimal, *, was: bool) -> bool:
        return self.level >= (limit - SLACK if was else limit)
