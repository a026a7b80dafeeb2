"""One symbol as traded here: its book, last and mark price, and the ids it gives away."""

from __future__ import annotations

from decimal import Decimal

from pms.venue import history
from pms.venue.history import Past, Wanted
from pms.venue.matching import Book
from pms.venue.state import Funding, SymbolState
from pms.venue.symbols import Symbol, SymbolFileError, plain

ID_BLOCK = 10_000
HALF = Decimal("0.5")
FUNDING_PERIOD_MS = 8 * 3_600_000
FUNDING_RATE = Decimal("0.00010000")


def next_funding(time: int) -> int:
    """The next usual funding: 00, 08, 16 UTC."""
    return (time // FUNDING_PERIOD_MS + 1) * FUNDING_PERIOD_MS


class Market:
    """Ids come in journaled blocks, so that a restart skips a few and repeats none."""

    def __init__(self, symbol: Symbol, *, start_price: int) -> None:
        self.symbol = symbol
        self.book = Book()
        self.last_price = start_price
        self.next_order_id = 1
        self.next_trade_id = 1
        self.reserved_orders = 0
        self.reserved_trades = 0
        self.fundings: list[Funding] = []
        self.funding_rate = FUNDING_RATE
        self.next_funding = 0
        # The book holds what a restart put back and nothing else: the middle of that is nobody's price
        self.left_over = False

    def restore(self, state: SymbolState) -> None:
        """Go on behind the ids that may have been seen.

        SymbolFileError where its facts count in other ticks or lots: each would be worth something else.
        """
        tick, step = self.symbol.tick, self.symbol.step
        was = state.tick or tick, state.step or step
        if was != (tick, step):
            raise SymbolFileError(
                f"{state.symbol}: the state directory counts in ticks of {plain(was[0])} and lots of"
                f" {plain(was[1])}, the symbol file has tickSize {plain(tick)} and stepSize {plain(step)};"
                " start with the former sizes, or in another state directory"
            )
        self.next_order_id = self.reserved_orders = state.order_ids
        self.next_trade_id = self.reserved_trades = state.trade_ids
        self.last_price = state.last_price

    def take_order_id(self) -> int:
        """The next order id of this symbol."""
        taken = self.next_order_id
        self.next_order_id += 1
        return taken

    def take_trade_id(self) -> int:
        """The next trade id of this symbol."""
        taken = self.next_trade_id
        self.next_trade_id += 1
        return taken

    def exhausted(self) -> bool:
        """Ids beyond the journaled block were given away: journal a new block with this change."""
        return self.next_order_id > self.reserved_orders or self.next_trade_id > self.reserved_trades

    def reserve(self) -> SymbolState:
        """A fact that covers the ids of the coming changes."""
        if self.next_order_id > self.reserved_orders:
            self.reserved_orders = self.next_order_id + ID_BLOCK
        if self.next_trade_id > self.reserved_trades:
            self.reserved_trades = self.next_trade_id + ID_BLOCK
        return self.state()

    def state(self) -> SymbolState:
        """What a restart needs."""
        return SymbolState(
            symbol=self.symbol.name,
            order_ids=self.reserved_orders,
            trade_ids=self.reserved_trades,
            last_price=self.last_price,
            tick=self.symbol.tick,
            step=self.symbol.step,
        )

    def fundings_between(
        self, past: Past, window: tuple[int, int], limit: int, *, newest: bool
    ) -> list[Funding]:
        """Fundings of a window, ascending: its newest or its oldest `limit`."""
        shelf = history.fundings_of(self.symbol.name)
        wanted = Wanted(shelf=shelf, window=window, limit=limit, newest=newest)
        kept = reversed(self.fundings) if newest else self.fundings
        recent = (each for each in kept if window[0] <= each.time <= window[1])
        return history.page(past, Funding, wanted, recent)

    @property
    def quoted(self) -> bool:
        """Whether both sides have a price and not only what a restart put back: the mark is the market's."""
        return not self.left_over and self.book.bids.best is not None and self.book.asks.best is not None

    @property
    def mark(self) -> Decimal:
        """The middle of the book while it has two sides, else the last price."""
        bid, ask = self.book.bids.best, self.book.asks.best
        if bid is None or ask is None:
            return self.symbol.price(self.last_price)
        return self.symbol.tick * (bid.price + ask.price) * HALF

    @property
    def last(self) -> Decimal:
        """Price of the last trade."""
        return self.symbol.price(self.last_price)
