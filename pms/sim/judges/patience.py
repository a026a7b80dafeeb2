"""How long what differs once all is quiet may go on to differ: by whose word it can still become right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pms.sim.judges import income
from pms.sim.judges.algos_settled import COUNTED
from pms.sim.judges.answers import TRUE
from pms.sim.judges.invariants import Violation
from pms.sim.judges.shown import SHOWN

STILL_S: Final = 3.0
"""A difference that lasts so long is one: the market goes on, and a trade of this moment is not heard yet."""

HEALED_S: Final = 22.0
"""So long after the last fault a lost word may take to be found: cursors are proven every 15 s."""

READ_S: Final = 66.0
"""So long a lost word of money may take, where nothing moves behind it: each minute the wallets are read."""

OURS: Final = frozenset(
    (
        "journal = memory",
        "journal = database",
        "margin of live orders",
        "projections",
        TRUE,
        COUNTED,
        SHOWN,
    )
)
"""We against ourselves: no word of the exchange is missing there, and none makes it right."""


@dataclass(slots=True)
class Patience:
    """Watches one difference at a time; another one, or none, begins anew."""

    calm_s: float
    """Nothing goes wrong from then on."""

    _which: tuple[str, tuple[str, ...]] | None = None
    _since: float = 0.0

    def over(self, wrong: Violation | None, *, now: float) -> bool:
        """Whether what is wrong has lasted, and nothing can be awaited any more that would heal it."""
        if wrong is None:
            self._which = None
            return False
        which = wrong.invariant, wrong.subjects
        if which != self._which:
            self._which, self._since = which, now
        return now > max(self.calm_s + _healing_s(wrong.invariant), self._since + STILL_S)


def _healing_s(invariant: str) -> float:
    if invariant in OURS:
        return 0.0
    return READ_S if invariant in income.SELDOM else HEALED_S
