"""The trigger index against a full scan: the same accounts on the same tick, over walks with gaps."""

from __future__ import annotations

from decimal import Decimal
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from pms.domain.bounds import bounds
from pms.domain.brackets import UNKNOWN, ladder
from pms.domain.margin import Exposure, weigh
from pms.domain.triggers import SPARE, Between, SymbolTriggers

D = Decimal
STEEP = ladder(
    [
        (50, D(0), D(50_000), D("0.01")),
        (25, D(50_000), D(500_000), D("0.02")),
        (10, D(500_000), D(2_000_000), D("0.05")),
        (2, D(2_000_000), D(9_000_000), D("0.25")),
    ]
)
SYMBOLS = ("A", "B", "C")
LADDERS = {"A": STEEP, "B": UNKNOWN, "C": STEEP}
WORSE, BETTER = D("0.8"), D("0.75")


def test_only_whoever_is_reached_is_due_and_only_once() -> None:
    triggers = SymbolTriggers()
    triggers.put("low", Between(D(90), D(200)))
    triggers.put("high", Between(D(50), D(110)))
    assert triggers.due(D(100)) == []
    assert triggers.due(D(110)) == ["high"]
    assert triggers.due(D(120)) == []
    assert triggers.due(D(90)) == ["low"]
    assert triggers.newest == {}


def test_the_newest_bounds_alone_count() -> None:
    triggers = SymbolTriggers()
    triggers.put("a", Between(D(90), D(110)))
    triggers.put("a", Between(D(80), D(120)))
    assert triggers.due(D(85)) == triggers.due(D(115)) == []
    assert triggers.due(D(79)) == ["a"]


def test_who_was_dropped_is_never_due() -> None:
    triggers = SymbolTriggers()
    triggers.put("a", Between(D(90), D(110)))
    triggers.drop("a")
    assert triggers.due(D(1)) == triggers.due(D(1000)) == []


def test_memory_is_bounded_however_often_bounds_change() -> None:
    triggers = SymbolTriggers()
    for turn in range(10_000):
        triggers.put(f"a{turn % 10}", Between(D(turn + 1), D(turn + 100_000)))
    assert len(triggers.falling.heap) <= 2 * 10 + SPARE
    assert len(triggers.rising.heap) <= 2 * 10 + SPARE


class Book:
    """A few accounts, the index over them, and the scan that it must agree with."""

    def __init__(self, seed: int) -> None:
        rng = Random(seed)
        self.rng = rng
        self.prices = {symbol: D(rng.randint(50, 2000)) for symbol in SYMBOLS}
        self.balance: dict[str, Decimal] = {}
        self.held: dict[str, list[Exposure]] = {}
        self.crossed: dict[str, bool] = {}
        self.index = {symbol: SymbolTriggers() for symbol in SYMBOLS}
        for number in range(12):
            account = f"a{number}"
            self.held[account] = []
            for symbol in rng.sample(SYMBOLS, rng.randint(1, 3)):
                quantity = D(rng.choice((-1, 1)) * rng.randint(1, 3000)) / rng.choice((1, 10, 100))
                cost = quantity * self.prices[symbol]
                self.held[account].append(Exposure(symbol, quantity, cost, LADDERS[symbol]))
            need = weigh(D(0), self.held[account], self.prices).maintenance
            self.balance[account] = need * D(rng.randint(100, 400)) / 100
            self.wait(account)

    def wait(self, account: str) -> None:
        weight = weigh(self.balance[account], self.held[account], self.prices)
        crossed = self.crossed[account] = weight.crossed(WORSE if not self.crossed.get(account) else BETTER)
        found = bounds(
            self.held[account],
            self.prices,
            weight,
            worse=None if crossed else WORSE,
            better=BETTER if crossed else None,
        )
        for symbol, between in found.items():
            assert between.low < self.prices[symbol] < between.high or weight.slack(BETTER) == 0
            self.index[symbol].put(account, between)

    def scan(self) -> set[str]:
        """The accounts that are on another side of their line than they were."""
        found = set()
        for account, held in self.held.items():
            weight = weigh(self.balance[account], held, self.prices)
            was = self.crossed[account]
            if weight.crossed(BETTER if was else WORSE) is not was:
                found.add(account)
        return found

    def tick(self) -> tuple[set[str], set[str]]:
        symbol = self.rng.choice(SYMBOLS)
        jump = self.rng.choice((5, 20, 20, 20, 100, 1500))
        step = D(self.rng.randint(-jump, jump)) / 10_000
        self.prices[symbol] = max((self.prices[symbol] * (1 + step)).quantize(D("0.001")), D("0.001"))
        expected = self.scan()
        seen = set()
        for account in self.index[symbol].due(self.prices[symbol]):
            was = self.crossed[account]
            self.wait(account)
            if self.crossed[account] is not was:
                seen.add(account)
        return seen, expected


@settings(max_examples=60)
@given(st.integers(0, 2**32))
def test_the_index_finds_each_crossing_on_the_tick_of_the_scan(seed: int) -> None:
    book = Book(seed)
    for _ in range(150):
        seen, expected = book.tick()
        assert seen == expected


def test_the_walks_do_cross() -> None:
    book = Book(7)
    assert sum(len(book.tick()[0]) for _ in range(400)) > 20
