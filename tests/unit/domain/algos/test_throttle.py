"""Turns to move: never more than a window holds, and whoever is asked seldom gets as many as the busiest."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from pms.domain.algos.throttle import (
    GUARDS_PER_WINDOW,
    LATE_MS,
    MOVES_PER_WINDOW,
    WINDOW_MS,
    Throttle,
    Turns,
)

ALGOS = 200
SPAN_MS = 110_000


def moved(turns: Turns, algo: str, now: int) -> bool:
    """Ask for a move, and make it if it may be made."""
    if turns.wait_ms(algo, now=now):
        return False
    turns.note(algo, now=now)
    return True


@given(
    st.integers(1, 5),
    st.lists(
        st.tuples(
            st.sampled_from("abcdefgh"),
            st.sampled_from([0, 1, 50, 900, LATE_MS, 3_000, WINDOW_MS]),
            st.booleans(),
        ),
        max_size=200,
    ),
)
def test_no_window_holds_more_than_its_share(most: int, asks: list[tuple[str, int, bool]]) -> None:
    turns, now, moves = Turns(most), 0, list[int]()
    for algo, later, uses in asks:
        now += later
        if not turns.wait_ms(algo, now=now) and uses:
            turns.note(algo, now=now)
            moves.append(now)
        assert len([at for at in moves if at > now - WINDOW_MS]) <= most


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(1, WINDOW_MS)), max_size=60))
def test_who_comes_at_his_turn_moves(asks: list[tuple[str, int]]) -> None:
    turns, now = Turns(2), 0
    for algo, later in asks:
        now += later
        wait = turns.wait_ms(algo, now=now)
        assert turns.wait_ms(algo, now=now) == wait
        assert moved(turns, algo, now + wait)
        now += wait


def test_who_is_asked_seldom_moves_as_often_as_who_is_asked_with_every_tick() -> None:
    """All want to move whenever they are asked: some ten times a second, some only at their turn."""
    turns, moves, at_turn = Turns(MOVES_PER_WINDOW), Counter[str](), dict[str, int]()
    for now in range(0, SPAN_MS, 100):
        for number in range(ALGOS):
            algo = str(number)
            if now < at_turn.get(algo, 0) and (number % 20 or now % 5_000):
                continue
            at_turn[algo] = now + turns.wait_ms(algo, now=now)
            moves[algo] += moved(turns, algo, now)
    assert max(moves.values()) - min(moves[str(number)] for number in range(ALGOS)) <= 1
    # What the allowance for late ones costs is all that is not used
    assert sum(moves.values()) >= MOVES_PER_WINDOW * SPAN_MS // (WINDOW_MS + LATE_MS)


def test_a_turn_that_nobody_uses_is_over_and_holds_nobody_up_for_ever() -> None:
    turns = Turns(1)
    assert moved(turns, "a", 0)
    first = turns.wait_ms("a", now=1)
    second = turns.wait_ms("b", now=1)
    assert first < second
    assert moved(turns, "b", second + 1)
    # Its own was long over: it begins to wait anew, behind the other
    assert turns.wait_ms("a", now=second + 2) > WINDOW_MS - 2


BACK_MS = 3_600_000


def test_a_clock_that_is_put_back_makes_nobody_wait_longer_and_gives_nobody_more() -> None:
    turns = Turns(2)
    assert moved(turns, "a", BACK_MS)
    assert moved(turns, "b", BACK_MS)
    wait = turns.wait_ms("c", now=BACK_MS)
    assert turns.wait_ms("c", now=0) == wait <= WINDOW_MS + LATE_MS
    assert not turns.free("d", now=0)
    assert moved(turns, "c", wait)
    assert turns.free("d", now=wait)


def test_who_waits_behind_many_keeps_his_turn_though_it_is_windows_away() -> None:
    turns = Turns(1)
    assert moved(turns, "a", 1_000)
    waits = [turns.wait_ms(algo, now=1_000) for algo in "bcdef"]
    assert waits[-1] > 3 * WINDOW_MS
    assert [turns.wait_ms(algo, now=900) for algo in "bcdef"] == [wait + 100 for wait in waits]


def test_what_guards_a_position_waits_behind_no_chase() -> None:
    throttle = Throttle()
    while moved(throttle.of(guards=False), "chase", 0):
        pass
    assert throttle.of(guards=False).wait_ms("bracket", now=1)
    guards = sum(moved(throttle.of(guards=True), "bracket", 1) for _ in range(2 * GUARDS_PER_WINDOW))
    assert guards == GUARDS_PER_WINDOW
