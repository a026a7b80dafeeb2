"""Conservation: what all sub-accounts and the house hold is what the exchange says it holds.

Per symbol the positions, in the wallet the balances. Trades in flight make a difference for a
moment, so only one that lasts is an incident; it is repaired by evidence or by an operator.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from pms.contract.money import plain
from pms.domain.desk import Desk
from pms.streamer.engine import Engine, Venue

ZERO = Decimal(0)
DRIFT = "drift"


@dataclass(slots=True)
class Conservation:
    """Watches the sums; a difference that has lasted is an incident until it is gone."""

    lasting_ms: int = 3000
    _since: dict[str, tuple[Decimal, int]] = field(default_factory=dict)

    def check(self, engine: Engine, *, now: int) -> None:
        """Tell the differences that have lasted, and the end of those told."""
        found = differences(engine.desk, engine.venue)
        if not found:
            return
        for row in engine.desk.incidents.of_kind(DRIFT):
            if not found.get(row.subject):
                engine.settle_incident(DRIFT, row.subject, "our sum and the exchange's agree again")
        for name, difference in found.items():
            if not difference:
                self._since.pop(name, None)
                continue
            seen, since = self._since.get(name, (None, now))
            if seen != difference:
                self._since[name] = (difference, now)
            elif now - since >= self.lasting_ms:
                engine.raise_incident(
                    DRIFT,
                    "critical",
                    f"{name}: ours less the exchange's is {plain(difference)}",
                    subject=name,
                    evidence={"difference": plain(difference), "since": since},
                )


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
