"""Whatever happens to a basket's orders, and whenever it dies: bounds, the rule, and an exact end."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from any_order import calm, settle_proofs, step, steps
from basket_world import BUY_BTC, SELL_ETH, BasketWorld
from hypothesis import given, settings
from hypothesis import strategies as st
from market_world import ZERO, D

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
    {**SELL_ETH, "quantity": "900"},
]
"""The last is more than the account can carry."""

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
            "onLegFailure": st.sampled_from(RULES),
            "duration": st.sampled_from([None, 20]),
        }
    ),
    steps=steps,
    cancels_at=st.sampled_from([None, None, 7, 25]),
)
def test_every_legs_bound_the_rule_and_an_exact_end(
    legs: list[dict[str, Any]],
    terms: dict[str, Any],
    steps: list[tuple[str, int]],
    cancels_at: int | None,
) -> None:
    world = BasketWorld()
    if LEGS[-1] in legs:
        with pytest.raises(Refusal) as refused:
            world.basket(*legs, **terms)
        assert (refused.value.field or "").startswith("legs[")
        assert world.desk.algos.every == world.orders == world.desk.live == {}
        return
    algo_id = world.basket(*legs, **terms).id
    for number, (op, argument) in enumerate(steps):
        if number == cancels_at and not world.algo(algo_id).status.over:
            world.ask("pms.cancel_algo", None, algoId=algo_id)
        begun = {order.row.client_order_id for order in world.of(algo_id)}
        unwinding = world.algo(algo_id).memory["unwinding"]
        step(world, algo_id, op, argument, wide=True)
        world.conduct(algo_id)
        bounds_hold(world, algo_id)
        if unwinding:
            # Unwinding outlives every death, and nothing but that is begun from then on
            assert world.algo(algo_id).memory["unwinding"]
            new = [each for each in world.of(algo_id) if each.row.client_order_id not in begun]
            assert all(order.row.reduce_only for order in new)
        assert {slot.number: slot.filled for slot in world.algo(algo_id).slots.values()} == told(
            world, algo_id
        )
    settle_proofs(world)
    if world.algo(algo_id).status is Status.PAUSED:
        world.ask("pms.algo", None, algoId=algo_id, action="resume")
    world.price_eth("3000")
    calm(world, algo_id)
    bounds_hold(world, algo_id)
    ends_as_it_should(world, algo_id, terms["onLegFailure"])


def told(world: BasketWorld, algo_id: str) -> dict[int, Decimal]:
    """What each slot's orders traded, as far as it was told."""
    found = dict.fromkeys(world.algo(algo_id).slots, ZERO)
    for order in world.of(algo_id):
        silent = sum((quantity for _, quantity in order.untold), ZERO)
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
