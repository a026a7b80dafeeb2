"""Weights, bans and order counts by a clock that the test moves."""

from __future__ import annotations

import pytest

from pms.venue.errors import VenueError
from pms.venue.limits import PATIENCE, Allowance, RateLimits
from pms.venue.symbols import SHIPPED, SymbolFileError, SymbolTable

TOLD = SymbolTable.load(SHIPPED).info
BINANCE = Allowance.read(TOLD)


class Clock:
    def __init__(self) -> None:
        self.now = 60_000

    def __call__(self) -> int:
        return self.now


def test_too_much_weight_is_429_then_418_then_forgiven() -> None:
    clock = Clock()
    limits = RateLimits(BINANCE, enforced=True, clock=clock)
    clock.now += 15_000
    assert limits.charge("a", 2400) == 2400
    with pytest.raises(VenueError) as refused:
        limits.charge("a", 1)
    assert (refused.value.status, refused.value.code, refused.value.retry_after) == (429, -1003, 45)
    assert limits.charge("b", 1) == 1
    for _ in range(PATIENCE - 1):
        with pytest.raises(VenueError):
            limits.charge("a", 1)
    with pytest.raises(VenueError) as banned:
        limits.charge("a", 1)
    assert (banned.value.status, banned.value.retry_after) == (418, 120)
    assert f"banned until {clock.now + 120_000}" in banned.value.message
    clock.now += 60_000
    with pytest.raises(VenueError):
        limits.charge("a", 1)
    clock.now += 60_000
    assert limits.charge("a", 1) == 1


def test_orders_are_counted_by_account_and_window() -> None:
    clock = Clock()
    limits = RateLimits(BINANCE, enforced=True, clock=clock)
    for count in range(1, 301):
        assert limits.charge_order("a") == (count, count)
    with pytest.raises(VenueError) as refused:
        limits.charge_order("a")
    assert (refused.value.status, refused.value.code) == (429, -1015)
    assert refused.value.message == "Too many new orders; current limit is 300 orders per TEN_SECONDS."
    assert limits.charge_order("b") == (1, 1)
    clock.now += 10_000
    assert limits.charge_order("a") == (1, 302)


def test_without_enforcement_nothing_is_refused() -> None:
    limits = RateLimits(BINANCE, enforced=False, clock=Clock())
    assert limits.charge("a", 100_000) == 100_000
    assert [limits.charge_order("a") for _ in range(2000)][-1] == (2000, 2000)


def test_what_clients_are_told_is_what_holds() -> None:
    assert Allowance(weight_per_minute=2400, orders_per_minute=1200, orders_per_ten_seconds=300) == BINANCE
    less = [{**row, "limit": 50} if row["interval"] == "SECOND" else row for row in TOLD["rateLimits"]]
    limits = RateLimits(Allowance.read({"rateLimits": less}), enforced=True, clock=Clock())
    assert [limits.charge_order("a") for _ in range(50)][-1] == (50, 50)
    with pytest.raises(VenueError, match="current limit is 50 orders per TEN_SECONDS"):
        limits.charge_order("a")


def test_a_file_without_a_limit_is_refused_with_its_name() -> None:
    rest = [row for row in TOLD["rateLimits"] if row["interval"] != "SECOND"]
    with pytest.raises(SymbolFileError, match="no ORDERS for 10 SECOND"):
        Allowance.read({"rateLimits": rest})


def test_the_most_of_any_interval_and_who_was_turned_away_are_kept() -> None:
    clock = Clock()
    limits = RateLimits(BINANCE, enforced=True, clock=clock)
    limits.charge("a", 7)
    for _ in range(3):
        limits.charge_order("desk")
    clock.now += 60_000
    limits.charge("a", 2)
    limits.charge_order("desk")
    told = limits.as_json()
    assert (told["weight_1m"], told["orders_10s"], told["orders_1m"], told["turnedAway"]) == (7, 3, 3, 0)
    with pytest.raises(VenueError):
        limits.charge("a", BINANCE.weight_per_minute)
    with pytest.raises(VenueError):
        limits.charge_order("desk", BINANCE.orders_per_ten_seconds, 0)
    told = limits.as_json()
    assert told["turnedAway"] == 2
    assert told["allowed"] == {"weight_1m": 2400, "orders_1m": 1200, "orders_10s": 300}
