"""The watch over all accounts: after a tick it looks at those whom the tick may concern, and at no other.

Trap: whoever is due must be judged, or it is not watched any more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pms.contract.names import HOUSE, INSURANCE
from pms.domain.bounds import bounds
from pms.domain.desk import Desk
from pms.domain.liquidation import liquidate
from pms.domain.posting import Posting
from pms.domain.tiers import Tier, Tiers
from pms.domain.triggers import SymbolTriggers
from pms.domain.weighing import Weighed, blocked, weigh_account

NEVER = frozenset({HOUSE, INSURANCE})
"""The house is liquidated by the exchange alone, and the insurance holds money only."""


@dataclass(slots=True)
class RiskWatch:
    """Who waits for which prices, and who waits for a price that may be acted on."""

    desk: Desk
    tiers_of: Callable[[str], Tiers]
    triggers: dict[str, SymbolTriggers] = field(default_factory=dict)
    #: by symbol
    waiting: dict[str, set[str]] = field(default_factory=dict)
    #: by symbol, accounts to be looked at with its next tick
    _symbols: dict[str, tuple[str, ...]] = field(default_factory=dict)
    #: by account, where it waits

    def begin(self) -> None:
        """Watch all accounts from here on; each is weighed once."""
        self.desk.unweighed.update(account for account, held in self.desk.held.items() if held)

    def due(self, symbol: str) -> list[str]:
        """The accounts to be looked at after a tick of a symbol, and those that changed since the last."""
        found = set(self.waiting.pop(symbol, ()))
        triggers = self.triggers.get(symbol)
        if triggers is not None:
            found.update(triggers.due(self.desk.last_tops[symbol].mid))
        if self.desk.unweighed:
            found |= self.desk.unweighed
            self.desk.unweighed.clear()
        found -= NEVER
        return sorted(found) if len(found) > 1 else list(found)

    def judge(self, account: str, *, now: int) -> Posting | str | None:
        """Weigh an account, do what its weight asks for, and let it wait anew.

        Returns what was done, or why nothing could be done yet: then it is due with each tick of its symbols.
        """
        weighed, tiers = weigh_account(self.desk, account), self.tiers_of(account)
        tier = Tier(self.desk.accounts[account].tier)
        if tiers.standing(weighed.weight, tier) is tier:
            self._wait(account, weighed, tiers)
            return None
        reasons = (blocked(self.desk, exposure.symbol, now=now) for exposure in weighed.exposures)
        reason = next((each for each in reasons if each is not None), None)
        if reason is not None:
            self._wait(account, weighed, tiers)
            for exposure in weighed.exposures:
                self.waiting.setdefault(exposure.symbol, set()).add(account)
            return reason
        posting = liquidate(self.desk, account, weighed, tiers, now=now)
        self._wait(account, weigh_account(self.desk, account), tiers)
        return posting

    def _wait(self, account: str, weighed: Weighed, tiers: Tiers) -> None:
        """Let an account wait for the prices at which it will be in another tier."""
        tier = Tier(self.desk.accounts[account].tier)
        found = bounds(
            weighed.exposures,
            weighed.prices,
            weighed.weight,
            worse=tiers.worse(tier),
            better=tiers.better(tier),
        )
        for symbol in self._symbols.pop(account, ()):
            if symbol not in found:
                self.triggers[symbol].drop(account)
        for symbol, between in found.items():
            self.triggers.setdefault(symbol, SymbolTriggers()).put(account, between)
        if found:
            self._symbols[account] = tuple(found)
