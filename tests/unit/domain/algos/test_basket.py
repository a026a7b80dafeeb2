"""Baskets: all legs or none, each as its kind, and what is done when one fails."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from basket_world import BUY_BTC, SELL_ETH, BasketWorld
from market_world import BTC, D

from pms.contract.codes import Code, Refusal
from pms.domain.adoption import adopt
from pms.domain.algos.algo import Algo, Status
from pms.domain.algos.ending import shed
from pms.domain.algos.legs import legs_of
from pms.domain.algos.machines import MACHINES
from pms.domain.desk import Desk
from pms.domain.posting import Posting

CHASE_BTC = {**BUY_BTC, "algo": "chase", "stalkMode": "maintain", "stalkOffset": "0.1"}
CHASE_ETH = {**SELL_ETH, "algo": "chase", "stalkMode": "maintain", "stalkOffset": "0.1"}
LIMIT_ETH = {**SELL_ETH, "algo": "limit", "price": "3010"}
TWAP_ETH = {
    "symbol": "ETHUSDT",
    "side": "SELL",
    "totalSize": "0.4",
    "leverage": 10,
    "algo": "twap",
    "lots": 4,
    "duration": 40,
}


def refusals(world: BasketWorld, algo_id: str, coid: str, *, times: int) -> None:
    """The exchange refuses a leg's order again and again."""
    number = world.orders[coid].row.symbol == "ETHUSDT"
    for _ in range(times):
        for each in world.live(algo_id, int(number)):
            world.refuse(each, "-2019: Margin is insufficient.")
        world.conduct(algo_id)
        world.pass_time(3_000)
        world.conduct(algo_id)


def test_parallel_legs_begin_together_and_it_is_over_when_all_are_filled() -> None:
    world = BasketWorld()
    algo = world.basket(BUY_BTC, SELL_ETH)
    (btc,), (eth,) = world.live(algo.id, 0), world.live(algo.id, 1)
    assert [world.orders[coid].row.origin for coid in (btc, eth)] == ["BASKET", "BASKET"]
    world.fill(btc)
    world.conduct(algo.id)
    assert (algo.status, world.leg(algo.id, 0).state, world.leg(algo.id, 1).state) == (
        Status.RUNNING,
        "done",
        "running",
    )
    world.fill(eth, "0.1")
    world.fill(eth)
    world.conduct(algo.id)
    assert (algo.status, algo.reason) == (Status.FINISHED, "filled")
    assert (world.leg(algo.id, 0).filled, world.leg(algo.id, 1).filled) == (D("0.02"), D("0.4"))


def test_a_sequence_begins_each_leg_behind_the_one_before() -> None:
    world = BasketWorld()
    algo = world.basket(CHASE_BTC, SELL_ETH, mode="sequence")
    (btc,) = world.live(algo.id, 0)
    world.fill(btc, "0.01")
    world.conduct(algo.id)
    assert (world.live(algo.id, 1), world.leg(algo.id, 1).state) == ([], "waiting")
    world.fill(btc)
    world.conduct(algo.id)
    (eth,) = world.live(algo.id, 1)
    world.fill(eth)
    world.conduct(algo.id)
    assert algo.status is Status.FINISHED


def test_each_leg_is_worked_as_its_kind() -> None:
    world = BasketWorld()
    algo = world.basket(CHASE_BTC, TWAP_ETH, LIMIT_ETH)
    (btc,), (slice_,), (limit,) = (world.live(algo.id, number) for number in range(3))
    rows = {coid: world.orders[coid].row for coid in (btc, slice_, limit)}
    assert (rows[btc].price, rows[btc].quantity) == (D("59939.9"), D("0.02"))
    assert (rows[slice_].price, rows[slice_].quantity) == (None, D("0.1"))
    assert (rows[limit].price, rows[limit].quantity) == (D("3010"), D("0.4"))
    world.ack(btc)
    world.move(100)
    world.fill(slice_)
    world.pass_time(10_000)
    world.conduct(algo.id)
    assert world.desk.orders[btc].amend is not None
    assert len(world.live(algo.id, 1)) == 1
    world.amend(btc)
    figures = algo_figures(world, algo.id)
    assert [leg["reprices"] for leg in figures["legs"]] == [1, 0, 0]


def test_slices_that_were_missed_are_made_up_for_and_add_up() -> None:
    world = BasketWorld()
    algo = world.basket(TWAP_ETH, BUY_BTC, mode="sequence")
    assert len(world.leg(algo.id, 0).slots) == 4 + 4 + 2
    for _ in range(12):
        for coid in world.live(algo.id, 0):
            # The first two slices come to nothing
            if world.now < 21_000:
                world.refuse(coid, "-1008: Server is currently overloaded.")
            else:
                world.fill(coid)
        world.restart()
        world.conduct(algo.id)
        world.pass_time(5_000)
    leg = world.leg(algo.id, 0)
    assert (leg.state, leg.filled) == ("done", D("0.4"))
    assert [slot.filled for slot in leg.slots[:2]] == [0, 0]
    assert sum(slot.target for slot in leg.slots) == D("0.4")
    assert len(world.live(algo.id, 1)) == 1


def test_no_slip_in_a_leg_s_own_plan_lets_it_beyond_its_target() -> None:
    world = BasketWorld()
    algo = world.basket({**TWAP_ETH, "lots": 2})
    world.leg(algo.id, 0).slots[1].target = D("0.4")
    (first,) = world.live(algo.id, 0)
    world.fill(first)
    world.pass_time(20_000)
    world.conduct(algo.id)
    (second,) = world.live(algo.id, 0)
    assert world.orders[second].total == D("0.2")


def algo_figures(world: BasketWorld, algo_id: str) -> dict[str, Any]:
    machine: Any = MACHINES["basket"]
    found: dict[str, Any] = machine.figures(world.algo(algo_id), now=world.now).model_dump(by_alias=True)
    return found


# --- all or nothing ---


@pytest.mark.parametrize(
    ("leg", "code", "field"),
    [
        ({"quantity": "0"}, Code.QUANTITY_ZERO, "legs[1].quantity"),
        ({"quantity": "0.0005"}, Code.QUANTITY_MIN, "legs[1].quantity"),
        ({"quantity": "0.0015"}, Code.QUANTITY_STEP, "legs[1].quantity"),
        ({"quantity": "100"}, Code.MARGIN, "legs[1].quantity"),
        ({"symbol": "NOPEUSDT"}, Code.UNKNOWN_SYMBOL, "legs[1].symbol"),
        ({"side": "UP"}, Code.BAD_FIELD, "legs[1].side"),
        ({"algo": "hope"}, Code.BAD_FIELD, "legs[1].algo"),
        ({"algo": None}, Code.BAD_FIELD, "legs[1].algo"),
        ({"price": "3000"}, Code.UNKNOWN_FIELD, "legs[1].price"),
        (
            {"algo": "limit", "price": "3000", "timeInForce": "FOK", "quantity": "1000.001"},
            Code.QUANTITY_MAX,
            "legs[1].quantity",
        ),
        ({"algo": "limit"}, Code.MISSING_FIELD, "legs[1].price"),
        ({"algo": "limit", "price": "3000.001"}, Code.PRICE_TICK, "legs[1].price"),
        ({"algo": "limit", "price": "2000"}, Code.PRICE_COLLAR, "legs[1].price"),
        ({"reduceOnly": True}, Code.REDUCE_ONLY, "legs[1].quantity"),
        ({"leverage": 126}, Code.LEVERAGE_RANGE, "legs[1].leverage"),
        ({"positionSide": "LONG"}, Code.POSITION_SIDE, "legs[1].positionSide"),
        ({"algo": "chase", "stalkMode": "hover"}, Code.BAD_FIELD, "legs[1].stalkMode"),
    ],
)
def test_one_leg_that_cannot_be_refuses_all_and_changes_nothing(
    leg: dict[str, object], code: Code, field: str
) -> None:
    world = BasketWorld()
    before = state_of(world.desk)
    with pytest.raises(Refusal) as refused:
        world.basket(BUY_BTC, {**SELL_ETH, **leg})
    assert (refused.value.code, refused.value.field) == (code, field)
    assert state_of(world.desk) == before
    assert world.desk.algos.every == world.orders == {}


def state_of(desk: Desk) -> tuple[object, ...]:
    """All that admission may touch."""
    return (
        desk.last_seq,
        dict(desk.orders),
        desk.snapshot("alice"),
        {place: position.leverage for place, position in desk.positions.items() if position.leverage != 1},
        desk.pending.get("alice") or {},
        dict(desk.headroom.uncounted),
        desk.accounts["alice"].open_orders,
        desk.resting.best("ETHUSDT", "SELL"),
    )


def test_a_slice_of_a_leg_is_named_as_its_command_does() -> None:
    world = BasketWorld()
    with pytest.raises(Refusal) as refused:
        world.basket(BUY_BTC, {**TWAP_ETH, "totalSize": "90"})
    assert (refused.value.code, refused.value.field) == (Code.MARGIN, "legs[1].totalSize")
    with pytest.raises(Refusal) as refused:
        world.basket(BUY_BTC, {key: value for key, value in SELL_ETH.items() if key != "algo"})
    assert (refused.value.code, refused.value.field) == (Code.MISSING_FIELD, "legs[1].algo")


@pytest.mark.parametrize("mode", ["parallel", "sequence"])
def test_legs_that_each_could_be_and_together_could_not_are_refused(mode: str) -> None:
    world = BasketWorld()
    half = {**BUY_BTC, "quantity": "1"}
    other = {**SELL_ETH, "quantity": "20"}
    BasketWorld().basket(half)
    BasketWorld().basket(other)
    with pytest.raises(Refusal) as refused:
        world.basket(half, other, mode=mode)
    assert (refused.value.code, refused.value.field) == (Code.MARGIN, "legs[1].quantity")


def test_limits_are_judged_for_all_legs_together() -> None:
    world = BasketWorld()
    world.ask(
        "pms.limits",
        None,
        action="set",
        scope="alice",
        limit="exposure",
        value=2000,
        reason="x",
        actor="x",
    )
    with pytest.raises(Refusal) as refused:
        world.basket(BUY_BTC, TWAP_ETH)
    assert (refused.value.code, refused.value.field) == (Code.EXPOSURE, "legs[1].totalSize")


def test_how_many_orders_there_may_be_counts_those_that_are_placed_at_once() -> None:
    world = BasketWorld()
    terms = {"action": "set", "scope": "alice", "limit": "orders.open", "reason": "x", "actor": "x"}
    world.ask("pms.limits", None, value=2, **terms)
    algo = world.basket(BUY_BTC, TWAP_ETH)
    assert len(world.of(algo.id)) == 2
    with pytest.raises(Refusal) as refused:
        world.basket(BUY_BTC)
    assert (refused.value.code, refused.value.field) == (Code.OPEN_ORDERS, "subAccountId")


@pytest.mark.parametrize(
    ("lots", "total", "actual"), [(60, "10", "120"), (500, "0.03", "2006")], ids=["orders", "slots"]
)
def test_what_is_judged_in_one_step_is_bounded(lots: int, total: str, actual: str) -> None:
    world = BasketWorld()
    leg = {**TWAP_ETH, "lots": lots, "totalSize": total, "duration": 3600}
    with pytest.raises(Refusal) as refused:
        world.basket(leg, leg)
    assert (refused.value.code, refused.value.field, refused.value.actual) == (
        Code.BAD_FIELD,
        "legs",
        actual,
    )


def test_orders_are_counted_before_any_is_made() -> None:
    """More of them than the memory of a machine would hold."""
    world = BasketWorld()
    with pytest.raises(Refusal) as refused:
        world.basket({**BUY_BTC, "quantity": "1000000000000"})
    assert (refused.value.code, refused.value.field) == (Code.BAD_FIELD, "legs")
    assert (refused.value.limit, refused.value.actual) == ("100", "10000000000")
    assert world.desk.algos.every == {}


def test_legs_that_would_meet_are_refused() -> None:
    world = BasketWorld()
    bid = {**BUY_BTC, "algo": "limit", "price": "60000"}
    with pytest.raises(Refusal) as refused:
        world.basket(bid, {**bid, "side": "SELL"})
    assert (refused.value.code, refused.value.field) == (Code.SELF_MATCH, "legs[1].price")


# --- one leg fails ---


def failing(rule: str, *, filled: str = "0.015") -> tuple[BasketWorld, str]:
    """Bitcoin is bought in part, and ether's order is refused three times."""
    world = BasketWorld()
    algo = world.basket(CHASE_BTC, SELL_ETH, onLegFailure=rule)
    (btc,), (eth,) = world.live(algo.id, 0), world.live(algo.id, 1)
    world.fill(btc, filled)
    refusals(world, algo.id, eth, times=3)
    world.conduct(algo.id)
    assert world.leg(algo.id, 1).state == "failed"
    return world, algo.id


def test_finish_lets_the_others_go_on() -> None:
    world, algo_id = failing("finish")
    (btc,) = world.live(algo_id, 0)
    world.fill(btc)
    world.conduct(algo_id)
    algo = world.algo(algo_id)
    assert (algo.status, world.leg(algo_id, 0).filled) == (Status.FAILED, D("0.02"))
    assert algo.reason == "legs[1]: -2019: Margin is insufficient.; the others are filled"


def test_hold_stops_all_and_keeps_what_is_filled() -> None:
    world, algo_id = failing("hold")
    (btc,) = world.live(algo_id, 0)
    world.cancel(btc)
    world.conduct(algo_id)
    algo = world.algo(algo_id)
    assert (algo.status, world.leg(algo_id, 0).filled) == (Status.FAILED, D("0.015"))
    assert world.desk.quantity(("alice", "BTCUSDT", "BOTH")) == D("0.015")
    assert algo_figures(world, algo_id)["legs"][0]["state"] == "stopped"


def test_unwind_closes_to_the_lot_what_was_filled_even_by_an_order_that_is_being_cancelled() -> None:
    world, algo_id = failing("unwind")
    (btc,), (undo,) = world.live(algo_id, 0), world.live(algo_id, 0, undo=True)
    row = world.orders[undo].row
    assert (row.side, row.type, row.reduce_only, row.quantity) == ("SELL", "MARKET", True, D("0.015"))
    world.trade(btc, D("0.002"))
    world.conduct(algo_id)
    world.fill(undo)
    world.cancel(btc)
    world.conduct(algo_id)
    (undo,) = world.live(algo_id, 0, undo=True)
    assert world.orders[undo].total == D("0.002")
    world.fill(undo)
    world.conduct(algo_id)
    algo = world.algo(algo_id)
    assert (algo.status, algo.reason) == (
        Status.FAILED,
        "legs[1]: -2019: Margin is insufficient.; unwound",
    )
    assert world.desk.quantity(("alice", "BTCUSDT", "BOTH")) == 0
    (leg, _) = algo_figures(world, algo_id)["legs"]
    assert (leg["filled"], leg["unwound"], leg["state"]) == (D("0.017"), D("0.017"), "stopped")


def test_unwinding_goes_back_to_what_was_held_before() -> None:
    world = BasketWorld()
    posting = world.ask("pms.trade", symbol="BTCUSDT", side="BUY", quantity="0.1", leverage=10)
    world.fill(posting.entry.rows.orders[0].client_order_id)
    algo = world.basket(BUY_BTC, SELL_ETH, onLegFailure="unwind")
    (btc,), (eth,) = world.live(algo.id, 0), world.live(algo.id, 1)
    world.fill(btc)
    refusals(world, algo.id, eth, times=3)
    world.conduct(algo.id)
    (undo,) = world.live(algo.id, 0, undo=True)
    world.fill(undo)
    world.conduct(algo.id)
    assert algo.status is Status.FAILED
    assert world.desk.quantity(("alice", "BTCUSDT", "BOTH")) == D("0.1")


def test_what_a_leg_closed_is_not_opened_again() -> None:
    world = BasketWorld()
    posting = world.ask("pms.trade", symbol="BTCUSDT", side="SELL", quantity="0.012", leverage=10)
    world.fill(posting.entry.rows.orders[0].client_order_id)
    algo = world.basket(BUY_BTC, SELL_ETH, onLegFailure="unwind")
    (btc,), (eth,) = world.live(algo.id, 0), world.live(algo.id, 1)
    world.fill(btc)
    refusals(world, algo.id, eth, times=3)
    world.conduct(algo.id)
    (undo,) = world.live(algo.id, 0, undo=True)
    assert world.orders[undo].total == D("0.008")
    world.fill(undo)
    world.conduct(algo.id)
    assert algo.status is Status.FAILED
    assert (algo.reason or "").endswith("unwound but 0.012 of legs[0] (the position does not hold it)")
    assert world.desk.quantity(("alice", "BTCUSDT", "BOTH")) == 0


def test_in_a_sequence_the_rule_keeps_the_rest_from_beginning() -> None:
    world = BasketWorld()
    algo = world.basket(BUY_BTC, SELL_ETH, mode="sequence", onLegFailure="hold")
    (btc,) = world.live(algo.id, 0)
    refusals(world, algo.id, btc, times=4)
    assert (algo.status, len(world.of(algo.id))) == (Status.FAILED, 3)
    assert algo_figures(world, algo.id)["legs"][1]["state"] == "stopped"


def test_a_leg_that_is_filled_while_its_cancel_is_on_its_way_has_not_failed() -> None:
    world = BasketWorld()
    chase = {**CHASE_BTC, "maxDistance": "0.5"}
    algo = world.basket(chase, SELL_ETH, onLegFailure="unwind")
    (btc,), (eth,) = world.live(algo.id, 0), world.live(algo.id, 1)
    world.fill(eth)
    world.ack(btc)
    world.move(4_000)
    world.conduct(algo.id)
    assert world.leg(algo.id, 0).state == "ending"
    world.trade(btc, D("0.02"))
    world.conduct(algo.id)
    assert (algo.status, world.leg(algo.id, 0).state) == (Status.FINISHED, "done")


def test_a_limit_of_one_try_that_expires_has_failed() -> None:
    world = BasketWorld()
    algo = world.basket({**BUY_BTC, "algo": "limit", "price": "60000.1", "timeInForce": "IOC"})
    (btc,) = world.live(algo.id, 0)
    world.fill(btc, "0.005")
    world.end(btc, "EXPIRED")
    world.conduct(algo.id)
    assert (algo.status, len(world.of(algo.id))) == (Status.FAILED, 1)
    assert (algo.reason or "").startswith("legs[0]: 0.015 is not filled")


def test_what_is_not_filled_when_its_time_is_over_has_failed() -> None:
    world = BasketWorld()
    algo = world.basket(BUY_BTC, LIMIT_ETH, duration=60)
    (btc,), (eth,) = world.live(algo.id, 0), world.live(algo.id, 1)
    world.fill(btc)
    world.ack(eth)
    assert world.conduct(algo.id) is not None
    world.pass_time(60_000)
    world.conduct(algo.id)
    world.cancel(eth)
    world.conduct(algo.id)
    world.conduct(algo.id)
    assert algo.status is Status.FAILED
    assert algo.reason == (
        "legs[1]: the basket's time is over, and 0.4 is not filled; what is filled is kept"
    )


def test_a_refusal_that_nothing_cures_ends_its_leg_alone() -> None:
    world = BasketWorld()
    posting = world.ask("pms.trade", symbol="ETHUSDT", side="BUY", quantity="0.4", leverage=10)
    world.fill(posting.entry.rows.orders[0].client_order_id)
    reducing = {**SELL_ETH, "reduceOnly": True}
    algo = world.basket(CHASE_BTC, reducing, mode="parallel", onLegFailure="finish")
    (btc,), (eth,) = world.live(algo.id, 0), world.live(algo.id, 1)
    world.refuse(eth, "-2019: Margin is insufficient.")
    world.conduct(algo.id)
    # The trader closes it by hand
    posting = world.ask("pms.trade", symbol="ETHUSDT", side="SELL", quantity="0.4", reduceOnly=True)
    world.fill(posting.entry.rows.orders[0].client_order_id)
    world.pass_time(1_000)
    world.conduct(algo.id)
    world.conduct(algo.id)
    assert (world.leg(algo.id, 1).state, algo.status) == ("failed", Status.RUNNING)
    world.fill(btc)
    world.conduct(algo.id)
    assert algo.status is Status.FAILED
    assert "REDUCE_ONLY" in (algo.reason or "")


def test_in_hedge_mode_each_side_is_unwound_by_itself() -> None:
    world = BasketWorld()
    world.ask("pms.position_mode", hedge=True)
    long = {**BUY_BTC, "positionSide": "LONG"}
    short = {**BUY_BTC, "side": "SELL", "quantity": "0.03", "positionSide": "SHORT"}
    failing = {**SELL_ETH, "positionSide": "SHORT"}
    algo = world.basket(long, short, failing, onLegFailure="unwind")
    for number in (0, 1):
        world.fill(*world.live(algo.id, number))
    for _ in range(3):
        world.refuse(*world.live(algo.id, 2), "-2019: Margin is insufficient.")
        world.conduct(algo.id)
        world.pass_time(3_000)
        world.conduct(algo.id)
    orders = [world.orders[world.live(algo.id, number, undo=True)[0]].row for number in (0, 1)]
    assert [(row.side, row.position_side, row.quantity) for row in orders] == [
        ("SELL", "LONG", D("0.02")),
        ("BUY", "SHORT", D("0.03")),
    ]
    for row in orders:
        world.fill(row.client_order_id)
    world.conduct(algo.id)
    assert (algo.reason or "").endswith("; unwound")
    assert {world.desk.quantity(("alice", "BTCUSDT", side)) for side in ("LONG", "SHORT")} == {0}


# --- what a leg leaves ---

LEAST = D(100)
HEDGE = {"symbol": "ETHUSDT", "side": "BUY", "quantity": "0.04", "leverage": 10, "algo": "market"}
SELL_BTC = {"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.002", "leverage": 10, "algo": "market"}


def dear(mid: int = 60_000) -> BasketWorld:
    """Bitcoin is traded from 100 USDT on: 0.002 is worth as much from 50,000 on."""
    world = BasketWorld()
    world.desk.instruments["BTCUSDT"] = replace(BTC, min_notional=LEAST)
    to(world, mid)
    return world


def to(world: BasketWorld, mid: int) -> None:
    world.move(int((D(mid) - world.mid) / BTC.tick))


def ended(world: BasketWorld, algo: Algo) -> tuple[str, str]:
    """How the leg in bitcoin ended, and why, once what its failure asks for is done."""
    for _ in range(4):
        for number in range(len(legs_of(algo))):
            for coid in world.live(algo.id, number):
                if world.desk.orders[coid].cancel_wanted:
                    world.cancel(coid)
            for coid in world.live(algo.id, number, undo=True):
                world.fill(coid)
        world.conduct(algo.id)
    assert algo.status.over
    (leg,) = (leg for leg in legs_of(algo) if leg.terms.symbol == "BTCUSDT")
    return leg.state, leg.memory["reason"]


def unwound(world: BasketWorld, algo: Algo) -> bool:
    flat = not any(world.desk.quantity(("alice", symbol, "BOTH")) for symbol in ("BTCUSDT", "ETHUSDT"))
    return flat and (algo.status, (algo.reason or "").endswith("; unwound")) == (Status.FAILED, True)


@pytest.mark.parametrize(("price", "quantity"), [("63000", "0.002"), ("62600", "0.0016")])
def test_a_leg_whose_time_is_over_has_failed_though_no_order_could_be_for_it_now(
    price: str, quantity: str
) -> None:
    """The second is worth an order at its own price alone, and never was at mid."""
    world = dear()
    fine = replace(world.desk.instruments["BTCUSDT"], step=D("0.0001"))
    world.desk.instruments["BTCUSDT"] = fine
    limit = {**SELL_BTC, "algo": "limit", "price": price, "quantity": quantity}
    algo = world.basket(limit, HEDGE, duration=60, onLegFailure="unwind")
    world.ack(*world.live(algo.id, 0))
    world.fill(*world.live(algo.id, 1))
    world.conduct(algo.id)
    to(world, 49_000)
    world.pass_time(61_000)
    world.conduct(algo.id)
    assert ended(world, algo) == ("failed", f"the basket's time is over, and {quantity} is not filled")
    assert unwound(world, algo)


def test_a_leg_that_is_worth_too_little_to_begin_has_failed() -> None:
    world = dear()
    algo = world.basket(HEDGE, SELL_BTC, mode="sequence", onLegFailure="unwind")
    to(world, 49_000)
    world.fill(*world.live(algo.id, 0))
    world.conduct(algo.id)
    state, reason = ended(world, algo)
    assert (state, reason.split(":")[0]) == ("failed", "MIN_NOTIONAL")
    assert unwound(world, algo)


@pytest.mark.parametrize("kind", ["market", "chase"])
def test_a_leg_that_the_market_made_too_little_before_its_next_try_has_failed(kind: str) -> None:
    world = dear(50_100)
    algo = world.basket({**SELL_BTC, "algo": kind}, HEDGE, onLegFailure="unwind")
    (btc,), (hedge,) = world.live(algo.id, 0), world.live(algo.id, 1)
    world.fill(hedge)
    world.refuse(btc, "-1008: Server is currently overloaded.")
    world.conduct(algo.id)
    to(world, 49_900)
    world.pass_time(600)
    world.conduct(algo.id)
    assert ended(world, algo) == ("failed", "0.002 is left, too little for an order")
    assert unwound(world, algo)


@pytest.mark.parametrize(("filled", "state"), [("0.001", "failed"), ("0.002", "done")])
def test_what_could_have_been_an_order_at_the_start_is_no_leftover(filled: str, state: str) -> None:
    """Of 0.003 the rest is 0.002, worth 120 USDT at the start, or 0.001, which never was an order."""
    world = dear()
    algo = world.basket({**SELL_BTC, "algo": "chase", "quantity": "0.003"}, HEDGE)
    (btc,), (hedge,) = world.live(algo.id, 0), world.live(algo.id, 1)
    world.fill(hedge)
    world.fill(btc, filled)
    to(world, 49_000)
    world.end(btc, "EXPIRED")
    world.conduct(algo.id)
    left = D("0.003") - D(filled)
    assert ended(world, algo) == (state, f"{left} is left, too little for an order")


def test_what_a_chase_leaves_is_judged_where_it_would_rest() -> None:
    """0.0018 is worth 108 USDT at mid, and 97.2 ten percent below."""
    world = dear()
    world.desk.instruments["BTCUSDT"] = replace(world.desk.instruments["BTCUSDT"], step=D("0.0001"))
    chase = {**BUY_BTC, "algo": "chase", "stalkMode": "maintain", "stalkOffset": "10"}
    algo = world.basket({**chase, "quantity": "0.005"})
    (btc,) = world.live(algo.id, 0)
    world.fill(btc, "0.0032")
    world.end(btc, "EXPIRED")
    world.conduct(algo.id)
    assert ended(world, algo) == ("done", "0.0018 is left, too little for an order")
    assert (algo.status, algo.reason) == (Status.FINISHED, "filled")


# --- what nobody foresaw ---


def test_an_unwinding_order_that_only_the_exchange_remembers_is_not_sent_twice() -> None:
    world, algo_id = failing("unwind")
    (undo,) = world.live(algo_id, 0, undo=True)
    world.ack(undo)
    world.trade_silently(undo, D("0.010"))
    # Redis lost all that was journaled since the leg failed, and with it that anything was unwound
    first = next(
        number
        for number, posting in enumerate(world.postings)
        if any(row.client_order_id == undo for row in posting.entry.rows.orders)
    )
    del world.postings[first:]
    world.restart()
    there = world.orders[undo]
    order, posting = adopt(
        world.desk,
        client_order_id=undo,
        exchange_order_id=there.number,
        symbol="BTCUSDT",
        side="SELL",
        order_type="MARKET",
        quantity=there.total,
        price=None,
        time_in_force=None,
        word="PARTIALLY_FILLED",
        filled=there.filled,
        at=world.now,
    )
    world._journal(posting)
    world.tell(undo)
    assert order.spec.parent_id == algo_id
    (btc,) = world.live(algo_id, 0)
    for _ in range(8):
        for coid in world.live(algo_id, 1):
            world.refuse(coid, "-2019: Margin is insufficient.")
        for coid in [undo, btc]:
            if not world.orders[coid].over and world.desk.orders[coid].cancel_wanted:
                world.cancel(coid)
        world.conduct(algo_id)
        undone = world.leg(algo_id, 0).undo.number
        assert world.exposed_in(algo_id, range(undone, undone + 1)) <= D("0.015")
        world.pass_time(3_000)
    for coid in world.live(algo_id, 0, undo=True):
        world.fill(coid)
    world.conduct(algo_id)
    assert world.algo(algo_id).status is Status.FAILED
    assert world.leg(algo_id, 0).undo.filled == D("0.015")
    assert world.desk.quantity(("alice", "BTCUSDT", "BOTH")) == 0


# --- told from outside ---


def test_a_liquidation_ends_it_in_the_middle_of_unwinding() -> None:
    world, algo_id = failing("unwind")
    draft = world.desk.draft("liquidation", at=world.now)
    shed(world.desk, draft, "alice", reason="liquidation")
    world._journal(Posting(entry=world.desk.sealed(draft).entry()))
    world.restart()
    world.conduct(algo_id)
    begun = len(world.of(algo_id))
    world.fill(*world.live(algo_id, 0, undo=True))
    world.cancel(*world.live(algo_id, 0))
    for _ in range(3):
        world.pass_time(60_000)
        world.conduct(algo_id)
    algo = world.algo(algo_id)
    assert (algo.status, algo.reason, len(world.of(algo_id))) == (Status.CANCELLED, "liquidation", begun)


def test_pause_takes_all_orders_and_resume_brings_the_rest() -> None:
    world = BasketWorld()
    algo = world.basket(CHASE_BTC, LIMIT_ETH)
    (btc,), (eth,) = world.live(algo.id, 0), world.live(algo.id, 1)
    world.fill(btc, "0.005")
    world.ack(eth)
    world.ask("pms.basket", None, algoId=algo.id, action="pause")
    world.conduct(algo.id)
    world.cancel(btc)
    world.cancel(eth)
    world.pass_time(60_000)
    world.conduct(algo.id)
    assert world.live(algo.id, 0) == world.live(algo.id, 1) == []
    world.ask("pms.basket", None, algoId=algo.id, action="resume")
    world.conduct(algo.id)
    (btc,), (eth,) = world.live(algo.id, 0), world.live(algo.id, 1)
    assert (world.orders[btc].total, world.orders[eth].total) == (D("0.015"), D("0.4"))


def test_a_cancel_in_the_middle_of_unwinding_stops_that_too() -> None:
    world, algo_id = failing("unwind")
    (btc,), (undo,) = world.live(algo_id, 0), world.live(algo_id, 0, undo=True)
    world.fill(undo, "0.010")
    world.ask("pms.cancel_algo", None, algoId=algo_id)
    world.conduct(algo_id)
    world.trade(btc, D("0.001"))
    world.cancel(undo)
    world.cancel(btc)
    world.restart()
    world.conduct(algo_id)
    algo, leg = world.algo(algo_id), world.leg(algo_id, 0)
    assert (algo.status, leg.filled, leg.undo.filled) == (Status.CANCELLED, D("0.016"), D("0.010"))
    assert (world.live(algo_id, 0), world.live(algo_id, 0, undo=True)) == ([], [])


def test_another_rule_or_time_while_it_runs_and_not_once_it_unwinds() -> None:
    world = BasketWorld()
    algo = world.basket(CHASE_BTC, LIMIT_ETH)
    world.ask("pms.basket", None, algoId=algo.id, action="amend", onLegFailure="unwind", duration=1)
    (btc,), (eth,) = world.live(algo.id, 0), world.live(algo.id, 1)
    world.fill(btc, "0.005")
    world.ack(eth)
    world.pass_time(1_000)
    world.conduct(algo.id)
    world.cancel(btc)
    world.cancel(eth)
    world.conduct(algo.id)
    world.conduct(algo.id)
    assert len(world.live(algo.id, 0, undo=True)) == 1
    with pytest.raises(Refusal) as refused:
        world.ask("pms.basket", None, algoId=algo.id, action="amend", onLegFailure="finish")
    assert refused.value.code is Code.ALGO_OVER


def test_the_whole_is_told_in_one_event() -> None:
    world = BasketWorld()
    algo = world.basket(BUY_BTC, SELL_ETH)
    (btc,), (eth,) = world.live(algo.id, 0), world.live(algo.id, 1)
    world.move(10)
    world.fill(btc)
    world.price_eth("2997")
    world.fill(eth)
    world.conduct(algo.id)
    (event,) = [event for event in world.postings[-1].events if event.type == "basket_progress"]
    told = event.model_dump(by_alias=True)
    assert (told["status"], told["symbol"], told["side"]) == ("finished", None, None)
    assert told["target"] == told["filled"] == D("2400.003")
    legs = told["figures"]["legs"]
    assert [(leg["averagePrice"], leg["arrivalPrice"]) for leg in legs] == [
        (D("60001"), D("60000.05")),
        (D("2997.005"), D("3000.005")),
    ]
    assert told["figures"]["cost"] == D("0.95") * D("0.02") + D("3") * D("0.4")
    assert told["slippageBps"] == round(told["figures"]["cost"] * 10_000 / D("2400.003"), 8)
    assert (told["makerShare"], told["account"]["balance"]) == (1, world.desk.accounts["alice"].balance)
    assert [leg["makerShare"] for leg in legs] == [1, 1]


def test_a_leg_that_only_reduces_does_not_outlive_its_position() -> None:
    world = BasketWorld()
    trading = {"symbol": "BTCUSDT", "quantity": "0.01", "leverage": 10}
    world.fill(world.ask("pms.trade", side="BUY", **trading).entry.rows.orders[0].client_order_id)
    selling = {"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.01", "algo": "limit", "price": "61000"}
    algo = world.basket({**selling, "reduceOnly": True})
    (coid,) = world.live(algo.id, 0)
    world.ack(coid)
    world.fill(world.ask("pms.trade", side="SELL", **trading).entry.rows.orders[0].client_order_id)
    world.conduct(algo.id)
    world.cancel(coid)
    world.conduct(algo.id)
    world.conduct(algo.id)
    assert world.leg(algo.id, 0).state == "failed"
    assert not world.live(algo.id, 0)


def test_an_order_that_would_have_taken_ends_no_leg_whatever_was_refused_before() -> None:
    world = BasketWorld()
    algo = world.basket({**BUY_BTC, "algo": "chase", "postOnly": True}, SELL_ETH, onLegFailure="hold")
    (chase,), (other,) = world.live(algo.id, 0), world.live(algo.id, 1)
    world.ack(chase)
    world.fill(other)
    for wait in (600, 2_500, 61_000):
        world.pass_time(wait)
        world.move(20)
        world.conduct(algo.id)
        world.refuse_amend(chase, "-1015: Too many new orders")
        world.conduct(algo.id)
    world.pass_time(61_000)
    world.move(20)
    world.conduct(algo.id)
    world.move_ends_it(chase)
    for _ in range(4):
        world.conduct(algo.id)
        world.pass_time(300)
    assert algo.status is Status.RUNNING
    assert world.live(algo.id, 0), "its next order"


def reducing(world: BasketWorld) -> str:
    """Alice holds what she is to sell; bob is short of as much, so that her sale reduces no net."""
    world.desk.instruments["BTCUSDT"] = replace(BTC, min_notional=D(100))
    world.move(0)
    for account, side in (("alice", "BUY"), ("bob", "SELL")):
        posting = world.ask("pms.trade", account, symbol="BTCUSDT", side=side, quantity="0.05", leverage=10)
        (row,) = posting.entry.rows.orders
        world.ack(row.client_order_id)
        world.trade(row.client_order_id, D("0.05"))
    return "0.05"


def dust_is_left(world: BasketWorld, algo: Algo, coid: str) -> None:
    """Its order ends with one step left, and that is refused."""
    world.ack(coid)
    world.trade(coid, D("0.049"))
    world.end(coid, "EXPIRED")
    for _ in range(6):
        world.pass_time(61_000)
        world.move(0)
        world.price_eth("3000")
        world.conduct(algo.id)


@pytest.mark.parametrize("kind", [{"algo": "chase"}, {"algo": "limit", "price": "60100"}])
def test_dust_of_a_leg_that_only_reduces_fails_no_basket(kind: dict[str, str]) -> None:
    world = BasketWorld()
    leg = {**BUY_BTC, "side": "SELL", "quantity": reducing(world), "reduceOnly": True, **kind}
    algo = world.basket(leg, SELL_ETH, onLegFailure="unwind")
    (chase,), (other,) = world.live(algo.id, 0), world.live(algo.id, 1)
    world.fill(other)
    dust_is_left(world, algo, chase)
    assert algo.status is Status.FINISHED
    assert world.desk.quantity(("alice", "ETHUSDT", "BOTH")), "the other leg stands"


def test_a_chase_that_only_reduces_ends_with_dust_that_is_refused() -> None:
    world = BasketWorld()
    terms = {"symbol": "BTCUSDT", "side": "SELL", "quantity": reducing(world), "leverage": 10}
    algo = world.start("pms.chase", **terms, reduceOnly=True)
    world.conduct(algo.id)
    dust_is_left(world, algo, algo.slots[0].order_id or "")
    assert (algo.status, algo.reason) == (Status.FINISHED, "0.001 is left, too little for an order")


def test_a_chase_that_has_filled_nothing_goes_on_though_it_is_refused() -> None:
    """The exchange's net may be another in a minute."""
    world = BasketWorld()
    reducing(world)
    terms = {"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.001", "leverage": 10}
    algo = world.start("pms.chase", **terms, reduceOnly=True)
    for _ in range(3):
        world.conduct(algo.id)
        world.pass_time(61_000)
        world.move(0)
    assert (algo.status, (algo.slots[0].note or "")[:12]) == (Status.RUNNING, Code.MIN_NOTIONAL)


def stops_trading(world: BasketWorld) -> None:
    """The exchange settles ether: there is no price of it any more."""
    known = world.desk.instruments["ETHUSDT"]
    world.desk.instruments["ETHUSDT"] = replace(known, status="SETTLING")
    world.lose_price("ETHUSDT")


@pytest.mark.parametrize("leg", [LIMIT_ETH, CHASE_ETH, TWAP_ETH, SELL_ETH])
def test_a_leg_whose_symbol_trades_no_more_has_failed(leg: dict[str, Any]) -> None:
    world = BasketWorld()
    algo = world.basket(BUY_BTC, leg, onLegFailure="unwind")
    (btc,), (eth,) = world.live(algo.id, 0), world.live(algo.id, 1)
    world.fill(btc)
    stops_trading(world)
    world.conduct(algo.id)
    assert (world.leg(algo.id, 1).state, algo.memory["unwinding"]) == ("running", False)
    world.end(eth, "EXPIRED")
    world.conduct(algo.id)
    assert (world.leg(algo.id, 1).state, algo.memory["unwinding"]) == ("failed", True)
    assert world.leg(algo.id, 1).memory["reason"] == "ETHUSDT is SETTLING"
    assert len(world.live(algo.id, 0, undo=True)) == 1


def test_one_that_waits_has_failed_when_it_is_its_turn() -> None:
    world = BasketWorld()
    algo = world.basket(BUY_BTC, SELL_ETH, mode="sequence")
    (btc,) = world.live(algo.id, 0)
    stops_trading(world)
    world.conduct(algo.id)
    assert (world.leg(algo.id, 1).state, algo.status) == ("waiting", Status.RUNNING)
    world.fill(btc)
    world.conduct(algo.id)
    assert (world.leg(algo.id, 1).state, algo.status) == ("failed", Status.FAILED)


def test_one_that_has_filled_all_is_done_though_its_symbol_trades_no_more() -> None:
    world = BasketWorld()
    algo = world.basket(BUY_BTC, LIMIT_ETH, onLegFailure="unwind")
    (eth,) = world.live(algo.id, 1)
    world.fill(eth)
    stops_trading(world)
    world.conduct(algo.id)
    assert (world.leg(algo.id, 1).state, algo.memory["unwinding"]) == ("done", False)


def test_a_leg_that_has_only_lost_its_price_waits() -> None:
    world = BasketWorld()
    algo = world.basket(BUY_BTC, CHASE_ETH, onLegFailure="unwind")
    (eth,) = world.live(algo.id, 1)
    world.ack(eth)
    world.end(eth, "EXPIRED")
    world.lose_price("ETHUSDT")
    world.conduct(algo.id)
    assert (world.leg(algo.id, 1).state, algo.memory["unwinding"]) == ("running", False)


@pytest.mark.parametrize(("limit", "state"), [({}, "done"), ({"limitPrice": "2990"}, "failed")])
def test_the_rest_of_a_twap_is_judged_as_its_orders_are(limit: dict[str, str], state: str) -> None:
    world = BasketWorld()
    known = world.desk.instruments["ETHUSDT"]
    algo = world.basket({**TWAP_ETH, **limit}, duration=60)
    for _ in range(4):
        for coid in world.live(algo.id, 0):
            world.fill(coid)
        world.pass_time(10_500)
        world.conduct(algo.id)
        if len(world.of(algo.id)) == 4:
            break
    (last,) = world.live(algo.id, 0)
    world.ack(last)
    world.trade(last, D("0.05"))
    world.end(last, "EXPIRED")
    world.desk.instruments["ETHUSDT"] = replace(known, market_min_quantity=D("0.1"))
    world.pass_time(60_000)
    world.conduct(algo.id)
    assert (world.leg(algo.id, 0).filled, world.leg(algo.id, 0).state) == (D("0.35"), state)


def test_a_cancel_by_hand_that_came_too_late_holds_up_no_next_leg() -> None:
    world = BasketWorld()
    algo = world.basket(CHASE_BTC, SELL_ETH, mode="sequence")
    (btc,) = world.live(algo.id, 0)
    world.ack(btc)
    world.desk.orders[btc].cancel_wanted = True
    world.fill(btc)
    world.conduct(algo.id)
    world.conduct(algo.id)
    assert (algo.status, world.leg(algo.id, 1).state) == (Status.RUNNING, "running")


def test_a_basket_that_is_paused_is_over_once_all_legs_are_filled() -> None:
    world = BasketWorld()
    algo = world.basket(CHASE_BTC, LIMIT_ETH)
    (btc,), (eth,) = world.live(algo.id, 0), world.live(algo.id, 1)
    for coid in (btc, eth):
        world.ack(coid)
        world.desk.orders[coid].cancel_wanted = True
    world.conduct(algo.id)
    world.fill(btc)
    world.conduct(algo.id)
    assert algo.status is Status.PAUSED
    world.fill(eth)
    world.conduct(algo.id)
    assert (algo.status, algo.reason) == (Status.FINISHED, "filled")
