"""How the exchange counts and how a process keeps up with it; pure."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pms.binance.windows import BOUNDARY_MS, UNLIMITED, WINDOWS, Lane, Tally, advertised

NOW = 1_800_000_005_000
ORDER = (0, 1, 1)


def tally(now: int = NOW, share: str = "1") -> Tally:
    made = Tally(Decimal(share))
    made.roll(now)
    return made


def test_the_lanes_are_ranked() -> None:
    caps = [tally(share="0.9").caps(lane) for lane in ("cancel", "reduce", "open")]
    assert caps == [(2160, 1080, 270), (1944, 972, 243), (1728, 864, 216)]
    assert all(
        higher > lower for above, below in pairwise(caps) for higher, lower in zip(above, below, strict=True)
    )


@pytest.mark.parametrize("lane", ["cancel", "reduce", "open", "query"])
def test_a_full_window_says_when_it_is_over(lane: Lane) -> None:
    made = tally()
    made.take((0, 300, 300))
    assert made.full_ms(ORDER, lane, NOW) == 5000
    assert made.full_ms((40, 0, 0), lane, NOW) == 0
    made.roll(NOW + 5000)
    assert made.full_ms(ORDER, lane, NOW + 5000) == 0
    assert [made.used(i) for i in range(3)] == [0, 300, 0]


def test_above_half_of_the_share_the_others_are_asked() -> None:
    made = tally()
    made.learn(made.starts, [0, 0, 149])
    assert made.calm(ORDER)
    made.learn(made.starts, [0, 0, 150])
    assert not made.calm(ORDER)
    assert made.calm((40, 0, 0))


def test_on_credit_only_a_twentieth_is_taken() -> None:
    made = tally()
    taken = 0
    while made.calm(ORDER):
        made.take(ORDER)
        taken += 1
    assert taken == 15


def test_limits_that_are_not_advertised_are_off() -> None:
    made = tally()
    made.limits = advertised([{"rateLimitType": "RAW", "interval": "DAY", "intervalNum": 1, "limit": 1}])
    assert made.limits == (0, 0, 0)
    assert made.caps("open") == (UNLIMITED,) * 3
    made.take((10**6,) * 3)
    assert made.calm((1, 1, 1))
    assert made.full_ms((1, 1, 1), "open", NOW) == 0


def test_the_exchanges_count_holds_unless_a_boundary_is_near() -> None:
    made = tally()
    made.observe([900, None, 200], taken_at=NOW, now=NOW + 10)
    assert [made.used(i) for i in range(3)] == [900, 0, 200]
    late = NOW + 5000 + BOUNDARY_MS - 1
    made.observe([None, None, 299], taken_at=late, now=late)
    made.observe([None, None, 299], taken_at=NOW, now=late)
    assert made.used(2) == 0


def test_a_ban_of_orders_spares_the_rest() -> None:
    made = tally()
    made.orders_blocked_until = NOW + 700
    assert made.blocked_ms(ORDER, NOW) == 700
    assert made.blocked_ms((1, 0, 0), NOW) == 0
    made.blocked_until = NOW + 900
    assert made.blocked_ms((1, 0, 0), NOW) == 900


def test_a_clock_set_back_does_not_freeze_the_counts() -> None:
    made = tally()
    made.take((1, 300, 300))
    made.roll(NOW - 3_600_000)
    assert made.full_ms(ORDER, "cancel", NOW - 3_600_000) == 0


steps = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.integers(1, 5)),
        st.tuples(st.just("others"), st.integers(1, 5)),
        st.tuples(st.just("tell"), st.just(0)),
        st.tuples(st.sampled_from(["heard", "reply_lost", "message_lost"]), st.integers(0, 5)),
        st.tuples(st.just("pass"), st.integers(1, 7000)),
    ),
    max_size=60,
)


@given(steps)
def test_what_was_taken_is_never_forgotten(done: list[tuple[str, int]]) -> None:
    """Replies overtake each other and get lost; a process still counts at least all it took itself."""
    made, now, server = tally(), NOW, {}
    own = {0: 0, 1: 0, 2: 0}
    told: list[tuple[tuple[int, int, int], list[int], list[int], list[int]]] = []

    def count(i: int, start: int, amount: int) -> int:
        server[i, start] = server.get((i, start), 0) + amount
        return server[i, start]

    for what, amount in done:
        if what == "take":
            made.take((amount, amount, amount))
            own = {i: count + amount for i, count in own.items()}
        elif what == "others":
            for i in range(3):
                count(i, made.starts[i], amount)
        elif what == "tell":
            telling, starts = made.tell(), list(made.starts)
            reply = [count(i, starts[i], telling[i]) for i in range(3)]
            told.append((telling, starts, list(starts), reply))
        elif what == "pass":
            now += amount
            own = {i: 0 if now - now % WINDOWS[i].ms != made.starts[i] else own[i] for i in own}
            made.roll(now)
        elif told:
            telling, told_of, starts, reply = told.pop(amount % len(told))
            if what == "heard":
                made.told(telling, told_of)
                made.learn(starts, reply)
            else:
                made.untold(telling, told_of)
        for i in range(3):
            assert made.used(i) >= own[i]
