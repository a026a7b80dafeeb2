"""Conservation: what all sub-accounts and the house hold is what the exchange says it holds.

Per symbol the positions, in the wallet the balances. Trades in flight make a difference for a
moment, so only one that lasts is an incident; it is repaired by evidence or by an operator.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from pms.contract.money import plain
from pms.domain.desk import Desk
from pms.streamer.engine import Venue

ZERO = Decimal(0)


@dataclass(slots=True)
class Conservation:
    """Watches the sums; a difference is told once, when it has lasted."""

    lasting_ms: int = 3000
    _since: dict[str, tuple[Decimal, int]] = field(default_factory=dict)
    _told: dict[str, Decimal] = field(default_factory=dict)

    def check(self, desk: Desk, venue: Venue, *, now: int) -> list[str]:
        """The differences that have lasted and were not told before, as text."""
        found: list[str] = []
        for name, difference in differences(desk, venue).items():
            if not difference:
                self._since.pop(name, None)
                self._told.pop(name, None)
                continue
            seen, since = self._since.get(name, (None, now))
            if seen != difference:
                self._since[name] = (difference, now)
            elif now - since >= self.lasting_ms and self._told.get(name) != difference:
                self._told[name] = difference
                found.append(f"{name}: ours less the exchange's is {plain(difference)}")
        return found


def differences(desk: Desk, venue: Venue) -> dict[str, Decimal]:
    """Ours less the exchange's, per symbol and for the wallet; empty before the exchange has spoken."""
    if venue.wallet is None:
        return {}
    ours: dict[str, Decimal] = {}
    for held in desk.held.values():
        for position in held.values():
            ours[position.symbol] = ours.get(position.symbol, ZERO) + position.quantity
    found = {
        symbol: ours.get(symbol, ZERO) - venue.positions.get(symbol, ZERO)
        for symbol in ours.keys() | venue.positions.keys()
    }
    found["wallet"] = sum((account.balance for account in desk.accounts.values()), ZERO) - venue.wallet
    return found
