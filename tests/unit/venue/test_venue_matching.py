"""The book against a naive one, and what must hold whatever arrives."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from naive_book import NaiveBook

from pms.venue.matching import (
    BUY,
    SELL,
    Book,
    CannotFill,
    RestingOrder,
    SelfTrade,
    TimeInForce,
    WouldTake,
    execute,
)

PRICES = st.integers(95, 105)
LOTS = st.integers(1, 12)
SIDES = st.sampled_from((BUY, SELL))
PLACE = st.tuples(
    st.just("place"),
    SIDES,
    PRICES,
    LOTS,
    st.integers(1, 3),
    st.sampled_from(list(TimeInForce)),
    st.sampled_from(list(SelfTrade)),
)
CANCEL = st.tuples(st.just("cancel"), st.integers(1, 40))
ANONYMOUS = st.tuples(st.just("anonymous"), SIDES, PRICES, st.integers(0, 20))
AGGRESS = st.tuples(st.just("aggress"), SIDES, PRICES, LOTS)


def levels(book: Book, side: int) -> dict[int, int]:
    return {level.price: level.total for level in book.own_side(side)}


def place(book: Book, side: int, price: int, lots: int, owner: int = 1, **how: object) -> RestingOrder:
    order = RestingOrder(key=object(), owner=owner, side=side, price=price, remaining=lots)
    execute(book, order, limit=price, **({"time_in_force": TimeInForce.GTC} | how))  # type: ignore[arg-type]
    return order


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(PLACE, PLACE, CANCEL, ANONYMOUS, AGGRESS), max_size=60))
def test_trades_exactly_as_the_naive_book(script: list[tuple]) -> None:
    book, naive = Book(), NaiveBook()
    live: dict[int, RestingOrder] = {}
    for number, step in enumerate(script, start=1):
        if step[0] == "place":
            _, side, price, lots, owner, in_force, mode = step
            expected = naive.place(
                number,
                owner=owner,
                side=side,
                price=price,
                quantity=lots,
                time_in_force=in_force,
                self_trade=mode,
            )
            order = RestingOrder(key=number, owner=owner, side=side, price=price, remaining=lots)
            try:
                done = execute(book, order, limit=price, time_in_force=in_force, self_trade=mode)
            except (WouldTake, CannotFill):
                assert expected is None
                assert order.remaining == lots
                continue
            assert expected is not None
            fills = [(f.maker.key if f.maker else 0, f.price, f.quantity) for f in done.fills]
            assert _joined(fills) == _joined(expected[0])
            assert [maker.key for maker in done.expired_makers] == expected[1]
            assert order.remaining == expected[2]
            assert sum(quantity for _, _, quantity in fills) + order.remaining == lots
            if done.rested:
                live[number] = order
        elif step[0] == "cancel":
            order = live.pop(step[1], None)
            naive.cancel(step[1])
            if order is not None and order.level is not None:
                book.remove(order)
        elif step[0] == "anonymous":
            _, side, price, lots = step
            other = naive.best(-side)
            if other is not None and (price - other) * side >= 0:
                continue
            naive.set_anonymous(side, price, lots)
            book.set_anonymous(side, price, lots)
        else:
            _, side, price, lots = step
            expected = naive.place(
                -1,
                owner=-1,
                side=side,
                price=price,
                quantity=lots,
                time_in_force=TimeInForce.IOC,
                self_trade=SelfTrade.NONE,
            )
            assert expected is not None
            fills = [
                (f.maker.key if f.maker else 0, f.price, f.quantity)
                for f in book.aggress(side=side, quantity=lots, limit=price)
            ]
            assert _joined(fills) == _joined(expected[0])
        for side in (BUY, SELL):
            assert levels(book, side) == naive.levels(side)
            best = book.own_side(side).best
            assert (best.price if best else None) == naive.best(side)
        assert not crossed(book)


def _joined(fills: list[tuple]) -> list[tuple]:
    """Neighbouring anonymous fills at one price count as one: the book keeps them as one quantity."""
    joined: list[tuple] = []
    for maker, price, quantity in fills:
        if joined and maker == 0 and joined[-1][:2] == (0, price):
            joined[-1] = (0, price, joined[-1][2] + quantity)
        else:
            joined.append((maker, price, quantity))
    return joined


def crossed(book: Book) -> bool:
    bid, ask = book.bids.best, book.asks.best
    return bid is not None and ask is not None and bid.price >= ask.price


LEVEL_LISTS = st.lists(st.tuples(PRICES, st.integers(0, 9)), max_size=6, unique_by=lambda level: level[0])


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(SIDES, PRICES, LOTS, st.integers(1, 3)), max_size=12),
    st.lists(st.tuples(LEVEL_LISTS, LEVEL_LISTS), max_size=6),
)
def test_recorded_levels_never_leave_the_book_crossed_and_lose_no_order_lot(
    orders: list[tuple[int, int, int, int]], diffs: list[tuple[list, list]]
) -> None:
    book = Book()
    placed = [(place(book, side, price, lots, owner), lots) for side, price, lots, owner in orders]
    left = {id(order): order.remaining for order, _ in placed}
    for bids, asks in diffs:
        for fill in book.apply_anonymous(bids, asks):
            assert fill.maker is not None
            assert fill.price == fill.maker.price
            assert fill.taker_side == -fill.maker.side
            left[id(fill.maker)] -= fill.quantity
        assert not crossed(book)
        for side in (BUY, SELL):
            assert all(level.total > 0 for level in book.own_side(side))
    for order, _ in placed:
        assert left[id(order)] == order.remaining


def test_an_order_waits_for_what_stood_there_when_it_came() -> None:
    book = Book()
    book.set_anonymous(BUY, 100, 10)
    order = place(book, BUY, 100, 3)
    book.set_anonymous(BUY, 100, 25)
    assert [fill.maker for fill in book.aggress(side=SELL, quantity=10, limit=100)] == [None]
    fills = book.aggress(side=SELL, quantity=5, limit=100)
    assert [(fill.maker, fill.quantity) for fill in fills] == [(order, 3), (None, 2)]
    assert levels(book, BUY) == {100: 13}


def test_withdrawn_quantity_leaves_from_behind_first() -> None:
    book = Book()
    book.set_anonymous(BUY, 100, 10)
    order = place(book, BUY, 100, 1)
    level = order.level
    assert level is not None
    book.set_anonymous(BUY, 100, 30)
    book.set_anonymous(BUY, 100, 12)
    assert level.ahead_of(order) == 10
    book.set_anonymous(BUY, 100, 4)
    assert level.ahead_of(order) == 4


def test_a_recorded_trade_moves_the_queue_but_not_the_level() -> None:
    book = Book()
    book.set_anonymous(SELL, 100, 10)
    order = place(book, SELL, 100, 4)
    fills = book.print_trade(side=BUY, price=100, quantity=7)
    assert [(fill.maker, fill.quantity) for fill in fills] == [(None, 7)]
    assert levels(book, SELL) == {100: 14}
    fills = book.print_trade(side=BUY, price=100, quantity=5)
    assert [(fill.maker, fill.quantity) for fill in fills] == [(None, 3), (order, 2)]
    assert levels(book, SELL) == {100: 12}
    assert sum(fill.quantity for fill in fills) == 5


def test_a_recorded_trade_beyond_our_price_fills_us_first() -> None:
    book = Book()
    book.set_anonymous(SELL, 99, 10)
    better = place(book, SELL, 99, 2)
    fills = book.print_trade(side=BUY, price=101, quantity=5)
    assert [(fill.maker, fill.price, fill.quantity) for fill in fills] == [(better, 99, 2), (None, 101, 3)]


def test_a_market_that_moves_through_an_order_fills_it_at_its_price() -> None:
    book = Book()
    order = place(book, SELL, 100, 4)
    fills = book.apply_anonymous([(101, 3)], [(103, 5)])
    assert [(fill.maker, fill.price, fill.quantity) for fill in fills] == [(order, 100, 3)]
    assert levels(book, BUY) == {}
    assert levels(book, SELL) == {100: 1, 103: 5}


def test_changes_are_drained_once_ascending() -> None:
    book = Book()
    place(book, BUY, 99, 1)
    order = place(book, BUY, 98, 2)
    book.remove(order)
    assert book.bids.drain_changes() == [(98, 0), (99, 1)]
    assert book.bids.drain_changes() == []
