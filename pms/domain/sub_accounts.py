"""A sub-account as it is remembered."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from pms.contract.journal import SubAccountRow
from pms.contract.limits import DEFAULT_GROUP
from pms.contract.names import BOTH, HOUSE, LONG, SHORT

ZERO = Decimal(0)


@dataclass(slots=True)
class SubAccount:
    """A virtual account; its balance is always the sum of its ledger entries."""

    id: str
    label: str = ""
    status: str = "ACTIVE"
    balance: Decimal = ZERO
    created_at: int = 0
    group: str = DEFAULT_GROUP
    tier: int = 0
    #: of its liquidation; 0 is none
    open_orders: int = 0
    hedge: bool = False
    closing: int = 0
    #: the tier of a liquidation at market that is under way; 0 is none

    @property
    def sides(self) -> tuple[str, ...]:
        """The positions that it can have in a symbol."""
        return (LONG, SHORT) if self.hedge else (BOTH,)

    def row(self) -> SubAccountRow:
        return SubAccountRow(
            id=self.id,
            label=self.label,
            status=self.status,
            balance=self.balance,
            created_at=self.created_at,
            group=self.group,
            tier=self.tier,
            hedge=self.hedge,
            closing=self.closing,
        )


def tag(account: str) -> str:
    """The eight characters by which an account's orders are known at the exchange."""
    return account[:8]


def house() -> SubAccount:
    """The account that owns whatever no other owns."""
    return SubAccount(id=HOUSE, label="the house")
