"""The bracket: what it protects, which of its exits works, and that the two never sell the same thing."""

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
from pms.domain.algos.algo import Algo, Status
from pms.domain.algos.bracket import ENTRY, PROFIT, STOP
from pms.domain.algos.conduct import STOPS_MS
from pms.domain.algos.exits import opposite
from pms.domain.orders import Order

LONG = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.05", "leverage": 10}
EXITS = {"takeProfit": "62000", "stopLoss": "58000"}
LIMIT = {**LONG, **EXITS, "price": "60000"}


def begun(**terms: object) -> tuple[PositionWorld, str]:
    """A bracket just asked once."""
    world = PositionWorld()
    world.touch("60000", "60000.1")
    algo = world.start("pms.bracket", **terms)
    world.conduct(algo.id)
    return world, algo.id


def protecting(size: str = "0.05", **terms: object) -> tuple[PositionWorld, str]:
    """An OCO on a position, its take-profit resting."""
    world = PositionWorld()
    world.touch("60000", "60000.1")
    world.by_hand("BUY", size)
    algo = world.start("pms.bracket", **{"positionId": world.position_id, **EXITS, **terms})
    at(world, algo.id, "60000")
    world.ack(coid(world, algo.id, PROFIT))
    return world, algo.id


def at(world: PositionWorld, algo_id: str, bid: str, *, later: int = 1_000) -> Algo:
    """The algo, asked at a price."""
    world.pass_time(later)
    world.touch(bid, str(D(bid) + D("0.1")))
    world.conduct(algo_id)
    return world.desk.algos.every[algo_id]


def coid(world: PositionWorld, algo_id: str, slot: int) -> str:
    """The order that lives in a slot."""
    found = world.desk.algos.every[algo_id].slots[slot].order_id
    assert found is not None
    return found


def order(world: PositionWorld, algo_id: str, slot: int) -> Order:
    return world.desk.orders[coid(world, algo_id, slot)]


def slots(world: PositionWorld, algo_id: str) -> set[int]:
    """Those that have an order."""
    return set(world.desk.algos.every[algo_id].busy)


def test_nothing_protects_before_the_entry_fills_and_then_the_take_profit_rests() -> None:
    world, algo_id = begun(**LIMIT)
    entry = order(world, algo_id, ENTRY)
    assert (entry.spec.side, entry.price, entry.spec.reduce_only) == ("BUY", D(60_000), False)
    assert slots(world, algo_id) == {ENTRY}
    world.ack(coid(world, algo_id, ENTRY))
    world.trade(coid(world, algo_id, ENTRY), D("0.02"))
    at(world, algo_id, "60000")
    profit = order(world, algo_id, PROFIT)
    assert (profit.spec.side, profit.price, profit.quantity) == ("SELL", D(62_000), D("0.02"))
    assert (profit.spec.reduce_only, profit.spec.origin) == (True, "BRACKET")


def test_the_take_profit_grows_with_the_entrys_fills() -> None:
    world, algo_id = begun(**LIMIT)
    world.trade(coid(world, algo_id, ENTRY), D("0.02"))
    at(world, algo_id, "60000")
    world.ack(coid(world, algo_id, PROFIT))
    world.trade(coid(world, algo_id, ENTRY), D("0.03"))
    at(world, algo_id, "60000")
    wish = order(world, algo_id, PROFIT).amend
    assert wish is not None
    assert wish.quantity == D("0.05")


def test_a_first_fill_too_small_for_an_order_waits_for_the_next_or_for_the_entrys_end() -> None:
    world, algo_id = begun(**LIMIT)
    world.desk.instruments["BTCUSDT"] = replace(BTC, min_notional=D(100))
    world.ack(coid(world, algo_id, ENTRY))
    world.trade(coid(world, algo_id, ENTRY), D("0.001"))
    at(world, algo_id, "60000")
    assert slots(world, algo_id) == {ENTRY}
    world.end(coid(world, algo_id, ENTRY), "EXPIRED")
    at(world, algo_id, "60000")
    profit = order(world, algo_id, PROFIT)
    assert (profit.quantity, profit.spec.venue_reduce_only) == (D("0.001"), True)


def test_the_take_profit_filled_is_the_end_and_the_stop_never_fires() -> None:
    world, algo_id = begun(**{**LONG, **EXITS})
    world.trade(coid(world, algo_id, ENTRY), D("0.05"))
    at(world, algo_id, "60000")
    world.trade(coid(world, algo_id, PROFIT), D("0.05"))
    algo = at(world, algo_id, "57000")
    assert (algo.status, algo.reason, world.holds) == (Status.FINISHED, "take-profit", 0)
    assert (algo.filled, algo.target, algo.slots[STOP].steps) == (D("0.05"), D("0.05"), 0)


def test_the_stop_waits_for_the_end_of_the_take_profit() -> None:
    world, algo_id = protecting()
    at(world, algo_id, "58000.1")
    assert not order(world, algo_id, PROFIT).cancel_wanted
    at(world, algo_id, "58000")
    assert order(world, algo_id, PROFIT).cancel_wanted
    assert slots(world, algo_id) == {PROFIT}
    world.trade(coid(world, algo_id, PROFIT), D("0.01"))
    world.end(coid(world, algo_id, PROFIT), "CANCELED")
    at(world, algo_id, "59000")
    stop = order(world, algo_id, STOP)
    assert (stop.spec.type, stop.spec.side, stop.quantity) == ("MARKET", "SELL", D("0.04"))
    world.trade(coid(world, algo_id, STOP), D("0.04"))
    algo = at(world, algo_id, "59000")
    assert (algo.status, world.holds) == (Status.FINISHED, 0)
    assert algo.reason == "closed at the take-profit in part, and by the stop-loss"


def test_what_the_take_profit_does_not_cover_yet_is_stopped_at_once() -> None:
    world, algo_id = begun(**LIMIT)
    world.trade(coid(world, algo_id, ENTRY), D("0.02"))
    at(world, algo_id, "60000")
    world.ack(coid(world, algo_id, PROFIT))
    world.trade_silently(coid(world, algo_id, ENTRY), D("0.03"))
    world.tell(coid(world, algo_id, ENTRY))
    at(world, algo_id, "57000")
    assert order(world, algo_id, PROFIT).cancel_wanted
    assert order(world, algo_id, STOP).quantity == D("0.03")
    assert world.spare() == 0


def test_a_fired_stop_cancels_the_entry_and_closes_what_it_still_fills() -> None:
    world, algo_id = begun(**LIMIT)
    world.ack(coid(world, algo_id, ENTRY))
    world.trade(coid(world, algo_id, ENTRY), D("0.02"))
    at(world, algo_id, "57000")
    assert order(world, algo_id, ENTRY).cancel_wanted
    # Sold at 57000 it would meet our own bid, which the exchange has taken already: wait for its word.
    note = world.desk.algos.every[algo_id].slots[STOP].note
    assert note is not None
    assert note.startswith("SELF_MATCH")
    assert world.conduct(algo_id) == world.now + STOPS_MS
    world.trade(coid(world, algo_id, ENTRY), D("0.01"))
    world.end(coid(world, algo_id, ENTRY), "CANCELED")
    at(world, algo_id, "59000", later=0)
    world.trade(coid(world, algo_id, STOP), D("0.03"))
    algo = at(world, algo_id, "59000")
    assert (algo.status, algo.reason, world.holds) == (Status.FINISHED, "stop-loss", 0)


def test_nothing_more_is_entered_once_an_exit_has_traded() -> None:
    world, algo_id = begun(**LIMIT)
    world.ack(coid(world, algo_id, ENTRY))
    world.trade(coid(world, algo_id, ENTRY), D("0.02"))
    at(world, algo_id, "60000")
    world.trade(coid(world, algo_id, PROFIT), D("0.01"))
    at(world, algo_id, "62000")
    assert order(world, algo_id, ENTRY).cancel_wanted


@pytest.mark.parametrize("how", ["EXPIRED", "by hand"])
def test_an_entry_that_ends_with_a_part_keeps_that_part_protected(how: str) -> None:
    world, algo_id = begun(**LIMIT)
    entry = coid(world, algo_id, ENTRY)
    world.ack(entry)
    world.trade(entry, D("0.02"))
    if how == "by hand":
        world.cancel_by_hand(entry)
    else:
        world.end(entry, how)
    algo = at(world, algo_id, "60000", later=120_000)
    assert (algo.status, slots(world, algo_id)) == (Status.RUNNING, {PROFIT})
    assert order(world, algo_id, PROFIT).quantity == D("0.02")
    world.restart()
    at(world, algo_id, "60000", later=120_000)
    assert world.desk.algos.every[algo_id].slots[ENTRY].steps == 1


@pytest.mark.parametrize(
    ("how", "status", "reason"),
    [
        ("refused", Status.FAILED, "nothing was entered: -2019: Margin is insufficient."),
        ("by hand", Status.CANCELLED, "nothing was entered: cancelled from outside"),
        ("expired", Status.FAILED, "nothing was entered: the order expired"),
    ],
)
def test_an_entry_that_comes_to_nothing_ends_it(how: str, status: Status, reason: str) -> None:
    world, algo_id = begun(**LIMIT)
    entry = coid(world, algo_id, ENTRY)
    match how:
        case "refused":
            world.refuse(entry, "-2019: Margin is insufficient.")
        case "by hand":
            world.cancel_by_hand(entry)
        case _:
            world.end(entry, "EXPIRED")
    algo = at(world, algo_id, "60000")
    assert (algo.status, algo.reason) == (status, reason)


def test_an_entry_beyond_the_margin_ends_it_with_the_code() -> None:
    world, algo_id = begun(**{**LIMIT, "quantity": "50"})
    algo = at(world, algo_id, "60000")
    assert (algo.status, algo.slots[ENTRY].steps) == (Status.FAILED, 0)
    assert algo.reason is not None
    assert algo.reason.startswith("nothing was entered: MARGIN: the order needs")


def test_a_take_profit_cancelled_by_hand_leaves_the_stop_watching() -> None:
    world, algo_id = protecting()
    world.cancel_by_hand(coid(world, algo_id, PROFIT))
    algo = at(world, algo_id, "59000")
    assert (algo.status, slots(world, algo_id)) == (Status.RUNNING, set())
    world.restart()
    at(world, algo_id, "58000")
    assert order(world, algo_id, STOP).quantity == D("0.05")


def test_a_take_profit_cancelled_by_hand_stays_gone_where_nothing_was_free_at_its_end() -> None:
    world, algo_id = protecting()
    hers = world.by_hand("SELL", "0.05", type="LIMIT", price="63000")
    assert hers is not None
    target = coid(world, algo_id, PROFIT)
    world.desk.orders[target].cancel_wanted = True
    at(world, algo_id, "60000")
    world.end(target, "CANCELED")
    at(world, algo_id, "60000")
    world.cancel_by_hand(hers)
    algo = at(world, algo_id, "60000")
    assert (algo.status, slots(world, algo_id)) == (Status.RUNNING, set())
    at(world, algo_id, "58000")
    assert order(world, algo_id, STOP).quantity == D("0.05")


def test_a_take_profit_alone_that_is_cancelled_by_hand_ends_it() -> None:
    world, algo_id = protecting(stopLoss=None)
    world.cancel_by_hand(coid(world, algo_id, PROFIT))
    algo = at(world, algo_id, "60000")
    assert (algo.status, algo.reason) == (Status.CANCELLED, "its take-profit was cancelled from outside")


def test_the_exits_of_a_position_follow_it() -> None:
    world, algo_id = protecting()
    world.by_hand("BUY", "0.03")
    algo = at(world, algo_id, "60000")
    wish = order(world, algo_id, PROFIT).amend
    assert wish is not None
    assert (wish.quantity, algo.target) == (D("0.08"), D("0.08"))
    world.amend(coid(world, algo_id, PROFIT))
    world.taken_over(D("0.06"))
    algo = at(world, algo_id, "60000")
    assert (algo.target, order(world, algo_id, PROFIT).quantity) == (D("0.02"), D("0.02"))
    world.taken_over()
    algo = at(world, algo_id, "60000")
    assert (algo.status, algo.reason) == (Status.FINISHED, "position closed")


def test_a_part_of_a_position_is_protected_and_no_more() -> None:
    world, algo_id = protecting(quantity="0.02")
    world.by_hand("BUY", "0.03")
    at(world, algo_id, "58000")
    world.end(coid(world, algo_id, PROFIT), "CANCELED")
    at(world, algo_id, "58000")
    world.trade(coid(world, algo_id, STOP), D("0.02"))
    algo = at(world, algo_id, "58000")
    assert (algo.status, world.holds) == (Status.FINISHED, D("0.06"))


def test_what_is_opened_after_the_stop_fired_stays() -> None:
    world, algo_id = protecting()
    at(world, algo_id, "58000")
    world.end(coid(world, algo_id, PROFIT), "CANCELED")
    at(world, algo_id, "58000")
    world.by_hand("BUY", "0.03")
    world.trade(coid(world, algo_id, STOP), D("0.05"))
    algo = at(world, algo_id, "58000")
    assert (algo.status, world.holds, algo.target) == (Status.FINISHED, D("0.03"), D("0.05"))


def test_of_two_on_one_position_the_stop_that_fires_sells_it_and_the_others_target_makes_way() -> None:
    world, first = protecting()
    second = world.start("pms.bracket", positionId=world.position_id, takeProfit="61000", stopLoss="59000").id
    at(world, second, "59500")
    assert slots(world, second) == set()
    at(world, second, "59000")
    assert order(world, first, PROFIT).cancel_wanted
    world.end(coid(world, first, PROFIT), "CANCELED")
    at(world, first, "59000")
    at(world, second, "59000")
    at(world, first, "58000")
    assert (slots(world, second), slots(world, first)) == ({STOP}, set())
    world.trade(coid(world, second, STOP), D("0.05"))
    told = [(algo.status, algo.reason) for algo in (at(world, first, "58000"), at(world, second, "58000"))]
    assert told == [(Status.FINISHED, "position closed"), (Status.FINISHED, "stop-loss")]
    assert world.holds == 0


def test_what_somebody_else_closed_is_not_protected_again() -> None:
    world, algo_id = begun(**{**LONG, **EXITS})
    world.trade(coid(world, algo_id, ENTRY), D("0.05"))
    world.by_hand("SELL", "0.03", reduceOnly=True)
    at(world, algo_id, "60000")
    world.by_hand("BUY", "0.03")
    at(world, algo_id, "60000")
    assert order(world, algo_id, PROFIT).quantity == D("0.02")


def test_a_take_profit_shrinks_at_once_and_grows_at_leisure() -> None:
    world, algo_id = begun(**{**LONG, **EXITS})
    world.trade(coid(world, algo_id, ENTRY), D("0.05"))
    at(world, algo_id, "60000", later=0)
    world.ack(coid(world, algo_id, PROFIT))
    # Closed behind the back of the engine: an operator adjusts the books.
    position = world.position
    assert position is not None
    position.trade(D("-0.02"), D(60_000))
    at(world, algo_id, "60000", later=0)
    wish = order(world, algo_id, PROFIT).amend
    assert wish is not None
    assert wish.quantity == D("0.03")


def test_a_short_is_protected_the_other_way_round() -> None:
    world, algo_id = begun(**{**LONG, "side": "SELL", "takeProfit": "58000", "stopLoss": "62000"})
    world.trade(coid(world, algo_id, ENTRY), D("0.05"))
    at(world, algo_id, "60000")
    profit = order(world, algo_id, PROFIT)
    assert (profit.spec.side, profit.price) == ("BUY", D(58_000))
    at(world, algo_id, "61999.8")
    assert not profit.cancel_wanted
    at(world, algo_id, "61999.9")
    assert profit.cancel_wanted


def test_a_hedged_account_is_protected_on_its_side() -> None:
    world = PositionWorld()
    world.touch("60000", "60000.1")
    world.ask("pms.position_mode", hedge=True)
    algo_id = world.start("pms.bracket", **LONG, **EXITS, positionSide="LONG").id
    world.conduct(algo_id)
    world.trade(coid(world, algo_id, ENTRY), D("0.05"))
    at(world, algo_id, "60000")
    assert order(world, algo_id, PROFIT).spec.position_side == "LONG"
    position = world.desk.holds(("alice", "BTCUSDT", "LONG"))
    assert position is not None
    trail = world.start("pms.trail_stop", positionId=position.id, callbackPct="1").id
    world.ask("pms.cancel_algo", None, algoId=algo_id)
    at(world, algo_id, "60000")
    world.end(coid(world, algo_id, PROFIT), "CANCELED")
    at(world, algo_id, "60000")
    at(world, trail, "59000")
    (closing,) = world.of(trail)
    assert (closing.row.position_side, closing.row.quantity) == ("LONG", D("0.05"))


def test_other_prices_are_taken_and_those_that_would_trade_at_once_are_not() -> None:
    world, algo_id = protecting()
    for terms, field in (({"takeProfit": "60000"}, "takeProfit"), ({"stopLoss": "60000"}, "stopLoss")):
        with pytest.raises(Refusal) as refused:
            world.ask("pms.bracket", None, algoId=algo_id, action="amend", **terms)
        assert (refused.value.code, refused.value.field) == (Code.TRIGGER_SIDE, field)
        assert refused.value.limit == "60000"
    world.ask("pms.bracket", None, algoId=algo_id, action="amend", takeProfit="63000", stopLoss="59000")
    at(world, algo_id, "60000")
    wish = order(world, algo_id, PROFIT).amend
    assert wish is not None
    assert wish.price == D(63_000)
    world.amend(coid(world, algo_id, PROFIT))
    at(world, algo_id, "63000")
    world.ask("pms.bracket", None, algoId=algo_id, action="amend", stopLoss="59500")
    at(world, algo_id, "59500.1")
    assert not order(world, algo_id, PROFIT).cancel_wanted
    at(world, algo_id, "59500")
    assert order(world, algo_id, PROFIT).cancel_wanted


@pytest.mark.parametrize(
    ("terms", "code", "field", "limit"),
    [
        ({**LONG}, Code.MISSING_FIELD, "takeProfit", None),
        ({**EXITS}, Code.MISSING_FIELD, "symbol", None),
        ({**LIMIT, "side": None}, Code.MISSING_FIELD, "side", None),
        ({**LIMIT, "takeProfit": "60000"}, Code.TRIGGER_SIDE, "takeProfit", "60000"),
        ({**LIMIT, "stopLoss": "60000"}, Code.TRIGGER_SIDE, "stopLoss", "60000"),
        ({**LIMIT, "price": "59000", "stopLoss": "59500"}, Code.TRIGGER_SIDE, "stopLoss", "59000"),
        ({**LIMIT, "price": "61000", "stopLoss": "60500"}, Code.TRIGGER_SIDE, "stopLoss", "60000"),
        ({**LONG, **EXITS, "takeProfit": "60000.1"}, Code.TRIGGER_SIDE, "takeProfit", "60000.1"),
        ({**LIMIT, "side": "SELL"}, Code.TRIGGER_SIDE, "takeProfit", "60000"),
        ({**LIMIT, "takeProfit": "62000.05"}, Code.PRICE_TICK, "takeProfit", "0.1"),
        ({**LIMIT, "price": "60000.05"}, Code.PRICE_TICK, "price", "0.1"),
        ({**LIMIT, "quantity": "0.0005"}, Code.QUANTITY_MIN, "quantity", "0.001"),
        ({**LIMIT, "timeInForce": "FOK", "quantity": "1000.001"}, Code.QUANTITY_MAX, "quantity", "1000"),
        ({**LONG, **EXITS, "timeInForce": "IOC"}, Code.TIME_IN_FORCE, "timeInForce", None),
        ({**LIMIT, "symbol": "NOPEUSDT"}, Code.UNKNOWN_SYMBOL, "symbol", None),
        ({**LIMIT, "positionSide": "LONG"}, Code.POSITION_SIDE, "positionSide", "BOTH"),
        ({**EXITS, "positionId": "held", "price": "60000"}, Code.UNKNOWN_FIELD, "price", None),
        ({**EXITS, "positionId": "held", "symbol": "BTCUSDT"}, Code.UNKNOWN_FIELD, "symbol", None),
        ({**EXITS, "positionId": "held", "quantity": "0.06"}, Code.REDUCE_ONLY, "quantity", "0.05"),
    ],
)
def test_terms_that_cannot_be_are_refused_and_change_nothing(
    terms: dict[str, object], code: Code, field: str, limit: str | None
) -> None:
    world = PositionWorld()
    world.touch("60000", "60000.1")
    world.by_hand("BUY", "0.05")
    if "positionId" in terms:
        terms = {**terms, "positionId": world.position_id}
    with pytest.raises(Refusal) as refused:
        world.ask("pms.bracket", **terms)
    assert (refused.value.code, refused.value.field, refused.value.limit) == (code, field, limit)
    assert world.desk.algos.every == {}


BESIDES = ("buy", "sell", "pause", "resume", "part taken over", "taken over")
moves = st.lists(
    st.tuples(st.sampled_from((*OPS, *OPS, *BESIDES)), st.integers(0, 40)), min_size=20, max_size=60
)


def besides(world: PositionWorld, op: str, number: int, closes: str) -> None:
    """What else happens to the position."""
    quantity = D(1 + number % 20) / 1000
    match op:
        case "buy":
            world.by_hand(opposite(closes), quantity)
        case "sell":
            world.by_hand(closes, quantity, reduceOnly=True)
        case "part taken over" | "taken over" if not number % 4:
            for each in world.hers():
                world.tell(each.row.client_order_id)
            world.taken_over(quantity if op == "part taken over" else None)
        case _:
            pass


def exposed(world: PositionWorld, algo_id: str, side: str) -> Decimal:
    """The most that its orders of a side may ever have traded, for her."""
    orders = [each for each in world.of(algo_id) if each.row.side == side]
    return sum((each.exposed for each in orders if each.row.sub_account_id == "alice"), D(0))


@settings(max_examples=200, deadline=None)
@given(
    moves=moves,
    side=st.sampled_from(["BUY", "SELL"]),
    price=st.sampled_from([None, "60000"]),
    exits=st.sampled_from([{"near", "far"}, {"near"}, {"far"}]),
    protects=st.sampled_from([None, "all", "part"]),
)
def test_the_exits_together_never_exceed_what_was_entered_and_it_is_over_in_the_end(
    moves: list[tuple[str, int]], side: str, price: str | None, exits: set[str], protects: str | None
) -> None:
    world = PositionWorld()
    world.touch("60000", "60000.1")
    long = side == "BUY"
    beyond = {"takeProfit": "60002" if long else "59998", "stopLoss": "59998" if long else "60002"}
    terms = {
        name: beyond[name] for name, kind in (("takeProfit", "near"), ("stopLoss", "far")) if kind in exits
    }
    if protects is None:
        terms |= {"symbol": "BTCUSDT", "side": side, "quantity": "0.05", "leverage": 10}
        terms |= {} if price is None else {"price": price}
    else:
        world.by_hand(side, "0.05")
        terms |= {"positionId": world.position_id} | ({"quantity": "0.03"} if protects == "part" else {})
    held = "" if world.position is None else world.position_id
    algo_id = world.start("pms.bracket", **terms).id
    closes = "SELL" if long else "BUY"
    for op, number in moves:
        if op in BESIDES:
            besides(world, op, number, closes)
            world.pause_or_resume(algo_id, op)
        else:
            step(world, algo_id, op, number)
        world.conduct(algo_id)
        algo = world.desk.algos.every[algo_id]
        entered = sum((each.filled for each in world.of(algo_id) if each.row.side == side), D(0))
        assert exposed(world, algo_id, side) <= D("0.05")
        if protects is None:
            assert exposed(world, algo_id, closes) <= entered
        elif protects == "part":
            assert exposed(world, algo_id, closes) <= D("0.03")
        assert world.spare(closes) >= 0
        assert sum(slot.filled for slot in algo.slots.values()) == world.told(algo_id)
    if world.desk.algos.every[algo_id].status is Status.PAUSED:
        world.ask("pms.algo", None, algoId=algo_id, action="resume")
    world.touch(*(("30000", "30000.1") if long else ("300000", "300000.1")))
    calm(world, algo_id)
    algo = world.desk.algos.every[algo_id]
    assert algo.status.over
    assert sum(slot.filled for slot in algo.slots.values()) == world.told(algo_id)
    assert world.spare(closes) >= 0
    closed = algo.slots[PROFIT].filled + algo.slots[STOP].filled + D(algo.memory.get("gone", 0))
    if "far" in exits and protects == "all":
        assert world.desk.find_position(held) is None or closed == D(algo.memory["size"])
    elif "far" in exits and algo.status is Status.FINISHED and algo.reason != "position closed":
        assert closed == (D("0.03") if protects else algo.filled)


def rules(world: PositionWorld) -> None:
    """What is at market may be for no less than 0.01, what rests for a thousandth."""
    world.desk.instruments["BTCUSDT"] = replace(BTC, market_min_quantity=D("0.01"), market_step=D("0.01"))


def entered_little(**exits: str) -> tuple[PositionWorld, str]:
    """An entry at a limit is filled for less than an order at market may be for."""
    world = PositionWorld()
    world.touch("60000", "60000.1")
    rules(world)
    algo_id = world.start("pms.bracket", **{**LONG, **exits, "quantity": "0.005", "price": "60000"}).id
    world.conduct(algo_id)
    entry = coid(world, algo_id, ENTRY)
    world.ack(entry)
    world.trade(entry, D("0.005"))
    at(world, algo_id, "60000")
    return world, algo_id


@pytest.mark.parametrize("exits", [{"takeProfit": "62000"}, EXITS])
def test_an_entry_at_a_limit_and_its_take_profit_are_judged_as_what_rests(exits: dict[str, str]) -> None:
    world, algo_id = entered_little(**exits)
    profit = coid(world, algo_id, PROFIT)
    assert world.orders[profit].total == D("0.005")
    world.ack(profit)
    world.trade(profit, D("0.005"))
    assert at(world, algo_id, "62000").status is Status.FINISHED


def test_what_is_too_little_for_its_stop_ends_it_once_that_has_fired() -> None:
    world, algo_id = entered_little(**EXITS)
    profit = coid(world, algo_id, PROFIT)
    world.ack(profit)
    at(world, algo_id, "57000")
    world.end(profit, "CANCELED")
    algo = at(world, algo_id, "57000")
    assert (algo.status, "too little" in (algo.reason or "")) == (Status.FAILED, True)
