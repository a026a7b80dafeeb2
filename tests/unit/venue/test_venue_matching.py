"""The book against a naive one, and what must hold whatever arrives."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_book import MARKET, Entry, NaiveBook, Told, account_of

from pms.venue.matching import (
    BUY,
    SELL,
    Book,
    BookOrder,
    CannotFill,
    DuplicateName,
    Event,
    Expired,
    Fill,
    PriceMatch,
    Refused,
    Seat,
    SelfTrade,
    TimeInForce,
    anonymous,
    matched_price,
)
from pms.venue.matching.fifo import FirstInFirstOut

PRICES = st.integers(95, 105)
LOTS = st.integers(1, 12)
SIDES = st.sampled_from((BUY, SELL))
OWNERS = (1, 2, 3)
# Which of the resting orders; one of many is none of them
WHICH = st.integers(0, 30)
PLACE = st.tuples(
    st.just("place"),
    SIDES,
    PRICES,
    LOTS,
    st.sampled_from(OWNERS),
    st.sampled_from(list(TimeInForce)),
    st.sampled_from(list(SelfTrade)),
    # Names are few, so that some are in use
    st.integers(1, 12),
    # Half of all may only reduce: many are refused
    st.booleans(),
    st.sampled_from((0, 0, 1, 3)),
)
CANCEL = st.tuples(st.just("cancel"), WHICH)
AMEND = st.tuples(st.just("amend"), WHICH, PRICES, st.integers(-1, 12))
ANONYMOUS = st.tuples(st.just("anonymous"), SIDES, PRICES, st.integers(0, 20))
AGGRESS = st.tuples(st.just("aggress"), SIDES, PRICES, LOTS)
PRINT = st.tuples(st.just("print"), SIDES, PRICES, LOTS)
EXPIRE = st.tuples(st.just("expire"), st.integers(0, 60))
# Of equal alternatives hypothesis takes one: most steps shall place
PLACES = [PLACE.map(tuple) for _ in range(8)]
STEPS = st.one_of(*PLACES, CANCEL, AMEND, ANONYMOUS, AGGRESS, PRINT, EXPIRE)


def levels(book: Book, side: int) -> dict[int, int]:
    return {level.price: level.total for level in book.own_side(side)}


class Both:
    """A book and a naive one that are told the same."""

    def __init__(self) -> None:
        self.book, self.naive = Book(), NaiveBook()
        names: dict[int, dict[str, BookOrder]] = {account_of(owner): {} for owner in OWNERS}
        self.seats = {owner: Seat(names[account_of(owner)]) for owner in OWNERS}
        self.orders: dict[int, BookOrder] = {}
        # What a client knows who follows the diffs
        self.followed: dict[int, dict[int, int]] = {BUY: {}, SELL: {}}

    def act(self, number: int, step: tuple) -> None:
        getattr(self, step[0])(number, *step[1:])

    def place(self, number: int, side: int, price: int, lots: int, *how: Any) -> None:
        owner, in_force, mode, name, reduce_only, display = how
        good_till = number + 10 if in_force is TimeInForce.GTD else 0
        entry = Entry(number, owner, side, price, lots, 0, str(name), 0, display, reduce_only)
        entry.good_till = good_till
        mixed = self.mixed(side, price)
        order = BookOrder(
            number,
            self.seats[owner],
            str(name),
            side,
            price,
            lots,
            in_force,
            mode,
            reduce_only,
            display,
            good_till,
        )
        try:
            done = told(self.book.place(order))
        except CannotFill:
            # The one difference, see Book._can_fill
            assert not self.naive.could_fill(entry) or mixed
            assert order.left == lots
            return
        except Refused:
            assert self.naive.place(entry, in_force, mode) is None
            assert order.left == lots
            return
        self.orders[number] = order
        assert joined(done) == joined(self.naive.place(entry, in_force, mode) or [])
        assert order.left == entry.left

    def mixed(self, side: int, price: int) -> bool:
        """Whether an account has orders of both kinds in reach: some that only reduce, some that do not."""
        reach = [e for e in self.naive.entries if e.side == -side and (price - e.price) * side >= 0]
        return any({e.reduce_only for e in reach if e.owner == owner} == {True, False} for owner in OWNERS)

    def chosen(self, which: int) -> int:
        keys = sorted(self.book.orders)
        return keys[which % len(keys)] if keys and which else -1

    def cancel(self, number: int, which: int) -> None:
        key = self.chosen(which)
        try:
            done = told(self.book.cancel(key))
        except Refused:
            assert self.naive.cancel(key) is None
            return
        assert done == self.naive.cancel(key)

    def amend(self, number: int, which: int, price: int, left: int) -> None:
        key = self.chosen(which)
        try:
            done = told(self.book.amend(key, price=price, left=left))
        except Refused:
            assert self.naive.amend(key, price, left) is None
            return
        assert joined(done) == joined(self.naive.amend(key, price, left) or [])

    def anonymous(self, number: int, side: int, price: int, lots: int) -> None:
        other = self.naive.best(-side)
        if other is not None and (price - other) * side >= 0:
            return
        self.naive.set_anonymous(side, price, lots)
        anonymous.set_level(self.book, side, price, lots)

    def aggress(self, number: int, side: int, price: int, lots: int) -> None:
        taker = Entry(0, MARKET, side, price, lots, 0)
        expected: list[Told] = []
        self.naive._take(taker, SelfTrade.NONE, expected)
        done = told(anonymous.take(self.book, side=side, quantity=lots, limit=price))
        assert joined(done) == joined(expected)

    def print(self, number: int, side: int, price: int, lots: int) -> None:
        done = told(anonymous.print_trade(self.book, side=side, price=price, quantity=lots))
        assert joined(done) == joined(self.naive.print_trade(side, price, lots))

    def expire(self, number: int, now: int) -> None:
        assert told(self.book.expire(now)) == self.naive.expire(now)

    def check(self) -> None:
        book, naive = self.book, self.naive
        for side in (BUY, SELL):
            assert levels(book, side) == naive.levels(side)
            best = book.own_side(side).best
            assert (best.price if best else None) == naive.best(side)
            for price, lots in book.own_side(side).drain_changes():
                self.followed[side][price] = lots
            assert {p: lots for p, lots in self.followed[side].items() if lots} == levels(book, side)
            queues = {level.price: [order.id for order in level] for level in book.own_side(side)}
            assert {price: keys for price, keys in queues.items() if keys} == queues_of(naive, side)
        bid, ask = book.bids.best, book.asks.best
        assert bid is None or ask is None or bid.price < ask.price
        assert {key: order.left for key, order in book.orders.items()} == {
            entry.key: entry.left for entry in naive.entries if entry.owner
        }
        for owner, seat in self.seats.items():
            assert seat.position == naive.held(owner)
            assert list(seat.closing) == [entry.key for entry in naive.reducing(owner)]
            resting = seat.closing.values()
            wanted = {side: sum(each.left for each in resting if each.side == side) for side in (BUY, SELL)}
            assert seat.reducing == wanted
            assert sum(wanted.values()) <= abs(seat.position)
            own = account_of(owner)
            mine = {e.name: e.key for e in naive.entries if e.owner and account_of(e.owner) == own}
            assert {name: order.id for name, order in seat.names.items()} == mine


def queues_of(naive: NaiveBook, side: int) -> dict[int, list[int]]:
    queues: dict[int, list[int]] = {}
    for entry in sorted(naive.entries, key=lambda entry: entry.arrived):
        if entry.owner and entry.side == side:
            queues.setdefault(entry.price, []).append(entry.key)
    return queues


def told(events: list[Event]) -> list[Told]:
    """Events as the naive book tells them."""
    found: list[Told] = []
    for event in events:
        if isinstance(event, Fill):
            found.append(("fill", event.maker.id if event.maker else MARKET, event.price, event.quantity))
        elif isinstance(event, Expired):
            found.append(("expired", event.order.id, event.why.name))
        else:
            found.append((type(event).__name__.lower(), event.order.id))
    return found


def joined(events: list[Told]) -> list[Told]:
    """Neighbouring anonymous fills at one price count as one: the book keeps them as one quantity."""
    found: list[Told] = []
    for event in events:
        if found and event[:2] == ("fill", MARKET) and found[-1][:3] == event[:3]:
            found[-1] = (*event[:3], found[-1][3] + event[3])  # type: ignore[operator]
        else:
            found.append(event)
    return found


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.lists(STEPS, max_size=20), st.lists(STEPS, min_size=35, max_size=60)))
def test_trades_exactly_as_the_naive_book(script: list[tuple]) -> None:
    both = Both()
    for number, step in enumerate(script, start=1):
        both.act(number, step)
        both.check()


def place(book: Book, side: int, price: int, lots: int, **how: object) -> BookOrder:
    """An order of an account of its own."""
    number = len(book.orders) + 1000 * price
    while number in book.orders:
        number += 1
    order = BookOrder(number, Seat(), str(number), side, price, lots, **how)  # type: ignore[arg-type]
    book.place(order)
    return order


def crossed(book: Book) -> bool:
    bid, ask = book.bids.best, book.asks.best
    return bid is not None and ask is not None and bid.price >= ask.price


LEVEL_LISTS = st.lists(st.tuples(PRICES, st.integers(0, 9)), max_size=6, unique_by=lambda level: level[0])


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(SIDES, PRICES, LOTS), max_size=12),
    st.lists(st.tuples(LEVEL_LISTS, LEVEL_LISTS), max_size=6),
)
def test_recorded_levels_never_leave_the_book_crossed_and_lose_no_order_lot(
    orders: list[tuple[int, int, int]], diffs: list[tuple[list, list]]
) -> None:
    book = Book()
    placed = [place(book, side, price, lots) for side, price, lots in orders]
    left = {order.id: order.left for order in placed}
    for bids, asks in diffs:
        for fill in anonymous.apply_levels(book, bids, asks):
            assert isinstance(fill, Fill)
            assert fill.maker is not None
            assert fill.price == fill.maker.price
            assert fill.taker_side == -fill.maker.side
            left[fill.maker.id] -= fill.quantity
        assert not crossed(book)
        for side in (BUY, SELL):
            assert all(level.total > 0 for level in book.own_side(side))
    assert left == {order.id: order.left for order in placed}


def test_an_order_waits_for_what_stood_there_when_it_came() -> None:
    book = Book()
    anonymous.set_level(book, BUY, 100, 10)
    order = place(book, BUY, 100, 3)
    anonymous.set_level(book, BUY, 100, 25)
    assert [fill.maker for fill in anonymous.take(book, side=SELL, quantity=10, limit=100)] == [None]
    fills = anonymous.take(book, side=SELL, quantity=5, limit=100)
    assert [(fill.maker, fill.quantity) for fill in fills] == [(order, 3), (None, 2)]
    assert levels(book, BUY) == {100: 13}


def test_withdrawn_quantity_leaves_from_behind_first() -> None:
    book = Book()
    anonymous.set_level(book, BUY, 100, 10)
    order = place(book, BUY, 100, 1)
    level = book.bids.best
    assert isinstance(level, FirstInFirstOut)
    anonymous.set_level(book, BUY, 100, 30)
    anonymous.set_level(book, BUY, 100, 12)
    assert level.ahead_of(order) == 10
    anonymous.set_level(book, BUY, 100, 4)
    assert level.ahead_of(order) == 4


def test_a_recorded_trade_moves_the_queue_but_not_the_level() -> None:
    book = Book()
    anonymous.set_level(book, SELL, 100, 10)
    order = place(book, SELL, 100, 4)
    fills = anonymous.print_trade(book, side=BUY, price=100, quantity=7)
    assert [(fill.maker, fill.quantity) for fill in fills] == [(None, 7)]
    assert levels(book, SELL) == {100: 14}
    fills = anonymous.print_trade(book, side=BUY, price=100, quantity=5)
    assert [(fill.maker, fill.quantity) for fill in fills] == [(None, 3), (order, 2)]
    assert levels(book, SELL) == {100: 12}
    assert sum(fill.quantity for fill in fills) == 5


def test_a_recorded_trade_that_only_passes_by_changes_no_level() -> None:
    """Each recorded diff leaves as one diff: a trade must not make one more."""
    book = Book()
    anonymous.set_level(book, SELL, 100, 10)
    place(book, SELL, 100, 4)
    book.asks.drain_changes()
    anonymous.print_trade(book, side=BUY, price=100, quantity=7)
    assert book.asks.drain_changes() == []


def test_a_recorded_trade_beyond_our_price_fills_us_first() -> None:
    book = Book()
    anonymous.set_level(book, SELL, 99, 10)
    better = place(book, SELL, 99, 2)
    fills = anonymous.print_trade(book, side=BUY, price=101, quantity=5)
    assert [(fill.maker, fill.price, fill.quantity) for fill in fills] == [(better, 99, 2), (None, 101, 3)]


def test_a_market_that_moves_through_an_order_fills_it_at_its_price() -> None:
    book = Book()
    order = place(book, SELL, 100, 4)
    fills = anonymous.apply_levels(book, [(101, 3)], [(103, 5)])
    assert [(fill.maker, fill.price, fill.quantity) for fill in fills] == [(order, 100, 3)]
    assert levels(book, BUY) == {}
    assert levels(book, SELL) == {100: 1, 103: 5}


def test_changes_are_drained_once_ascending() -> None:
    book = Book()
    place(book, BUY, 99, 1)
    order = place(book, BUY, 98, 2)
    book.cancel(order.id)
    assert book.bids.drain_changes() == [(98, 0), (99, 1)]
    assert book.bids.drain_changes() == []


def test_an_iceberg_shows_more_from_the_back_of_the_queue() -> None:
    book = Book()
    iceberg = place(book, SELL, 100, 9, display=2)
    other = place(book, SELL, 100, 3)
    assert levels(book, SELL) == {100: 5}
    fills = book.place(BookOrder(1, Seat(), "taker", BUY, 100, 6, TimeInForce.IOC))
    assert told(fills) == [
        ("fill", iceberg.id, 100, 2),
        ("fill", other.id, 100, 3),
        ("fill", iceberg.id, 100, 1),
    ]
    assert (iceberg.left, levels(book, SELL)) == (6, {100: 1})


def test_a_fill_or_kill_order_counts_what_icebergs_hold_back() -> None:
    book = Book()
    iceberg = place(book, SELL, 100, 9, display=2)
    assert len(book.place(BookOrder(1, Seat(), "taker", BUY, 100, 9, TimeInForce.FOK))) == 5
    assert (iceberg.left, levels(book, SELL), iceberg.seat.position) == (0, {}, -9)


def test_a_sweep_does_not_let_a_reduce_only_order_turn_the_position_around() -> None:
    """The lots at 99 close half of the position; what then stands at 100 would open the opposite."""
    book, seat = Book(), Seat(position=10)
    book.place(BookOrder(1, seat, "sell", SELL, 99, 5))
    book.place(BookOrder(2, seat, "close", SELL, 100, 10, reduce_only=True))
    done = book.place(BookOrder(3, Seat(), "taker", BUY, 100, 15, TimeInForce.IOC))
    assert told(done) == [
        ("fill", 1, 99, 5),
        ("expired", 2, "REDUCE_ONLY"),
        ("expired", 3, "UNFILLED"),
    ]
    assert seat.position == 5


class Passed(dict):
    """Reduce-only orders that count how many of them are looked at."""

    looked = 0

    def values(self) -> Any:
        return Looked(self)


class Looked:
    def __init__(self, orders: Passed) -> None:
        self.orders = orders

    def __iter__(self) -> Any:
        return self._each(dict.values(self.orders))

    def __reversed__(self) -> Any:
        return self._each(reversed(dict.values(self.orders)))

    def _each(self, orders: Any) -> Any:
        for order in orders:
            self.orders.looked += 1
            yield order


@pytest.mark.parametrize("count", [1000, 4000])
def test_a_sweep_looks_at_each_reduce_only_order_at_most_once(count: int) -> None:
    """Half of them trade; between them plain orders shrink the position, so that the others expire."""
    book, seat = Book(), Seat(position=count)
    seat.closing = Passed()
    for number in range(count):
        book.place(BookOrder(number, seat, f"c{number}", SELL, 100, 1, reduce_only=True))
        book.place(BookOrder(-1 - number, seat, f"p{number}", SELL, 100, 1))
    assert seat.closing.looked == 0
    book.place(BookOrder(count, Seat(), "taker", BUY, 100, 2 * count, TimeInForce.IOC))
    assert (seat.position, seat.closing, seat.reducing) == (-count // 2, {}, {BUY: 0, SELL: 0})
    assert seat.closing.looked <= count


def test_a_fill_or_kill_order_does_not_count_on_what_may_expire_on_the_way() -> None:
    """The lots at 99 make the reduce-only order at 100 expire: 15 stand there, 5 can be had."""
    book, seat = Book(), Seat(position=10)
    book.place(BookOrder(1, seat, "sell", SELL, 99, 5))
    book.place(BookOrder(2, seat, "close", SELL, 100, 10, reduce_only=True))
    taker = BookOrder(3, Seat(), "taker", BUY, 100, 15, TimeInForce.FOK)
    with pytest.raises(CannotFill):
        book.place(taker)
    assert (taker.left, seat.position, levels(book, SELL)) == (15, 10, {99: 5, 100: 10})


@pytest.mark.parametrize(
    ("mode", "events"),
    [
        (SelfTrade.NONE, [("fill", 1, 100, 2), ("fill", 2, 100, 3), ("rested", 3)]),
        (SelfTrade.EXPIRE_MAKER, [("expired", 1, "SELF_TRADE"), ("fill", 2, 100, 3), ("rested", 3)]),
        (SelfTrade.EXPIRE_TAKER, [("expired", 3, "SELF_TRADE")]),
        (SelfTrade.EXPIRE_BOTH, [("expired", 1, "SELF_TRADE"), ("expired", 3, "SELF_TRADE")]),
    ],
)
def test_the_takers_mode_says_who_gives_way(mode: SelfTrade, events: list[Told]) -> None:
    book, seat = Book(), Seat()
    book.place(BookOrder(1, seat, "mine", SELL, 100, 2))
    book.place(BookOrder(2, Seat(), "another's", SELL, 100, 3))
    assert told(book.place(BookOrder(3, seat, "taker", BUY, 100, 6, self_trade=mode))) == events


def test_an_amended_order_trades_with_its_own_account() -> None:
    book, seat = Book(), Seat()
    book.place(BookOrder(1, seat, "sell", SELL, 101, 5))
    book.place(BookOrder(2, seat, "buy", BUY, 99, 3, self_trade=SelfTrade.EXPIRE_BOTH))
    assert told(book.amend(2, price=101, left=4)) == [("amended", 2), ("fill", 1, 101, 4)]


def test_a_tidied_queue_keeps_its_order() -> None:
    book, seat = Book(), Seat()
    for number in range(60):
        book.place(BookOrder(number, seat, str(number), BUY, 100, 1))
    for number in range(60):
        if number % 3:
            book.cancel(number)
    assert [order.id for level in book.bids for order in level] == list(range(0, 60, 3))


def test_names_are_unique_over_all_books_of_an_account() -> None:
    first, second, names = Book(), Book(), {}
    one, two = Seat(names), Seat(names)
    first.place(BookOrder(1, one, "same", BUY, 100, 1))
    with pytest.raises(DuplicateName):
        second.place(BookOrder(1, two, "same", BUY, 100, 1))
    first.cancel(1)
    assert told(second.place(BookOrder(1, two, "same", BUY, 100, 1))) == [("rested", 1)]


def test_queues_and_levels_are_tidied_while_orders_come_and_go() -> None:
    """What has gone is remembered for a while, and not for ever."""
    book, seat = Book(), Seat()
    place(book, BUY, 100, 1)
    for number in range(1, 2001):
        book.place(BookOrder(number, seat, str(number), BUY, 100, 1))
        book.place(
            BookOrder(-number, seat, str(-number), BUY, 100 - number, 1, TimeInForce.GTD, good_till=number)
        )
        book.cancel(number)
        book.cancel(-number)
    level = book.bids.best
    assert isinstance(level, FirstInFirstOut)
    assert len(level._queue) < 40
    assert len(book.bids.levels) < 140
    assert len(book._deadlines._heap) < 140


@pytest.mark.parametrize(
    ("match", "buys_at", "sells_at"),
    [
        (PriceMatch.OPPONENT, 101, 100),
        (PriceMatch.OPPONENT_5, 105, 96),
        (PriceMatch.OPPONENT_10, None, None),
        (PriceMatch.QUEUE, 100, 101),
        (PriceMatch.QUEUE_5, 96, 105),
        (PriceMatch.QUEUE_20, None, None),
    ],
)
def test_a_matched_price_is_that_of_a_level(
    match: PriceMatch, buys_at: int | None, sells_at: int | None
) -> None:
    book = Book()
    bids, asks = ([(first + away * n, 1) for n in range(7)] for first, away in ((100, -1), (101, 1)))
    anonymous.apply_levels(book, bids, asks)
    assert (matched_price(book, BUY, match), matched_price(book, SELL, match)) == (buys_at, sells_at)
