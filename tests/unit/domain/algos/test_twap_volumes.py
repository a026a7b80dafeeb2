"""TWAPs by volume: weighed by the past, or taking part in the present."""

from __future__ import annotations

from decimal import Decimal

import pytest
from any_order import step, steps
from hypothesis import given, settings
from hypothesis import strategies as st
from market_world import D, MarketWorld
from twap_world import DAY_MS, MODES, SLICE_MS, TWAP, Judge, after, amend, fill, live, started

from pms.contract.codes import Code, Refusal
from pms.domain.algos import volumes
from pms.domain.algos.algo import Algo, Status
from pms.domain.algos.volumes import MINUTE_MS, MINUTES, TradedVolumes, day_volumes


def day(**busy: int) -> dict[int, Decimal]:
    """One day's bars: one lot a minute, and more in those that are named by their number."""
    volumes = {f"m{minute}": 1 for minute in range(MINUTES)} | busy
    return {int(name[1:]) * MINUTE_MS: D(volume) for name, volume in volumes.items()}


def test_slices_by_volume_are_as_large_as_their_minutes() -> None:
    world = MarketWorld(now=0)
    world.move(0)
    found = day_volumes(day(m1=3, m3=0).items())
    assert found is not None
    world.desk.volumes["BTCUSDT", 3] = found
    algo = world.start("pms.twap", **{**TWAP, "lots": 4, "duration": 240, "profile": "volume"})
    # The fourth minute never trades: its slice is none
    assert [slot.target for slot in algo.slots.values()] == [D("0.01"), D("0.03"), D("0.01")]
    assert [slot.due_at for slot in algo.slots.values()] == [0, 60_000, 120_000]
    for _ in range(3):
        world.conduct(algo.id)
        fill(world, algo.id)
        world.pass_time(60_000)
    assert (algo.status, algo.filled) == (Status.FINISHED, D("0.05"))


@pytest.mark.parametrize("busiest", [0, 4])
@pytest.mark.parametrize("policy", ["skip", "catch_up"])
@pytest.mark.parametrize("total", ["0.99", "0.5", "1.2"])
def test_another_total_leaves_a_busy_minute_its_part(busiest: int, policy: str, total: str) -> None:
    world = MarketWorld(now=0)
    world.move(0)
    found = day_volumes(day(**{f"m{busiest}": 100}).items())
    assert found is not None
    world.desk.volumes["BTCUSDT", 3] = found
    planned = {"totalSize": "0.998", "lots": 10, "duration": 600, "profile": "volume", "onMissed": policy}
    algo = world.start("pms.twap", **{**TWAP, **planned})
    sizes = [slot.target for slot in algo.slots.values()]
    assert max(sizes) == sizes[busiest] > D("0.9")
    amend(world, algo.id, totalSize=total)
    assert algo.memory["missed"] == 0
    assert sum(slot.target for slot in algo.slots.values()) == algo.target == D(total)
    # None but the one that was planned so is larger than three even slices
    rest = [slot.target for number, slot in algo.slots.items() if number != busiest]
    assert max(rest) <= D(total) * 3 / 10 + D("0.001")
    assert algo.slots[busiest].target <= sizes[busiest]


def test_a_total_that_was_raised_and_lowered_again_makes_no_slice_larger_than_the_multiple() -> None:
    world, algo_id = started(mostCatchUp="1", onMissed="skip")
    for total in ("0.051", "0.05"):
        amend(world, algo_id, totalSize=total)
    algo = world.desk.algos.every[algo_id]
    assert [slot.target for slot in algo.slots.values()] == [D("0.010")] * 5


def test_a_slice_over_several_minutes_has_its_part_of_each() -> None:
    found = day_volumes(day(m0=10, m1=20).items())
    assert found is not None
    assert found.between(30_000, 75_000) == D(10) / 2 + D(20) / 4
    assert found.between(0, 2 * 86_400_000) == 2 * (1_438 + 30)
    assert found.weights(start=0, duration_ms=120_000, count=3) == [
        D(20) / 3,
        D(10) / 3 + D(20) / 3,
        D(40) / 3,
    ]


def test_the_mean_is_of_the_days_that_are_known() -> None:
    bars = [(0, D(4)), (DAY_MS, D(8)), (MINUTE_MS, D(2))]
    found = day_volumes(bars)
    assert found is not None
    assert found.means[:3] == (D(6), D(2), D(4))  # of the third nothing is known
    assert day_volumes([]) is None
    assert day_volumes([(0, D(0))]) is None


@pytest.mark.parametrize("volumes", [{}, {0: D(1), MINUTE_MS: D(0)}])
def test_without_a_volume_to_go_by_it_is_refused(volumes: dict[int, Decimal]) -> None:
    world = MarketWorld(now=MINUTE_MS)
    world.move(0)
    found = day_volumes(volumes.items())
    if found is not None:
        world.desk.volumes["BTCUSDT", 3] = found
    with pytest.raises(Refusal) as refused:
        world.start("pms.twap", **{**TWAP, "profile": "volume"})
    assert (refused.value.code, refused.value.field) == (Code.VOLUME_MISSING, "profile")


PART = {**TWAP, "profile": "participation", "participation": 10}


def taking_part(**terms: object) -> tuple[MarketWorld, Algo]:
    """One that may be a tenth of what trades; 4 were traded in its first minute before it began."""
    world = MarketWorld(now=100_000)
    world.move(0)
    heard(world, {MINUTE_MS: "4"})
    return world, world.start("pms.twap", **{**PART, **terms})


def heard(world: MarketWorld, bars: dict[int, str]) -> None:
    """The volumes of these minutes are told."""
    traded = world.desk.traded.setdefault("BTCUSDT", TradedVolumes())
    traded.take([(opened, D(volume)) for opened, volume in bars.items()], at=world.now)


def test_it_takes_its_part_of_what_traded_since_its_start() -> None:
    world, algo = taking_part()
    world.conduct(algo.id)
    assert live(world, algo.id) == []
    heard(world, {MINUTE_MS: "4.1"})
    after(world, algo.id, SLICE_MS)
    assert fill(world, algo.id) == D("0.01")
    # 0.0009 is too little for an order: it is part of the next
    heard(world, {MINUTE_MS: "4.109"})
    after(world, algo.id, SLICE_MS)
    assert live(world, algo.id) == []
    heard(world, {2 * MINUTE_MS: "0.1"})
    after(world, algo.id, SLICE_MS)
    assert fill(world, algo.id) == D("0.010")
    after(world, algo.id, 2 * SLICE_MS)
    assert (algo.status, algo.filled) == (Status.FINISHED, D("0.020"))
    assert algo.reason == "its time is over, and 0.03 is not filled"


def test_one_slice_alone_would_open_before_anything_has_traded() -> None:
    with pytest.raises(Refusal) as refused:
        taking_part(lots=1)
    told = refused.value
    assert (told.code, told.field, told.limit, told.actual) == (Code.BAD_FIELD, "lots", "2", "1")


def test_behind_a_restart_its_last_slice_waits_for_what_traded() -> None:
    world, algo = taking_part(lots=2, duration=20)
    world.conduct(algo.id)
    world.restart()
    after(world, algo.id, SLICE_MS)
    assert world.desk.algos.every[algo.id].status is Status.RUNNING
    heard(world, {MINUTE_MS: "4.1"})
    world.conduct(algo.id)
    assert fill(world, algo.id) == D("0.01")


def test_what_traded_and_is_never_told_ends_with_its_time() -> None:
    world, algo = taking_part(lots=2, duration=20)
    world.conduct(algo.id)
    world.restart()
    after(world, algo.id, SLICE_MS)
    after(world, algo.id, SLICE_MS)
    algo = world.desk.algos.every[algo.id]
    assert (algo.status, algo.reason) == (Status.FINISHED, "its time is over, and 0.05 is not filled")


def test_a_burst_of_volume_is_followed_by_the_multiple_at_most() -> None:
    world, algo = taking_part()
    heard(world, {2 * MINUTE_MS: "1000"})
    sent = []
    for _ in range(3):
        world.conduct(algo.id)
        sent.append(fill(world, algo.id))
        world.pass_time(SLICE_MS)
    assert sent == [D("0.02"), D("0.02"), D("0.01")]
    assert (algo.status, algo.reason) == (Status.FINISHED, "filled")


def test_behind_a_restart_it_waits_until_the_volumes_are_told_again() -> None:
    world, algo = taking_part()
    world.restart()
    world.pass_time(SLICE_MS)
    world.conduct(algo.id)
    assert live(world, algo.id) == []
    heard(world, {2 * MINUTE_MS: "0.1"})
    # The older minute comes behind the newer
    heard(world, {MINUTE_MS: "4"})
    world.conduct(algo.id)
    assert [order.quantity for order in live(world, algo.id)] == [D("0.01")]


def test_another_total_of_one_that_takes_part() -> None:
    world, algo = taking_part()
    heard(world, {2 * MINUTE_MS: "0.1"})
    world.conduct(algo.id)
    amend(world, algo.id, totalSize="0.1")
    assert D(algo.memory["missed"]) == D("0.09")
    with pytest.raises(Refusal):
        amend(world, algo.id, totalSize="0.009")
    amend(world, algo.id, totalSize="0.01")
    fill(world, algo.id)
    assert (algo.status, algo.reason) == (Status.FINISHED, "filled")


@pytest.mark.parametrize(
    ("terms", "code", "field"),
    [
        ({"participation": None}, Code.MISSING_FIELD, "participation"),
        ({"participation": 0}, Code.BAD_FIELD, "participation"),
        ({"profile": "time"}, Code.BAD_FIELD, "participation"),
        ({"symbol": "NOPEUSDT"}, Code.UNKNOWN_SYMBOL, "symbol"),
    ],
)
def test_a_part_that_cannot_be_taken_is_refused(terms: dict[str, object], code: Code, field: str) -> None:
    with pytest.raises(Refusal) as refused:
        taking_part(**terms)
    assert (refused.value.code, refused.value.field) == (code, field)


def test_minutes_come_in_any_order_and_the_newest_word_of_each_counts() -> None:
    traded = TradedVolumes()
    for opened, volume in ((3, 1), (1, 4), (2, 2), (3, 8)):
        traded.take([(opened * MINUTE_MS, D(volume))], at=0)
    assert [traded.since(minute * MINUTE_MS + 59_999) for minute in range(5)] == [14, 14, 10, 8, 0]
    assert traded.newest == 3 * MINUTE_MS


def test_volumes_of_some_time_ago_are_none() -> None:
    world, _ = taking_part()
    world.pass_time(5_000)
    with pytest.raises(Refusal) as refused:
        world.start("pms.twap", **PART)
    assert refused.value.code is Code.VOLUME_MISSING


@settings(max_examples=100, deadline=None)
@given(
    steps=steps,
    told=st.lists(st.integers(0, 300), min_size=60, max_size=60),
    mode=st.sampled_from(["market", "passive"]),
)
def test_it_is_never_more_than_its_part(steps: list[tuple[str, int]], told: list[int], mode: str) -> None:
    world, algo = taking_part(**MODES[mode], totalSize="0.2")
    judge, volume = Judge(world, algo.id, D(2), widest=D("0.2")), D(0)
    for (op, number), lots in zip(steps, told, strict=False):
        volume += D(lots) / 1000
        heard(world, {MINUTE_MS: str(4 + volume)})
        step(world, algo.id, op, number)
        world.conduct(algo.id)
        judge.look()
        assert world.exposed(algo.id) <= volume / 10


def test_older_bars_behind_a_newer_one_are_put_in_order_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Days of them come behind a restart, on the loop that decides."""
    traded, ordered = TradedVolumes(), []
    traded.take([(9 * MINUTE_MS, D(1))], at=0)
    monkeypatch.setattr(volumes, "sorted", lambda bars: ordered.append(1) or sorted(bars), raising=False)
    traded.take([(minute * MINUTE_MS, D(minute)) for minute in range(10)], at=0)
    assert list(traded.bars) == [minute * MINUTE_MS for minute in range(10)]
    assert (len(ordered), traded.bars[9 * MINUTE_MS]) == (1, 9)
