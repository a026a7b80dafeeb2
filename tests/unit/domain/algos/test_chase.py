"""The chase: where it stands, when it moves, when it stops; and never a lot beyond its target."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from decimal import Decimal

import pytest
from any_order import OPS, calm, step
from hypothesis import given, settings
from hypothesis import strategies as st
from market_world import BTC, D, MarketWorld

from pms.contract.codes import Code, Refusal
from pms.domain.algos.algo import Status
from pms.domain.desk import Top
from pms.domain.orders import Order

CHASE = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.05", "leverage": 10}


def started(**terms: object) -> tuple[MarketWorld, str]:
    """A chase just asked once: its first order is on its way."""
    world = MarketWorld()
    world.move(0)
    algo = world.start("pms.chase", **{**CHASE, **terms})
    world.conduct(algo.id)
    return world, algo.id


def only(world: MarketWorld, algo_id: str) -> Order:
    """The one order that lives."""
    (order,) = [world.desk.orders[each.row.client_order_id] for each in world.of(algo_id) if not each.over]
    return order


def resting(**terms: object) -> tuple[MarketWorld, str]:
    world, algo_id = started(**terms)
    world.ack(only(world, algo_id).spec.client_order_id)
    return world, algo_id


def moved(world: MarketWorld, algo_id: str, ticks: int) -> Decimal | None:
    """The price wished after the market moved and enough time passed."""
    world.move(ticks)
    world.pass_time(1_000)
    world.conduct(algo_id)
    order = only(world, algo_id)
    return order.amend.price if order.amend else order.price


@pytest.mark.parametrize(("side", "price"), [("BUY", "60000"), ("SELL", "60000.1")])
def test_it_rests_at_the_touch(side: str, price: str) -> None:
    world, algo_id = started(side=side)
    order = only(world, algo_id)
    assert (order.price, order.quantity, order.spec.time_in_force) == (D(price), D("0.05"), "GTC")
    assert (order.spec.origin, order.spec.parent_id) == ("CHASE", algo_id)


def test_it_stays_while_a_trade_is_counted_that_nobody_has_booked() -> None:
    """The frame of a trade was lost: moved now, the order would be for that trade once more."""
    world, algo_id = resting()
    coid = only(world, algo_id).spec.client_order_id
    world.trade_silently(coid, D("0.02"))
    world.count(coid)
    assert moved(world, algo_id, 10) == D("60000")
    world.tell(coid)
    assert moved(world, algo_id, 10) == D("60002")
    wish = only(world, algo_id).amend
    assert (wish.quantity if wish else None, world.exposed(algo_id)) == (D("0.05"), D("0.05"))


def test_an_offset_keeps_behind_the_touch_and_on_a_tick() -> None:
    world, algo_id = started(stalkMode="maintain", stalkOffset="0.0123", postOnly=True)
    order = only(world, algo_id)
    assert (order.price, order.spec.time_in_force) == (D("59992.6"), "GTX")


@pytest.mark.parametrize(
    ("mode", "up", "down"),
    [("touch", "60001", "59999"), ("maintain", "59994.9", "59993"), ("trail", "59994.9", "59993.9")],
)
def test_modes_follow_as_they_say(mode: str, up: str, down: str) -> None:
    offset = "0" if mode == "touch" else "0.01"
    assert moved(*resting(stalkMode=mode, stalkOffset=offset), 10) == D(up)
    assert moved(*resting(stalkMode=mode, stalkOffset=offset), -10) == D(down)


def test_a_small_move_is_not_followed_and_a_larger_one_not_at_once() -> None:
    world, algo_id = resting(repriceTicks=5, repriceMs=2000)
    assert moved(world, algo_id, 4) == D("60000")
    world.move(1)
    assert world.conduct(algo_id) == world.now + 1_000
    assert only(world, algo_id).amend is None
    world.pass_time(1_000)
    world.conduct(algo_id)
    wish = only(world, algo_id).amend
    assert wish is not None
    assert (wish.price, wish.quantity) == (D("60000.5"), D("0.05"))


def test_a_move_after_a_partial_fill_carries_the_total() -> None:
    world, algo_id = resting()
    coid = only(world, algo_id).spec.client_order_id
    world.trade(coid, D("0.03"))
    assert moved(world, algo_id, 10) == D("60001")
    wish = only(world, algo_id).amend
    assert wish is not None
    assert wish.quantity == D("0.05")
    world.amend(coid)
    world.trade(coid, D("0.02"))
    world.conduct(algo_id)
    algo = world.desk.algos.every[algo_id]
    assert (algo.status, algo.filled, algo.maker_qty, algo.reprices) == (
        Status.FINISHED,
        D("0.05"),
        D("0.05"),
        1,
    )


def test_too_far_it_ends_and_cancels_first() -> None:
    world, algo_id = resting(maxDistance="0.1")
    coid = only(world, algo_id).spec.client_order_id
    world.move(601)
    world.conduct(algo_id)
    algo = world.desk.algos.every[algo_id]
    assert (algo.status, only(world, algo_id).cancel_wanted) == (Status.ENDING, True)
    world.end(coid, "CANCELED")
    world.conduct(algo_id)
    assert (algo.status, algo.reason) == (Status.CANCELLED, "mid is further than 0.1 % away")


def test_too_far_it_crosses_if_told_to_and_only_with_what_is_left() -> None:
    world, algo_id = resting(maxDistance="0.1", onMaxDistance="cross")
    coid = only(world, algo_id).spec.client_order_id
    world.move(601)
    world.conduct(algo_id)
    world.trade(coid, D("0.01"))
    world.end(coid, "CANCELED")
    world.conduct(algo_id)
    order = only(world, algo_id)
    assert (order.spec.type, order.quantity) == ("MARKET", D("0.04"))


def test_a_market_that_gets_better_is_no_distance() -> None:
    world, algo_id = resting(maxDistance="0.1")
    assert moved(world, algo_id, -2000) == D("59800")


def test_an_order_cancelled_from_outside_pauses_it_until_it_is_told_to_go_on() -> None:
    world, algo_id = resting()
    order = only(world, algo_id)
    world.ask("pms.cancel", None, orderId=order.spec.client_order_id)
    order.cancel_wanted = True
    world.end(order.spec.client_order_id, "CANCELED")
    world.conduct(algo_id)
    algo = world.desk.algos.every[algo_id]
    world.pass_time(120_000)
    world.conduct(algo_id)
    assert (algo.status, len(world.of(algo_id))) == (Status.PAUSED, 1)
    world.ask("pms.algo", None, algoId=algo_id, action="resume")
    world.conduct(algo_id)
    assert (algo.status, len(world.of(algo_id))) == (Status.RUNNING, 2)


def test_a_paused_one_has_no_order_and_keeps_what_is_filled() -> None:
    world, algo_id = resting()
    coid = only(world, algo_id).spec.client_order_id
    world.trade(coid, D("0.02"))
    world.ask("pms.chase", None, algoId=algo_id, action="pause")
    world.conduct(algo_id)
    world.end(coid, "CANCELED")
    world.conduct(algo_id)
    world.ask("pms.chase", None, algoId=algo_id, action="resume")
    world.conduct(algo_id)
    assert only(world, algo_id).quantity == D("0.03")


def test_amended_to_more_and_never_below_what_is_filled() -> None:
    world, algo_id = resting()
    coid = only(world, algo_id).spec.client_order_id
    world.trade(coid, D("0.02"))
    with pytest.raises(Refusal) as refused:
        world.ask("pms.chase", None, algoId=algo_id, action="amend", quantity="0.01")
    assert (refused.value.code, refused.value.field) == (Code.BELOW_FILLED, "quantity")
    world.ask("pms.chase", None, algoId=algo_id, action="amend", quantity="0.08")
    world.pass_time(1_000)
    world.conduct(algo_id)
    wish = only(world, algo_id).amend
    assert wish is not None
    assert wish.quantity == D("0.08")


def test_what_is_too_little_for_an_order_is_left_and_told() -> None:
    world, algo_id = resting()
    coid = only(world, algo_id).spec.client_order_id
    world.trade(coid, D("0.04999"))
    world.end(coid, "EXPIRED")
    world.conduct(algo_id)
    algo = world.desk.algos.every[algo_id]
    assert (algo.status, algo.reason) == (Status.FINISHED, "0.00001 is left, too little for an order")


def dear(**terms: object) -> tuple[MarketWorld, str]:
    """Orders are worth 100 USDT at least."""
    world = MarketWorld()
    world.desk.instruments["BTCUSDT"] = replace(BTC, min_notional=D(100))
    world.move(0)
    algo = world.start("pms.chase", **{**CHASE, **terms})
    world.conduct(algo.id)
    world.ack(only(world, algo.id).spec.client_order_id)
    return world, algo.id


BEHIND = {"stalkMode": "maintain", "stalkOffset": "20"}


def test_a_quantity_that_is_too_little_where_it_would_rest_is_refused() -> None:
    """0.002 is worth 120 USDT at mid, and 96 a fifth below."""
    with pytest.raises(Refusal) as refused:
        dear(quantity="0.002", **BEHIND)
    assert (refused.value.code, refused.value.field) == (Code.MIN_NOTIONAL, "quantity")
    world, algo_id = dear(quantity="0.002")
    for change in ({"stalkOffset": "20"}, {"quantity": "0.001"}):
        with pytest.raises(Refusal) as refused:
            world.ask("pms.chase", None, algoId=algo_id, action="amend", **change)
        assert (refused.value.code, refused.value.field) == (Code.MIN_NOTIONAL, "quantity")
    world.ask("pms.chase", None, algoId=algo_id, action="amend", maxDistance="1")


def test_what_is_left_is_too_little_where_it_would_rest() -> None:
    world, algo_id = dear(quantity="0.005", **BEHIND)
    coid = only(world, algo_id).spec.client_order_id
    world.trade(coid, D("0.003"))
    world.end(coid, "EXPIRED")
    world.conduct(algo_id)
    algo = world.desk.algos.every[algo_id]
    assert (algo.status, algo.reason) == (Status.FINISHED, "0.002 is left, too little for an order")


@pytest.mark.parametrize("coarse", [{"market_step": D("0.1")}, {"min_notional": D("119.5")}], ids=str)
def test_what_is_to_cross_is_judged_as_an_order_at_market(coarse: dict[str, Decimal]) -> None:
    """What is worth the least at mid may be too little at the touch that it takes; or for a market order."""
    world, algo_id = dear(side="SELL", quantity="0.002", maxDistance="0.1", onMaxDistance="cross")
    coid = only(world, algo_id).spec.client_order_id
    found = world.desk.instruments["BTCUSDT"]
    world.desk.instruments["BTCUSDT"] = replace(found, **coarse)
    world.desk.price("BTCUSDT", Top(D("59700"), D(1), D("60100"), D(1), world.now))
    world.conduct(algo_id)
    assert only(world, algo_id).cancel_wanted
    world.end(coid, "CANCELED")
    world.conduct(algo_id)
    algo = world.desk.algos.every[algo_id]
    assert (algo.status, algo.reason) == (Status.FINISHED, "0.002 is left, too little for an order")


def test_at_most_three_orders_a_minute_behind_ends_that_nobody_asked_for() -> None:
    world, algo_id = started()
    for _ in range(600):
        for order in world.of(algo_id):
            if not order.over:
                world.refuse(order.row.client_order_id, "-2019: Margin is insufficient.")
        world.pass_time(100)
        world.conduct(algo_id)
    assert len(world.of(algo_id)) == 3
    assert world.desk.algos.every[algo_id].slots[0].note == "-2019: Margin is insufficient."


def test_all_algos_together_move_no_more_often_than_their_share() -> None:
    world, algo_id = resting(repriceMs=100)
    for _ in range(200):
        world.move(1)
        world.pass_time(100)
        world.conduct(algo_id)
        if only(world, algo_id).amend is not None:
            world.amend(only(world, algo_id).spec.client_order_id)
    # Twenty seconds: two windows
    assert world.desk.algos.every[algo_id].reprices <= 2 * world.throttle.moves.most


@pytest.mark.parametrize(
    ("terms", "code", "field"),
    [
        ({"quantity": "0"}, Code.QUANTITY_ZERO, "quantity"),
        ({"quantity": "0.0015"}, Code.QUANTITY_STEP, "quantity"),
        ({"quantity": "0.00001"}, Code.QUANTITY_MIN, "quantity"),
        ({"symbol": "NOPEUSDT"}, Code.UNKNOWN_SYMBOL, "symbol"),
        ({"stalkOffset": "-1"}, Code.BAD_FIELD, "stalkOffset"),
        ({"stalkMode": "hover"}, Code.BAD_FIELD, "stalkMode"),
        ({"positionSide": "LONG"}, Code.POSITION_SIDE, "positionSide"),
        ({"subAccountId": "nobody"}, Code.UNKNOWN_ACCOUNT, "subAccountId"),
        ({"subAccountId": "house"}, Code.HOUSE_ONLY, "subAccountId"),
    ],
)
def test_terms_that_cannot_be_are_refused_and_change_nothing(
    terms: dict[str, object], code: Code, field: str
) -> None:
    world = MarketWorld()
    with pytest.raises(Refusal) as refused:
        world.ask("pms.chase", None, **{"subAccountId": "alice", **CHASE, **terms})
    assert (refused.value.code, refused.value.field) == (code, field)
    assert world.desk.algos.every == {}


def amend_total(world: MarketWorld, algo_id: str, number: int) -> None:
    """Its owner wants more or less in all, never above what it began with."""
    with suppress(Refusal):
        world.ask("pms.chase", None, action="amend", algoId=algo_id, quantity=str(D(1 + number) / 1000))


def refuse_too_large(world: MarketWorld, algo_id: str) -> None:
    """No order rests that may trade more than is left, unless something is under way or unknown."""
    (slot,) = world.desk.algos.every[algo_id].slots.values()
    order = world.desk.orders.get(slot.order_id or "")
    if order is None or order.state.terminal or order.price is None or order.leaves <= slot.remaining:
        return
    assert order.cancel_wanted or order.amend or order.unproven or order.trades_missing


@settings(max_examples=150, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from((*OPS, "total", "total")), st.integers(0, 40)), min_size=20, max_size=60
    ),
    mode=st.sampled_from(["touch", "maintain", "trail"]),
    post_only=st.booleans(),
    crossing=st.sampled_from(["cancel", "cross"]),
    distance=st.sampled_from([None, "5"]),
)
def test_never_beyond_its_target_and_always_over_in_the_end(
    steps: list[tuple[str, int]], mode: str, post_only: bool, crossing: str, distance: str | None
) -> None:
    world, algo_id = started(
        stalkMode=mode, stalkOffset="0.01", postOnly=post_only, onMaxDistance=crossing, maxDistance=distance
    )
    for op, number in steps:
        if op == "total":
            amend_total(world, algo_id, number)
        else:
            step(world, algo_id, op, number)
        world.conduct(algo_id)
        assert world.exposed(algo_id) <= D("0.05")
        assert world.desk.algos.every[algo_id].filled == world.told(algo_id)
        refuse_too_large(world, algo_id)
    if world.desk.algos.every[algo_id].status is Status.PAUSED:
        world.ask("pms.algo", None, algoId=algo_id, action="resume")
    calm(world, algo_id)
    algo = world.desk.algos.every[algo_id]
    assert algo.status.over
    assert world.exposed(algo_id) == world.told(algo_id) == algo.filled <= D("0.05")
    if algo.status is Status.FINISHED:
        assert algo.target - algo.filled < D("0.001")


def test_a_cancel_by_hand_that_came_too_late_pauses_nothing() -> None:
    world, algo_id = resting()
    order = only(world, algo_id)
    order.cancel_wanted = True
    world.trade(order.spec.client_order_id, D("0.05"))
    world.conduct(algo_id)
    world.conduct(algo_id)
    algo = world.desk.algos.every[algo_id]
    assert (algo.status, algo.filled) == (Status.FINISHED, D("0.05"))


def test_one_that_is_paused_behind_such_a_cancel_is_over_once_all_is_filled() -> None:
    world, algo_id = resting()
    order = only(world, algo_id)
    order.cancel_wanted = True
    world.conduct(algo_id)
    algo = world.desk.algos.every[algo_id]
    assert algo.status is Status.PAUSED
    world.trade(order.spec.client_order_id, D("0.02"))
    world.conduct(algo_id)
    assert algo.status is Status.PAUSED
    world.trade(order.spec.client_order_id, D("0.03"))
    world.conduct(algo_id)
    assert (algo.status, algo.reason) == (Status.FINISHED, "filled")
