"""Whatever happens to a basket's orders, and whenever it dies: bounds, the rule, and an exact end."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from any_order import calm, step, steps
from basket_world import BUY_BTC, SELL_ETH, BasketWorld
from hypothesis import event, given, settings
from hypothesis import strategies as st
from market_world import ZERO, D

from pms.contract.basket import Basket
from pms.contract.codes import Refusal
from pms.domain.algos.algo import Status
from pms.domain.algos.ids import slot_of

LEGS: list[dict[str, Any]] = [
    BUY_BTC,
    SELL_ETH,
    {**BUY_BTC, "algo": "limit", "price": "59990"},
    {**BUY_BTC, "algo": "limit", "price": "60000.1", "timeInForce": "IOC"},
    {**BUY_BTC, "algo": "chase", "maxDistance": "1"},
    {**SELL_ETH, "algo": "chase", "stalkMode": "trail", "stalkOffset": "0.01"},
    {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "totalSize": "0.03",
        "leverage": 10,
        "algo": "twap",
        "lots": 3,
        "duration": 30,
    },
    {
        "symbol": "ETHUSDT",
        "side": "SELL",
        "totalSize": "0.3",
        "leverage": 10,
        "algo": "twap",
        "lots": 3,
        "duration": 6,
        "passive": True,
        "onMissed": "skip",
    },
]
WRONG: list[dict[str, Any]] = [
    {**SELL_ETH, "quantity": "900"},
    {**SELL_ETH, "quantity": "0.0001"},
    {**SELL_ETH, "reduceOnly": True},
    {**BUY_BTC, "algo": "limit", "price": "90000"},
    {**SELL_ETH, "algo": "twap", "totalSize": "40", "lots": 10, "duration": 60},
]
"""Too large, too small, of nothing to reduce, too far from the market, and too large in slices."""
del WRONG[-1]["quantity"]

PLACES = (("alice", "BTCUSDT", "BOTH"), ("alice", "ETHUSDT", "BOTH"))
RULES = ("finish", "unwind", "hold")


def bounds_hold(world: BasketWorld, algo_id: str) -> None:
    """By the exchange's own books: no leg beyond its target, and none unwound by more than it traded."""
    for number in range(len(world.algo(algo_id).memory["legs"])):
        leg = world.leg(algo_id, number)
        assert world.exposed_in(algo_id, leg.numbers) <= leg.target
        undone = range(leg.undo.number, leg.undo.number + 1)
        assert world.exposed_in(algo_id, undone) <= world.traded_in(algo_id, leg.numbers)


@settings(max_examples=200, deadline=None)
@given(
    legs=st.lists(st.sampled_from(LEGS), min_size=1, max_size=4),
    terms=st.fixed_dictionaries(
        {
            "mode": st.sampled_from(["parallel", "sequence"]),
            "onLegFailure": st.sampled_from([*RULES, "unwind"]),
            "duration": st.sampled_from([None, 20]),
        }
    ),
    before=steps,
    breaks=st.sampled_from([None, 0, 1, 2]),
    after=steps,
    cancels=st.booleans(),
)
def test_every_legs_bound_the_rule_and_an_exact_end(
    legs: list[dict[str, Any]],
    terms: dict[str, Any],
    before: list[tuple[str, int]],
    breaks: int | None,
    after: list[tuple[str, int]],
    *,
    cancels: bool,
) -> None:
    world = BasketWorld()
    algo_id = world.basket(*legs, **terms).id
    for op, argument in before:
        watched(
            world, algo_id, lambda op=op, argument=argument: step(world, algo_id, op, argument, wide=True)
        )
    for _ in range(0 if breaks is None else 8):
        watched(world, algo_id, partial(break_leg, world, algo_id, breaks or 0))
    for number, (op, argument) in enumerate(after):
        if cancels and number == 10 and not world.algo(algo_id).status.over:
            world.ask("pms.cancel_algo", None, algoId=algo_id)
        watched(
            world, algo_id, lambda op=op, argument=argument: step(world, algo_id, op, argument, wide=True)
        )
    if world.algo(algo_id).status is Status.PAUSED:
        world.ask("pms.algo", None, algoId=algo_id, action="resume")
    world.price_eth("3000")
    calm(world, algo_id)
    bounds_hold(world, algo_id)
    ends_as_it_should(world, algo_id, terms["onLegFailure"])
    undone = any(world.leg(algo_id, number).undo.filled for number in range(len(legs)))
    event(f"{terms['onLegFailure']}: {world.algo(algo_id).status}{', something unwound' * undone}")


@settings(max_examples=60, deadline=None)
@given(
    legs=st.lists(st.sampled_from(LEGS), max_size=4),
    wrong=st.sampled_from(WRONG),
    place=st.integers(0, 4),
    mode=st.sampled_from(["parallel", "sequence"]),
)
def test_one_leg_that_cannot_be_and_none_is_started(
    legs: list[dict[str, Any]], wrong: dict[str, Any], place: int, mode: str
) -> None:
    world = BasketWorld()
    before = world.desk.snapshot("alice")
    number = min(place, len(legs))
    with pytest.raises(Refusal) as refused:
        world.basket(*legs[:number], wrong, *legs[number:], mode=mode)
    assert (refused.value.field or "").startswith("legs[")
    assert world.desk.algos.every == world.orders == world.desk.live == world.desk.orders == {}
    assert world.desk.snapshot("alice") == before
    assert world.desk.pending.get("alice", {}) == {}


def break_leg(world: BasketWorld, algo_id: str, number: int) -> None:
    """The exchange takes no order of a leg, and ends those that it has."""
    if number < len(world.algo(algo_id).memory["legs"]):
        for coid in world.live(algo_id, number):
            order = world.orders[coid]
            if order.sent:
                world.end(coid, "EXPIRED")
            else:
                world.refuse(coid, "-2019: Margin is insufficient.")
    world.conduct(algo_id)
    world.pass_time(3_000)


def watched(world: BasketWorld, algo_id: str, happens: Callable[[], None]) -> None:
    """Something happens and the basket is asked; its bounds hold, and its rule from a failure on."""
    known = {order.row.client_order_id for order in world.of(algo_id)}
    failed = any(leg["state"] == "failed" for leg in world.algo(algo_id).memory["legs"])
    happens()
    world.conduct(algo_id)
    bounds_hold(world, algo_id)
    algo = world.algo(algo_id)
    assert {slot.number: slot.filled for slot in algo.slots.values()} == told(world, algo_id)
    assert isinstance(algo.terms, Basket)
    new = [order for order in world.of(algo_id) if order.row.client_order_id not in known]
    if failed and algo.terms.on_leg_failure != "finish":
        assert all(order.row.reduce_only for order in new)
    if failed and algo.terms.on_leg_failure == "hold":
        assert not new


def told(world: BasketWorld, algo_id: str) -> dict[int, Decimal]:
    """What each slot's orders traded, as far as it was told."""
    found = dict.fromkeys(world.algo(algo_id).slots, ZERO)
    for order in world.of(algo_id):
        silent = sum((quantity for _, quantity, _ in order.untold), ZERO)
        found[slot_of(order.row.client_order_id)] += order.filled - silent
    return found


def ends_as_it_should(world: BasketWorld, algo_id: str, rule: str) -> None:
    algo = world.algo(algo_id)
    legs = [world.leg(algo_id, number) for number in range(len(algo.memory["legs"]))]
    assert algo.status.over
    assert not any(not order.over for order in world.of(algo_id))
    failed = [leg for leg in legs if leg.state == "failed"]
    held = {place[1]: world.desk.quantity(place) for place in PLACES}
    expected = dict.fromkeys(held, ZERO)
    for leg in legs:
        net = leg.filled - leg.undo.filled
        expected[leg.terms.symbol] += net if leg.terms.side == "BUY" else -net
    assert held == expected
    if algo.status is Status.FINISHED:
        assert not failed
        assert all(leg.state == "done" and leg.target == leg.filled for leg in legs)
    if algo.status is Status.FAILED:
        assert failed
        if rule == "finish":
            assert all(leg.over for leg in legs)
        if rule == "unwind":
            # Each symbol is traded on one side here: so all of it could be closed
            assert set(held.values()) == {ZERO}
    if rule != "unwind":
        assert all(not leg.undo.steps for leg in legs)


@pytest.mark.parametrize("rule", RULES)
def test_it_is_the_same_wherever_it_dies(rule: str) -> None:
    """One run, again and again: with a death behind each single entry, and with that entry lost."""
    whole, count = run(rule, dies_at=None)
    for dies_at in range(1, count):
        for lost in (False, True):
            world, _ = run(rule, dies_at=dies_at, lost=lost)
            assert outcome(world) == outcome(whole), (dies_at, lost)


def run(rule: str, *, dies_at: int | None, lost: bool = False) -> tuple[BasketWorld, int]:
    """Bitcoin is chased and filled in two parts, ether's order is refused; one asking a step."""
    world = BasketWorld()
    chase = {**BUY_BTC, "algo": "chase"}
    algo = world.start("pms.basket", legs=[chase, SELL_ETH, SELL_ETH], onLegFailure=rule)
    for turn in range(60):
        if turn + 1 == dies_at:
            before = len(world.postings)
            world.conduct(algo.id)
            if lost:
                # It dies before the entry is journaled: nothing of it has left
                for posting in world.postings[before:]:
                    for row in posting.entry.rows.orders:
                        if row.state == "placing":
                            world.orders.pop(row.client_order_id, None)
                del world.postings[before:]
            world.restart()
        else:
            world.conduct(algo.id)
        exchange(world, algo.id, turn)
        world.pass_time(1_000)
        if world.algo(algo.id).status.over:
            break
    return world, turn


def exchange(world: BasketWorld, algo_id: str, turn: int) -> None:
    """It refuses the second leg, fills the third and any unwinding, and the first slowly."""
    leg = world.leg(algo_id, 1)
    for order in world.of(algo_id):
        coid = order.row.client_order_id
        if order.over:
            continue
        if coid in world.live(algo_id, 1) and not leg.over:
            world.refuse(coid, "-2019: Margin is insufficient.")
        elif not order.sent:
            world.ack(coid)
        elif world.desk.orders[coid].cancel_wanted:
            world.end(coid, "CANCELED")
        elif coid in world.live(algo_id, 0):
            if turn > 30 or world.traded_in(algo_id, world.leg(algo_id, 0).numbers) < D("0.01"):
                world.trade(coid, D("0.01"))
        else:
            world.trade(coid, order.total)


def outcome(world: BasketWorld) -> tuple[object, ...]:
    (algo,) = world.desk.algos.every.values()
    legs = [world.leg(algo.id, number) for number in range(3)]
    return (
        algo.status,
        algo.reason,
        [(leg.state, leg.filled, leg.undo.filled) for leg in legs],
        [world.desk.quantity(place) for place in PLACES],
    )
