"""The scalper: where its layers stand, what a round is, what it never holds; in both modes of an account."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from any_order import OPS, calm, step, take_all
from hypothesis import event, given, settings
from hypothesis import strategies as st
from market_world import BTC, START, ZERO, AtExchange, D, MarketWorld

from pms.contract.codes import Code, Refusal
from pms.contract.events import ScalperFigures
from pms.contract.journal import FillRow, decode_entry, encode_entry
from pms.domain.algos.algo import Algo, Status
from pms.domain.algos.conduct import BACK_OFF_MS, STOP_BACK_OFF_MS
from pms.domain.algos.ids import slot_of
from pms.domain.algos.layers import TRIES
from pms.domain.algos.scalper_figures import figures_of
from pms.domain.desk import Desk

SCALPER = {
    "symbol": "BTCUSDT",
    "quantity": "0.01",
    "layers": 2,
    "baseOffsetPct": "0.1",
    "spacingPct": "0.05",
    "leverage": 10,
}
LONG_ENTRY, LONG_EXIT, NEXT_ENTRY, NEXT_EXIT, SHORT_ENTRY, SHORT_EXIT = range(6)


def started(*, hedge: bool = False, **terms: object) -> tuple[MarketWorld, Algo]:
    """A scalper just asked once: its entries are on their way."""
    world = MarketWorld()
    world.move(0)
    if hedge:
        world.ask("pms.position_mode", hedge=True, reason="both sides")
    algo = world.start("pms.scalper", **{**SCALPER, **terms})
    world.conduct(algo.id)
    return world, algo


def working(*, hedge: bool = False, **terms: object) -> tuple[MarketWorld, Algo]:
    """The same, its entries resting."""
    world, algo = started(hedge=hedge, **terms)
    settle(world, algo)
    return world, algo


def settle(world: MarketWorld, algo: Algo) -> None:
    """The exchange takes what is sent, amends and cancels what it is asked to."""
    for _ in range(4):
        take_all(world, algo.id)
        world.pass_time(1_000)
        world.conduct(algo.id)


def alive(world: MarketWorld, algo: Algo) -> dict[int, AtExchange]:
    """By slot, the orders at the exchange."""
    orders = [order for order in world.of(algo.id) if not order.over]
    found = {slot_of(order.row.client_order_id): order for order in orders}
    assert len(found) == len(orders), "two orders in one slot"
    return found


def fill(world: MarketWorld, algo: Algo, slot: int, quantity: str | None = None) -> None:
    """Trade an order, all of it unless told otherwise, and let everyone hear of it."""
    order = alive(world, algo)[slot]
    world.trade(order.row.client_order_id, order.total if quantity is None else D(quantity))
    settle(world, algo)


def told(world: MarketWorld, algo: Algo) -> ScalperFigures:
    return figures_of(algo, now=world.now)


def terms_of(world: MarketWorld, algo: Algo) -> dict[int, tuple[Decimal | None, Decimal]]:
    return {slot: (order.price, order.total) for slot, order in alive(world, algo).items()}


def test_entries_rest_post_only_in_layers_on_both_sides_of_mid() -> None:
    world, algo = started()
    # Mid is 60000.05.
    assert terms_of(world, algo) == {
        LONG_ENTRY: (D("59940"), D("0.01")),
        NEXT_ENTRY: (D("59910"), D("0.01")),
        SHORT_ENTRY: (D("60060.1"), D("0.01")),
        SHORT_ENTRY + 2: (D("60090.1"), D("0.01")),
    }
    orders = alive(world, algo).values()
    assert {(order.row.time_in_force, order.row.reduce_only) for order in orders} == {("GTX", False)}
    assert {order.row.origin for order in orders} == {"SCALPER"}


def test_layers_grow_by_the_factor_and_stay_on_the_step() -> None:
    world, algo = started(sizeFactor="1.25", layers=3, legs="long")
    assert [order.total for _, order in sorted(alive(world, algo).items())] == [
        D("0.01"),
        D("0.012"),
        D("0.015"),
    ]


def test_a_filled_layer_arms_its_exit_and_a_filled_exit_arms_the_layer() -> None:
    world, algo = working(hedge=True, takeProfitPct="0.2")
    fill(world, algo, LONG_ENTRY)
    exits = alive(world, algo)[LONG_EXIT]
    assert LONG_ENTRY not in alive(world, algo)
    assert (exits.row.side, exits.price, exits.total) == ("SELL", D("60059.9"), D("0.01"))
    assert (exits.row.reduce_only, exits.row.position_side) == (True, "LONG")
    fill(world, algo, LONG_EXIT)
    again = alive(world, algo)
    assert LONG_EXIT not in again
    assert (again[LONG_ENTRY].price, again[LONG_ENTRY].total) == (D("59940"), D("0.01"))
    assert told(world, algo).realized_pnl == D("0.01") * (D("60059.9") - D("59940"))
    (long, short) = told(world, algo).legs
    assert (long.round_trips, long.won, short.round_trips) == (1, 1, 0)


def test_a_partly_filled_layer_arms_as_much_and_the_exit_grows_with_it() -> None:
    world, algo = working(hedge=True)
    fill(world, algo, LONG_ENTRY, "0.004")
    assert (alive(world, algo)[LONG_EXIT].total, alive(world, algo)[LONG_ENTRY].total) == (
        D("0.004"),
        D("0.01"),
    )
    fill(world, algo, LONG_EXIT, "0.001")
    fill(world, algo, LONG_ENTRY, "0.006")
    # The total of an amended order counts what is filled.
    assert alive(world, algo)[LONG_EXIT].total == D("0.01")
    assert told(world, algo).legs[0].held == D("0.009")
    assert told(world, algo).realized_pnl == D("0.001") * (D("60000") - D("59940"))
    fill(world, algo, LONG_EXIT, "0.009")
    assert alive(world, algo)[LONG_ENTRY].total == D("0.01")


def test_an_exit_done_before_its_entry_is_gives_the_rest_of_the_entry_its_size_back() -> None:
    world, algo = working(hedge=True)
    fill(world, algo, LONG_ENTRY, "0.004")
    fill(world, algo, LONG_EXIT)
    order = alive(world, algo)[LONG_ENTRY]
    assert (order.filled, order.total) == (D("0.004"), D("0.014"))


def test_the_short_leg_is_the_reverse() -> None:
    world, algo = working(hedge=True, takeProfitPct="0.2")
    fill(world, algo, SHORT_ENTRY)
    exits = alive(world, algo)[SHORT_EXIT]
    assert (exits.row.side, exits.price, exits.row.position_side) == ("BUY", D("59939.9"), "SHORT")
    fill(world, algo, SHORT_EXIT)
    assert told(world, algo).realized_pnl == D("0.01") * (D("60060.1") - D("59939.9"))


@pytest.mark.parametrize(
    ("mode", "up", "down"),
    [("follow", "60539.5", "59340.5"), ("away", "60539.5", "59940"), ("fixed", "59940", "59940")],
)
def test_the_anchor_goes_with_mid_as_its_rule_says(mode: str, up: str, down: str) -> None:
    for ticks, price in ((6_001, up), (-6_001, down)):
        world, algo = working(legs="long", layers=1, anchorMode=mode, anchorPct="1")
        world.move(ticks)
        settle(world, algo)
        # Of the two that stay where they are the market has fallen below one: it is about to be filled.
        assert alive(world, algo)[LONG_ENTRY].price == D(price)


def test_a_small_move_of_mid_moves_nothing() -> None:
    world, algo = working(anchorMode="follow", anchorPct="1")
    before = terms_of(world, algo)
    world.move(5_999)
    settle(world, algo)
    assert (terms_of(world, algo), algo.reprices) == (before, 0)


def test_outside_its_band_it_does_not_enter_and_still_exits() -> None:
    world, algo = working(hedge=True, lowPrice="59920", highPrice="60070")
    assert sorted(alive(world, algo)) == [LONG_ENTRY, SHORT_ENTRY]
    fill(world, algo, LONG_ENTRY)
    world.ask("pms.scalper", None, algoId=algo.id, action="amend", lowPrice="60050")
    settle(world, algo)
    assert sorted(alive(world, algo)) == [LONG_EXIT, SHORT_ENTRY]


def test_a_paused_leg_only_exits() -> None:
    world, algo = working(hedge=True)
    fill(world, algo, LONG_ENTRY)
    world.ask("pms.scalper", None, algoId=algo.id, action="amend", legs="short")
    settle(world, algo)
    assert sorted(alive(world, algo)) == [LONG_EXIT, SHORT_ENTRY, SHORT_ENTRY + 2]
    fill(world, algo, LONG_EXIT)
    assert sorted(alive(world, algo)) == [SHORT_ENTRY, SHORT_ENTRY + 2]
    world.ask("pms.scalper", None, algoId=algo.id, action="amend", legs="both")
    settle(world, algo)
    assert sorted(alive(world, algo)) == [LONG_ENTRY, NEXT_ENTRY, SHORT_ENTRY, SHORT_ENTRY + 2]


def test_a_layer_that_loses_is_closed_at_market_and_its_leg_cools_down() -> None:
    world, algo = working(hedge=True, stopLossPct="0.5", coolDown=90)
    fill(world, algo, LONG_ENTRY)
    world.move(-3_600)
    settle(world, algo)
    orders = alive(world, algo)
    # Its own next entry rests above the market that it sells into: that one goes first.
    assert (orders[LONG_EXIT].row.type, orders[LONG_EXIT].total) == ("MARKET", D("0.01"))
    assert sorted(orders) == [LONG_EXIT, SHORT_ENTRY, SHORT_ENTRY + 2]
    # What has been lost is lost, though the market comes back meanwhile.
    world.move(3_600)
    world.conduct(algo.id)
    assert alive(world, algo)[LONG_EXIT].row.type == "MARKET"
    world.move(-3_600)
    coid = orders[LONG_EXIT].row.client_order_id
    world.trade(coid, D("0.01"))
    wake_at = world.conduct(algo.id)
    assert wake_at is not None
    until = told(world, algo).legs[0].cool_until
    assert until == world.now + 90_000
    settle(world, algo)
    assert sorted(alive(world, algo)) == [SHORT_ENTRY, SHORT_ENTRY + 2]
    world.now = until
    settle(world, algo)
    # It begins anew from where mid is now.
    entry = alive(world, algo)[LONG_ENTRY].price
    assert entry is not None
    assert entry < world.mid < D(60_000)
    assert (told(world, algo).legs[0].round_trips, told(world, algo).legs[0].won) == (1, 0)
    assert told(world, algo).realized_pnl < 0


def refused(world: MarketWorld, algo: Algo, *, times: int) -> None:
    """The exchange takes no exit; ticks come while each is under way."""
    for _ in range(times):
        world.conduct(algo.id)
        world.conduct(algo.id)
        exit_order = alive(world, algo).get(LONG_EXIT)
        if exit_order is not None:
            world.refuse(exit_order.row.client_order_id, "-4164: too little")
        take_all(world, algo.id)
        world.pass_time(10_000)
        world.move(0)


def test_a_layer_worth_less_than_the_least_order_is_stopped_all_the_same() -> None:
    """What only reduces may be for less: the exchange takes it, resting and at market."""
    world, algo = working(hedge=True, stopLossPct="0.5", layers=1, legs="long")
    fill(world, algo, LONG_ENTRY)
    world.desk.instruments["BTCUSDT"] = replace(BTC, min_notional=D(598))
    assert alive(world, algo)[LONG_EXIT].row.type == "LIMIT"
    world.move(-3_600)
    settle(world, algo)
    stop = alive(world, algo)[LONG_EXIT]
    assert (stop.row.type, stop.total) == ("MARKET", D("0.01"))
    world.trade(stop.row.client_order_id, D("0.01"))
    settle(world, algo)
    assert (told(world, algo).held, told(world, algo).legs[0].round_trips) == (0, 1)
    assert len(world.of(algo.id)) == 3


def test_what_a_stop_left_and_the_exchange_lets_rest_is_not_stopped_again_and_again() -> None:
    world, algo = working(hedge=True, stopLossPct="0.5", coolDown=1, legs="long", layers=1)
    world.desk.instruments["BTCUSDT"] = replace(BTC, min_notional=D(100))
    fill(world, algo, LONG_ENTRY)
    world.move(-3_600)
    settle(world, algo)
    for _ in range(2):
        stop = alive(world, algo)[LONG_EXIT]
        world.trade(stop.row.client_order_id, D("0.0045"))
        world.end(stop.row.client_order_id, "EXPIRED")
        settle(world, algo)
    before = len(world.of(algo.id))
    for _ in range(10):
        settle(world, algo)
    assert told(world, algo).legs[0].round_trips <= 1
    assert len(world.of(algo.id)) - before <= 3


def test_what_a_stop_left_is_too_little_to_be_stopped_again_and_the_end_does_not_wait_for_it() -> None:
    world, algo = working(hedge=True, stopLossPct="0.5", legs="long")
    world.desk.instruments["BTCUSDT"] = replace(BTC, min_notional=D(100))
    fill(world, algo, LONG_ENTRY)
    world.move(-3_600)
    settle(world, algo)
    coid = alive(world, algo)[LONG_EXIT].row.client_order_id
    world.trade(coid, D("0.009"))
    world.end(coid, "EXPIRED")
    refused(world, algo, times=6)
    assert (told(world, algo).legs[0].round_trips, told(world, algo).held) == (1, D("0.001"))
    tried = len(world.of(algo.id))
    world.ask("pms.cancel_algo", None, algoId=algo.id)
    refused(world, algo, times=8)
    assert len(world.of(algo.id)) - tried <= TRIES
    assert (algo.status, algo.reason) == (Status.CANCELLED, "cancelled by command, 0.001 LONG kept")


def sold_by_hand(world: MarketWorld, quantity: str, **terms: object) -> AtExchange:
    """She sells at market what a leg holds."""
    asked = {"symbol": "BTCUSDT", "side": "SELL", "quantity": quantity, "leverage": 10, **terms}
    (row,) = world.ask("pms.trade", **asked).entry.rows.orders
    world.trade(row.client_order_id, D(quantity))
    return world.orders[row.client_order_id]


@pytest.mark.parametrize("hedge", [True, False])
@pytest.mark.parametrize("on_end", ["flatten", "keep"])
def test_an_end_does_not_wait_for_a_position_of_which_others_left_too_little(
    hedge: bool, on_end: str
) -> None:
    """What the layer entered is worth an order; what its order may be for, by the position, is not."""
    world, algo = working(hedge=hedge, stopLossPct="0.5", legs="long", layers=1, onEnd=on_end, duration=90)
    fill(world, algo, LONG_ENTRY)
    world.ask("pms.algo", None, algoId=algo.id, action="pause")
    settle(world, algo)
    sold_by_hand(world, "0.009", **({"positionSide": "LONG"} if hedge else {}))
    world.desk.instruments["BTCUSDT"] = replace(BTC, min_notional=D(100))
    # Others are short, so that the exchange takes no order as small.
    world.desk.treasury.net["BTCUSDT"] = D("-1")
    tried = len(world.of(algo.id))
    world.pass_time(90_000)
    world.ask("pms.algo", None, algoId=algo.id, action="resume")
    refused(world, algo, times=8)
    assert len(world.of(algo.id)) == tried
    assert (algo.status, algo.reason) == (Status.FINISHED, "its time is over, 0.001 LONG kept")
    assert [row for posting in world.postings for row in posting.entry.rows.incidents] == []


def test_what_is_kept_is_told_as_it_is_held() -> None:
    """In a one-way account both legs' layers are one position."""
    world, algo = working(takeProfitPct="0.2", leverage=25, onEnd="keep", duration=90)
    orders = alive(world, algo)
    world.trade(orders[LONG_ENTRY].row.client_order_id, D("0.01"))
    world.conduct(algo.id)
    world.trade(orders[SHORT_ENTRY].row.client_order_id, D("0.004"))
    settle(world, algo)
    world.pass_time(90_000)
    settle(world, algo)
    assert (algo.status, algo.reason) == (Status.FINISHED, "its time is over, 0.006 LONG kept")


def test_an_end_goes_on_where_the_exchange_refuses_as_too_little_what_is_not() -> None:
    world, algo = working(hedge=True, stopLossPct="0.5", legs="long")
    world.desk.instruments["BTCUSDT"] = replace(BTC, min_notional=D(100))
    fill(world, algo, LONG_ENTRY)
    world.ask("pms.cancel_algo", None, algoId=algo.id)
    settle(world, algo)
    world.end(alive(world, algo)[LONG_EXIT].row.client_order_id, "EXPIRED")
    refused(world, algo, times=8)
    assert algo.status is Status.RUNNING
    rows = [row for posting in world.postings for row in posting.entry.rows.incidents]
    assert [(row.kind, row.state) for row in rows] == [("stop_refused", "open")]
    settle(world, algo)
    fill(world, algo, LONG_EXIT)
    assert (algo.status, algo.reason) == (Status.CANCELLED, "cancelled by command")


def test_an_end_that_was_halved_to_the_least_order_goes_on_where_that_has_become_too_little() -> None:
    step_size = D("0.0000001")
    world, algo = working(hedge=True, legs="long", layers=1, takeProfitPct="5", duration=120)
    fine = {"step": step_size, "min_quantity": step_size}
    fine |= {f"market_{name}": value for name, value in fine.items()}
    world.desk.instruments["BTCUSDT"] = replace(BTC, **fine)
    fill(world, algo, LONG_ENTRY)
    world.desk.treasury.net["BTCUSDT"] = D("-1")
    world.pass_time(120_000)
    settle(world, algo)
    for _ in range(20):
        order = alive(world, algo).get(LONG_EXIT)
        if order is not None:
            if not order.sent:
                world.refuse(order.row.client_order_id, "-2019: Margin is insufficient.")
            else:
                world.end(order.row.client_order_id, "EXPIRED")
        world.conduct(algo.id)
        world.move(-300)
        world.pass_time(STOP_BACK_OFF_MS[-1])
        world.conduct(algo.id)
    assert algo.status is Status.RUNNING
    order = alive(world, algo)[LONG_EXIT]
    assert D(5) <= order.total * world.mid < D("5.1")


@pytest.mark.parametrize("how", ["placed", "moved"])
@pytest.mark.parametrize("why", ["stop", "end"])
def test_what_closes_at_market_waits_for_nothing_that_a_resting_exit_earned(how: str, why: str) -> None:
    world, algo = working(hedge=True, stopLossPct="0.5", layers=1, repriceMs=100)
    world.trade(alive(world, algo)[LONG_ENTRY].row.client_order_id, D("0.01"))
    world.conduct(algo.id)
    slot = algo.slots[LONG_EXIT]
    for number, delay in enumerate(BACK_OFF_MS):
        coid = alive(world, algo)[LONG_EXIT].row.client_order_id
        if how == "placed":
            world.refuse(coid, "-1015: Too many new orders.")
        else:
            if not world.orders[coid].sent:
                world.ack(coid)
            profit = str(D("0.2") + D("0.1") * number)
            world.ask("pms.scalper", None, algoId=algo.id, action="amend", takeProfitPct=profit)
            world.pass_time(100)
            world.conduct(algo.id)
            world.refuse_amend(coid)
        world.conduct(algo.id)
        assert slot.resume_at == world.now + delay
        if delay != BACK_OFF_MS[-1]:
            world.pass_time(delay)
            world.conduct(algo.id)
    if why == "end":
        world.ask("pms.cancel_algo", None, algoId=algo.id)
    else:
        world.move(-8_000)
    world.conduct(algo.id)
    if how == "moved":
        # What rests is cancelled first, and takes no time here.
        take_all(world, algo.id)
        world.conduct(algo.id)
    assert alive(world, algo)[LONG_EXIT].row.type == "MARKET"
    # What its own refusals earn counts again.
    world.refuse(alive(world, algo)[LONG_EXIT].row.client_order_id, "-1001: disconnected")
    world.conduct(algo.id)
    assert (slot.tries, slot.resume_at) == (1, world.now + STOP_BACK_OFF_MS[0])


def test_no_order_at_market_meets_an_own_one_that_still_rests() -> None:
    world, algo = working(hedge=True, stopLossPct="0.5")
    fill(world, algo, LONG_ENTRY)
    world.move(-3_600)
    world.conduct(algo.id)
    orders = alive(world, algo)
    assert all(world.desk.orders[orders[slot].row.client_order_id].cancel_wanted for slot in (1, 2))
    world.end(orders[LONG_EXIT].row.client_order_id, "CANCELED")
    world.conduct(algo.id)
    # It waits for the next entry, which rests above the best bid, rather than be refused for it.
    assert (LONG_EXIT in alive(world, algo), algo.slots[LONG_EXIT].tries) == (False, 0)
    world.end(orders[NEXT_ENTRY].row.client_order_id, "CANCELED")
    world.conduct(algo.id)
    assert alive(world, algo)[LONG_EXIT].row.type == "MARKET"


@pytest.mark.parametrize("hedge", [True, False])
def test_what_she_lets_rest_makes_way_for_a_layer_that_loses(hedge: bool) -> None:
    world, algo = working(hedge=hedge, stopLossPct="0.5", legs="long", layers=1)
    fill(world, algo, LONG_ENTRY)
    # Hers comes between the end of the layer's own exit and its order at market; in one-way mode at any time.
    hers = {"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.01", "type": "LIMIT", "price": "66000"}
    hers |= {"leverage": 10, **({"positionSide": "LONG"} if hedge else {})}
    world.move(-3_600)
    world.conduct(algo.id)
    world.end(alive(world, algo)[LONG_EXIT].row.client_order_id, "CANCELED")
    (row,) = world.ask("pms.trade", **hers).entry.rows.orders
    world.ack(row.client_order_id)
    world.conduct(algo.id)
    assert world.desk.orders[row.client_order_id].cancel_wanted
    assert (algo.status, alive(world, algo)) == (Status.RUNNING, {})
    world.trade(row.client_order_id, D("0.004"))
    world.end(row.client_order_id, "CANCELED")
    world.conduct(algo.id)
    # She has sold of what the layer holds: what is left is closed, and then it says what it cannot.
    assert {slot: each.total for slot, each in alive(world, algo).items()} == {LONG_EXIT: D("0.006")}
    fill(world, algo, LONG_EXIT)
    assert (algo.status, world.desk.held["alice"]) == (Status.FAILED, {})
    assert (algo.reason or "").startswith("REDUCE_ONLY")


def test_no_layers_exit_makes_way_for_anothers() -> None:
    world, algo = working(stopLossPct="0.5", legs="long")
    for slot in (LONG_ENTRY, NEXT_ENTRY):
        fill(world, algo, slot)
    # The nearest layer has lost half a percent, the next one not yet.
    world.move(-3_700)
    world.conduct(algo.id)
    hers = {"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.01", "type": "LIMIT", "price": "59900"}
    (row,) = world.ask("pms.trade", **hers, leverage=10).entry.rows.orders
    world.ack(row.client_order_id)
    world.end(alive(world, algo)[LONG_EXIT].row.client_order_id, "CANCELED")
    world.conduct(algo.id)
    other = alive(world, algo)[NEXT_EXIT].row.client_order_id
    assert [world.desk.orders[coid].cancel_wanted for coid in (row.client_order_id, other)] == [True, False]


def test_the_other_legs_exit_gives_way_to_an_order_at_market() -> None:
    world, algo = working(hedge=True, stopLossPct="0.5", takeProfitPct="0.2", legs="both")
    orders = alive(world, algo)
    for slot in (LONG_ENTRY, SHORT_ENTRY):
        world.trade(orders[slot].row.client_order_id, D("0.01"))
    settle(world, algo)
    # The short leg's exit buys at 59939.9, and now rests above the best bid.
    world.move(-3_600)
    settle(world, algo)
    assert {slot: order.row.type for slot, order in alive(world, algo).items() if slot % 2} == {
        LONG_EXIT: "MARKET"
    }
    assert algo.slots[LONG_EXIT].tries == 0
    fill(world, algo, LONG_EXIT)
    # The market is better than its profit by now: it takes what there is, and no more than the touch.
    assert alive(world, algo)[SHORT_EXIT].price == D("59640.1")


def test_what_it_holds_and_may_enter_is_never_above_its_exposure() -> None:
    world, algo = working(hedge=True, maxExposure="0.025")
    # The nearest layers first: two whole ones, and half of the third.
    assert {slot: total for slot, (_, total) in terms_of(world, algo).items()} == {
        LONG_ENTRY: D("0.01"),
        SHORT_ENTRY: D("0.01"),
        NEXT_ENTRY: D("0.005"),
    }
    fill(world, algo, LONG_ENTRY)
    assert sorted(alive(world, algo)) == [LONG_EXIT, NEXT_ENTRY, SHORT_ENTRY]
    world.ask("pms.scalper", None, algoId=algo.id, action="amend", maxExposure="0.015")
    world.conduct(algo.id)
    settle(world, algo)
    assert {slot: total for slot, (_, total) in terms_of(world, algo).items() if slot != LONG_EXIT} == {
        SHORT_ENTRY: D("0.005")
    }


def test_in_a_one_way_account_one_leg_holds_and_the_other_does_not_enter() -> None:
    world, algo = working()
    fill(world, algo, LONG_ENTRY)
    orders = alive(world, algo)
    assert sorted(orders) == [LONG_EXIT, NEXT_ENTRY]
    fill(world, algo, LONG_EXIT)
    assert sorted(alive(world, algo)) == [LONG_ENTRY, NEXT_ENTRY, SHORT_ENTRY, SHORT_ENTRY + 2]


def test_both_legs_hold_in_a_one_way_account_and_each_gives_its_own_all_the_same() -> None:
    world, algo = working(takeProfitPct="0.2", leverage=25)
    orders = alive(world, algo)
    world.trade(orders[LONG_ENTRY].row.client_order_id, D("0.01"))
    world.conduct(algo.id)
    # Filled before its cancel arrived.
    world.trade(orders[SHORT_ENTRY].row.client_order_id, D("0.01"))
    settle(world, algo)
    assert world.desk.quantity(("alice", "BTCUSDT", "BOTH")) == 0
    exits = alive(world, algo)
    assert sorted(exits) == [LONG_EXIT, SHORT_EXIT]
    assert {order.row.reduce_only for order in exits.values()} == {False}
    # They open, as far as margin goes: at the leverage of the terms, for no position has one.
    assert {order.row.leverage for order in exits.values()} == {algo.terms.leverage}
    fill(world, algo, LONG_EXIT)
    assert world.desk.quantity(("alice", "BTCUSDT", "BOTH")) == D("-0.01")
    fill(world, algo, SHORT_EXIT)
    assert world.desk.quantity(("alice", "BTCUSDT", "BOTH")) == 0
    assert (algo.status, told(world, algo).held) == (Status.RUNNING, 0)
    assert sorted(alive(world, algo)) == [LONG_ENTRY, NEXT_ENTRY, SHORT_ENTRY, SHORT_ENTRY + 2]


def test_an_exit_that_no_longer_reduces_is_placed_anew_without_saying_so() -> None:
    world, algo = working(takeProfitPct="0.2")
    late = alive(world, algo)[SHORT_ENTRY].row.client_order_id
    fill(world, algo, LONG_ENTRY)
    world.end(alive(world, algo)[LONG_EXIT].row.client_order_id, "EXPIRED")
    world.pass_time(1_000)
    settle(world, algo)
    assert alive(world, algo)[LONG_EXIT].row.reduce_only
    # The other leg's entry had traded before it was cancelled, and nobody had heard of it.
    world.trade(late, D("0.004"))
    settle(world, algo)
    exits = alive(world, algo)
    assert {slot: (each.row.reduce_only, each.total) for slot, each in exits.items() if slot % 2} == {
        LONG_EXIT: (False, D("0.01")),
        SHORT_EXIT: (False, D("0.004")),
    }
    fill(world, algo, LONG_EXIT)
    fill(world, algo, SHORT_EXIT)
    assert world.desk.quantity(("alice", "BTCUSDT", "BOTH")) == 0


def test_somebody_else_closed_what_it_holds_and_it_fails_rather_than_open_the_opposite() -> None:
    world, algo = working(legs="long")
    order = alive(world, algo)[LONG_ENTRY]
    world.trade(order.row.client_order_id, D("0.01"))
    (position,) = world.desk.held["alice"].values()
    world.ask("pms.close", None, positionId=position.id)
    world.conduct(algo.id)
    settle(world, algo)
    assert algo.status is Status.FAILED
    assert algo.reason is not None
    assert algo.reason.startswith("REDUCE_ONLY")


def test_somebody_else_closed_what_its_resting_exits_are_for_and_they_go() -> None:
    world, algo = working(legs="long", takeProfitPct="2")
    fill(world, algo, LONG_ENTRY)
    fill(world, algo, NEXT_ENTRY)
    exits = [alive(world, algo)[slot] for slot in (LONG_EXIT, NEXT_EXIT)]
    assert all(each.row.reduce_only for each in exits)
    posting = world.ask("pms.trade", symbol="BTCUSDT", side="SELL", quantity="0.02", leverage=10)
    (row,) = posting.entry.rows.orders
    world.ack(row.client_order_id)
    world.trade(row.client_order_id, D("0.02"))
    world.conduct(algo.id)
    assert all(world.desk.orders[each.row.client_order_id].cancel_wanted for each in exits)
    settle(world, algo)
    assert algo.status is Status.FAILED
    assert not alive(world, algo)


@pytest.mark.parametrize("on_end", ["flatten", "keep"])
def test_when_its_time_is_over_it_closes_what_it_holds_or_keeps_it(on_end: str) -> None:
    world, algo = working(hedge=True, duration=600, onEnd=on_end)
    fill(world, algo, LONG_ENTRY)
    assert world.conduct(algo.id) == algo.started_at + 600_000
    world.now = algo.started_at + 600_000
    settle(world, algo)
    if on_end == "flatten":
        assert {slot: order.row.type for slot, order in alive(world, algo).items()} == {LONG_EXIT: "MARKET"}
        fill(world, algo, LONG_EXIT)
    kept = "" if on_end == "flatten" else ", 0.01 LONG kept"
    assert (algo.status, algo.reason) == (Status.FINISHED, f"its time is over{kept}")
    assert alive(world, algo) == {}


def test_cancelled_it_closes_what_it_holds_and_cancelled_again_it_keeps_it() -> None:
    world, algo = working(hedge=True)
    fill(world, algo, LONG_ENTRY)
    world.ask("pms.cancel_algo", None, algoId=algo.id)
    assert algo.status is Status.RUNNING
    assert told(world, algo).closing
    settle(world, algo)
    assert {slot: order.row.type for slot, order in alive(world, algo).items()} == {LONG_EXIT: "MARKET"}
    world.ask("pms.cancel_algo", None, algoId=algo.id)
    settle(world, algo)
    assert (algo.status, alive(world, algo)) == (Status.CANCELLED, {})
    assert told(world, algo).held == D("0.01")


def wanted_gone(world: MarketWorld, algo: Algo) -> set[int]:
    """The slots whose order is wanted cancelled."""
    orders = alive(world, algo)
    return {
        slot for slot, each in orders.items() if world.desk.orders[each.row.client_order_id].cancel_wanted
    }


@pytest.mark.parametrize("how", ["cancel", "duration", "legs"])
@pytest.mark.parametrize("hedge", [True, False])
def test_without_a_price_it_stops_entering_all_the_same(how: str, hedge: bool) -> None:
    """What rests to exit stays: it only gives what is held, and nothing says a better price for it."""
    world, algo = working(hedge=hedge, duration=600)
    fill(world, algo, LONG_ENTRY)
    entries = {NEXT_ENTRY, SHORT_ENTRY, SHORT_ENTRY + 2} if hedge else {NEXT_ENTRY}
    assert alive(world, algo).keys() == {LONG_EXIT, *entries}
    world.lose_sync()
    wake_at = world.conduct(algo.id)
    assert wanted_gone(world, algo) == set()
    match how:
        case "cancel":
            world.ask("pms.cancel_algo", None, algoId=algo.id)
        case "duration":
            assert wake_at == algo.started_at + 600_000
            world.now = wake_at
        case _:
            world.ask("pms.scalper", None, algoId=algo.id, action="amend", legs="none")
    world.conduct(algo.id)
    assert wanted_gone(world, algo) == entries
    settle(world, algo)
    assert alive(world, algo).keys() == {LONG_EXIT}
    # With a price it closes what it holds
    world.move(0)
    settle(world, algo)
    market = {slot for slot, order in alive(world, algo).items() if order.row.type == "MARKET"}
    assert market == (set() if how == "legs" else {LONG_EXIT})


def test_without_a_price_a_one_way_account_holds_one_leg_all_the_same() -> None:
    world, algo = working()
    world.lose_sync()
    world.conduct(algo.id)
    order = alive(world, algo)[LONG_ENTRY]
    world.trade(order.row.client_order_id, order.total)
    world.conduct(algo.id)
    assert wanted_gone(world, algo) == {SHORT_ENTRY, SHORT_ENTRY + 2}


def test_what_cannot_be_closed_is_left_and_told() -> None:
    world, algo = working(hedge=True)
    fill(world, algo, LONG_ENTRY, "0.009999")
    fill(world, algo, LONG_EXIT, "0.009")
    # What is left counts to the next round, with its cost.
    assert told(world, algo).realized_pnl == D("0.009") * (D("60000") - D("59940"))
    assert told(world, algo).legs[0].layers[0].average_price == D("59940")
    world.ask("pms.cancel_algo", None, algoId=algo.id)
    settle(world, algo)
    assert (algo.status, algo.reason) == (
        Status.CANCELLED,
        "cancelled by command, 0.000999 LONG kept",
    )


def test_a_restart_changes_nothing_that_is_told() -> None:
    world, algo = working(hedge=True, stopLossPct="0.5")
    fill(world, algo, LONG_ENTRY)
    fill(world, algo, LONG_EXIT)
    fill(world, algo, LONG_ENTRY, "0.003")
    before, orders = told(world, algo), terms_of(world, algo)
    world.restart()
    again = world.desk.algos.every[algo.id]
    assert (told(world, again), terms_of(world, again)) == (before, orders)
    world.conduct(again.id)
    assert terms_of(world, again) == orders


@pytest.mark.parametrize(
    ("terms", "code", "field"),
    [
        ({"quantity": "0"}, Code.QUANTITY_ZERO, "quantity"),
        ({"quantity": "0.0015"}, Code.QUANTITY_STEP, "quantity"),
        ({"sizeFactor": "0.1", "layers": 4}, Code.QUANTITY_MIN, "sizeFactor"),
        ({"layers": 0}, Code.BAD_FIELD, "layers"),
        ({"layers": 21}, Code.BAD_FIELD, "layers"),
        ({"baseOffsetPct": "0"}, Code.BAD_FIELD, "baseOffsetPct"),
        ({"spacingPct": "50", "layers": 3}, Code.BAD_FIELD, "spacingPct"),
        ({"lowPrice": "-1"}, Code.BAD_FIELD, "lowPrice"),
        ({"lowPrice": "60000", "highPrice": "60000"}, Code.BAD_FIELD, "lowPrice"),
        ({"maxExposure": "0"}, Code.QUANTITY_ZERO, "maxExposure"),
        ({"legs": "left"}, Code.BAD_FIELD, "legs"),
        ({"duration": 0}, Code.BAD_FIELD, "duration"),
        ({"side": "BUY"}, Code.UNKNOWN_FIELD, "side"),
        ({"symbol": "NOPEUSDT"}, Code.UNKNOWN_SYMBOL, "symbol"),
    ],
)
def test_terms_that_cannot_be_are_refused_and_change_nothing(
    terms: dict[str, object], code: Code, field: str
) -> None:
    world = MarketWorld()
    with pytest.raises(Refusal) as refused:
        world.ask("pms.scalper", None, **{"subAccountId": "alice", **SCALPER, **terms})
    assert (refused.value.code, refused.value.field) == (code, field)
    assert world.desk.algos.every == {}


def test_a_leg_that_would_only_close_what_a_one_way_account_holds_is_refused() -> None:
    world = MarketWorld()
    world.move(0)
    world.ask("pms.trade", symbol="BTCUSDT", side="BUY", quantity="0.01", leverage=10)
    (coid,) = world.orders
    world.trade(coid, D("0.01"))
    with pytest.raises(Refusal) as refused:
        world.ask("pms.scalper", **SCALPER)
    assert (refused.value.code, refused.value.field) == (Code.OPPOSITE_POSITION, "legs")
    algo = world.start("pms.scalper", **{**SCALPER, "legs": "long"})
    with pytest.raises(Refusal):
        world.ask("pms.scalper", None, algoId=algo.id, action="amend", legs="both")
    assert algo.terms.model_dump()["legs"] == "long"


SIZE, MOST = D("0.01"), D("0.025")


def judge(world: MarketWorld, algo_id: str) -> None:
    """By the exchange's own reckoning: no layer too large, none gives what it has not."""
    could: dict[int, Decimal] = {}
    did: dict[int, Decimal] = {}
    for order in world.of(algo_id):
        slot = slot_of(order.row.client_order_id)
        could[slot] = could.get(slot, ZERO) + order.exposed
        did[slot] = did.get(slot, ZERO) + order.filled
    entries = [slot for slot in could if slot % 2 == 0]
    for slot in entries:
        assert could[slot] - did.get(slot + 1, ZERO) <= SIZE
        assert could.get(slot + 1, ZERO) <= did[slot]
    assert sum((could[slot] - did.get(slot + 1, ZERO) for slot in entries), ZERO) <= MOST
    assert world.desk.algos.every[algo_id].filled == world.told(algo_id)


def journaled(world: MarketWorld, algo_id: str) -> Algo:
    """The algo as the journal alone has it."""
    desk = Desk(epoch="another")
    desk.load(world.first)
    for posting in world.postings:
        desk.load(decode_entry(encode_entry(posting.entry)).rows)
    return desk.algos.every[algo_id]


def flows(world: MarketWorld) -> Decimal:
    """What all trades paid and brought, by the journal."""
    rows: list[FillRow] = [row for posting in world.postings for row in posting.entry.rows.fills]
    return sum(
        (row.price * row.quantity * (1 if row.side == "SELL" else -1) for row in rows),
        ZERO,
    )


def trade_all(world: MarketWorld, algo_id: str, number: int, *, aloud: bool) -> None:
    """An order that rests is filled; its message may be late."""
    resting = [order for order in world.of(algo_id) if order.sent and not order.over]
    if resting:
        order = resting[number % len(resting)]
        (world.trade if aloud else world.trade_silently)(order.row.client_order_id, order.total)


COMMANDS = ("legs", "pause", "resume", "resume")
OFTEN = ("take", "take", "fill", "fill", "fill_silently", "part", "pass")
several = st.lists(
    st.tuples(
        st.one_of(st.sampled_from(OFTEN), st.sampled_from(OFTEN), st.sampled_from((*OPS, *COMMANDS))),
        st.integers(0, 40),
    ),
    min_size=25,
    max_size=80,
)
"""Mostly what makes rounds go round, and now and then any trouble.

Trap: without a least size hypothesis makes lists of five on average, in which no round is ever over.
"""


def happen(world: MarketWorld, algo_id: str, op: str, number: int) -> None:
    match op:
        case "take":
            take_all(world, algo_id)
        case "fill" | "fill_silently":
            trade_all(world, algo_id, number, aloud=op == "fill")
        case "part":
            step(world, algo_id, "trade", number, wide=True)
        case "pass":
            world.pass_time(1_000)
        case "legs":
            legs = ("both", "long", "short", "none")[number % 4]
            world.ask("pms.scalper", None, algoId=algo_id, action="amend", legs=legs)
        case "pause" | "resume":
            world.ask("pms.algo", None, algoId=algo_id, action=op)
        case _:
            step(world, algo_id, op, number, wide=True)


@settings(max_examples=100, deadline=None)
@given(
    steps=several,
    hedge=st.booleans(),
    mode=st.sampled_from(["follow", "away", "fixed"]),
    stop=st.sampled_from([None, "1"]),
    on_end=st.sampled_from(["flatten", "keep"]),
)
def test_no_layer_beyond_its_size_and_flat_in_the_end(
    steps: list[tuple[str, int]], hedge: bool, mode: str, stop: str | None, on_end: str
) -> None:
    terms: dict[str, Any] = {"anchorMode": mode, "stopLossPct": stop, "onEnd": on_end}
    world, started_as = started(hedge=hedge, maxExposure=str(MOST), coolDown=1, **terms)
    algo_id = started_as.id
    judge(world, algo_id)
    for op, number in steps:
        happen(world, algo_id, op, number)
        world.conduct(algo_id)
        judge(world, algo_id)
        assert world.desk.algos.every[algo_id].outcome is None
    memory, journal = world.desk.algos.every[algo_id], journaled(world, algo_id)
    assert journal.row(at=0) == memory.row(at=0)
    assert journal.slots == memory.slots
    world.mid = START
    world.ask("pms.cancel_algo", None, algoId=algo_id)
    calm(world, algo_id)
    judge(world, algo_id)
    algo = world.desk.algos.every[algo_id]
    assert (algo.status, alive(world, algo)) == (Status.CANCELLED, {}), algo.reason
    figures = told(world, algo)
    event(f"round trips: {min(sum(leg.round_trips for leg in figures.legs), 5)}")
    if on_end == "flatten":
        assert figures.held == 0
        assert world.desk.held.get("alice", {}) == {}
    if not figures.held:
        assert figures.realized_pnl == flows(world)


def test_an_exit_beside_the_other_entry_only_reduces_once_others_close_what_it_is_for() -> None:
    """Placed while the other leg might still enter, it is a plain order: alone it would open the opposite."""
    world, algo = working(takeProfitPct="0.5")
    fill(world, algo, LONG_ENTRY)
    assert not alive(world, algo)[LONG_EXIT].row.reduce_only
    posting = world.ask("pms.trade", symbol="BTCUSDT", side="SELL", quantity="0.01", leverage=10)
    (row,) = posting.entry.rows.orders
    world.ack(row.client_order_id)
    world.trade(row.client_order_id, D("0.01"))
    settle(world, algo)
    assert not alive(world, algo)
    assert (algo.status, (algo.reason or "")[:11]) == (Status.FAILED, Code.REDUCE_ONLY)
    assert world.desk.quantity(("alice", "BTCUSDT", "BOTH")) == 0
