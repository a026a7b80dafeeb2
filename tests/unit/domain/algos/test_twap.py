"""The TWAP: each slice in its time, and what is missed made up for without a burst."""

from __future__ import annotations

from dataclasses import replace

import pytest
from market_world import BTC, D
from position_world import PositionWorld
from twap_world import SLICE_MS, TWAP, after, algo_of, fill, live, started

from pms.domain.algos.algo import SlotState, Status


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


@pytest.mark.parametrize("terms", [{"limitPrice": "59990", "timeInForce": "GTC"}, {"passive": True}], ids=str)
def test_without_a_price_what_rests_goes_with_its_slice_all_the_same(terms: dict[str, object]) -> None:
    world, algo_id = started(lots=2, **terms)
    (order,) = live(world, algo_id)
    world.ack(order.spec.client_order_id)
    ends_at = algo_of(world, algo_id).started_at + 25_000
    world.lose_sync()
    world.now = ends_at - 1
    wake_at = world.conduct(algo_id)
    assert (wake_at, order.cancel_wanted) == (ends_at, False)
    after(world, algo_id, 1)
    assert order.cancel_wanted
    world.end(order.spec.client_order_id, "CANCELED")
    after(world, algo_id, 3_600_000)
    assert live(world, algo_id) == []
    # Where there is a price again, it is known to be over
    world.move(0)
    after(world, algo_id, 0)
    after(world, algo_id, 0)
    assert algo_of(world, algo_id).reason == "its time is over, and 0.05 is not filled"


def test_without_a_price_what_cannot_rest_is_not_cancelled() -> None:
    world, algo_id = started()
    (order,) = live(world, algo_id)
    world.lose_sync()
    after(world, algo_id, SLICE_MS)
    assert not order.cancel_wanted


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


def reducing(net: str, **terms: object) -> tuple[PositionWorld, str]:
    """A long of 3,000 USDT sold in slices of 120, where the least order is 400 and others hold the rest."""
    world = PositionWorld()
    world.desk.instruments["BTCUSDT"] = replace(BTC, min_notional=D(400))
    world.touch("60000", "60000.1")
    world.by_hand("BUY", "0.05")
    world.desk.treasury.net["BTCUSDT"] = D(net)
    asked = {**TWAP, "side": "SELL", "lots": 25, "duration": 250, "reduceOnly": True, **terms}
    return world, world.start("pms.twap", **asked).id


def run_out(world: PositionWorld, algo_id: str) -> None:
    """All of its time passes, and what it sends trades."""
    for _ in range(40):
        world.conduct(algo_id)
        fill(world, algo_id)
        after(world, algo_id, SLICE_MS)


@pytest.mark.parametrize("policy", ["catch_up", "skip"])
def test_slices_that_only_reduce_are_sold_where_the_exchanges_net_is_of_the_other_side(policy: str) -> None:
    world, algo_id = reducing("-1", onMissed=policy)
    run_out(world, algo_id)
    algo = algo_of(world, algo_id)
    assert (algo.status, algo.reason, algo.filled) == (Status.FINISHED, "filled", D("0.05"))
    assert all(order.row.quantity * 60_000 >= 400 for order in world.of(algo_id))


def test_slices_that_were_found_too_little_wait_for_each_other() -> None:
    """Too little for two of the least, so that it was planned in lots."""
    world, algo_id = reducing("-1", totalSize="0.014", lots=7, onMissed="skip")
    assert [slot.target for slot in algo_of(world, algo_id).slots.values()] == [D("0.002")] * 7
    run_out(world, algo_id)
    assert [order.row.quantity for order in world.of(algo_id)] == [D("0.008")]
    algo = algo_of(world, algo_id)
    assert (algo.filled, algo.memory["carried"], algo.memory["missed"]) == (D("0.008"), D("0.006"), 0)


def test_what_is_too_little_for_two_of_the_least_is_sold_in_lots_while_that_is_possible() -> None:
    world, algo_id = reducing("1", totalSize="0.014", lots=7)
    run_out(world, algo_id)
    assert [order.row.quantity for order in world.of(algo_id)] == [D("0.002")] * 7
