"""The TWAP: each slice in its time, what is missed made up for without a burst, and never a lot too much."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from decimal import ROUND_UP, Decimal

import pytest
from any_order import settle_proofs, step, steps
from hypothesis import given, settings
from hypothesis import strategies as st
from market_world import D, MarketWorld

from pms.contract.codes import Code, Refusal
from pms.domain.algos.algo import Algo, SlotState, Status
from pms.domain.algos.ids import slot_of
from pms.domain.algos.volumes import MINUTE_MS, MINUTES, TradedVolumes, day_volumes
from pms.domain.orders import Order

TWAP = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "totalSize": "0.05",
    "lots": 5,
    "duration": 50,
    "leverage": 10,
}
SLICE_MS = 10_000
DAY_MS = MINUTES * MINUTE_MS
TOTAL = D("0.05")


def started(**terms: object) -> tuple[MarketWorld, str]:
    """A TWAP just asked once: its first slice is on its way."""
    world = MarketWorld()
    world.move(0)
    algo = world.start("pms.twap", **{**TWAP, **terms})
    world.conduct(algo.id)
    return world, algo.id


def algo_of(world: MarketWorld, algo_id: str) -> Algo:
    return world.desk.algos.every[algo_id]


def live(world: MarketWorld, algo_id: str) -> list[Order]:
    """The orders that live."""
    return [world.desk.orders[each.row.client_order_id] for each in world.of(algo_id) if not each.over]


def fill(world: MarketWorld, algo_id: str) -> Decimal:
    """Trade what lives; returns how much."""
    filled = D(0)
    for order in live(world, algo_id):
        world.trade(order.spec.client_order_id, order.leaves)
        filled += order.quantity
    world.conduct(algo_id)
    return filled


def after(world: MarketWorld, algo_id: str, ms: int) -> None:
    """Time passes, and it is asked."""
    world.pass_time(ms)
    world.conduct(algo_id)


def test_each_slice_is_sent_at_its_own_time_and_all_are_the_total() -> None:
    world, algo_id = started(totalSize="0.053")
    sent = []
    for number in range(5):
        assert algo_of(world, algo_id).slots[number].due_at == world.now
        sent.append(fill(world, algo_id))
        world.pass_time(SLICE_MS - 1)
        assert world.conduct(algo_id) in {world.now + 1, None}
        assert live(world, algo_id) == []
        after(world, algo_id, 1)
    algo = algo_of(world, algo_id)
    assert sent == [D("0.010"), D("0.011"), D("0.010"), D("0.011"), D("0.011")]
    assert (algo.status, algo.reason, algo.filled) == (Status.FINISHED, "filled", D("0.053"))
    assert {order.row.type for order in world.of(algo_id)} == {"MARKET"}


def test_it_is_over_with_its_last_fill() -> None:
    world, algo_id = started(lots=2)
    fill(world, algo_id)
    after(world, algo_id, 25_000)
    fill(world, algo_id)
    assert algo_of(world, algo_id).status is Status.FINISHED


def test_the_plan_is_rows_from_the_start_and_jitter_is_kept_over_a_restart() -> None:
    world, algo_id = started(jitter=60)
    before = [slot.due_at for slot in algo_of(world, algo_id).slots.values()]
    world.restart()
    assert [slot.due_at for slot in algo_of(world, algo_id).slots.values()] == before
    assert before != [1_000 + number * SLICE_MS for number in range(5)]
    assert sum(slot.target for slot in algo_of(world, algo_id).slots.values()) == D("0.05")


def test_what_was_missed_is_spread_over_what_is_left_and_never_sent_in_one_burst() -> None:
    world, algo_id = started(lots=10, duration=100, totalSize="0.1")
    fill(world, algo_id)
    # Four slices pass while nobody is there: one of them is still in its time
    world.pass_time(4 * SLICE_MS)
    world.restart()
    world.conduct(algo_id)
    world.restart()
    (order,) = live(world, algo_id)
    assert order.quantity == D("0.015")  # 0.03 missed, over the six that are left
    states = [slot.state for slot in algo_of(world, algo_id).slots.values()]
    assert states[:5] == [SlotState.DONE, *[SlotState.SKIPPED] * 3, SlotState.WORKING]
    for _ in range(6):
        assert fill(world, algo_id) <= D("0.02")
        after(world, algo_id, SLICE_MS)
    assert (algo_of(world, algo_id).status, algo_of(world, algo_id).filled) == (Status.FINISHED, D("0.1"))


def test_a_long_outage_is_made_up_for_by_the_multiple_at_most_and_in_overtime() -> None:
    world, algo_id = started(mostCatchUp="1.5")
    fill(world, algo_id)
    after(world, algo_id, 4 * SLICE_MS)
    sizes = []
    while algo_of(world, algo_id).status is Status.RUNNING:
        sizes.append(fill(world, algo_id))
        after(world, algo_id, SLICE_MS)
    assert sizes == [D("0.015"), D("0.015"), D("0.010")]
    assert algo_of(world, algo_id).filled == D("0.05")


def test_behind_its_overtime_nothing_is_sent() -> None:
    world, algo_id = started()
    fill(world, algo_id)
    after(world, algo_id, 101_000)
    algo = algo_of(world, algo_id)
    assert (algo.status, algo.filled) == (Status.FINISHED, D("0.01"))
    assert algo.reason == "its time is over, and 0.04 is not filled"


def test_skipped_slices_stay_skipped() -> None:
    world, algo_id = started(onMissed="skip")
    fill(world, algo_id)
    after(world, algo_id, 3 * SLICE_MS)
    assert fill(world, algo_id) == D("0.01")
    after(world, algo_id, SLICE_MS)
    fill(world, algo_id)
    algo = algo_of(world, algo_id)
    assert (algo.status, algo.reason) == (Status.FINISHED, "its time is over, and 0.02 is not filled")


def test_a_slice_that_trades_a_part_leaves_the_rest_to_the_next() -> None:
    world, algo_id = started()
    (order,) = live(world, algo_id)
    coid = order.spec.client_order_id
    world.trade(coid, D("0.006"))
    world.end(coid, "EXPIRED")
    # It would be sent again in this slice; but its time is over first
    after(world, algo_id, SLICE_MS)
    assert [each.quantity for each in live(world, algo_id)] == [D("0.011")]


def test_an_unknown_order_counts_in_full_while_the_next_slice_is_sent() -> None:
    world, algo_id = started(lots=2)
    (order,) = live(world, algo_id)
    world.lose(order.spec.client_order_id)
    after(world, algo_id, 25_000)
    assert [each.quantity for each in live(world, algo_id)] == [D("0.025")] * 2
    world.absent(order.spec.client_order_id)
    world.conduct(algo_id)
    fill(world, algo_id)
    # What the lost one was for is sent as soon as that is proven, within the multiple
    (again,) = live(world, algo_id)
    assert again.quantity == D("0.025")
    fill(world, algo_id)
    assert algo_of(world, algo_id).filled == D("0.05")


def test_a_refused_slice_is_of_no_matter_to_the_others() -> None:
    world, algo_id = started()
    (order,) = live(world, algo_id)
    world.refuse(order.spec.client_order_id, "-2019: Margin is insufficient.")
    after(world, algo_id, SLICE_MS)
    assert [each.quantity for each in live(world, algo_id)] == [D("0.013")]
    assert [slot.state for slot in algo_of(world, algo_id).slots.values()][2:] == [SlotState.WAITING] * 3


# --- how a slice is placed ---


def test_with_a_limit_nothing_is_sent_before_the_touch_is_within_it() -> None:
    world, algo_id = started(limitPrice="59999")
    assert live(world, algo_id) == []
    world.move(-11)
    world.conduct(algo_id)
    (order,) = live(world, algo_id)
    assert (order.price, order.spec.time_in_force, order.quantity) == (D("59999"), "IOC", D("0.01"))
    world.move(100)
    world.conduct(algo_id)
    assert not order.cancel_wanted


def test_gtc_rests_at_the_limit_until_the_end_of_its_slice() -> None:
    world, algo_id = started(limitPrice="59990", timeInForce="GTC")
    (order,) = live(world, algo_id)
    coid = order.spec.client_order_id
    assert (order.price, order.spec.time_in_force) == (D("59990"), "GTC")
    world.ack(coid)
    world.trade(coid, D("0.004"))
    after(world, algo_id, SLICE_MS)
    assert order.cancel_wanted
    world.end(coid, "CANCELED")
    world.conduct(algo_id)
    assert [each.quantity for each in live(world, algo_id)] == [D("0.01")]
    after(world, algo_id, 0)
    assert D(algo_of(world, algo_id).memory["missed"]) == D("0.006")


def test_passive_rests_at_the_touch_follows_it_and_crosses_before_its_slice_ends() -> None:
    world, algo_id = started(passive=True)
    (order,) = live(world, algo_id)
    coid = order.spec.client_order_id
    assert (order.price, order.spec.time_in_force) == (D("60000"), "GTX")
    world.ack(coid)
    world.move(3)
    after(world, algo_id, 1_000)
    assert order.amend is not None
    assert order.amend.price == D("60000.3")
    world.amend(coid)
    world.trade(coid, D("0.004"))
    after(world, algo_id, 6_999)
    assert not order.cancel_wanted
    after(world, algo_id, 1)
    assert order.cancel_wanted
    world.end(coid, "CANCELED")
    world.conduct(algo_id)
    (crossing,) = live(world, algo_id)
    assert (crossing.spec.type, crossing.quantity) == ("MARKET", D("0.006"))


def test_passive_within_a_limit_neither_rests_nor_crosses_behind_it() -> None:
    world, algo_id = started(passive=True, limitPrice="59995")
    (order,) = live(world, algo_id)
    assert order.price == D("59995")
    world.ack(order.spec.client_order_id)
    after(world, algo_id, 9_000)
    assert not order.cancel_wanted
    world.move(-100)
    world.conduct(algo_id)
    assert order.cancel_wanted
    world.end(order.spec.client_order_id, "CANCELED")
    world.conduct(algo_id)
    (crossing,) = live(world, algo_id)
    assert (crossing.price, crossing.spec.time_in_force) == (D("59995"), "IOC")


def test_reduce_only_is_over_when_there_is_nothing_left_to_reduce() -> None:
    world, algo_id = started(side="SELL", reduceOnly=True)
    algo = algo_of(world, algo_id)
    assert (algo.status, len(world.of(algo_id))) == (Status.FINISHED, 0)
    assert algo.reason == "there is nothing left to reduce, and 0.05 is not filled"


# --- sizes ---


def test_slices_below_the_least_are_merged_and_told() -> None:
    world = MarketWorld()
    world.move(0)
    # 0.001 is worth 60: the least is one step; 5 slices of 0.0005 cannot be
    posting = world.ask("pms.twap", **{**TWAP, "totalSize": "0.003"})
    details = posting.results[0].details if posting.results else None
    (row,) = posting.entry.rows.algos
    assert [slot.target for slot in posting.entry.rows.algo_slots] == [D("0.001")] * 3
    assert [slot.due_at for slot in posting.entry.rows.algo_slots] == [1_000, 17_666, 34_333]
    assert details is None or details["slots"] == "3"
    assert row.target == D("0.003")


def test_a_market_that_fell_below_the_least_notional_carries_slices_on() -> None:
    world, algo_id = started(totalSize="0.005", onMissed="skip")
    fill(world, algo_id)
    world.mid = D("3000")  # 0.001 is worth 3 now; the least is 5
    world.move(0)
    sent = []
    for _ in range(4):
        after(world, algo_id, SLICE_MS)
        sent.append(fill(world, algo_id))
    assert sent == [D(0), D("0.002"), D(0), D("0.002")]
    assert algo_of(world, algo_id).reason == "filled"


@pytest.mark.parametrize(
    ("terms", "code", "field"),
    [
        ({"totalSize": "0"}, Code.QUANTITY_ZERO, "totalSize"),
        ({"totalSize": "0.0505555"}, Code.QUANTITY_STEP, "totalSize"),
        ({"totalSize": "0.00001"}, Code.QUANTITY_MIN, "totalSize"),
        ({"totalSize": "0.001"}, Code.QUANTITY_MIN, "totalSize"),  # not the full size at once by accident
        ({"lots": 0}, Code.BAD_FIELD, "lots"),
        ({"lots": 501}, Code.BAD_FIELD, "lots"),
        ({"duration": 0}, Code.BAD_FIELD, "duration"),
        ({"jitter": 101}, Code.BAD_FIELD, "jitter"),
        ({"mostCatchUp": "0.5"}, Code.BAD_FIELD, "mostCatchUp"),
        ({"limitPrice": "60000.05"}, Code.PRICE_TICK, "limitPrice"),
        ({"limitPrice": "0"}, Code.PRICE_RANGE, "limitPrice"),
        ({"timeInForce": "GTC"}, Code.TIME_IN_FORCE, "timeInForce"),
        ({"symbol": "NOPEUSDT"}, Code.UNKNOWN_SYMBOL, "symbol"),
        ({"positionSide": "LONG"}, Code.POSITION_SIDE, "positionSide"),
        ({"subAccountId": "nobody"}, Code.UNKNOWN_ACCOUNT, "subAccountId"),
    ],
)
def test_terms_that_cannot_be_are_refused_and_change_nothing(
    terms: dict[str, object], code: Code, field: str
) -> None:
    world = MarketWorld()
    world.move(0)
    with pytest.raises(Refusal) as refused:
        world.ask("pms.twap", None, **{"subAccountId": "alice", **TWAP, **terms})
    assert (refused.value.code, refused.value.field) == (code, field)
    assert world.desk.algos.every == {}


def test_one_lot_is_one_slice_for_who_asks_for_it() -> None:
    world, algo_id = started(lots=1, totalSize="0.001")
    assert fill(world, algo_id) == D("0.001")
    assert algo_of(world, algo_id).reason == "filled"


# --- by volume ---


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


# --- taking part ---

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


# --- amended ---


def amend(world: MarketWorld, algo_id: str, **terms: object) -> None:
    world.ask("pms.twap", None, algoId=algo_id, action="amend", **terms)


def test_more_is_spread_over_the_slices_to_come() -> None:
    world, algo_id = started()
    fill(world, algo_id)
    amend(world, algo_id, totalSize="0.09")
    slots = algo_of(world, algo_id).slots.values()
    assert [slot.target for slot in slots] == [D("0.01")] + [D("0.02")] * 4
    for _ in range(4):
        after(world, algo_id, SLICE_MS)
        fill(world, algo_id)
    assert algo_of(world, algo_id).filled == D("0.09")


def test_less_takes_from_what_is_to_come_and_ends_it_early() -> None:
    world, algo_id = started()
    fill(world, algo_id)
    after(world, algo_id, SLICE_MS)
    fill(world, algo_id)
    amend(world, algo_id, totalSize="0.02")
    world.conduct(algo_id)
    algo = algo_of(world, algo_id)
    assert (algo.status, algo.reason, algo.filled) == (Status.FINISHED, "filled", D("0.02"))


def test_never_less_than_is_filled_or_under_way() -> None:
    world, algo_id = started()
    with pytest.raises(Refusal) as refused:
        amend(world, algo_id, totalSize="0.009")
    assert (refused.value.code, refused.value.field, refused.value.limit) == (
        Code.BELOW_FILLED,
        "totalSize",
        "0.01",
    )
    amend(world, algo_id, totalSize="0.011")
    assert [slot.target for slot in algo_of(world, algo_id).slots.values()][:1] == [D("0.01")]
    after(world, algo_id, SLICE_MS)
    amend(world, algo_id, totalSize="0.01")
    fill(world, algo_id)
    assert algo_of(world, algo_id).reason == "filled"


def test_less_takes_nothing_from_an_order_that_lives() -> None:
    world, algo_id = started(limitPrice="59990", timeInForce="GTC")
    (first,) = live(world, algo_id)
    world.ack(first.spec.client_order_id)
    after(world, algo_id, SLICE_MS)
    world.end(first.spec.client_order_id, "CANCELED")
    amend(world, algo_id, totalSize="0.01")
    assert [slot.target for slot in algo_of(world, algo_id).slots.values()][:2] == [D(0), D("0.01")]


def test_what_the_slices_to_come_may_not_take_is_for_overtime_or_refused() -> None:
    for policy in ("catch_up", "skip"):
        world, algo_id = started(onMissed=policy)
        fill(world, algo_id)
        for _ in range(3):
            after(world, algo_id, SLICE_MS)
            fill(world, algo_id)
        if policy == "skip":
            with pytest.raises(Refusal) as refused:
                amend(world, algo_id, totalSize="0.1")
            assert (refused.value.code, refused.value.limit) == (Code.QUANTITY_MAX, "0.08")
            assert algo_of(world, algo_id).target == D("0.05")
            continue
        amend(world, algo_id, totalSize="0.1")
        sizes = []
        while algo_of(world, algo_id).status is Status.RUNNING:
            after(world, algo_id, SLICE_MS)
            sizes.append(fill(world, algo_id))
        assert sizes == [D("0.04"), D("0.02")]


def test_another_limit_moves_what_rests() -> None:
    world, algo_id = started(limitPrice="59990", timeInForce="GTC")
    (order,) = live(world, algo_id)
    world.ack(order.spec.client_order_id)
    amend(world, algo_id, limitPrice="59991")
    after(world, algo_id, 1_000)
    assert order.amend is not None
    assert (order.amend.price, order.amend.quantity) == (D("59991"), D("0.01"))


@pytest.mark.parametrize(
    ("terms", "code", "field"),
    [
        ({}, Code.MISSING_FIELD, "totalSize"),
        ({"limitPrice": "60000"}, Code.PRICE_UNWANTED, "limitPrice"),
        ({"duration": 5}, Code.UNKNOWN_FIELD, "duration"),
        ({"totalSize": "0.0100001"}, Code.QUANTITY_STEP, "totalSize"),
    ],
)
def test_amendments_that_cannot_be_are_refused(terms: dict[str, object], code: Code, field: str) -> None:
    world, algo_id = started()
    with pytest.raises(Refusal) as refused:
        amend(world, algo_id, **terms)
    assert (refused.value.code, refused.value.field) == (code, field)


# --- whatever happens ---

MODES: dict[str, dict[str, object]] = {
    "market": {},
    "ioc": {"limitPrice": "60010"},
    "gtc": {"limitPrice": "60000", "timeInForce": "GTC"},
    "passive": {"passive": True},
    "passive within": {"passive": True, "limitPrice": "60000"},
}
TOTALS = ("0.013", "0.03", "0.05", "0.051", "0.08")


TERMS = st.fixed_dictionaries(
    {
        "duration": st.just(30),
        "onMissed": st.sampled_from(["catch_up", "skip"]),
        "jitter": st.sampled_from([0, 100]),
        "mostCatchUp": st.sampled_from(["1", "1.7", "3"]),
    }
)


@settings(max_examples=250, deadline=None)
@given(
    steps=steps,
    mode=st.sampled_from(sorted(MODES)),
    terms=TERMS,
    acts=st.lists(st.tuples(st.integers(0, 12), st.sampled_from([*TOTALS, 7_000, 16_000])), max_size=4),
)
def test_never_beyond_its_target_nor_a_slice_beyond_its_most_and_always_over_in_the_end(
    steps: list[tuple[str, int]], mode: str, terms: dict[str, object], acts: list[tuple[int, str | int]]
) -> None:
    world, algo_id = started(**MODES[mode], **terms)
    judge = Judge(world, algo_id, D(str(terms["mostCatchUp"])))
    for turn, (op, number) in enumerate(steps):
        for act in [act for at, act in acts if at == turn]:
            # An outage, or another total
            if isinstance(act, int):
                world.pass_time(act)
                continue
            with suppress(Refusal):
                amend(world, algo_id, totalSize=act)
        step(world, algo_id, op, number)
        world.conduct(algo_id)
        judge.look()
    settle_proofs(world)
    if algo_of(world, algo_id).status is Status.PAUSED:
        world.ask("pms.algo", None, algoId=algo_id, action="resume")
    calm_down(world, algo_id, judge)
    algo = algo_of(world, algo_id)
    assert algo.status.over
    assert world.exposed(algo_id) == world.told(algo_id) == algo.filled <= algo.target
    if algo.status is Status.FINISHED and "its time is over" not in (algo.reason or ""):
        assert algo.target - algo.filled < D("0.001")


@given(mode=st.sampled_from(sorted(MODES)), away=st.integers(0, 55_000), terms=TERMS)
def test_an_outage_of_less_than_the_overtime_strands_nothing(
    mode: str, away: int, terms: dict[str, object]
) -> None:
    world, algo_id = started(**MODES[mode], **{**terms, "onMissed": "catch_up", "mostCatchUp": "5"})
    world.restart()
    world.pass_time(away)
    calm_down(world, algo_id, Judge(world, algo_id, D(5)))
    algo = algo_of(world, algo_id)
    assert (algo.status, algo.filled) == (Status.FINISHED, D("0.05"))


@dataclass
class Judge:
    """Judges an algo by the exchange's own reckoning."""

    world: MarketWorld
    algo_id: str
    multiple: Decimal
    widest: Decimal = TOTAL
    #: the largest total that it ever had

    def look(self) -> None:
        world, algo = self.world, algo_of(self.world, self.algo_id)
        assert world.exposed(self.algo_id) <= algo.target
        assert algo.filled == world.told(self.algo_id)
        planned = sum((slot.target for slot in algo.slots.values()), D(0))
        assert planned + D(algo.memory["missed"]) + D(algo.memory["carried"]) == algo.target
        self.widest = max(self.widest, algo.target)
        even = (self.widest / 5).quantize(D("0.001"), ROUND_UP)
        by_slice: dict[int, Decimal] = {}
        for order in world.of(self.algo_id):
            number = slot_of(order.row.client_order_id)
            by_slice[number] = by_slice.get(number, D(0)) + order.exposed
        assert all(exposed <= algo.slots[number].target for number, exposed in by_slice.items())
        # What is too little for an order of its own may come on top
        assert max(by_slice.values(), default=D(0)) < even * self.multiple + D("0.001")


def calm_down(world: MarketWorld, algo_id: str, judge: Judge) -> None:
    """All comes to rest, a second after the other: what lives trades."""
    world.mid = D("59990")
    for _ in range(120):
        world.move(0)
        world.conduct(algo_id)
        for order in world.of(algo_id):
            coid = order.row.client_order_id
            world.tell(coid)
            if order.over:
                continue
            if not order.sent:
                world.ack(coid)
            elif order.wished is not None:
                world.amend(coid)
            elif world.desk.orders[coid].cancel_wanted:
                world.end(coid, "CANCELED")
            else:
                world.trade(coid, order.total)
        judge.look()
        if algo_of(world, algo_id).status.over and not live(world, algo_id):
            break
        world.pass_time(1_000)
