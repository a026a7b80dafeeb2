"""The index of conditional orders against one that looks at every order on every tick."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from pms.venue.conditional.trailing import PER_MILLE, Trail
from pms.venue.conditional.triggers import Triggers
from pms.venue.matching import BUY, SELL

PRICES = st.integers(975, 1025)
COMMANDS = st.lists(
    st.one_of(
        st.tuples(st.just("price"), PRICES, st.just(0), st.just(False)),
        st.tuples(st.just("wait"), PRICES, st.just(0), st.booleans()),
        st.tuples(st.just("trail"), st.sampled_from([BUY, SELL]), st.integers(1, 40), st.just(False)),
        st.tuples(st.just("cancel"), st.integers(0, 40), st.just(0), st.just(False)),
    ),
    min_size=10,
    max_size=80,
)


@dataclass
class Waiting:
    price: int
    rising: bool

    def due(self, now: int) -> bool:
        return now >= self.price if self.rising else now <= self.price


@dataclass
class Trailing:
    side: int
    callback: int
    peak: int

    def due(self, now: int) -> bool:
        self.peak = max(self.peak, now) if self.side == SELL else min(self.peak, now)
        if self.side == SELL:
            return now * PER_MILLE <= self.peak * (PER_MILLE - self.callback)
        return now * PER_MILLE >= self.peak * (PER_MILLE + self.callback)


@given(COMMANDS)
def test_every_order_comes_out_on_the_tick_on_which_a_look_at_each_finds_it(
    commands: list[tuple[str, int, int, bool]],
) -> None:
    triggers, naive, now = Triggers(), dict[int, Waiting | Trailing](), 1000
    for order, (what, first, second, rising) in enumerate(commands):
        if what == "price":
            now = first
            found, _ = triggers.at(now)
            due = {each for each, one in naive.items() if one.due(now)}
            assert set(found) == due
            assert len(found) == len(due)
            for each in due:
                del naive[each]
        elif what == "wait":
            triggers.wait(order, first, rising=rising)
            naive[order] = Waiting(first, rising)
        elif what == "trail":
            triggers.trails[first].add(order, second, now)
            naive[order] = Trailing(first, second, now)
        else:
            triggers.discard(first)
            naive.pop(first, None)
        assert bool(triggers) == bool(naive)
        for each, one in naive.items():
            if isinstance(one, Trailing):
                assert triggers.trails[one.side].peak_of(each) == one.peak


def test_one_high_is_every_followers_high() -> None:
    trail = Trail(SELL)
    trail.add(1, callback=50, peak=1000)
    assert trail.at(990) == ([], False)
    trail.add(2, callback=50, peak=990)
    assert trail.at(1010) == ([], True)
    assert [trail.peak_of(1), trail.peak_of(2)] == [1010, 1010]


def test_the_price_passed_first_lets_its_order_out_first() -> None:
    triggers = Triggers()
    for order, price in ((1, 95), (2, 99), (3, 99), (4, 97)):
        triggers.wait(order, price, rising=False)
    assert triggers.at(96) == ([2, 3, 4], [])
    assert triggers.at(95) == ([1], [])


def test_a_new_best_is_told_once_for_all_that_follow() -> None:
    trail = Trail(SELL)
    for order in range(5):
        trail.add(order, callback=10, peak=1000)
    assert trail.at(999) == ([], False)
    assert trail.at(1001) == ([], True)
    assert [trail.peak_of(order) for order in range(5)] == [1001] * 5


def test_a_tick_that_fires_nothing_looks_at_no_order() -> None:
    trail, looked = Trail(SELL), 0

    class Counted(int):
        def __lt__(self, other: int) -> bool:
            nonlocal looked
            looked += 1
            return int(self) < other

    for order in range(1000):
        trail.add(order, Counted(500), 1000)
    looked = 0
    for price in (*range(1000, 1200), *range(1199, 1000, -1)):
        assert trail.at(price)[0] == []
    assert looked == 0
