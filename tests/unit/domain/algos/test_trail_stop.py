"""The trailing stop: what it follows, when it fires, and that it sells no more than there is."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from any_order import OPS, calm, step
from hypothesis import given, settings
from hypothesis import strategies as st
from market_world import BTC, D
from position_world import PositionWorld

from pms.contract.codes import Code, Refusal
from pms.contract.events import AlgoEvent
from pms.contract.money import decode_object
from pms.domain.algos.algo import Algo, Status
from pms.domain.algos.conduct import STOP_BACK_OFF_MS
from pms.domain.algos.exits import opposite
from pms.domain.desk import Mark


def stopped(
    size: str = "0.05", *, side: str = "BUY", callback: str = "1", **terms: object
) -> tuple[PositionWorld, str]:
    """A position, and a trailing stop on it."""
    world = PositionWorld()
    world.touch("60000", "60000.1")
    world.by_hand(side, size)
    algo = world.start("pms.trail_stop", positionId=world.position_id, callbackPct=callback, **terms)
    world.conduct(algo.id)
    return world, algo.id


def at(world: PositionWorld, algo_id: str, bid: str) -> Algo:
    """The algo, asked at a price."""
    world.touch(bid, str(D(bid) + D("0.1")))
    world.conduct(algo_id)
    return world.desk.algos.every[algo_id]


def sold(world: PositionWorld, algo_id: str) -> list[tuple[str, Decimal]]:
    return [(order.row.side, order.row.quantity) for order in world.of(algo_id)]


def test_fires_where_the_exchange_has_lowered_the_leverage_below_the_position_s() -> None:
    world, algo_id = stopped()
    lowered = replace(world.desk.instruments["BTCUSDT"], max_leverage=world.position.leverage - 1)
    world.desk.instruments["BTCUSDT"] = lowered
    at(world, algo_id, "59000")
    assert sold(world, algo_id) == [("SELL", D("0.05"))]


def test_a_long_follows_the_bid_and_fires_once_it_came_back_by_the_callback() -> None:
    world, algo_id = stopped()
    at(world, algo_id, "61000")
    at(world, algo_id, "60390.1")
    assert sold(world, algo_id) == []
    at(world, algo_id, "60390")
    (order,) = world.of(algo_id)
    assert (order.row.side, order.row.quantity, order.row.type) == ("SELL", D("0.05"), "MARKET")
    assert (order.row.reduce_only, order.row.origin) == (True, "TRAIL_STOP")
    world.ack(order.row.client_order_id)
    at(world, algo_id, "62000")
    world.trade(order.row.client_order_id, D("0.05"))
    algo = at(world, algo_id, "62000")
    assert (algo.status, algo.filled, len(world.of(algo_id))) == (Status.FINISHED, D("0.05"), 1)
    assert world.holds == 0


def test_a_short_follows_the_ask() -> None:
    world, algo_id = stopped(side="SELL")
    at(world, algo_id, "57999.9")
    at(world, algo_id, "58579.8")
    assert sold(world, algo_id) == []
    at(world, algo_id, "58579.9")
    assert sold(world, algo_id) == [("BUY", D("0.05"))]


def test_it_waits_for_its_activation_and_follows_from_there() -> None:
    world, algo_id = stopped(activationPrice="61000")
    at(world, algo_id, "58000")
    at(world, algo_id, "60999.9")
    assert world.desk.algos.every[algo_id].memory == {}
    at(world, algo_id, "61000")
    at(world, algo_id, "60390")
    assert sold(world, algo_id) == [("SELL", D("0.05"))]


def test_no_price_in_sync_fires_nothing_and_the_next_one_does() -> None:
    world, algo_id = stopped()
    world.lose_sync()
    world.mid = D(50_000)
    world.conduct(algo_id)
    assert sold(world, algo_id) == []
    at(world, algo_id, "50000")
    assert sold(world, algo_id) == [("SELL", D("0.05"))]


def test_the_best_price_is_journaled_by_tenths_of_the_callback() -> None:
    world, algo_id = stopped()
    before = len(world.postings)
    for tick in range(599):
        at(world, algo_id, str(60_000 + D(tick) / 10))
    assert len(world.postings) == before
    at(world, algo_id, "60060")
    (row,) = world.postings[-1].entry.rows.algos
    assert decode_object(row.memory)["extreme"] == 60_060


@pytest.mark.parametrize(("up", "lost"), [("60059.9", "59.9"), ("60060", "0"), ("60659.9", "0")])
def test_a_restart_costs_a_tenth_of_the_callback_at_most(up: str, lost: str) -> None:
    world, algo_id = stopped()
    at(world, algo_id, up)
    world.restart()
    stop = (D(up) - D(lost)) * D("0.99")
    at(world, algo_id, str(stop.quantize(D("0.1")) + D("0.1")))
    assert sold(world, algo_id) == []
    at(world, algo_id, str(stop.quantize(D("0.1")) - D("0.1")))
    assert sold(world, algo_id) == [("SELL", D("0.05"))]


def test_fired_it_stays_fired_behind_a_restart_though_the_price_is_back() -> None:
    world, algo_id = stopped()
    at(world, algo_id, "59400")
    (order,) = world.of(algo_id)
    world.refuse(order.row.client_order_id, "-1008: Server is currently overloaded.")
    world.restart()
    world.pass_time(60_000)
    world.conduct(algo_id)
    world.pass_time(60_000)
    algo = at(world, algo_id, "65000")
    assert sold(world, algo_id) == [("SELL", D("0.05"))] * 2
    assert D(algo.memory["fired"]) == 59_400


def test_its_size_follows_the_position() -> None:
    world, algo_id = stopped()
    world.by_hand("BUY", "0.02")
    assert at(world, algo_id, "60000").target == D("0.07")
    world.by_hand("SELL", "0.03")
    assert at(world, algo_id, "60000").target == D("0.04")
    world.restart()
    assert world.desk.algos.every[algo_id].slots[0].target == D("0.04")
    at(world, algo_id, "59000")
    assert sold(world, algo_id) == [("SELL", D("0.04"))]


def test_what_was_opened_after_it_fired_stays() -> None:
    world, algo_id = stopped()
    at(world, algo_id, "59000")
    world.by_hand("BUY", "0.02")
    (order,) = world.of(algo_id)
    world.trade(order.row.client_order_id, D("0.05"))
    algo = at(world, algo_id, "59000")
    assert (algo.status, world.holds, len(world.of(algo_id))) == (Status.FINISHED, D("0.02"), 1)
    assert algo.reason == "fired at 59000: all of it is closed"


def test_what_is_opened_in_place_of_what_others_closed_stays_too() -> None:
    world, algo_id = stopped()
    resting = world.by_hand("SELL", "0.02", type="LIMIT", price="66000", reduceOnly=True)
    assert resting is not None
    at(world, algo_id, "59000")
    world.trade(resting, D("0.02"))
    at(world, algo_id, "59000")
    world.by_hand("BUY", "0.02")
    world.trade(world.of(algo_id)[0].row.client_order_id, D("0.03"))
    algo = at(world, algo_id, "59000")
    assert (algo.status, algo.filled, world.holds) == (Status.FINISHED, D("0.03"), D("0.02"))


@pytest.mark.parametrize("how", ["closed", "turned", "reopened", "taken over"])
def test_without_its_position_it_is_over(how: str) -> None:
    world, algo_id = stopped()
    match how:
        case "closed":
            world.by_hand("SELL", "0.05")
        case "turned":
            world.by_hand("SELL", "0.08")
        case "reopened":
            world.by_hand("SELL", "0.05")
            world.by_hand("BUY", "0.05")
        case _:
            world.taken_over()
    algo = at(world, algo_id, "50000")
    assert (algo.status, algo.reason, world.of(algo_id)) == (Status.FINISHED, "position closed", [])


def test_a_paused_one_sees_nothing_and_is_over_with_its_position() -> None:
    world, algo_id = stopped()
    world.ask("pms.trail_stop", None, algoId=algo_id, action="pause")
    at(world, algo_id, "70000")
    at(world, algo_id, "50000")
    world.ask("pms.trail_stop", None, algoId=algo_id, action="resume")
    algo = at(world, algo_id, "60500")
    assert (algo.status, world.of(algo_id)) == (Status.RUNNING, [])
    world.ask("pms.trail_stop", None, algoId=algo_id, action="pause")
    world.by_hand("SELL", "0.05")
    algo = at(world, algo_id, "60500")
    assert (algo.status, algo.reason) == (Status.FINISHED, "position closed")


def test_a_takeover_while_its_order_is_under_way_takes_the_order_too() -> None:
    world, algo_id = stopped()
    at(world, algo_id, "59000")
    (order,) = world.of(algo_id)
    world.taken_over()
    algo = at(world, algo_id, "58000")
    world.trade(order.row.client_order_id, D("0.05"))
    assert (algo.status, algo.filled, world.holds) == (Status.FINISHED, 0, 0)
    assert order.row.sub_account_id == "house"


def test_a_stop_that_meets_an_empty_book_again_and_again_never_waits_long() -> None:
    world, algo_id = stopped()
    at(world, algo_id, "58000")
    for _ in range(6):
        (order,) = [each for each in world.of(algo_id) if not each.over]
        world.ack(order.row.client_order_id)
        world.end(order.row.client_order_id, "EXPIRED")
        world.conduct(algo_id)
        world.pass_time(2_000)
        world.conduct(algo_id)
    assert len(world.of(algo_id)) == 7
    assert world.spare() == 0


def told_of(world: PositionWorld) -> list[tuple[str, str, str]]:
    """What was journaled of incidents: kind, state, and what is so."""
    rows = [row for posting in world.postings for row in posting.entry.rows.incidents]
    return [(row.kind, row.state, row.detail) for row in rows]


def refused_again(world: PositionWorld, algo_id: str, why: str) -> Decimal:
    """The order that lives is refused, and the next one is placed; how much that is for."""
    (order,) = [each for each in world.of(algo_id) if not each.over]
    world.refuse(order.row.client_order_id, why)
    world.conduct(algo_id)
    world.pass_time(STOP_BACK_OFF_MS[-1])
    world.conduct(algo_id)
    (order,) = [each for each in world.of(algo_id) if not each.over]
    return order.row.quantity


LARGE = "-4005: Quantity greater than max quantity."


def test_a_stop_that_is_too_large_for_the_exchange_is_halved_told_and_grows_back() -> None:
    world, algo_id = stopped()
    at(world, algo_id, "58000")
    assert refused_again(world, algo_id, LARGE) == D("0.025")
    assert told_of(world) == []
    assert refused_again(world, algo_id, LARGE) == D("0.012")
    assert refused_again(world, algo_id, LARGE) == D("0.006")
    told = f"trail_stop {algo_id} of alice cannot close 0.05 BTCUSDT: {LARGE}"
    assert told_of(world) == [("stop_refused", "open", told)]
    world.restart()
    for quantity in ("0.006", "0.012", "0.024", "0.008"):
        (order,) = [each for each in world.of(algo_id) if not each.over]
        assert order.row.quantity == D(quantity)
        world.ack(order.row.client_order_id)
        world.trade(order.row.client_order_id, order.total)
        world.conduct(algo_id)
        world.pass_time(STOP_BACK_OFF_MS[-1])
    world.conduct(algo_id)
    assert [state for _, state, _ in told_of(world)] == ["open", "resolved"]
    algo = world.desk.algos.every[algo_id]
    assert (algo.status, world.holds) == (Status.FINISHED, 0)


MARGIN = "-2019: Margin is insufficient."


def halved_to_the_least() -> tuple[PositionWorld, str]:
    """A stop refused until its next order is the least; others are short more than it closes."""
    world = PositionWorld()
    step = D("0.0000001")
    fine = {"step": step, "min_quantity": step, "market_step": step, "market_min_quantity": step}
    world.desk.instruments["BTCUSDT"] = replace(BTC, **fine)
    world.touch("60000", "60000.1")
    world.by_hand("BUY", "0.05")
    world.desk.treasury.net["BTCUSDT"] = D("-0.2")
    algo_id = world.start("pms.trail_stop", positionId=world.position_id, callbackPct="1").id
    at(world, algo_id, "58000")
    while world.desk.algos.every[algo_id].slots[0].tries < 12:
        last = refused_again(world, algo_id, MARGIN)
    assert last == D("0.0000863")
    (order,) = [each for each in world.of(algo_id) if not each.over]
    world.refuse(order.row.client_order_id, MARGIN)
    world.conduct(algo_id)
    return world, algo_id


def test_one_halved_to_the_least_goes_on_where_the_price_makes_that_too_little() -> None:
    world, algo_id = halved_to_the_least()
    at(world, algo_id, "57000")
    world.pass_time(STOP_BACK_OFF_MS[-1])
    world.conduct(algo_id)
    for quantity in ("0.0000878", "0.0001726"):
        (order,) = [each for each in world.of(algo_id) if not each.over]
        assert order.row.quantity == D(quantity)
        world.ack(order.row.client_order_id)
        world.trade(order.row.client_order_id, order.total)
        world.desk.treasury.net["BTCUSDT"] = D("-0.2")
        world.pass_time(STOP_BACK_OFF_MS[-1])
        world.conduct(algo_id)


def test_one_halved_to_the_least_goes_on_where_the_exchange_takes_no_order_as_small() -> None:
    world, algo_id = halved_to_the_least()
    coarse = replace(world.desk.instruments["BTCUSDT"], market_min_quantity=D("0.01"))
    world.desk.instruments["BTCUSDT"] = coarse
    world.pass_time(STOP_BACK_OFF_MS[-1])
    world.conduct(algo_id)
    assert [each.row.quantity for each in world.of(algo_id) if not each.over] == [D("0.01")]


@pytest.mark.parametrize("reduces", [True, False])
def test_a_stop_that_the_mark_makes_too_little_says_that_it_reduces_or_is_told(reduces: bool) -> None:
    world, algo_id = stopped("0.001")
    world.desk.instruments["BTCUSDT"] = replace(BTC, min_notional=D(58))
    world.desk.marks["BTCUSDT"] = Mark(D("57999"), world.now)
    if not reduces:
        world.desk.treasury.net["BTCUSDT"] = D("-1")
    at(world, algo_id, "58001")
    (order,) = world.of(algo_id)
    assert order.row.venue_reduce_only is reduces
    if not reduces:
        for _ in range(2):
            refused_again(world, algo_id, "-4164: Order's notional must be no smaller than 58")
        assert [state for _, state, _ in told_of(world)] == ["open"]


def test_the_least_that_a_stop_is_halved_to_is_that_of_the_mark_where_that_is_lower() -> None:
    world, algo_id = halved_to_the_least()
    world.pass_time(STOP_BACK_OFF_MS[-1])
    world.desk.marks["BTCUSDT"] = Mark(D("57500"), world.now)
    world.conduct(algo_id)
    assert [each.row.quantity for each in world.of(algo_id) if not each.over] == [D("0.000087")]


def test_a_stop_refused_as_too_little_is_told_unless_too_little_is_left() -> None:
    for size, states in (("0.05", ["open"]), ("0.001", [])):
        world, algo_id = stopped(size)
        world.desk.instruments["BTCUSDT"] = replace(BTC, min_notional=D(100))
        at(world, algo_id, "58000")
        for _ in range(2):
            for order in world.of(algo_id):
                if not order.over:
                    world.refuse(order.row.client_order_id, "-4164: Order's notional must be no smaller")
            world.conduct(algo_id)
            world.pass_time(STOP_BACK_OFF_MS[-1])
            world.conduct(algo_id)
        assert [state for _, state, _ in told_of(world)] == states


def test_one_that_no_smaller_order_would_cure_stays_whole_and_is_told_until_it_is_over() -> None:
    world, algo_id = stopped()
    at(world, algo_id, "58000")
    for _ in range(3):
        assert refused_again(world, algo_id, "-1000: unknown") == D("0.05")
    world.ask("pms.cancel_algo", None, algoId=algo_id)
    for _ in range(2):
        world.conduct(algo_id)
        for each in world.of(algo_id):
            if not each.over:
                world.refuse(each.row.client_order_id, "-1000: unknown")
    world.conduct(algo_id)
    assert [(kind, state) for kind, state, _ in told_of(world)] == [
        ("stop_refused", "open"),
        ("stop_refused", "resolved"),
    ]


def test_a_clock_that_is_put_back_makes_a_refused_stop_wait_no_longer_than_any() -> None:
    world, algo_id = stopped()
    world.pass_time(7_200_000)
    at(world, algo_id, "58000")
    (order,) = world.of(algo_id)
    world.refuse(order.row.client_order_id, LARGE)
    world.conduct(algo_id)
    world.pass_time(-3_600_000)
    world.conduct(algo_id)
    world.pass_time(STOP_BACK_OFF_MS[-1])
    world.conduct(algo_id)
    assert [each.row.quantity for each in world.of(algo_id) if not each.over] == [D("0.025")]


def test_one_that_is_paused_is_not_told_of_as_refused() -> None:
    world, algo_id = stopped()
    at(world, algo_id, "58000")
    for _ in range(2):
        refused_again(world, algo_id, LARGE)
    world.ask("pms.algo", None, algoId=algo_id, action="pause")
    for order in world.of(algo_id):
        if not order.over:
            world.refuse(order.row.client_order_id, LARGE)
    world.conduct(algo_id)
    assert [state for _, state, _ in told_of(world)] == ["open", "resolved"]


def test_two_stops_on_one_position_sell_it_once() -> None:
    world, first = stopped()
    second = world.start("pms.trail_stop", positionId=world.position_id, callbackPct="2").id
    for algo_id in (first, second):
        at(world, algo_id, "58000")
    assert (sold(world, first), sold(world, second)) == ([("SELL", D("0.05"))], [])
    (order,) = world.of(first)
    world.trade(order.row.client_order_id, D("0.02"))
    world.end(order.row.client_order_id, "EXPIRED")
    at(world, second, "58000")
    at(world, first, "58000")
    assert sold(world, second) == [("SELL", D("0.03"))]
    assert world.spare() == 0


def test_an_order_of_another_whose_answer_was_lost_counts_until_its_end_is_proven() -> None:
    world, first = stopped()
    second = world.start("pms.trail_stop", positionId=world.position_id, callbackPct="2").id
    at(world, first, "58000")
    (order,) = world.of(first)
    world.lose(order.row.client_order_id)
    at(world, second, "58000")
    assert sold(world, second) == []
    world.trade(order.row.client_order_id, D("0.05"))
    assert world.holds == 0


def test_more_than_the_largest_market_order_is_sold_in_parts() -> None:
    world = PositionWorld()
    world.desk.instruments["BTCUSDT"] = replace(BTC, market_max_quantity=D("0.02"))
    world.touch("60000", "60000.1")
    world.by_hand("BUY", "0.02")
    world.by_hand("BUY", "0.02")
    world.by_hand("BUY", "0.01")
    algo_id = world.start("pms.trail_stop", positionId=world.position_id, callbackPct="1").id
    for _ in range(4):
        at(world, algo_id, "59000")
        for order in world.of(algo_id):
            world.trade(order.row.client_order_id, order.row.quantity)
    assert [quantity for _, quantity in sold(world, algo_id)] == [D("0.02"), D("0.02"), D("0.01")]
    assert world.desk.algos.every[algo_id].status is Status.FINISHED


def test_what_the_exchange_takes_no_order_for_ends_it_by_name() -> None:
    world, algo_id = stopped("0.001")
    world.desk.instruments["BTCUSDT"] = replace(BTC, min_notional=D(100))
    # Others are short, so that the exchange's net is not reduced and it would take no small order.
    world.desk.treasury.net["BTCUSDT"] = D("-0.009")
    at(world, algo_id, "59000")
    algo = at(world, algo_id, "59000")
    assert (algo.status, sold(world, algo_id)) == (Status.FAILED, [])
    assert algo.reason == "fired at 59000: 0.001 is left, too little for an order"


def test_another_callback_moves_the_stop_and_one_that_would_fire_at_once_is_refused() -> None:
    world, algo_id = stopped()
    at(world, algo_id, "61000")
    at(world, algo_id, "60500")
    with pytest.raises(Refusal) as refused:
        world.ask("pms.trail_stop", None, algoId=algo_id, action="amend", callbackPct="0.8")
    assert (refused.value.code, refused.value.field) == (Code.TRIGGER_SIDE, "callbackPct")
    assert refused.value.limit == "0.81967213"
    world.ask("pms.trail_stop", None, algoId=algo_id, action="amend", callbackPct="2")
    at(world, algo_id, "59800")
    assert sold(world, algo_id) == []
    at(world, algo_id, "59780")
    assert sold(world, algo_id) == [("SELL", D("0.05"))]
    with pytest.raises(Refusal) as refused:
        world.ask("pms.trail_stop", None, algoId=algo_id, action="amend", callbackPct="3")
    assert refused.value.code is Code.ALGO_OVER


def test_another_activation_lets_it_wait_again() -> None:
    world, algo_id = stopped()
    world.ask("pms.trail_stop", None, algoId=algo_id, action="amend", activationPrice="62000")
    at(world, algo_id, "55000")
    assert sold(world, algo_id) == []
    at(world, algo_id, "62000")
    at(world, algo_id, "61380")
    assert sold(world, algo_id) == [("SELL", D("0.05"))]


@pytest.mark.parametrize(
    ("terms", "code", "field"),
    [
        ({"callbackPct": "0"}, Code.BAD_FIELD, "callbackPct"),
        ({"callbackPct": "91"}, Code.BAD_FIELD, "callbackPct"),
        ({"activationPrice": "60000"}, Code.TRIGGER_SIDE, "activationPrice"),
        ({"activationPrice": "61000.05"}, Code.PRICE_TICK, "activationPrice"),
        ({"positionId": "00000000-0000-0000-0000-000000000009"}, Code.UNKNOWN_POSITION, "positionId"),
        ({"subAccountId": "bob"}, Code.UNKNOWN_POSITION, "positionId"),
        ({"subAccountId": "house"}, Code.HOUSE_ONLY, "subAccountId"),
    ],
)
def test_terms_that_cannot_be_are_refused_and_change_nothing(
    terms: dict[str, object], code: Code, field: str
) -> None:
    world = PositionWorld()
    world.touch("60000", "60000.1")
    world.by_hand("BUY", "0.05")
    asked = {"subAccountId": "alice", "positionId": world.position_id, "callbackPct": "1", **terms}
    with pytest.raises(Refusal) as refused:
        world.ask("pms.trail_stop", None, **asked)
    assert (refused.value.code, refused.value.field) == (code, field)
    assert world.desk.algos.every == {}


def test_a_frozen_account_keeps_its_stop() -> None:
    world, algo_id = stopped()
    world.desk.accounts["alice"].status = "FROZEN"
    at(world, algo_id, "59000")
    assert sold(world, algo_id) == [("SELL", D("0.05"))]


def test_what_is_told_can_be_drawn() -> None:
    world, algo_id = stopped()
    world.pass_time(1_000)
    at(world, algo_id, "61000")
    (event,) = world.postings[-1].events
    assert isinstance(event, AlgoEvent)
    assert event.figures == {"callbackPct": 1, "extreme": 61_000, "stopPrice": 60_390}
    assert (event.type, event.side, event.target) == ("trail_stop_progress", "SELL", D("0.05"))


BESIDES = (
    *("buy", "sell", "rest", "rest plainly", "rest plainly", "unrest", "hit", "hit silently", "gone", "gone"),
    *("pause", "resume", "part taken over", "taken over"),
)
moves = st.lists(st.tuples(st.sampled_from((*OPS, *BESIDES)), st.integers(0, 40)), min_size=20, max_size=60)


def besides(world: PositionWorld, op: str, number: int, closes: str, resting: list[str]) -> None:
    """What else happens to the position."""
    quantity = D(1 + number % 20) / 1000
    match op:
        case "buy":
            world.by_hand(opposite(closes), quantity)
        case "sell":
            world.by_hand(closes, quantity, reduceOnly=True)
        case "rest" | "rest plainly":
            price = world.mid * (D("1.1") if closes == "SELL" else D("0.9"))
            price = price.quantize(D("0.1"))
            plain = op == "rest plainly"
            # Plain ones may open the opposite: she never asks for more than she holds.
            quantity = min(quantity, world.spare(closes)) if plain else quantity
            coid = world.by_hand(closes, quantity, type="LIMIT", price=str(price), reduceOnly=not plain)
            resting += [coid] if coid else []
        case "unrest" if resting:
            # It stays listed: what it traded unseen is told when all comes to rest.
            coid = resting[-1 - number % len(resting)]
            if not world.orders[coid].over:
                world.cancel_by_hand(coid)
        case "hit" | "hit silently" if resting:
            coid = resting[number % len(resting)]
            if not world.orders[coid].over:
                (world.trade if op == "hit" else world.trade_silently)(coid, quantity)
        case "gone":
            carry_out(world, resting[number % 3 :: 3])
        case "part taken over" if not number % 4:
            for order in world.hers():
                world.tell(order.row.client_order_id)
            world.taken_over(quantity)
        case "taken over" if not number % 8:
            for order in world.hers():
                world.tell(order.row.client_order_id)
            world.taken_over()
        case _:
            pass


def carry_out(world: PositionWorld, resting: list[str]) -> None:
    """The exchange cancels what is unwanted of what she let rest."""
    for coid in resting:
        world.tell(coid)
        if world.desk.orders[coid].cancel_wanted and not world.orders[coid].over:
            world.end(coid, "CANCELED")


@settings(max_examples=150, deadline=None)
@given(moves=moves, side=st.sampled_from(["BUY", "SELL"]), callback=st.sampled_from(["0.01", "0.1", "2"]))
def test_never_sells_what_is_not_there_and_is_always_over_in_the_end(
    moves: list[tuple[str, int]], side: str, callback: str
) -> None:
    world, first = stopped(side=side, callback=callback)
    position_id = world.position_id
    second = world.start("pms.trail_stop", positionId=position_id, callbackPct="0.02").id
    resting: list[str] = []
    closes = "SELL" if side == "BUY" else "BUY"
    for number, (op, argument) in enumerate(moves):
        algo_id = (first, second)[number % 2]
        if op in BESIDES:
            besides(world, op, argument, closes, resting)
            world.pause_or_resume(algo_id, op)
        else:
            step(world, algo_id, op, argument)
        for each in (first, second):
            world.conduct(each)
            assert world.desk.algos.every[each].filled == world.told(each)
        assert world.spare(closes) >= 0
    for algo_id in (first, second):
        if world.desk.algos.every[algo_id].status is Status.PAUSED:
            world.ask("pms.algo", None, algoId=algo_id, action="resume")
    world.touch(*(("30000", "30000.1") if side == "BUY" else ("300000", "300000.1")))
    for algo_id in (first, second) * 3:
        # Nobody takes back by hand what rests beside them: they are over all the same.
        calm(world, algo_id, rounds=30)
        carry_out(world, resting)
        assert world.spare(closes) >= 0
    for algo_id in (first, second):
        algo = world.desk.algos.every[algo_id]
        assert algo.status.over
        assert algo.filled == world.told(algo_id) == world.exposed(algo_id)
        closed = world.desk.find_position(position_id) is None
        assert closed or (algo.status is Status.FINISHED and algo.filled == D(algo.memory["size"]))
