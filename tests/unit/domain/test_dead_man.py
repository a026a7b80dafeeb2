"""The dead man's switch as a policy: who is protected when, and at what cost."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from pms.domain.dead_man import MINUTE_MS, MOST_A_MINUTE, RETRY_MS, Call, DeadManSwitch, ended_ago
from pms.domain.order_table import SPEC
from pms.domain.orders import Order, Seen

SYMBOLS = [f"S{n}" for n in range(6)]


def beat(switch: DeadManSwitch, resting: set[str], now: int) -> list[Call]:
    """One look whose calls all succeed."""
    calls = switch.due(resting, now=now)
    for call in calls:
        switch.done(call, sent_at=now)
    return calls


def test_only_symbols_with_resting_orders_are_armed_and_renewed_at_half() -> None:
    switch = DeadManSwitch()
    assert beat(switch, set(), 0) == []
    assert beat(switch, {"A"}, 1000) == [Call("A", 120_000)]
    assert beat(switch, {"A"}, 60_999) == []
    assert beat(switch, {"A"}, 61_000) == [Call("A", 120_000)]


def test_a_countdown_without_orders_is_stopped_before_it_can_hit_the_next_order() -> None:
    switch = DeadManSwitch()
    beat(switch, {"A"}, 0)
    assert beat(switch, set(), 30_000) == []
    assert beat(switch, set(), 60_000) == [Call("A", 0)]
    assert switch.fuses == {}
    assert beat(switch, {"A"}, 60_001) == [Call("A", 120_000)]


def test_an_order_that_comes_late_in_a_countdown_renews_it() -> None:
    switch = DeadManSwitch()
    beat(switch, {"A"}, 0)
    assert beat(switch, {"A"}, 70_000) == [Call("A", 120_000)]


def test_a_call_that_failed_is_tried_again_and_not_at_every_look() -> None:
    switch = DeadManSwitch()
    (call,) = switch.due({"A"}, now=0)
    switch.failed(call, now=0)
    assert switch.due({"A"}, now=RETRY_MS - 1) == []
    assert switch.due({"A"}, now=RETRY_MS) == [call]


def test_what_ran_out_while_we_were_unwell_is_armed_anew() -> None:
    switch = DeadManSwitch()
    beat(switch, {"A"}, 0)
    assert switch.due({"A"}, now=200_000) == [Call("A", 120_000)]
    assert switch.due(set(), now=200_000) == []


def test_unprotected_symbols_come_first() -> None:
    switch = DeadManSwitch()
    beat(switch, {"B"}, 0)
    assert [call.symbol for call in switch.due({"A", "B"}, now=60_000)] == ["A", "B"]


def test_many_symbols_get_longer_fuses_instead_of_more_calls() -> None:
    switch, resting = DeadManSwitch(), {f"S{n}" for n in range(300)}
    calls = sum(len(beat(switch, resting, now)) for now in range(0, 60 * MINUTE_MS, 1000))
    assert calls / 60 <= MOST_A_MINUTE * 1.1
    assert min(fuse.countdown_ms for fuse in switch.fuses.values()) == 600_000


def test_a_life_inherits_what_may_still_run_and_no_longer_than_it_may() -> None:
    switch = DeadManSwitch()
    switch.inherit({"A": 119_999, "B": 120_000, "C": 5}, {"C"}, now=1_000_000)
    assert switch.fuses.keys() == {"A"}
    assert beat(switch, {"C"}, 1_000_000) == [Call("C", 120_000), Call("A", 0)]
    assert switch.fuses.keys() == {"C"}
    switch = DeadManSwitch()
    switch.inherit({"A": 60_000}, set(), now=1_000_000)
    assert switch.due(set(), now=1_059_999) == [Call("A", 0)], "tried for as long as it may run"
    assert switch.due(set(), now=1_060_000) == []


def test_the_longer_fuses_of_many_symbols_are_inherited_as_long_as_they_were() -> None:
    switch = DeadManSwitch()
    switch.inherit({f"S{n}": 500_000 for n in range(300)}, set(), now=1_000_000)
    assert len(switch.fuses) == 300


def test_an_order_that_could_rest_is_known_by_its_end_and_no_other() -> None:
    def order(symbol: str, price: str | None, word: str, at: int) -> Order:
        made = Order(
            spec=replace(SPEC, symbol=symbol),
            quantity=SPEC.quantity,
            price=None if price is None else Decimal(price),
            updated_at=at,
        )
        made.receive(Seen(1, word, Decimal(0)))
        return made

    orders = [
        order("A", "1", "CANCELED", 900),
        order("A", "1", "EXPIRED", 700),
        order("B", None, "EXPIRED", 950),
        order("C", "1", "NEW", 960),
    ]
    assert ended_ago(orders, now=1000) == {"A": 100}


@given(
    st.lists(st.tuples(st.sets(st.sampled_from(SYMBOLS)), st.integers(1, 3000)), min_size=1, max_size=100),
    st.integers(0, 200_000),
    st.sets(st.sampled_from(SYMBOLS)),
)
def test_behind_a_kill_no_countdown_of_the_life_before_outlives_the_next_ones_first_look(
    looks: list[tuple[set[str], int]], away: int, resting: set[str]
) -> None:
    """Nothing rests any more where the first life ended, but in `resting`, which came while nobody led."""
    first, now = DeadManSwitch(), 0
    exchange: dict[str, int] = {}
    rested: dict[str, int] = {}
    for held, wait in looks:
        for call in beat(first, held, now):
            exchange.pop(call.symbol, None)
            if call.countdown_ms:
                exchange[call.symbol] = now + call.countdown_ms
        rested |= dict.fromkeys(held, now)
        now += wait
    now += away
    running = {symbol for symbol, over_at in exchange.items() if over_at > now}
    second = DeadManSwitch()
    second.inherit({symbol: now - at for symbol, at in rested.items()}, resting, now=now)
    called = {call.symbol: call.countdown_ms for call in beat(second, resting, now)}
    assert running <= called.keys()
    assert {symbol for symbol, ms in called.items() if ms} == resting


@given(st.lists(st.tuples(st.sets(st.sampled_from(SYMBOLS)), st.integers(1, 3000)), min_size=1, max_size=200))
def test_while_we_look_often_no_countdown_ever_fires_and_every_order_is_protected(
    looks: list[tuple[set[str], int]],
) -> None:
    switch, now = DeadManSwitch(), 0
    exchange: dict[str, int] = {}
    for resting, wait in looks:
        for call in beat(switch, resting, now):
            exchange.pop(call.symbol, None)
            if call.countdown_ms:
                exchange[call.symbol] = now + call.countdown_ms
        assert resting <= exchange.keys()
        assert exchange.keys() == switch.fuses.keys()
        now += wait
        assert all(deadline > now for deadline in exchange.values()), "it fired on a living engine"
