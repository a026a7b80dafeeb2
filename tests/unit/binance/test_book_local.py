"""The local book equals the exchange's after every event, and says so when it cannot."""

from __future__ import annotations

from decimal import Decimal

import pytest
import recorded_frames as recorded
from hypothesis import given, settings
from hypothesis import strategies as st
from sortedcontainers import SortedDict

from pms.binance import book_side
from pms.binance.book import L1, BookState, LocalBook
from pms.binance.book_side import BookSide
from pms.binance.frames import DepthUpdate, Level, decode_market

Numbers = tuple[Decimal, Decimal, Decimal, Decimal] | None


class NaiveBook:
    """The rules written down as plainly as possible."""

    def __init__(self, bids: list[Level], asks: list[Level]) -> None:
        self.bids, self.asks = SortedDict(), SortedDict()
        self.apply(bids, asks)

    def apply(self, bids: list[Level], asks: list[Level]) -> None:
        for side, changes in ((self.bids, bids), (self.asks, asks)):
            for price, quantity in changes:
                side[Decimal(price)] = Decimal(quantity)
                if not side[Decimal(price)]:
                    del side[Decimal(price)]

    @property
    def top(self) -> Numbers:
        if not self.bids or not self.asks:
            return None
        return (*self.bids.peekitem(-1), *self.asks.peekitem(0))


def numbers(top: L1 | None) -> Numbers:
    return None if top is None else tuple(map(Decimal, top))  # type: ignore[return-value]


def event(
    first: int, last: int, previous: int, bids: list[Level] | None = None, asks: list[Level] | None = None
) -> DepthUpdate:
    return DepthUpdate(
        event_time=last,
        time=last,
        symbol="BTCUSDT",
        first_id=first,
        last_id=last,
        previous_id=previous,
        bids=bids or [],
        asks=asks or [],
    )


BIDS, ASKS = [("100.0", "1"), ("99.9", "2")], [("100.1", "3"), ("100.2", "4")]
TOP = L1("100.0", "1", "100.1", "3")


def live_book() -> LocalBook:
    book = LocalBook("BTCUSDT")
    book.apply(event(5, 10, 4))
    assert book.snapshot(10, BIDS, ASKS) == TOP
    return book


# --- recorded frames ---


@recorded.needs_recordings
@pytest.mark.parametrize("symbol", recorded.SYMBOLS)
def test_l1_equals_a_naive_book_after_every_recorded_diff(symbol: str) -> None:
    snapshot = recorded.snapshot(symbol)
    updates = [decode_market(raw) for raw in recorded.depth_frames(symbol)]
    naive = NaiveBook(snapshot.bids, snapshot.asks)
    book, compared = LocalBook(symbol), 0
    assert book.snapshot(snapshot.last_update_id, snapshot.bids, snapshot.asks) is None
    for update in updates:
        assert isinstance(update, DepthUpdate)
        top = book.apply(update)
        if update.last_id < snapshot.last_update_id:
            assert top is None
            continue
        naive.apply(update.bids, update.asks)
        assert book.state is BookState.LIVE
        assert numbers(top) == naive.top
        compared += 1
    assert compared > 100


@recorded.needs_recordings
def test_a_dropped_recorded_diff_is_noticed_at_once_and_healed_by_a_snapshot() -> None:
    snapshot = recorded.snapshot("BTCUSDT")
    updates = [decode_market(raw) for raw in recorded.depth_frames("BTCUSDT")]
    naive = NaiveBook(snapshot.bids, snapshot.asks)
    book = LocalBook("BTCUSDT")
    book.snapshot(snapshot.last_update_id, snapshot.bids, snapshot.asks)
    for number, update in enumerate(updates):
        assert isinstance(update, DepthUpdate)
        if update.last_id >= snapshot.last_update_id:
            naive.apply(update.bids, update.asks)
        if number == 500:
            continue
        top = book.apply(update)
        if number == 501:
            assert (top, book.state) == (None, BookState.GAP)
            assert book.top is None
        if number == 510:
            assert book.state is BookState.SYNCING
            bids = [(str(price), str(quantity)) for price, quantity in naive.bids.items()]
            asks = [(str(price), str(quantity)) for price, quantity in naive.asks.items()]
            assert numbers(book.snapshot(update.last_id, bids, asks)) == naive.top
        if number > 510:
            assert numbers(top) == naive.top


# --- the rules of synchronising ---


def test_a_snapshot_older_than_the_first_event_is_not_used() -> None:
    book = LocalBook("BTCUSDT")
    book.apply(event(5, 10, 4))
    assert book.snapshot(4, BIDS, ASKS) is None
    assert book.state is BookState.SYNCING
    assert book.apply(event(11, 12, 10)) is None
    assert book.snapshot(7, BIDS, ASKS) == TOP


def test_a_snapshot_newer_than_all_events_waits_for_them() -> None:
    book = LocalBook("BTCUSDT")
    book.apply(event(5, 10, 4, bids=[("100.0", "9")]))
    assert book.snapshot(20, BIDS, ASKS) is None
    assert book.apply(event(11, 19, 10, bids=[("100.0", "8")])) is None
    assert book.apply(event(20, 25, 19, asks=[("100.1", "7")])) == L1("100.0", "1", "100.1", "7")


def test_a_waiting_snapshot_that_the_events_jumped_over_is_dropped() -> None:
    book = LocalBook("BTCUSDT")
    book.snapshot(20, BIDS, ASKS)
    assert book.apply(event(21, 25, 15)) is None
    assert book.state is BookState.SYNCING
    assert book.snapshot(22, BIDS, ASKS) == TOP


@pytest.mark.parametrize("at", [5, 7, 10])
def test_the_first_event_applied_spans_the_snapshot_both_ends_included(at: int) -> None:
    book = LocalBook("BTCUSDT")
    book.apply(event(2, 4, 1, bids=[("100.0", "5")]))
    book.apply(event(5, 10, 4, bids=[("100.0", "6")]))
    assert book.snapshot(at, BIDS, ASKS) == L1("100.0", "6", "100.1", "3")


def test_a_gap_is_told_once_and_events_go_on_being_kept() -> None:
    book = live_book()
    assert book.apply(event(21, 25, 20, bids=[("100.0", "5")])) is None
    assert (book.state, book.top) == (BookState.GAP, None)
    assert book.apply(event(26, 30, 25, asks=[("100.1", "6")])) is None
    assert book.state is BookState.SYNCING
    assert book.snapshot(23, BIDS, ASKS) == L1("100.0", "5", "100.1", "6")


def test_events_before_a_break_among_the_kept_are_useless() -> None:
    book = LocalBook("BTCUSDT")
    book.apply(event(5, 10, 4))
    book.apply(event(30, 35, 29))
    assert book.snapshot(7, BIDS, ASKS) is None
    assert book.snapshot(31, BIDS, ASKS) == TOP


def test_a_lost_connection_forgets_everything() -> None:
    book = live_book()
    book.reset()
    assert (book.state, book.top, len(book.pending)) == (BookState.SYNCING, None, 0)
    book.apply(event(50, 60, 40))
    assert book.snapshot(55, BIDS, ASKS) == TOP


def test_an_empty_side_has_no_top_and_gets_one_back() -> None:
    book = live_book()
    assert book.apply(event(11, 12, 10, bids=[("100.0", "0"), ("99.9", "0.000")])) is None
    assert (book.state, book.top) == (BookState.LIVE, None)
    assert book.apply(event(13, 14, 12, bids=[("98", "1")])) == L1("98.0", "1", "100.1", "3")


def test_a_top_that_did_not_change_is_the_same_object() -> None:
    book = live_book()
    first = book.apply(event(11, 12, 10, bids=[("90", "5")]))
    assert first is book.apply(event(13, 14, 12, asks=[("110", "5")]))


@pytest.mark.parametrize("level", [("", "1"), ("abc", "1"), ("NaN", "1"), ("-1", "1"), ("100.05", "x")])
def test_a_level_that_cannot_be_read_breaks_the_chain(level: Level) -> None:
    book = live_book()
    assert book.apply(event(11, 12, 10, bids=[level])) is None
    assert book.state is BookState.GAP


def test_one_price_spelled_in_two_ways_is_one_level() -> None:
    book = live_book()
    top = book.apply(event(11, 12, 10, bids=[("100.00", "5")]))
    assert numbers(top) == (Decimal(100), Decimal(5), Decimal("100.1"), Decimal(3))
    top = book.apply(event(13, 14, 12, bids=[("100", "0.00")]))
    assert numbers(top) == (Decimal("99.9"), Decimal(2), Decimal("100.1"), Decimal(3))


def test_kept_events_are_bounded() -> None:
    book = LocalBook("BTCUSDT")
    for number in range(10_000):
        book.apply(event(number, number, number - 1))
    assert len(book.pending) < 5000
    assert book.snapshot(9_990, BIDS, ASKS) == TOP


# --- any history ---

prices = st.integers(1, 60).map(lambda ticks: str(Decimal(ticks) / 10))
quantities = st.sampled_from(["0", "0.000", "1.5", "2.000", "30"])
changes = st.lists(st.tuples(prices, quantities), max_size=12)


@given(changes, changes, st.lists(st.tuples(changes, changes), max_size=25), st.integers(1, 8))
@settings(max_examples=150, deadline=None)
def test_any_history_gives_the_naive_books_top(
    bids: list[Level], asks: list[Level], history: list[tuple[list[Level], list[Level]]], near: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(book_side, "NEAR_LEVELS", near)
        patch.setattr(book_side, "KNOWN_PRICES", 5)
        book, naive = LocalBook("X"), NaiveBook(bids, asks)
        book.apply(event(1, 1, 0))
        assert numbers(book.snapshot(1, bids, asks)) == naive.top
        for at, (more_bids, more_asks) in enumerate(history, start=2):
            naive.apply(more_bids, more_asks)
            top = book.apply(event(at, at, at - 1, more_bids, more_asks))
            assert numbers(top) == naive.top


def test_memory_is_bounded_while_the_price_wanders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book_side, "KEPT_LEVELS", 50)
    monkeypatch.setattr(book_side, "NEAR_LEVELS", 4)
    side, held = BookSide(bids=True), 0
    side.load([("1000", "1")])
    for step in range(5000):
        side.apply([(str(1000 + step), "1"), (str(990 + step), "0" if step % 2 else "1")])
        assert side.best() == (str(1000 + step), "1")
        held = max(held, len(side))
    assert held <= 4 * 50
