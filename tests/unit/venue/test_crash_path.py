"""A market that falls on demand: along a path of its own seed, to the target, and nothing is conjured up."""

from __future__ import annotations

from decimal import Decimal as D
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pms.venue.background.crash import Crash, CrashError, Crashes, Terms, path
from pms.venue.background.synthetic import SyntheticMarket, start_price, take_step
from pms.venue.exchange import Exchange
from pms.venue.market import Market
from pms.venue.matching import BUY
from pms.venue.rest.crash import wanted
from pms.venue.state import Fact
from pms.venue.symbols import SHIPPED, SymbolTable
from pms.venue.transaction import Print, Transaction

SYMBOLS = SymbolTable.load(SHIPPED)
NAME = "ETHUSDT"
PERCENTS = st.decimals(-90, 300, places=1).filter(bool)
TERMS = st.builds(
    lambda percent, seconds, share, seed: Terms(
        percent=percent,
        seconds=D(seconds),
        gaps=int(Terms(percent=percent, seconds=D(seconds)).steps * share / 100),
        seed=seed,
    ),
    PERCENTS,
    st.integers(1, 90),
    st.integers(0, 100),
    st.integers(0, 2**31),
)


class World:
    """One made-up market and what it prints."""

    def __init__(self, name: str = NAME, seed: int = 1) -> None:
        self.prints: list[Print] = []
        self.name = name
        self.market = Market(SYMBOLS[name], start_price=start_price(SYMBOLS[name]))
        self.exchange = Exchange({name: self.market}, journal=self, publisher=self, clock=lambda: 1)
        self.synthetic = SyntheticMarket(self.market, seed)
        self.crashes = Crashes({name: self.synthetic})
        self.step()

    def append(self, facts: list[Fact]) -> None:
        """Nothing is kept."""

    def publish(self, transaction: Transaction) -> None:
        self.prints += transaction.prints

    def step(self) -> None:
        take_step(self.exchange, self.name, self.synthetic)

    def best(self) -> tuple[int, int]:
        bid, ask = self.market.book.bids.best, self.market.book.asks.best
        assert bid is not None
        assert ask is not None
        return bid.price, ask.price

    def quoted(self) -> list[tuple[int, int]]:
        book = self.market.book
        return [(level.price, level.total) for side in (book.bids, book.asks) for level in side]

    def near(self) -> int:
        """Lots that stand at the twenty best levels of each side."""
        book = self.market.book
        return sum(level.total for side in (book.bids, book.asks) for level in side.top(20))

    def crash(self, terms: Terms) -> Crash:
        self.crashes.begin({self.name: terms})
        crash = self.synthetic.crash
        assert isinstance(crash, Crash)
        return crash


@given(TERMS)
def test_a_path_ends_on_its_target_and_is_its_seeds_own(terms: Terms) -> None:
    drawn = path(terms, NAME)
    assert len(drawn) == terms.steps
    assert round(drawn[-1], 9) == round(1 + float(terms.percent) / 100, 9)
    assert min(drawn) > 0
    assert drawn == path(terms, NAME)
    if terms.steps > 3:
        assert drawn != path(terms, "BTCUSDT")


@given(st.integers(0, 2**31), st.integers(1, 6))
def test_its_jumps_are_the_largest_moves_and_as_many_as_asked(seed: int, gaps: int) -> None:
    drawn = path(Terms(percent=D(-35), seconds=D(60), gaps=gaps, seed=seed), NAME)
    moves = sorted(after / before - 1 for before, after in pairwise([1.0, *drawn]))
    # Each jump takes at least a third of an even share of its part of the way, -16 % in all
    assert moves[gaps - 1] < -0.16 / gaps / 3.5
    assert any(move > 0 for move in moves), "noise goes against the trend now and then"


@settings(max_examples=15, deadline=None)
@given(PERCENTS.filter(lambda percent: percent > -60), st.integers(0, 1000), st.integers(0, 4))
def test_the_market_follows_the_path_and_stays_where_it_ends(percent: D, seed: int, gaps: int) -> None:
    world = World()
    terms = Terms(percent=percent, seconds=D(10), gaps=gaps, thin=D(4), seed=seed)
    crash = world.crash(terms)
    start, walked = crash.start, path(terms, NAME)
    for at in walked:
        world.step()
        bid, ask = world.best()
        assert bid <= start * at + 1
        assert bid < ask
    assert crash.over
    target = start * (1 + float(percent) / 100)
    for _ in range(200):
        world.step()
        assert abs(sum(world.best()) / 2 / target - 1) < 0.02


def test_a_jump_has_no_quote_and_no_print_between_its_two_prices() -> None:
    world = World()
    crash = world.crash(Terms(percent=D(-35), seconds=D(5), gaps=3, seed=5))
    before_bid, _ = world.best()
    jumps = 0
    for _ in range(crash.terms.steps):
        world.prints.clear()
        before_bid, _ = world.best()
        world.step()
        _, after_ask = world.best()
        if after_ask < before_bid * 0.97:
            jumps += 1
            assert not any(after_ask * 1.001 < each.price < before_bid for each in world.prints)
            inside = [price for price, _ in world.quoted() if after_ask * 1.05 < price < before_bid * 0.97]
            # Far asks stand out there as always; nobody bids
            assert all(price > after_ask for price in inside)
    assert jumps >= 2


def test_the_book_is_thinner_meanwhile_and_as_deep_as_before_afterwards() -> None:
    world = World()
    for _ in range(50):
        world.step()
    usual = world.near()
    crash = world.crash(Terms(percent=D(-20), seconds=D(10), thin=D(5)))
    while not crash.over:
        world.step()
        assert world.near() < usual * 0.4
    for _ in range(40):
        world.step()
    assert world.near() > usual * 0.7


def test_a_market_order_pays_for_the_thinness() -> None:
    paid = []
    for thin in (1, 20):
        world = World()
        world.crash(Terms(percent=D(-1), seconds=D(1), thin=D(thin)))
        world.step()
        _, ask = world.best()
        world.prints.clear()
        world.exchange.background_order(NAME, side=BUY, lots=world.synthetic._usual_lots * 8, limit=None)
        spent = sum(each.price * each.quantity for each in world.prints)
        paid.append(spent / sum(each.quantity for each in world.prints) - ask)
    assert paid[1] > 2 * paid[0]


def test_two_runs_of_a_seed_are_the_same_to_the_last_level() -> None:
    runs = []
    for _ in range(2):
        world = World(seed=3)
        world.crash(Terms(percent=D(-35), seconds=D(6), gaps=2, thin=D(3), seed=9))
        for _ in range(40):
            world.step()
        runs.append((world.quoted(), world.prints))
    assert runs[0] == runs[1]


def test_stopped_it_stays_where_it_is() -> None:
    world = World()
    crash = world.crash(Terms(percent=D(-40), seconds=D(10)))
    for _ in range(12):
        world.step()
    here = sum(world.best()) / 2
    assert here < crash.start * 0.95
    world.crashes.stop()
    for _ in range(200):
        world.step()
    assert abs(sum(world.best()) / 2 / here - 1) < 0.02
    (shown,) = world.crashes.as_json()
    assert (shown["state"], shown["step"]) == ("stopped", 12)
    world.crash(Terms(percent=D(10), seconds=D(1)))


def test_one_crash_at_a_time_and_all_begin_or_none() -> None:
    world = World()
    world.crash(Terms(percent=D(-5)))
    with pytest.raises(CrashError, match="ETHUSDT is falling already"):
        world.crashes.begin({NAME: Terms(percent=D(-6))})
    fresh = World()
    with pytest.raises(CrashError, match="XRPUSDT has no made-up market"):
        fresh.crashes.begin({NAME: Terms(percent=D(-5)), "XRPUSDT": Terms(percent=D(-5))})
    assert fresh.synthetic.crash is None


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "percent must be a whole number, or a decimal in a string"),
        ({"percent": "0"}, "percent must be -95 to 400, not 0; was 0"),
        ({"percent": -96}, "percent must be -95 to 400, not 0; was -96"),
        ({"percent": "NaN"}, "percent must be a whole number"),
        ({"percent": -5.5}, "percent must be a whole number"),
        ({"percent": -5, "seconds": 0}, "seconds must be 0.25 to 3600; was 0"),
        ({"percent": -5, "seconds": 1, "gaps": 5}, "gaps must be 0 to 4, one a step at most; was 5"),
        ({"percent": -5, "thin": "0.5"}, "thin must be 1 to 1000; was 0.5"),
        ({"percent": -5, "seed": True}, "seed must be a whole number"),
        ({"percent": -5, "symbols": "BTCUSDT"}, 'symbols must be "all"'),
        ({"percent": -5, "symbols": []}, "symbols names no made-up market"),
        ({"percent": -5, "symbols": {NAME: -5}}, "percent: each symbol has its own here"),
        ({"percent": -5, "depth": 1}, "unknown field depth"),
    ],
)
def test_what_makes_no_sense_is_refused_with_field_limit_and_value(
    body: dict[str, object], message: str
) -> None:
    with pytest.raises(CrashError) as refused:
        wanted(body, (NAME,))
    assert str(refused.value).startswith(message)


def test_symbols_are_all_some_or_each_with_its_own_percent() -> None:
    listed = ("BTCUSDT", NAME)
    assert set(wanted({"percent": -5}, listed)) == set(listed)
    assert set(wanted({"percent": "-5", "symbols": [NAME]}, listed)) == {NAME}
    each = wanted({"symbols": {NAME: "-5.5", "BTCUSDT": 20}, "thin": "2"}, listed)
    assert {name: terms.percent for name, terms in each.items()} == {NAME: D("-5.5"), "BTCUSDT": D(20)}
