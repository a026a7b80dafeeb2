"""Whether PostgreSQL takes in what is journaled: told when it stands still, and closing nothing.

Orders, fills and money live in the journal and the archive; PostgreSQL is behind them and may be away for
hours. What asks it answers with the past meanwhile, and no state snapshot is made: somebody must know.
"""

from __future__ import annotations

from dataclasses import dataclass

from pms.streamer.engine import Engine

KIND, SUBJECT = "ledger_behind", "postgres"
IN_A_ROW = 60
"""Looks that must say the same, half a second each: counted, so that while nobody could look none passes."""


@dataclass(slots=True)
class LedgerLag:
    """Compares how far the ledger is with where it was at the last look."""

    _applied: int | None = None
    _still: int = 0

    def look(self, engine: Engine, applied: int) -> None:
        """Judge the ledger's last seq: it stands still while there is something to fold and it is not."""
        desk, before = engine.desk, self._applied
        self._applied = applied
        if applied >= desk.last_seq or before not in (None, applied):
            self._still = 0
            if desk.incidents.get(KIND, SUBJECT) is not None:
                engine.settle_incident(KIND, SUBJECT, "PostgreSQL takes in the journal again")
            return
        self._still += 1
        if self._still == IN_A_ROW:
            told = (
                f"PostgreSQL has taken in nothing behind entry {applied} for half a minute; trading goes on"
            )
            engine.raise_incident(KIND, "critical", told, subject=SUBJECT, evidence={"applied": applied})
