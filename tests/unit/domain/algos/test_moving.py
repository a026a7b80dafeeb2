"""Orders that rest and should not as they do: made smaller, cancelled or moved, and what each waits for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from any_order import OPS, step, take_all
from hypothesis import event, given, settings
from hypothesis import strategies as st
from market_world import BTC, SYMBOL, D, MarketWorld
from position_world import PositionWorld

from pms.contract.codes import Code, Refusal
from pms.domain.algos.algo import Algo, Slot, Status
from pms.domain.algos.bracket import PROFIT
from pms.domain.algos.conduct import AS_MAKER_MS, BACK_OFF_MS
from pms.domain.algos.moving import MOST_MOVES
from pms.domain.algos.throttle import GUARDS_PER_WINDOW, LATE_MS, WINDOW_MS
from pms.domain.orders import Order

CHASE = {"symbol": SYMBOL, "side": "BUY", "quantity": "0.05", "leverage": 10}
EXITS = {"takeProfit": "61000", "stopLoss": "58000"}
SLICES = {"lots": 1, "duration": 1_000, "limitPrice": "61000", "timeInForce": "GTC", "reduceOnly": True}
AT_TOUCH = {"lots": 1, "duration": 1_000, "passive": True, "reduceOnly": True}


def chasing(world: MarketWorld | None = None, **terms: object) -> tuple[MarketWorld, Algo, Order]:
    """A chase whose order rests at the touch."""
    world = world or MarketWorld()
    world.move(0)
    algo = world.start("pms.chase", **{**CHASE, **terms})
    world.conduct(algo.id)
    world.ack(only(world, algo).spec.client_order_id)
    return world, algo, only(world, algo)


def held(least: str = "5") -> PositionWorld:
    """Someone who has bought, in a symbol with such a least notional."""
    world = PositionWorld()
    world.desk.instruments[SYMBOL] = replace(BTC, min_notional=D(least))
    world.touch("60000", "60000.1")
    world.by_hand("BUY", "0.05")
    return world


def protecting(world: PositionWorld, **terms: object) -> tuple[Algo, Order]:
    """A bracket on her position, its take-profit resting."""
    algo = world.start("pms.bracket", positionId=world.position_id, **{**EXITS, **terms})
    world.conduct(algo.id)
    order = world.desk.orders[algo.slots[PROFIT].order_id or ""]
    world.ack(order.spec.client_order_id)
    return algo, order


def only(world: MarketWorld, algo: Algo) -> Order:
    """The one order that lives."""
    (order,) = [world.desk.orders[each.row.client_order_id] for each in world.of(algo.id) if not each.over]
    return order


def moves(world: MarketWorld, algo: Algo, ticks: int = 5) -> str:
    """The market goes and time passes; the order that is being moved behind it."""
    world.move(ticks)
    world.pass_time(1_000)
    world.conduct(algo.id)
    order = only(world, algo)
    assert order.amend is not None
    return order.spec.client_order_id


def refused_moves(world: MarketWorld, algo: Algo) -> Slot:
    """As many as the longest back-off is earned by."""
    for delay in BACK_OFF_MS:
        world.refuse_amend(moves(world, algo))
        world.conduct(algo.id)
        (slot,) = [algo.slots[number] for number in algo.busy]
        assert slot.resume_at == world.now + delay
        if delay != BACK_OFF_MS[-1]:
            world.pass_time(delay)
    return slot


# --- what may trade too much ---


def test_a_total_amended_to_what_is_filled_cancels_what_rests() -> None:
    world, algo, order = chasing()
    world.trade(order.spec.client_order_id, D("0.02"))
    world.ask("pms.chase", None, action="amend", algoId=algo.id, quantity="0.02")
    world.conduct(algo.id)
    assert order.cancel_wanted
    world.end(order.spec.client_order_id, "CANCELED")
    world.conduct(algo.id)
    assert (algo.status, algo.filled) == (Status.FINISHED, D("0.02"))


def test_a_smaller_total_waits_neither_for_the_last_move_nor_for_the_chases_turns() -> None:
    world, algo, order = chasing(repriceMs=60_000)
    while not world.throttle.moves.wait_ms("others", now=world.now):
        world.throttle.moves.note("others", now=world.now)
    world.ask("pms.chase", None, action="amend", algoId=algo.id, quantity="0.02")
    world.conduct(algo.id)
    assert order.amend is not None
    assert (order.amend.quantity, order.amend.price) == (D("0.02"), D(60_000))


def test_a_smaller_total_is_kept_without_a_price_too() -> None:
    world, algo, order = chasing()
    world.lose_sync()
    world.conduct(algo.id)
    assert not order.cancel_wanted
    world.ask("pms.chase", None, action="amend", algoId=algo.id, quantity="0.02")
    world.conduct(algo.id)
    assert order.cancel_wanted


def test_a_smaller_total_that_came_while_the_order_moved_is_kept_without_a_price_too() -> None:
    world, algo, order = chasing()
    coid = moves(world, algo)
    world.ask("pms.chase", None, action="amend", algoId=algo.id, quantity="0.02")
    world.conduct(algo.id)
    world.lose_sync()
    world.amend(coid)
    world.conduct(algo.id)
    assert order.cancel_wanted


def test_while_admission_is_closed_what_may_trade_too_much_is_cancelled_and_nothing_else_moves() -> None:
    world, algo, order = chasing()
    world.trade(order.spec.client_order_id, D("0.01"))
    world.move(50)
    world.pass_time(60_000)
    world.conduct(algo.id, closed="the ledger has stopped")
    assert (order.amend, order.cancel_wanted) == (None, False)
    world.ask("pms.chase", None, action="amend", algoId=algo.id, quantity="0.02")
    world.conduct(algo.id, closed="the ledger has stopped")
    assert (order.amend, order.cancel_wanted) == (None, True)


def test_what_cannot_be_made_smaller_at_its_turn_is_cancelled_and_takes_none() -> None:
    world = held()
    algo, order = protecting(world)
    for _ in range(GUARDS_PER_WINDOW):
        world.throttle.guards.note("others", now=world.now)
    world.by_hand("SELL", "0.02")
    world.conduct(algo.id)
    assert order.cancel_wanted
    now, turns = world.now + WINDOW_MS + LATE_MS, world.throttle.guards
    for other in range(GUARDS_PER_WINDOW):
        assert turns.wait_ms(str(other), now=now) == 0
        turns.note(str(other), now=now)


def test_a_take_profit_that_would_be_worth_too_little_is_cancelled_and_not_asked_to_shrink_for_ever() -> None:
    world = held(least="100")
    algo, order = protecting(world)
    assert not order.spec.venue_reduce_only
    world.by_hand("SELL", "0.049")
    world.conduct(algo.id)
    assert (order.amends, order.cancel_wanted) == (0, True)
    world.end(order.spec.client_order_id, "CANCELED")
    assert world.spare() >= 0


def test_a_take_profit_whose_shrinking_was_refused_is_cancelled() -> None:
    world = held()
    algo, order = protecting(world)
    world.by_hand("SELL", "0.02")
    world.conduct(algo.id)
    assert order.amend is not None
    world.refuse_amend(order.spec.client_order_id, "-1000: unknown")
    world.conduct(algo.id)
    assert (order.amends, order.cancel_wanted) == (1, True)


def test_a_take_profit_shrinks_though_its_moves_were_refused() -> None:
    world = held()
    algo, order = protecting(world)
    for number, delay in enumerate(BACK_OFF_MS):
        world.ask("pms.bracket", None, algoId=algo.id, action="amend", takeProfit=str(61_100 + number))
        world.pass_time(1_000)
        world.conduct(algo.id)
        world.refuse_amend(order.spec.client_order_id)
        world.conduct(algo.id)
        if delay != BACK_OFF_MS[-1]:
            world.pass_time(delay)
    assert algo.slots[PROFIT].resume_at == world.now + BACK_OFF_MS[-1]
    world.by_hand("SELL", "0.03")
    for _ in range(3):
        world.conduct(algo.id)
        take_all(world, algo.id)
    assert world.spare() >= 0
    assert only(world, algo).leaves == D("0.02")


def test_a_slice_that_only_reduces_shrinks_with_the_position() -> None:
    world = held()
    algo = world.start("pms.twap", symbol=SYMBOL, side="SELL", totalSize="0.05", **SLICES)
    world.conduct(algo.id)
    order = only(world, algo)
    world.ack(order.spec.client_order_id)
    world.by_hand("SELL", "0.03")
    world.conduct(algo.id)
    assert order.amend is not None
    assert order.amend.quantity == D("0.02")
    world.amend(order.spec.client_order_id)
    world.by_hand("SELL", "0.02")
    world.conduct(algo.id)
    assert order.cancel_wanted
    world.end(order.spec.client_order_id, "CANCELED")
    world.conduct(algo.id)
    told = "there is nothing left to reduce, and 0.05 is not filled"
    assert (algo.status, algo.reason) == (Status.FINISHED, told)


REDUCING = {"symbol": SYMBOL, "side": "SELL", "quantity": "0.05", "reduceOnly": True}
RESTING_LIMIT = {**REDUCING, "algo": "limit", "price": "61000"}


@pytest.mark.parametrize(
    ("name", "terms", "told"),
    [
        ("pms.chase", REDUCING, "there is nothing left to reduce, and 0.05 is not filled"),
        ("pms.basket", {"legs": [{**REDUCING, "algo": "chase"}]}, "legs[0]: there is nothing left to reduce"),
        ("pms.basket", {"legs": [RESTING_LIMIT]}, "legs[0]: there is nothing left to reduce"),
    ],
)
def test_whatever_rests_and_only_reduces_shrinks_with_the_position_and_is_over_with_it(
    name: str, terms: dict[str, Any], told: str
) -> None:
    world = held()
    algo = world.start(name, **terms)
    world.conduct(algo.id)
    order = only(world, algo)
    world.ack(order.spec.client_order_id)
    world.by_hand("SELL", "0.03")
    world.conduct(algo.id)
    assert order.amend is not None
    assert order.amend.quantity == D("0.02")
    world.amend(order.spec.client_order_id)
    assert world.spare() == 0
    world.by_hand("SELL", "0.02")
    world.conduct(algo.id)
    assert order.cancel_wanted
    world.end(order.spec.client_order_id, "CANCELED")
    for _ in range(2):
        world.conduct(algo.id)
    assert algo.status.over
    assert (algo.reason or "").startswith(told)
    assert world.spare() == 0


def test_a_chase_that_only_reduces_is_for_what_there_is_to_reduce() -> None:
    world = held()
    algo = world.start("pms.chase", **{**REDUCING, "quantity": "0.08"})
    world.conduct(algo.id)
    assert only(world, algo).leaves == D("0.05")


def test_a_rest_that_no_order_could_be_for_ends_a_chase_that_only_reduces() -> None:
    world = held()
    world.desk.instruments[SYMBOL] = replace(BTC, min_quantity=D("0.01"))
    algo = world.start("pms.chase", **REDUCING)
    world.by_hand("SELL", "0.045")
    world.conduct(algo.id)
    told = "0.005 is left to reduce, too little for an order, and 0.05 is not filled"
    assert (algo.status, algo.reason) == (Status.FINISHED, told)


def test_a_chase_that_may_not_move_beside_what_others_close_waits_until_it_may() -> None:
    world = held()
    algo = world.start("pms.chase", **{**REDUCING, "quantity": "0.02"})
    world.conduct(algo.id)
    order = only(world, algo)
    world.ack(order.spec.client_order_id)
    beside = world.by_hand("SELL", "0.03", type="LIMIT", price="61000", reduceOnly=True)
    world.by_hand("SELL", "0.03")
    for _ in range(3):
        world.move(-5)
        world.pass_time(1_000)
        world.conduct(algo.id)
    assert (algo.status, order.amend, order.cancel_wanted) == (Status.RUNNING, None, False)
    assert (algo.slots[0].note or "").startswith(Code.REDUCE_ONLY)
    world.cancel_by_hand(beside or "")
    world.conduct(algo.id)
    assert order.amend is not None


@pytest.mark.parametrize(
    ("name", "terms"),
    [
        ("pms.chase", {**REDUCING, "quantity": "0.04"}),
        ("pms.basket", {"legs": [{**RESTING_LIMIT, "quantity": "0.04"}]}),
    ],
)
def test_one_that_cannot_shrink_beside_what_others_close_is_placed_anew_when_it_may(
    name: str, terms: dict[str, Any]
) -> None:
    world = held()
    algo = world.start(name, **terms)
    world.conduct(algo.id)
    order = only(world, algo)
    world.ack(order.spec.client_order_id)
    beside = world.by_hand("SELL", "0.01", type="LIMIT", price="61500", reduceOnly=True)
    world.by_hand("SELL", "0.03")
    world.conduct(algo.id)
    assert order.cancel_wanted
    world.end(order.spec.client_order_id, "CANCELED")
    world.conduct(algo.id)
    assert (algo.status, len(world.of(algo.id)), world.spare()) == (Status.RUNNING, 1, D("0.01"))
    world.cancel_by_hand(beside or "")
    world.conduct(algo.id)
    assert only(world, algo).leaves == D("0.02")


HALF = {**REDUCING, "quantity": "0.025"}
HALF_SLICE = {**{key: HALF[key] for key in ("symbol", "side")}, **SLICES, "totalSize": "0.025"}


@pytest.mark.parametrize("left", ["0.03", "0.02", "0.002"])
@pytest.mark.parametrize(
    "pair",
    [
        [("pms.chase", HALF), ("pms.chase", HALF)],
        [("pms.chase", HALF), ("pms.twap", HALF_SLICE)],
        [("pms.basket", {"legs": [{**HALF, "algo": "chase"}]}), ("pms.chase", HALF)],
        [("pms.basket", {"legs": [{**HALF, "algo": "chase"}, {**RESTING_LIMIT, **HALF}]})],
    ],
)
def test_those_that_close_the_same_position_shrink_beside_each_other(
    pair: list[tuple[str, dict[str, Any]]], left: str
) -> None:
    world = held()
    algos = [world.start(name, **terms) for name, terms in pair]
    for algo in algos:
        world.conduct(algo.id)
        take_all(world, algo.id)
    assert world.spare() == 0
    world.by_hand("SELL", world.holds - D(left))
    for _ in range(8):
        for algo in algos:
            world.conduct(algo.id)
            take_all(world, algo.id)
        world.pass_time(1_000)
    assert {algo.status for algo in algos} == {Status.RUNNING}
    assert world.spare() == 0


def test_a_leg_of_one_try_is_for_all_of_it_or_refused() -> None:
    world = held()
    legs = [{**RESTING_LIMIT, "price": "60000", "timeInForce": "FOK", "quantity": "0.08"}]
    with pytest.raises(Refusal) as refused:
        world.start("pms.basket", legs=legs)
    assert (refused.value.code, refused.value.field) == (Code.REDUCE_ONLY, "legs[0].quantity")


def test_without_a_price_it_cannot_shrink_and_is_cancelled() -> None:
    world = held()
    world, algo, order = chasing(world, side="SELL", reduceOnly=True)
    fields = {"symbol": SYMBOL, "side": "SELL", "quantity": "0.03", "leverage": 10}
    sold = world.ask("pms.trade", **fields).entry.rows.orders[0].client_order_id
    world.ack(sold)
    del world.desk.tops[SYMBOL]
    world.conduct(algo.id)
    assert not order.cancel_wanted
    world.trade(sold, D("0.03"))
    world.conduct(algo.id)
    assert order.cancel_wanted


def test_a_chase_that_is_being_cancelled_takes_no_room_from_what_she_lets_rest() -> None:
    world = held()
    hers = {"type": "LIMIT", "price": "62000", "reduceOnly": True}
    target = world.desk.orders[world.by_hand("SELL", "0.02", **hers) or ""]
    world, algo, order = chasing(world, side="SELL", reduceOnly=True, quantity="0.03")
    world.ask("pms.algo", None, algoId=algo.id, action="cancel")
    world.conduct(algo.id)
    assert order.cancel_wanted
    world.by_hand("SELL", "0.01")
    assert not target.cancel_wanted


def test_what_she_lets_rest_gives_way_to_a_chase_and_a_take_profit_to_her() -> None:
    """Of what only reduces and no longer fits: an algo's order is its algo's to make smaller."""
    world = held()
    hers = {"type": "LIMIT", "price": "62000", "reduceOnly": True}
    target = world.desk.orders[world.by_hand("SELL", "0.02", **hers) or ""]
    algo, order = protecting(world)
    world.by_hand("SELL", "0.02")
    assert (target.cancel_wanted, order.cancel_wanted) == (False, False)
    world.conduct(algo.id)
    assert (order.amend or order).quantity == D("0.01")
    world.amend(order.spec.client_order_id)
    world.ask("pms.algo", None, algoId=algo.id, action="cancel")
    world.conduct(algo.id)
    world.end(order.spec.client_order_id, "CANCELED")
    world, algo, order = chasing(world, side="SELL", reduceOnly=True, quantity="0.01")
    world.by_hand("SELL", "0.01")
    assert (target.cancel_wanted, order.cancel_wanted) == (True, False)


def test_a_size_that_may_not_grow_is_asked_for_ever_more_seldom() -> None:
    world = held()
    algo, order = protecting(world)
    world.by_hand("BUY", "0.01")
    for _ in range(100):
        world.pass_time(100)
        world.conduct(algo.id)
        if order.amend is not None:
            world.refuse_amend(order.spec.client_order_id, "-1000: unknown")
    # At half a second, after another half, after two
    assert (order.amends, algo.slots[PROFIT].tries, order.cancel_wanted) == (3, 3, False)


# --- what follows the market ---


def test_one_as_large_as_may_be_follows_behind_its_first_fill_too() -> None:
    world = MarketWorld()
    world.desk.instruments[SYMBOL] = replace(BTC, max_quantity=D("0.05"))
    _, algo, order = chasing(world, quantity="0.2")
    world.trade(order.spec.client_order_id, D("0.01"))
    moves(world, algo)
    assert order.amend is not None
    assert (order.amend.quantity, algo.slots[0].tries) == (D("0.05"), 0)


def test_what_is_left_of_an_order_follows_though_it_would_be_too_little_for_one() -> None:
    world = MarketWorld()
    world.desk.instruments[SYMBOL] = replace(BTC, min_quantity=D("0.01"))
    _, algo, order = chasing(world)
    world.trade(order.spec.client_order_id, D("0.045"))
    moves(world, algo)
    assert order.amend is not None
    assert (order.amend.quantity, order.amend.price) == (D("0.05"), D("60000.5"))


def test_who_was_moved_as_often_as_the_exchange_allows_begins_anew() -> None:
    world, algo, order = chasing()
    order.amends = MOST_MOVES - 1
    world.amend(moves(world, algo))
    world.move(5)
    world.pass_time(1_000)
    world.conduct(algo.id)
    assert (order.amends, order.cancel_wanted) == (MOST_MOVES, True)
    world.end(order.spec.client_order_id, "CANCELED")
    world.conduct(algo.id)
    assert (only(world, algo).amends, only(world, algo).price) == (0, D(60_001))


# --- what refusals earn, and for how long ---


def test_a_move_that_was_carried_out_ends_the_count_of_those_that_were_not() -> None:
    world, algo, _ = chasing()
    slot = refused_moves(world, algo)
    world.pass_time(BACK_OFF_MS[-1])
    world.amend(moves(world, algo))
    world.conduct(algo.id)
    assert slot.tries == 0
    world.refuse_amend(moves(world, algo))
    world.conduct(algo.id)
    assert slot.resume_at == world.now + BACK_OFF_MS[0]


def test_what_crosses_far_away_waits_for_nothing_that_its_resting_order_earned() -> None:
    world, algo, order = chasing(maxDistance="0.5", onMaxDistance="cross")
    refused_moves(world, algo)
    world.move(4_000)
    world.conduct(algo.id)
    assert order.cancel_wanted
    world.end(order.spec.client_order_id, "CANCELED")
    world.conduct(algo.id)
    assert only(world, algo).spec.type == "MARKET"


@pytest.mark.parametrize("leg", [False, True])
def test_a_post_only_order_that_its_own_move_ended_would_have_taken(leg: bool) -> None:
    """Binance answers such an amendment with the order's cancel, whoever asked."""
    world = MarketWorld()
    if leg:
        world.move(0)
        legs = [{"algo": "chase", **CHASE, "postOnly": True}]
        algo = world.start("pms.basket", onLegFailure="unwind", legs=legs)
        world.conduct(algo.id)
        world.ack(only(world, algo).spec.client_order_id)
    else:
        _, algo, _ = chasing(world, postOnly=True)
    for _ in range(5):
        world.move_ends_it(moves(world, algo))
        world.conduct(algo.id)
        slot = algo.slots[0]
        assert (slot.tries, slot.resume_at, slot.note) == (0, world.now + AS_MAKER_MS, "it would have taken")
        world.pass_time(AS_MAKER_MS)
        world.conduct(algo.id)
        world.ack(only(world, algo).spec.client_order_id)
    assert algo.status is Status.RUNNING


# --- a clock that is put back ---

HOUR = 3_600_000


def test_a_clock_that_is_put_back_stops_no_move_and_no_news() -> None:
    world = MarketWorld(now=2 * HOUR)
    _, algo, order = chasing(world)
    world.amend(moves(world, algo))
    world.conduct(algo.id)
    world.pass_time(-HOUR)
    world.conduct(algo.id)
    told = len(world.postings)
    world.move(5)
    world.pass_time(1_000)
    world.conduct(algo.id)
    assert order.amend is not None
    assert [each for posting in world.postings[told:] for each in posting.events]


def test_a_clock_that_is_put_back_neither_counts_a_refused_move_twice_nor_makes_its_pause_longer() -> None:
    world = MarketWorld(now=2 * HOUR)
    _, algo, order = chasing(world)
    slot = algo.slots[0]
    world.refuse_amend(moves(world, algo))
    world.conduct(algo.id)
    for _ in range(3):
        world.pass_time(-HOUR // 4)
        world.conduct(algo.id)
        assert (slot.tries, order.amend) == (1, None)
    world.pass_time(BACK_OFF_MS[-1])
    world.conduct(algo.id)
    assert order.amend is not None


def test_a_move_that_was_refused_while_the_clock_was_put_back_is_counted_once() -> None:
    world = MarketWorld(now=2 * HOUR)
    _, algo, _ = chasing(world)
    slot = algo.slots[0]
    coid = moves(world, algo)
    world.pass_time(-HOUR)
    world.refuse_amend(coid)
    for _ in range(3):
        world.conduct(algo.id)
    assert (slot.tries, slot.resume_at) == (1, world.now + BACK_OFF_MS[0])


# --- whatever happens ---


ALGOS: dict[str, tuple[str, dict[str, Any]]] = {
    "target": ("pms.bracket", {"takeProfit": "60002"}),
    "both exits": ("pms.bracket", {"takeProfit": "60002", "stopLoss": "59990"}),
    "slices": ("pms.twap", {"symbol": SYMBOL, "side": "SELL", "totalSize": "0.05", **SLICES}),
    "passive": ("pms.twap", {"symbol": SYMBOL, "side": "SELL", "totalSize": "0.05", **AT_TOUCH}),
    "chase": ("pms.chase", REDUCING),
    "chased leg": ("pms.basket", {"legs": [{**REDUCING, "algo": "chase"}]}),
    "limit leg": ("pms.basket", {"legs": [RESTING_LIMIT]}),
}


def carried_out(world: MarketWorld, algo_id: str) -> None:
    """The algo is asked; the exchange tells what it did and does what it was asked. Nothing trades."""
    for each in world.of(algo_id):
        world.tell(each.row.client_order_id)
        if each.sent and not each.over:
            world.count(each.row.client_order_id)
    world.conduct(algo_id)
    take_all(world, algo_id)


SELLS = ("sells", "sells", "sells little")


@settings(max_examples=200, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from((*OPS, *OPS, *SELLS * 3)), st.integers(0, 40)), min_size=20, max_size=60
    ),
    kind=st.sampled_from(sorted(ALGOS)),
    least=st.sampled_from(["5", "300"]),
)
def test_nothing_rests_for_more_than_is_held_once_the_exchange_has_done_what_it_was_asked(
    steps: list[tuple[str, int]], kind: str, least: str
) -> None:
    world = held(least)
    name, terms = ALGOS[kind]
    on_it = {"positionId": world.position_id} if name == "pms.bracket" else {}
    algo_id = world.start(name, **terms, **on_it).id
    for op, number in steps:
        if op in SELLS:
            quantity = D(1 + number % 20) / 1_000 if op == "sells" else D("0.001")
            if min(quantity, world.holds) > 0:
                world.by_hand("SELL", min(quantity, world.holds))
        else:
            step(world, algo_id, op, number)
        world.conduct(algo_id)
    world.move(0)
    for _ in range(12):
        carried_out(world, algo_id)
        world.pass_time(1_000)
    event(f"{kind}: {world.desk.algos.every[algo_id].status}")
    resting = [each for each in world.of(algo_id) if each.row.price is not None]
    assert sum(each.exposed - each.filled for each in resting) <= max(world.holds, D(0))


@settings(max_examples=150, deadline=None)
@given(
    steps=st.lists(st.tuples(st.sampled_from(OPS), st.integers(0, 40)), min_size=20, max_size=60),
    total=st.sampled_from(["0.001", "0.02", "0.035"]),
    post_only=st.booleans(),
)
def test_a_smaller_total_holds_once_the_exchange_has_done_what_it_was_asked(
    steps: list[tuple[str, int]], total: str, post_only: bool
) -> None:
    world, algo, _ = chasing(postOnly=post_only)
    for op, number in steps:
        step(world, algo.id, op, number)
        world.conduct(algo.id)
    for each in world.of(algo.id):
        world.tell(each.row.client_order_id)
    algo = world.desk.algos.every[algo.id]
    if algo.status.over:
        return
    event(f"filled: {bool(algo.filled)}, {algo.status}")
    smaller = max(D(total), algo.filled)
    world.ask("pms.chase", None, action="amend", algoId=algo.id, quantity=str(smaller))
    world.move(0)
    for _ in range(6):
        carried_out(world, algo.id)
    assert world.exposed(algo.id) <= smaller
