"""The made-up market as a market: the stylised facts (Cont 2001), impact, agitation, scenarios.

Each bound is one that the fixed seeds pass by far.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from functools import cache
from itertools import pairwise
from math import log
from statistics import correlation, fmean, pstdev

import pytest

from pms.venue.background.rehearsal import Moment, Rehearsal
from pms.venue.background.scenario import SCENARIOS, STEP_S, ScenarioError, assigned
from pms.venue.checks import NewOrder
from pms.venue.matching import BUY, SELL, SelfTrade, TimeInForce
from pms.venue.symbols import SHIPPED, SymbolTable

SYMBOLS = SymbolTable.load(SHIPPED)
BTC = "BTCUSDT"


class Floor(Rehearsal):
    """One made-up market, alone with its book."""

    def __init__(self, name: str = BTC, *, scenario: str = "calm", seed: int = 1) -> None:
        super().__init__(SYMBOLS[name], seed=seed, scenario=SCENARIOS[scenario])

    def quoted(self) -> list[tuple[int, int]]:
        book = self.market.book
        return [(level.price, level.total) for side in (book.bids, book.asks) for level in side]

    def steps(self, count: int) -> list[Moment]:
        return [self.step() for _ in range(count)]


@cache
def run(name: str, scenario: str, seed: int, count: int) -> tuple[Moment, ...]:
    return tuple(Floor(name, scenario=scenario, seed=seed).steps(count))


def returns(seen: Sequence[Moment], every: int = 1) -> list[float]:
    return [log(after.middle / before.middle) for before, after in pairwise(seen[::every])]


def kurtosis(values: Sequence[float]) -> float:
    mean, deviation = fmean(values), pstdev(values)
    return fmean([((value - mean) / deviation) ** 4 for value in values])


def repeating(values: Sequence[float], lag: int) -> float:
    return correlation(values[:-lag], values[lag:])


def of(seen: Iterable[Moment], regime: str, what: Callable[[Moment], float]) -> list[float]:
    return [what(each) for each in seen if each.regime == regime]


@pytest.mark.parametrize("scenario", ["calm", "volatile"])
def test_returns_have_heavy_tails_and_no_memory_but_their_size_has(scenario: str) -> None:
    moves = returns(run(BTC, scenario, 1, 4000))
    assert kurtosis(moves) > 4, "a normal variable has 3"
    sizes = [abs(move) for move in moves]
    for lag in (1, 4, 20):
        assert abs(repeating(moves, lag)) < 0.08
        assert repeating(sizes, lag) > 0.08


def test_a_market_in_stress_is_wild_wide_thin_and_busy() -> None:
    seen = run(BTC, "volatile", 1, 4000)
    calm, stressed = (of(seen, regime, lambda each: each.spread) for regime in ("calm", "stressed"))
    assert sorted(calm)[len(calm) // 2] == 1, "one tick is the tightest there is"
    assert fmean(stressed) > 4 * fmean(calm)
    near = [
        fmean(of(seen, regime, lambda each: each.near_bids + each.near_asks))
        for regime in ("calm", "active", "stressed")
    ]
    assert near[0] > near[1] > 1.5 * near[2]
    taken = [fmean(of(seen, regime, lambda each: each.bought + each.sold)) for regime in ("calm", "stressed")]
    assert taken[1] > 2 * taken[0]
    moves = list(zip(seen[1:], returns(seen), strict=True))
    wild = [pstdev([move for at, move in moves if at.regime == name]) for name in ("calm", "stressed")]
    assert wild[1] > 3 * wild[0]


def test_a_book_is_thickest_behind_its_touch_and_round_prices_hold_more() -> None:
    floor = Floor()
    places = [0.0] * 25
    round_lots, other_lots = [], []
    for _ in range(1500):
        floor.step()
        for number, level in enumerate(floor.market.book.bids.top(25)):
            places[number] += level.total
            if number >= 5:
                (other_lots if level.price % 100 else round_lots).append(level.total)
    hump = max(range(25), key=places.__getitem__)
    assert 4 <= hump <= 18
    assert places[hump] > 2 * places[0]
    assert places[hump] > 1.2 * places[24]
    assert fmean(round_lots) > 1.25 * fmean(other_lots)


def test_a_buy_follows_a_buy_sizes_have_a_tail_and_trades_come_in_clusters() -> None:
    seen = run(BTC, "calm", 1, 4000)
    taken = [each.bought + each.sold for each in seen]
    signs = [1.0 if each.bought > each.sold else -1.0 for each in seen if each.bought != each.sold]
    assert repeating(signs, 1) > 0.1
    assert repeating(signs, 5) > 0.05
    busy = [float(lots > 0) for lots in taken]
    assert repeating(busy, 1) > 0.04
    sizes = sorted(lots for lots in taken if lots)
    assert sizes[-len(sizes) // 100] > 6 * sizes[len(sizes) // 2]


def test_symbols_move_together() -> None:
    pair = ((BTC, 4000), ("ETHUSDT", 2000))
    moves = [returns(run(name, "calm", 1, count)[:2000], every=10) for name, count in pair]
    assert correlation(*moves) > 0.3
    moods = [[each.regime for each in run(name, "crash", 1, 1200)] for name in (BTC, "ETHUSDT")]
    assert moods[0] == moods[1]
    assert len(set(moods[0])) == 3


@pytest.mark.parametrize("side", [BUY, SELL])
def test_who_takes_much_moves_the_quotes_and_they_come_back(side: int) -> None:
    """The same market twice; in one of them somebody takes a third of a side."""
    quiet, moved = Floor(), Floor()
    for floor in (quiet, moved):
        floor.steps(40)
    depth = sum(level.total for level in moved.market.book.opposite(side))
    moved.exchange.background_order(BTC, side=side, lots=depth // 3, limit=None)
    apart = [
        side * log(there.synthetic.middle / here.synthetic.middle)
        for here, there in [(quiet, moved)]
        for _ in range(400)
        if quiet.step() and moved.step()
    ]
    assert apart[0] > 0.0001
    assert fmean(apart[300:]) < apart[0] / 3


@pytest.mark.parametrize("side", [BUY, SELL])
def test_quotes_lean_towards_large_resting_orders_and_forget_them(side: int) -> None:
    quiet, leaning = Floor("SOLUSDT"), Floor("SOLUSDT")
    for floor in (quiet, leaning):
        floor.steps(40)
    best = leaning.market.book.own_side(side).best
    assert best is not None
    accounts = [leaning.exchange.open_account(f"one of {number}", Decimal(10**9)) for number in range(12)]
    order = NewOrder(
        symbol="SOLUSDT",
        side=side,
        type="LIMIT",
        time_in_force=TimeInForce.GTC,
        lots=50_000,
        price=best.price - side * 10,
        reduce_only=False,
        client_order_id="large",
        self_trade=SelfTrade.NONE,
    )
    for account in accounts:
        leaning.exchange.place(account, order)

    def apart() -> float:
        for floor in (quiet, leaning):
            floor.step()
        return side * log(leaning.synthetic.middle / quiet.synthetic.middle)

    drawn = fmean([apart() for _ in range(30)][15:])
    assert 0.00001 < drawn < 0.0001
    for account in accounts:
        leaning.exchange.cancel_all(account, "SOLUSDT")
    assert abs(fmean([apart() for _ in range(200)][100:])) < drawn / 4


@pytest.mark.parametrize("to_whom", [BUY, SELL])
def test_levels_that_an_operator_set_are_gone_within_a_second(to_whom: int) -> None:
    floor = Floor()
    floor.steps(20)
    for _ in range(20):
        best = floor.market.book.own_side(to_whom).best
        assert best is not None
        odd = [(best.price - to_whom * 100_003, 77)]
        bids, asks = (odd, []) if to_whom == BUY else ([], odd)
        floor.exchange.set_levels(BTC, bids=bids, asks=asks)
        assert odd[0] in floor.quoted()
        floor.steps(4)
        assert odd[0] not in floor.quoted()


@pytest.mark.parametrize("scenario", sorted(SCENARIOS))
def test_a_seed_repeats_its_run_to_the_last_level(scenario: str) -> None:
    one, two, other = (Floor(scenario=scenario, seed=seed) for seed in (3, 3, 4))
    told = one.steps(120)
    assert told == two.steps(120)
    assert one.quoted() == two.quoted()
    assert told != other.steps(120)


@pytest.mark.parametrize("scenario", sorted(SCENARIOS))
def test_a_scenario_goes_through_its_phases_and_moves_as_it_says(scenario: str) -> None:
    phases = SCENARIOS[scenario].phases
    seen = run("ETHUSDT", scenario, 1, int(SCENARIOS[scenario].seconds / STEP_S) + 40)
    at = 0
    for phase in phases:
        assert {each.phase for each in seen[at : at + phase.steps]} == {phase.name}
        whole = log(seen[at + phase.steps].middle / seen[at].middle)
        # A symbol makes up to 15 % more or less of it, and wanders around it
        assert abs(whole - phase.move) < 0.18 * abs(phase.move) + 0.004
        at += phase.steps


def test_a_scenario_is_for_all_or_for_one() -> None:
    found = assigned(["trend", "ethusdt=crash"], [BTC, "ETHUSDT"])
    assert {symbol: each.name for symbol, each in found.items()} == {BTC: "trend", "ETHUSDT": "crash"}
    assert {each.name for each in assigned([], [BTC]).values()} == {"calm"}
    for texts, listed, message in (
        (["boom"], [BTC], "scenario must be one of calm, range, trend, volatile, crash, squeeze; was boom"),
        (["XUSDT=crash"], [BTC], "scenario XUSDT=crash: XUSDT has no made-up market here"),
        (["crash"], [], "a scenario needs a made-up market"),
    ):
        with pytest.raises(ScenarioError, match=message):
            assigned(texts, listed)


def test_nothing_grows_with_time() -> None:
    floor = Floor(scenario="volatile")
    floor.steps(500)
    most = max(len(floor.quoted()) for _ in range(1500) if floor.step())
    assert most <= 90
    assert len(floor.market.book.bids.levels) + len(floor.market.book.asks.levels) < 500
