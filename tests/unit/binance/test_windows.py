"""How the exchange counts and how a process keeps up with it; pure."""

from __future__ import annotations

from decimal import Decimal

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


def test_each_lane_leaves_something_to_those_before_it() -> None:
    lanes: tuple[Lane, ...] = ("vital", "cancel", "reduce", "open", "query", "background")
    caps = [tally(share="0.9").caps(lane) for lane in lanes]
    assert [weight for weight, _, _ in caps] == [2160, 2052, 1944, 1836, 1620, 1296]
    assert caps[2][1:] == (1080, 270)
    assert caps[3][1:] == (918, 229)


@pytest.mark.parametrize("lane", ["reduce", "open"])
def test_a_full_window_says_which_it_is_and_when_it_is_over(lane: Lane) -> None:
    made = tally()
    made.take((0, 300, 300))
    assert made.full(ORDER, lane, NOW) == (3, 5000)
    assert made.full((40, 0, 0), lane, NOW) == (0, 0)
    made.roll(NOW + 5000)
    assert made.full(ORDER, lane, NOW + 5000) == (0, 0)
    assert [made.used(i) for i in range(3)] == [0, 300, 0]


def test_credit_is_spent_by_whom_it_was_given_to_and_only_in_its_window() -> None:
    made = tally()
    made.credit(50, 2, account="alice", lane="open", starts=made.starts)
    assert made.spend((50, 0, 0), account="", lane="background")
    assert not made.spend((1, 0, 0), account="", lane="vital")
    assert not made.spend(ORDER, account="bob", lane="open")
    assert not made.spend(ORDER, account="alice", lane="reduce")
    assert made.spend(ORDER, account="alice", lane="open")
    made.roll(NOW + 5000)
    assert not made.spend(ORDER, account="alice", lane="open")
    made.credit(50, 2, account="alice", lane="open", starts=[0, 0, 0])
    assert not made.spend((1, 0, 0), account="", lane="vital")


def test_credit_is_worth_nothing_where_the_exchange_has_counted_more_than_we_did() -> None:
    made = tally()
    made.credit(50, 2, account="alice", lane="open", starts=made.starts)
    made.observe([2399, None, 300], taken_at=NOW, now=NOW)
    assert not made.spend(ORDER, account="alice", lane="open")
    assert not made.spend((2, 0, 0), account="", lane="vital")
    assert made.spend((1, 0, 0), account="", lane="vital")


def test_a_list_of_limits_that_does_not_name_ours_leaves_the_usual_ones() -> None:
    """An exchange that counts by other windows from now on has not lifted its limits."""
    usual = tuple(window.usual for window in WINDOWS)
    assert advertised([{"rateLimitType": "RAW", "interval": "DAY", "intervalNum": 1, "limit": 1}]) == usual
    weight = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1}
    assert advertised([{**weight, "limit": 6000}]) == (6000, *usual[1:])
    for torn in (0, -1, None, "6000"):
        assert advertised([{**weight, "limit": torn}]) == usual


def test_where_no_limit_is_advertised_all_are_off() -> None:
    made = tally()
    made.limits = advertised([])
    assert made.limits == (0, 0, 0)
    assert made.caps("open") == (UNLIMITED,) * 3
    made.take((10**6,) * 3)
    assert made.spend((1, 1, 1), account="alice", lane="open")
    assert made.full((1, 1, 1), "open", NOW) == (0, 0)


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
    assert made.full(ORDER, "cancel", NOW - 3_600_000) == (0, 0)


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
