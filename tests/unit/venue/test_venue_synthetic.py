"""The made-up market: repeatable, two-sided, deep, and refilled after it was eaten."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pms.venue.background.synthetic import SyntheticMarket, start_price, take_step
from pms.venue.exchange import Exchange
from pms.venue.market import Market
from pms.venue.matching import BUY, SELL
from pms.venue.state import Fact
from pms.venue.symbols import SHIPPED, SymbolTable
from pms.venue.transaction import Print, Transaction

SYMBOLS = SymbolTable.load(SHIPPED)


class Recorder:
    """Keeps what the exchange journals and publishes."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.prints: list[Print] = []

    def append(self, facts: list[Fact]) -> None:
        self.facts += facts

    def publish(self, transaction: Transaction) -> None:
        self.prints += transaction.prints


def made(name: str, seed: int = 1) -> tuple[Exchange, SyntheticMarket, Recorder]:
    symbol = SYMBOLS[name]
    market = Market(symbol, start_price=start_price(symbol))
    recorder = Recorder()
    exchange = Exchange({name: market}, journal=recorder, publisher=recorder, clock=lambda: 1)
    return exchange, SyntheticMarket(market, seed), recorder


def best_levels(exchange: Exchange, name: str) -> list[tuple[int, int]]:
    book = exchange.markets[name].book
    return [(level.price, level.total) for side in (book.bids, book.asks) for level in side.top(5)]


def test_a_seed_repeats_its_run() -> None:
    runs = []
    for _ in range(2):
        exchange, synthetic, recorder = made("ETHUSDT")
        for _ in range(200):
            take_step(exchange, "ETHUSDT", synthetic)
        runs.append((best_levels(exchange, "ETHUSDT"), recorder.prints))
    assert runs[0] == runs[1]
    assert len(runs[0][1]) > 20


@pytest.mark.parametrize("name", sorted(SYMBOLS.by_name))
def test_both_sides_stay_deep_and_near_the_start(name: str) -> None:
    exchange, synthetic, _ = made(name)
    market = exchange.markets[name]
    start = market.symbol.price(market.last_price)
    for _ in range(400):
        take_step(exchange, name, synthetic)
        for side in (market.book.bids, market.book.asks):
            value = sum(market.symbol.notional(level.price, level.total) for level in side)
            assert value > 500_000
        bid, ask = market.book.bids.best, market.book.asks.best
        assert bid is not None
        assert ask is not None
        assert 0 < (ask.price - bid.price) / bid.price < Decimal("0.01")
    assert abs(market.mark / start - 1) < Decimal("0.05")


def test_what_was_taken_comes_back() -> None:
    exchange, synthetic, _ = made("BTCUSDT")
    take_step(exchange, "BTCUSDT", synthetic)
    for side in (BUY, SELL):
        exchange.background_order("BTCUSDT", side=side, lots=10**9, limit=None)
    book = exchange.markets["BTCUSDT"].book
    assert book.bids.best is None
    assert book.asks.best is None
    take_step(exchange, "BTCUSDT", synthetic)
    assert len(book.bids.levels) > 20
    assert len(book.asks.levels) > 20


def test_ids_come_in_journaled_blocks() -> None:
    exchange, synthetic, recorder = made("BTCUSDT")
    for _ in range(200):
        take_step(exchange, "BTCUSDT", synthetic)
    reserved = max(fact.trade_ids for fact in recorder.facts)  # type: ignore[union-attr]
    assert reserved >= exchange.markets["BTCUSDT"].next_trade_id
    assert len(recorder.facts) == 1
