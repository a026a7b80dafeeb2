"""Cross margin of one account (Binance support FAQ: initial margin, order cost, available balance)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import product

from pms.venue.account import Account
from pms.venue.brackets import brackets_of, maintenance_margin
from pms.venue.ledger import unrealized
from pms.venue.leg import Leg
from pms.venue.market import Market
from pms.venue.state import ZERO

# An open sell is valued at least this far above the last price (FAQ text of 2026).
SELL_PREMIUM = Decimal("1.0015")


@dataclass(frozen=True, slots=True)
class LegMargin:
    """One position's part of an account's margin, with its open orders, in the quote asset."""

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
    # By symbol and position side: the live ones
    legs: Mapping[tuple[str, str], LegMargin]

    @property
    def unrealized(self) -> Decimal:
        """Σ unrealized profit."""
        return sum((each.unrealized for each in self.legs.values()), ZERO)

    @property
    def position_margin(self) -> Decimal:
        """Σ initial margin of positions."""
        return sum((each.position for each in self.legs.values()), ZERO)

    @property
    def order_margin(self) -> Decimal:
        """Σ initial margin of open orders."""
        return sum((each.orders for each in self.legs.values()), ZERO)

    @property
    def maintenance(self) -> Decimal:
        """Σ maintenance margin."""
        return sum((each.maintenance for each in self.legs.values()), ZERO)

    @property
    def free(self) -> Decimal:
        """What is left for new margin; negative when there is too little."""
        return self.wallet + self.unrealized - self.position_margin - self.order_margin

    @property
    def available(self) -> Decimal:
        """availableBalance: never below zero."""
        return max(ZERO, self.free)


def required(held: Decimal, *, bids: Decimal, asks: Decimal, leverage: int) -> Decimal:
    """Initial margin of a position with its open orders: the worse of the two sides filling.

    Of a hedged position only the side that opens it bears margin, so that is position and orders together.
    """
    return max(abs(held + bids), abs(held - asks)) / leverage


def leg_margin(leg: Leg, market: Market) -> LegMargin:
    """Margin of one position and its orders at the mark price."""
    symbol, position, exposure = market.symbol, leg.position, leg.exposure
    mark = market.mark
    held = mark * symbol.step * position.lots
    of_position = abs(held) / position.leverage
    needed = required(held, bids=exposure.bids, asks=exposure.asks, leverage=position.leverage)
    return LegMargin(
        notional=held,
        unrealized=unrealized(position, mark=mark, step=symbol.step),
        position=of_position,
        orders=needed - of_position,
        maintenance=maintenance_margin(symbol.name, abs(held)),
    )


def account_margin(account: Account, markets: Mapping[str, Market]) -> AccountMargin:
    """Margin of all that the account holds or has open orders for."""
    return AccountMargin(
        wallet=account.wallet.balance,
        legs={
            (name, side): leg_margin(leg, markets[name])
            for name, legs in account.legs.items()
            if name in markets
            for side, leg in legs.items()
            if leg.live
        },
    )


def margin_for_leverage(account: Account, market: Market, leverage: int) -> Decimal:
    """How much more initial margin a symbol takes with another leverage; below zero where it takes less."""
    per_mark = market.mark * market.symbol.step
    borne = sum(
        (
            required(per_mark * leg.position.lots, bids=leg.exposure.bids, asks=leg.exposure.asks, leverage=1)
            for leg in account.legs[market.symbol.name].values()
        ),
        ZERO,
    )
    return borne / leverage - borne / account.leverage(market.symbol.name)


def assumed_price(market: Market, side: int, price: Decimal) -> Decimal:
    """The price an open order's margin is held at."""
    if side > 0:
        return price
    return max(market.last * SELL_PREMIUM, market.mark, price)


def open_loss(market: Market, side: int, price: Decimal, quantity: Decimal) -> Decimal:
    """What an order loses against the mark the moment it fills."""
    return quantity * abs(min(ZERO, side * (market.mark - price)))


def liquidation_price(account: Account, margin: AccountMargin, market: Market) -> Decimal | None:
    """The mark at which a symbol's positions, others unchanged, eat the margin; None without one above 0.

    The brackets are those that hold the notionals at the very price they give; a long and a short one side
    by side share the price (support FAQ formula). Of two such prices it is the one nearer to the mark.
    """
    name, step = market.symbol.name, market.symbol.step
    held = [leg.position for leg in account.legs.get(name, {}).values() if leg.position.lots]
    others = (each for (symbol, _), each in margin.legs.items() if symbol != name)
    free = margin.wallet + sum((each.unrealized - each.maintenance for each in others), ZERO)
    free -= sum((step * each.lots * each.entry for each in held), ZERO)
    sizes = [step * abs(each.lots) for each in held]
    net = sum((step * each.lots for each in held), ZERO)
    found: list[Decimal] = []
    for brackets in product(brackets_of(name), repeat=len(held)):
        weighed = list(zip(brackets, sizes, strict=True))
        slope = sum((each.ratio * size for each, size in weighed), ZERO) - net
        if not slope:
            continue
        price = (free + sum((each.cum for each in brackets), ZERO)) / slope
        if all(each.floor < price * size <= each.cap for each, size in weighed):
            found.append(price)
    return min(found, key=lambda price: abs(price - market.mark), default=None)
