"""Weights, bans and order counts by a clock that the test moves."""

from __future__ import annotations

import pytest

from pms.venue.errors import VenueError
from pms.venue.limits import ORDERS_PER_TEN_SECONDS, PATIENCE, RateLimits


class Clock:
    def __init__(self) -> None:
        self.now = 60_000

    def __call__(self) -> int:
        return self.now


def test_too_much_weight_is_429_then_418_then_forgiven() -> None:
    clock = Clock()
    limits = RateLimits(enforced=True, clock=clock)
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
    limits = RateLimits(enforced=True, clock=clock)
    for count in range(1, ORDERS_PER_TEN_SECONDS + 1):
        assert limits.charge_order("a") == (count, count)
    with pytest.raises(VenueError) as refused:
        limits.charge_order("a")
    assert (refused.value.status, refused.value.code) == (429, -1015)
    assert refused.value.message == "Too many new orders; current limit is 300 orders per TEN_SECONDS."
    assert limits.charge_order("b") == (1, 1)
    clock.now += 10_000
    assert limits.charge_order("a") == (1, ORDERS_PER_TEN_SECONDS + 2)


def test_without_enforcement_nothing_is_refused() -> None:
    limits = RateLimits(enforced=False, clock=Clock())
    assert limits.charge("a", 100_000) == 100_000
    assert [limits.charge_order("a") for _ in range(2000)][-1] == (2000, 2000)
