"""What an order must pass before it meets the book: filters, duplicates, reduce-only, margin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from pms.venue import errors
from pms.venue.account import Account
from pms.venue.brackets import max_notional
from pms.venue.leg import Leg
from pms.venue.margin import account_margin, assumed_price, open_loss, required
from pms.venue.market import Market
from pms.venue.matching import NotReducing, PriceMatch, SelfTrade, TimeInForce, TooMuchReducing
from pms.venue.position_mode import check_fits, closes
from pms.venue.state import BOTH, ZERO, Order, Origin


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An order as asked for: whole ticks and lots, filters of form already passed."""

    symbol: str
    side: int
    type: str
    time_in_force: TimeInForce
    lots: int
    price: int
    reduce_only: bool
    client_order_id: str
    self_trade: SelfTrade
    origin: Origin | None = None
    # Names the price in place of `price`, when the order arrives
    price_match: PriceMatch = PriceMatch.NONE
    # Milliseconds since the epoch at which a GTD order expires
    good_till: int = 0
    position_side: str = BOTH

    @property
    def reduces(self) -> bool:
        """Whether it may only reduce: it says so, or closes a hedged position."""
        return self.reduce_only or closes(self.position_side, self.side)

    def order(self, account: str, *, order_id: int, at: int, assumed: Decimal = ZERO) -> Order:
        """The order as it arrives; `assumed` is the price at which margin is held for it."""
        return Order(
            account=account,
            symbol=self.symbol,
            order_id=order_id,
            client_order_id=self.client_order_id,
            side=self.side,
            type=self.type,
            time_in_force=self.time_in_force.value,
            price=self.price,
            quantity=self.lots,
            reduce_only=self.reduces,
            self_trade=self.self_trade.value,
            created=at,
            updated=at,
            assumed=assumed,
            origin=self.origin,
            price_match=self.price_match.value,
            good_till=self.good_till,
            position_side=self.position_side,
        )


def check_new_order(
    account: Account, market: Market, new: NewOrder, markets: Mapping[str, Market]
) -> Decimal:
    """Raise the first refusal that applies; returns the price at which margin is held."""
    price = check_before_funds(account, market, new)
    return check_funds(
        account,
        market,
        account.leg(market.symbol.name, new.position_side),
        side=new.side,
        price=price,
        lots=new.lots,
        reduce_only=new.reduces,
        markets=markets,
    )


def check_before_funds(account: Account, market: Market, new: NewOrder) -> Decimal:
    """All that is refused whatever the account holds; returns the price that the order is reckoned at."""
    symbol = market.symbol
    if symbol.status != "TRADING":
        raise errors.refusal(-4140)
    check_fits(account, new.position_side)
    if new.client_order_id in account.names:
        raise errors.refusal(-4116)
    if len(account.open[symbol.name]) >= symbol.max_orders:
        raise errors.refusal(-2025)
    price = _reference_price(market, new)
    if not new.reduces:
        symbol.check_notional(market.mark if new.type == "MARKET" else price, new.lots)
    return price


def _reference_price(market: Market, new: NewOrder) -> Decimal:
    """The limit price after PERCENT_PRICE, or the price a market order would meet first."""
    symbol = market.symbol
    if new.type == "LIMIT":
        symbol.check_percent_price(new.side, new.price, market.mark)
        return symbol.price(new.price)
    best = market.book.opposite(new.side).best
    if best is None:
        return market.mark
    if (best.price - market_order_limit(market, new.side)) * new.side > 0:
        raise errors.refusal(-4131)
    return symbol.price(best.price)


def market_order_limit(market: Market, side: int) -> int:
    """The furthest a market order may go: marketTakeBound around the mark, in ticks."""
    bound = market.symbol.market_take_bound
    edge = market.mark * (1 + bound if side > 0 else 1 - bound)
    ticks = market.symbol.nearest_ticks(edge)
    return ticks if side > 0 else max(1, ticks + 1)


def check_funds(
    account: Account,
    market: Market,
    leg: Leg,
    *,
    side: int,
    price: Decimal,
    lots: int,
    reduce_only: bool,
    markets: Mapping[str, Market],
    replaced: Order | None = None,
) -> Decimal:
    """Reduce-only, position limit and margin; `replaced` is an open order that this one takes over from."""
    if reduce_only:
        _check_reduces(leg, market, side=side, lots=lots, replaced=replaced)
        return ZERO
    assumed = assumed_price(market, side, price)
    step = market.symbol.step
    position, exposure = leg.position, leg.exposure
    bids, asks = exposure.bids, exposure.asks
    if replaced is not None:
        freed = replaced.assumed * step * replaced.remaining
        bids, asks = (bids - freed, asks) if side > 0 else (bids, asks - freed)
    added = assumed * step * lots
    new_bids, new_asks = (bids + added, asks) if side > 0 else (bids, asks + added)
    leverage = position.leverage
    notional = market.mark * step * position.lots
    after = required(notional, bids=new_bids, asks=new_asks, leverage=leverage)
    before = required(notional, bids=exposure.bids, asks=exposure.asks, leverage=leverage)
    if after <= before:
        return assumed
    if after * leverage > max_notional(market.symbol.name, leverage):
        raise errors.refusal(-2027)
    cost = after - before + open_loss(market, side, price, step * lots)
    if cost > account_margin(account, markets).free:
        raise errors.refusal(-2019)
    return assumed


def _check_reduces(leg: Leg, market: Market, *, side: int, lots: int, replaced: Order | None) -> None:
    try:
        leg.seat.check_reduces(
            side, lots, replaced=market.book.orders[replaced.order_id] if replaced is not None else None
        )
    except NotReducing:
        raise errors.refusal(-2022) from None
    except TooMuchReducing:
        raise errors.refusal(-4118) from None
