"""What is held, valued exactly: accounts, groups of them, and the net that the exchange sees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from pms.contract.names import HOUSE
from pms.domain.positions import Position
from pms.risk.maintenance import Ladders, ladder_of

ZERO = Decimal(0)
DESK = "desk"
Kind = Literal["account", "group", "desk"]
Prices = Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Account:
    """A sub-account as the ledger has it at one seq."""

    id: str
    balance: Decimal
    positions: tuple[Position, ...] = ()
    reserved: Decimal = ZERO
    #: margin that open orders hold back
    group: str = ""

    @property
    def is_house(self) -> bool:
        return self.id == HOUSE


@dataclass(frozen=True, slots=True)
class Held:
    """One symbol in a scope: signed quantity, and its value at the price, or at its cost without one."""

    quantity: Decimal
    exposure: Decimal


@dataclass(frozen=True, slots=True)
class Scope:
    """An account, a group or the desk, valued. `margin_used` None: the exchange's own is not ours to know."""

    kind: Kind
    name: str
    balance: Decimal
    unrealized: Decimal
    gross: Decimal
    margin_used: Decimal | None
    maintenance: Decimal
    held: Mapping[str, Held]

    @property
    def equity(self) -> Decimal:
        return self.balance + self.unrealized

    @property
    def net(self) -> Decimal:
        return sum((each.exposure for each in self.held.values()), ZERO)


def exposure_of(position: Position, prices: Prices) -> Decimal:
    """What a position is worth, signed; at its cost where there is no price."""
    price = prices.get(position.symbol)
    return position.cost if price is None else position.quantity * price


def value(account: Account, prices: Prices, ladders: Ladders) -> Scope:
    """Value one account."""
    unrealized = margin = gross = maintenance = ZERO
    held: dict[str, Held] = {}
    for position in account.positions:
        exposure = exposure_of(position, prices)
        unrealized += exposure - position.cost
        margin += position.margin
        gross += abs(exposure)
        maintenance += ladder_of(ladders, position.symbol).margin(abs(exposure))
        # A symbol may be held both ways: each leg has margin of its own, their prices move together.
        before = held.get(position.symbol)
        held[position.symbol] = (
            Held(position.quantity, exposure)
            if before is None
            else Held(before.quantity + position.quantity, before.exposure + exposure)
        )
    return Scope(
        kind="account",
        name=account.id,
        balance=account.balance,
        unrealized=unrealized,
        gross=gross,
        margin_used=account.reserved + margin,
        maintenance=maintenance,
        held=held,
    )


def pool(name: str, scopes: Iterable[Scope]) -> Scope:
    """A group: profits meet in it, margins do not, for each account answers for its own."""
    scopes = list(scopes)
    return Scope(
        kind="group",
        name=name,
        balance=sum((each.balance for each in scopes), ZERO),
        unrealized=sum((each.unrealized for each in scopes), ZERO),
        gross=sum((each.gross for each in scopes), ZERO),
        margin_used=sum((each.margin_used or ZERO for each in scopes), ZERO),
        maintenance=sum((each.maintenance for each in scopes), ZERO),
        held=_together(scopes),
    )


def net_of(scopes: Iterable[Scope], ladders: Ladders) -> Scope:
    """The desk as the exchange sees it: one account, one position a symbol, the house's part in it."""
    scopes = list(scopes)
    held = {symbol: each for symbol, each in _together(scopes).items() if each.quantity or each.exposure}
    return Scope(
        kind="desk",
        name=DESK,
        balance=sum((each.balance for each in scopes), ZERO),
        unrealized=sum((each.unrealized for each in scopes), ZERO),
        gross=sum((abs(each.exposure) for each in held.values()), ZERO),
        margin_used=None,
        maintenance=sum(
            (ladder_of(ladders, name).margin(abs(each.exposure)) for name, each in held.items()), ZERO
        ),
        held=held,
    )


def _together(scopes: Iterable[Scope]) -> dict[str, Held]:
    quantities: dict[str, Decimal] = {}
    exposures: dict[str, Decimal] = {}
    for scope in scopes:
        for symbol, each in scope.held.items():
            quantities[symbol] = quantities.get(symbol, ZERO) + each.quantity
            exposures[symbol] = exposures.get(symbol, ZERO) + each.exposure
    return {symbol: Held(quantities[symbol], exposures[symbol]) for symbol in sorted(quantities)}
