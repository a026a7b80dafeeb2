"""Cross margin of one account (Binance support FAQ: initial margin, order cost, available balance)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from pms.venue.account import Account, Exposure
from pms.venue.brackets import brackets_of, maintenance_margin
from pms.venue.ledger import unrealized
from pms.venue.market import Market
from pms.venue.state import ZERO, Position

# An open sell is valued at least this far above the last price (FAQ text of 2026).
SELL_PREMIUM = Decimal("1.0015")


@dataclass(frozen=True, slots=True)
class SymbolMargin:
    """One symbol's part of an account's margin, in the quote asset."""

    notional: Decimal
    unrealized: Decimal
    position: Decimal
    orders: Decimal
    maintenance: Decimal

    @property
    def initial(self) -> Decimal:
        """Position and open orders together."""
        return self.position + self.orders


@dataclass(frozen=True, slots=True)
class AccountMargin:
    """An account's totals."""

    wallet: Decimal
    symbols: Mapping[str, SymbolMargin]

    @property
    def unrealized(self) -> Decimal:
        """Σ unrealized profit."""
        return sum((each.unrealized for each in self.symbols.values()), ZERO)

    @property
    def position_margin(self) -> Decimal:
        """Σ initial margin of positions."""
        return sum((each.position for each in self.symbols.values()), ZERO)

    @property
    def order_margin(self) -> Decimal:
        """Σ initial margin of open orders."""
        return sum((each.orders for each in self.symbols.values()), ZERO)

    @property
    def maintenance(self) -> Decimal:
        """Σ maintenance margin."""
        return sum((each.maintenance for each in self.symbols.values()), ZERO)

    @property
    def free(self) -> Decimal:
        """What is left for new margin; negative when there is too little."""
        return self.wallet + self.unrealized - self.position_margin - self.order_margin

    @property
    def available(self) -> Decimal:
        """availableBalance: never below zero."""
        return max(ZERO, self.free)


def required(held: Decimal, *, bids: Decimal, asks: Decimal, leverage: int) -> Decimal:
    """Initial margin of a one-way position with its open orders: the worse of the two sides filling."""
    return max(abs(held + bids), abs(held - asks)) / leverage


def symbol_margin(position: Position, exposure: Exposure | None, market: Market) -> SymbolMargin:
    """Margin of one symbol at its mark price."""
    symbol = market.symbol
    mark = market.mark
    held = mark * symbol.step * position.lots
    bids, asks = (exposure.bids, exposure.asks) if exposure is not None else (ZERO, ZERO)
    of_position = abs(held) / position.leverage
    return SymbolMargin(
        notional=held,
        unrealized=unrealized(position, mark=mark, step=symbol.step),
        position=of_position,
        orders=required(held, bids=bids, asks=asks, leverage=position.leverage) - of_position,
        maintenance=maintenance_margin(symbol.name, abs(held)),
    )


def account_margin(account: Account, markets: Mapping[str, Market]) -> AccountMargin:
    """Margin of all symbols the account has a position or open orders in."""
    return AccountMargin(
        wallet=account.wallet.balance,
        symbols={
            name: symbol_margin(position, account.exposures.get(name), markets[name])
            for name, position in account.positions.items()
            if (position.lots or account.open.get(name)) and name in markets
        },
    )


def assumed_price(market: Market, side: int, price: Decimal) -> Decimal:
    """The price an open order's margin is held at."""
    if side > 0:
        return price
    return max(market.last * SELL_PREMIUM, market.mark, price)


def open_loss(market: Market, side: int, price: Decimal, quantity: Decimal) -> Decimal:
    """What an order loses against the mark the moment it fills."""
    return quantity * abs(min(ZERO, side * (market.mark - price)))


def liquidation_price(account: AccountMargin, position: Position, market: Market) -> Decimal | None:
    """The mark at which this position, others unchanged, eats the margin; None when there is none above 0.

    The bracket is the one that holds the notional at the very price it gives (support FAQ formula).
    """
    if position.lots == 0:
        return None
    name = market.symbol.name
    side = 1 if position.lots > 0 else -1
    quantity = abs(position.lots) * market.symbol.step
    others = [each for symbol, each in account.symbols.items() if symbol != name]
    free = account.wallet + sum((each.unrealized - each.maintenance for each in others), ZERO)
    for bracket in brackets_of(name):
        equity = free + bracket.cum - side * quantity * position.entry
        price = equity / (quantity * bracket.ratio - side * quantity)
        if bracket.floor < price * quantity <= bracket.cap:
            return price
    return None
