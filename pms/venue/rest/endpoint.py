"""What one REST endpoint is: its security, its weight, and the plain function that answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from pms.venue import errors
from pms.venue.account import Account
from pms.venue.params import Params
from pms.venue.venue import Venue


class Security(Enum):
    """What a request must prove."""

    NONE = "none"
    KEY = "key"
    SIGNED = "signed"


@dataclass(frozen=True, slots=True)
class Call:
    """One request that passed its security check."""

    venue: Venue
    params: Params
    _account: Account | None = None
    # By how much the clock is wrong that the caller is shown
    skew_ms: int = 0

    @property
    def account(self) -> Account:
        """The account that asks. Trap: only where the endpoint demands a key."""
        if self._account is None:
            raise errors.refusal(-2014)
        return self._account

    def with_params(self, params: Params) -> Call:
        """The same caller with the parameters of one element."""
        return Call(self.venue, params, self._account)


Handler = Callable[[Call], Any]
Weight = int | Callable[[Params], int]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One row of the endpoint table."""

    method: str
    path: str
    handler: Handler
    security: Security = Security.SIGNED
    weight: Weight = 1
    orders: tuple[int, int] = (0, 0)
    """What it counts against the order limits of ten seconds and of a minute."""

    @property
    def trades(self) -> bool:
        """Whether it changes something, which a key must be allowed to (TRADE, not USER_DATA)."""
        return self.security is Security.SIGNED and self.method != "GET"

    def weigh(self, params: Params) -> int:
        """The weight of one request."""
        return self.weight if isinstance(self.weight, int) else self.weight(params)


def by_symbol(one: int, every: int) -> Callable[[Params], int]:
    """A weight that depends on whether a symbol is given."""
    return lambda params: one if params.sent("symbol") else every
