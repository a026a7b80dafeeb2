"""Aggregate trades hold every trade once, in order, and only neighbours that belong together."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pms.venue.feeds.aggregates import WINDOW_MS, Aggregate, Aggregates
from pms.venue.transaction import Print

TRADES = st.lists(
    st.tuples(st.integers(1, 2), st.integers(1, 9), st.booleans(), st.integers(0, 150), st.booleans()),
    max_size=60,
)


@given(TRADES)
def test_aggregates_are_runs_of_trades(trades: list[tuple[int, int, bool, int, bool]]) -> None:
    tape, told, time = Aggregates(), [], 1_000
    prints: list[Print] = []
    for number, (price, quantity, buyer_is_maker, wait, looked) in enumerate(trades, 1):
        time += wait
        if looked:
            told.append(tape.due(time))
        prints.append(Print("BTCUSDT", number, price, quantity, buyer_is_maker, time))
        told.append(tape.take(prints[-1]))
    told.append(tape.due(time + WINDOW_MS))
    whole: list[Aggregate] = [each for each in told if each is not None]
    assert whole == list(tape.whole)
    covered = [number for each in whole for number in range(each.first, each.last + 1)]
    assert covered == [each.trade_id for each in prints]
    for each in whole:
        parts = prints[each.first - 1 : each.last]
        assert {(part.price, part.buyer_is_maker) for part in parts} == {(each.price, each.buyer_is_maker)}
        assert each.quantity == sum(part.quantity for part in parts)
        assert parts[-1].time - each.time < WINDOW_MS
    for before, after in pairwise(whole):
        alike = before.price == after.price and before.buyer_is_maker == after.buyer_is_maker
        assert not alike or after.time - before.time >= WINDOW_MS
