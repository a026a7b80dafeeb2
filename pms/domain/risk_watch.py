"""The watch over all accounts: after a tick it looks at those whom the tick may concern, and at no other.

Trap: whoever is due must be judged, or it is not watched any more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from pms.contract.names import HOUSE, INSURANCE
from pms.domain.bounds import bounds
from pms.domain.desk import Desk
from pms.domain.liquidation import due, liquidate
from pms.domain.posting import Posting
from pms.domain.tiers import Tier, Tiers
from pms.domain.triggers import Between, SymbolTriggers
from pms.domain.weighing import Weighed, blocked, weigh_account, without_price

NEVER = frozenset({HOUSE, INSURANCE})
"""The house is liquidated by the exchange alone, and the insurance holds money only."""

NOBODY = Between(Decimal(0), Decimal("Infinity"))


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
    _calm: dict[str, Between] = field(default_factory=dict)
    #: by symbol, the prices between which nobody is due

    def begin(self) -> None:
        """Watch all accounts from here on; each is weighed once.

        So is one that holds nothing and stands in a tier: it may have closed all just before the last life
        ended, and no tick would ever concern it.
        """
        desk = self.desk
        desk.unweighed.update(
            account for account, holder in desk.accounts.items() if holder.tier or desk.held.get(account)
        )

    def due(self, symbol: str, mid: Decimal) -> list[str]:
        """The accounts to be looked at now that a symbol is at this mid, and those that changed meanwhile.

        Nearly always nobody: then it costs two comparisons.
        """
        low, high = self._calm.get(symbol, NOBODY)
        if low < mid < high and not self.desk.unweighed and not self.waiting:
            return []
        found = set(self.waiting.pop(symbol, ()))
        triggers = self.triggers.get(symbol)
        if triggers is not None:
            found.update(triggers.due(mid))
            self._calm[symbol] = triggers.nearest
        found |= self.desk.unweighed
        self.desk.unweighed.clear()
        return sorted(found - NEVER)

    def judge(self, account: str, *, now: int) -> Posting | str | None:
        """Weigh an account, do what its weight asks for, and let it wait anew.

        Returns what was done, or why nothing could be done yet: then it is due with each tick of its symbols.
        """
        weighed, tiers = weigh_account(self.desk, account), self.tiers_of(account)
        if not due(self.desk, account, weighed.weight, tiers):
            self._wait(account, weighed, tiers)
            return None
        symbols = {exposure.symbol: None for exposure in weighed.exposures}
        priced = [symbol for symbol in symbols if not without_price(self.desk, symbol)]
        judged = priced or list(symbols)
        reasons = (blocked(self.desk, symbol, now=now) for symbol in judged)
        reason = next((each for each in reasons if each is not None), None)
        if reason is not None:
            self._wait(account, weighed, tiers)
            for symbol in judged:
                self.waiting.setdefault(symbol, set()).add(account)
            return reason
        posting = liquidate(self.desk, account, weighed, tiers, now=now)
        self._wait(account, weigh_account(self.desk, account), tiers)
        return posting

    def _wait(self, account: str, weighed: Weighed, tiers: Tiers) -> None:
        """Let an account wait for the prices at which it will be in another tier."""
        holder = self.desk.accounts[account]
        tier = Tier(holder.tier)
        found = bounds(
            weighed.exposures,
            weighed.prices,
            weighed.weight,
            worse=None if holder.closing == Tier.TAKEOVER else tiers.worse(tier),
            better=None if holder.closing else tiers.better(tier),
        )
        for symbol in self._symbols.pop(account, ()):
            if symbol not in found:
                self.triggers[symbol].drop(account)
        for symbol, between in found.items():
            triggers = self.triggers.get(symbol)
            if triggers is None:
                triggers = self.triggers[symbol] = SymbolTriggers()
            triggers.put(account, between)
            self._calm[symbol] = triggers.nearest
        if found:
            self._symbols[account] = tuple(found)
