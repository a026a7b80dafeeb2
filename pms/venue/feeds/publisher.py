"""From transactions to streams: user events first, then trades, depth and best prices.

What did not come from the book is told on @trade alone: /trades, /historicalTrades, /aggTrades and @aggTrade
are of "market trades", which the insurance fund's and ADL are not (USDⓈ-M docs).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import msgspec

from pms.venue.candles import Candles
from pms.venue.faults import Fault, FaultKind, Faults
from pms.venue.feeds.aggregates import Aggregate, Aggregates
from pms.venue.feeds.depth import DepthFeed, UpdateIds
from pms.venue.feeds.force_orders import ForceOrders
from pms.venue.feeds.hub import Hub
from pms.venue.feeds.marks import Marks
from pms.venue.feeds.rolling import Rolling
from pms.venue.feeds.users import UserFeed
from pms.venue.listen_keys import ListenKeys
from pms.venue.market import Market
from pms.venue.symbols import Symbol, plain
from pms.venue.transaction import Print, Transaction

encode = msgspec.json.Encoder().encode
TICK_MS = 50
BestPrices = tuple[int, int, int, int]
MOST_LEVELS = 1000
ALL_BOOK_TICKERS, ALL_BOOK_TICKERS_MS = "!bookTicker", 5_000


class Feeds:
    """The publisher of the exchange. `run` paces the streams that gather changes."""

    def __init__(
        self,
        markets: Mapping[str, Market],
        *,
        hub: Hub,
        faults: Faults,
        keys: ListenKeys,
        clock: Callable[[], int],
        monotonic_ns: Callable[[], int],
    ) -> None:
        self.markets = markets
        self.hub = hub
        self.clock = clock
        self.users = UserFeed(hub=hub, faults=faults, keys=keys, monotonic_ns=monotonic_ns)
        # Microseconds since the epoch: ahead of all ids that an earlier run can have reached
        self.ids = UpdateIds(clock() * 1000)
        self.depth = {
            name: DepthFeed(market, hub=hub, ids=self.ids, faults=faults, clock=clock)
            for name, market in markets.items()
        }
        self.candles = {name: Candles() for name in markets}
        self.latest_prints: dict[str, list[Print]] = {name: [] for name in markets}
        self.aggregates = {name: Aggregates() for name in markets}
        self.marks = Marks(markets)
        self._rolling = Rolling(markets, self.candles, hub=hub, faults=faults, clock=clock)
        self._force_orders = ForceOrders(markets, hub=hub, clock=clock)
        self._by_lower = {market.symbol.lower: name for name, market in markets.items()}
        self._best: dict[str, BestPrices] = {}
        self._best_told: dict[str, BestPrices] = {}
        hub.on_change(opened=self._opened, closed=self._closed)
        faults.keepers[FaultKind.STALE_SNAPSHOT] = self._snapshots

    def _opened(self, stream: str) -> None:
        symbol, _, kind = stream.partition("@")
        if symbol in self._by_lower:
            self.depth[self._by_lower[symbol]].open(kind)

    def _closed(self, stream: str) -> None:
        symbol, _, kind = stream.partition("@")
        if symbol in self._by_lower:
            self.depth[self._by_lower[symbol]].close(kind)

    def publish(self, transaction: Transaction) -> None:
        """Send everything of one transaction; never blocks."""
        for event in transaction.events:
            self.users.send(event)
        if transaction.prints:
            self._trades(transaction)
        for name in transaction.touched:
            self._book(name, transaction)
        self._force_orders.take(transaction.liquidated)

    def _snapshots(self, fault: Fault) -> dict[str, dict[str, object]]:
        """Snapshots of now, for a rule that answers with them later."""
        names = [name for name in self.depth if fault.symbol in ("", name)]
        return {name: self.depth[name].seen(MOST_LEVELS, time=self.clock()) for name in names}

    def _trades(self, transaction: Transaction) -> None:
        now = self.clock()
        for each in transaction.prints:
            symbol = self.markets[each.symbol].symbol
            of_market = each.kind == "MARKET"
            if of_market:
                kept = self.latest_prints[each.symbol]
                kept.append(each)
                self.candles[each.symbol].take(each)
                if len(kept) > 2000:
                    del kept[:1000]
            stream = f"{symbol.lower}@trade"
            if each.kind != "SETTLEMENT" and self.hub.wanted(stream):
                trade = {
                    "e": "trade",
                    "E": now,
                    "T": transaction.time,
                    "s": symbol.name,
                    "t": each.trade_id,
                    "p": symbol.price_text(each.price),
                    "q": symbol.quantity_text(each.quantity),
                    "X": each.kind,
                    "m": each.buyer_is_maker,
                    "st": 1,
                }
                self.hub.publish(stream, encode(trade))
            if of_market and (whole := self.aggregates[each.symbol].take(each)) is not None:
                self._aggregate(symbol, whole)

    def _aggregate(self, symbol: Symbol, whole: Aggregate) -> None:
        stream = f"{symbol.lower}@aggTrade"
        if self.hub.wanted(stream):
            row = whole.row(symbol)
            named = {"e": "aggTrade", "E": self.clock(), "a": row.pop("a"), "s": symbol.name}
            self.hub.publish(stream, encode({**named, **row, "st": 1}))

    def whole_aggregates(self, now: int) -> None:
        """Tell the aggregates whose time is over."""
        for name, each in self.aggregates.items():
            if (whole := each.due(now)) is not None:
                self._aggregate(self.markets[name].symbol, whole)

    def _book(self, name: str, transaction: Transaction) -> None:
        book = self.markets[name].book
        bids, asks = book.bids.drain_changes(), book.asks.drain_changes()
        if bids or asks or transaction.forced:
            # Each change of a book uses up an id, whether or not a stream sends it now
            self.ids.take()
            self.depth[name].changed(bids, asks, time=transaction.time)
            self._book_ticker(name, transaction.time)

    def best(self, name: str) -> BestPrices:
        """Bid, bid lots, ask, ask lots; zeros where a side is empty."""
        book = self.markets[name].book
        bid, ask = book.bids.best, book.asks.best
        return (
            bid.price if bid else 0,
            bid.total if bid else 0,
            ask.price if ask else 0,
            ask.total if ask else 0,
        )

    def _book_ticker(self, name: str, time: int) -> None:
        best = self.best(name)
        if self._best.get(name) == best:
            return
        self._best[name] = best
        stream = f"{self.markets[name].symbol.lower}@bookTicker"
        if self.hub.wanted(stream):
            self.hub.publish(stream, encode(self._ticker(name, best, time)))

    def _book_tickers(self, now: int) -> None:
        """!bookTicker: whose best prices changed since it was last sent."""
        if not self.hub.wanted(ALL_BOOK_TICKERS):
            self._best_told.clear()
            return
        for name, best in self._best.items():
            if self._best_told.get(name) != best:
                self._best_told[name] = best
                self.hub.publish(ALL_BOOK_TICKERS, encode(self._ticker(name, best, now)))

    def _ticker(self, name: str, best: BestPrices, time: int) -> dict[str, object]:
        symbol = self.markets[name].symbol
        return {
            "e": "bookTicker",
            "u": self.ids.last,
            "s": name,
            "ps": name,
            "b": symbol.price_text(best[0]),
            "B": symbol.quantity_text(best[1]),
            "a": symbol.price_text(best[2]),
            "A": symbol.quantity_text(best[3]),
            "T": time,
            "E": self.clock(),
            "st": 1,
        }

    def mark_price(self, name: str, time: int) -> dict[str, object]:
        """The markPriceUpdate payload of a symbol."""
        mark = plain(self.markets[name].mark)
        return {
            "e": "markPriceUpdate",
            "E": time,
            "s": name,
            "p": mark,
            "ap": mark,
            "P": mark,
            "i": mark,
            "r": format(self.markets[name].funding_rate, ".8f"),
            "T": self.markets[name].next_funding,
            "st": 1,
        }

    async def run(self) -> None:
        """Send what gathers over time, for ever. A beat that was missed is not made up for."""
        loop = asyncio.get_running_loop()
        beat = 0
        started = loop.time()
        while True:
            beat += 1
            early = started + beat * TICK_MS / 1000 - loop.time()
            if early < 0:
                # All later beats move: to send what was missed at once would keep a slow venue late
                started -= early
            await asyncio.sleep(max(0.0, early))
            now = self.clock()
            for interval in (100, 250, 500):
                if beat * TICK_MS % interval == 0:
                    for feed in self.depth.values():
                        feed.flush(interval, time=now)
            self.whole_aggregates(now)
            self._rolling.tick(beat * TICK_MS)
            if beat * TICK_MS % 1000 == 0:
                self._force_orders.flush()
                self.marks.look(now)
                if beat * TICK_MS % ALL_BOOK_TICKERS_MS == 0:
                    self._book_tickers(now)
                self._mark_prices(now, seconds=beat * TICK_MS // 1000)

    def _mark_prices(self, now: int, *, seconds: int) -> None:
        all_marks: list[dict[str, object]] | None = None
        for suffix, due in (("@1s", True), ("", seconds % 3 == 0)):
            if not due:
                continue
            for name, market in self.markets.items():
                stream = f"{market.symbol.lower}@markPrice{suffix}"
                if self.hub.wanted(stream):
                    self.hub.publish(stream, encode(self.mark_price(name, now)))
            if self.hub.wanted(f"!markPrice@arr{suffix}"):
                all_marks = all_marks or [self.mark_price(name, now) for name in self.markets]
                self.hub.publish(f"!markPrice@arr{suffix}", encode(all_marks))
