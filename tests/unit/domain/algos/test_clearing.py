"""What rests makes way for a stop that has fired: which orders, how they are told, and when it may go on."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from market_world import BTC, D
from position_world import PositionWorld

from pms.contract.events import OrderEvent
from pms.contract.journal import HaltRow
from pms.contract.money import decode_object
from pms.domain.algos import conduct as conducting
from pms.domain.algos.algo import Algo, Status
from pms.domain.algos.clearing import ALL_TAKEN, MAKING_WAY
from pms.domain.algos.conduct import STOPS_MS
from pms.domain.orders import Doubtful, Order


def held(size: str = "0.05") -> PositionWorld:
    world = PositionWorld()
    world.touch("60000", "60000.1")
    world.by_hand("BUY", size)
    return world


def trailing(world: PositionWorld, callback: str = "1") -> str:
    """A trailing stop on what she holds."""
    algo = world.start("pms.trail_stop", positionId=world.position_id, callbackPct=callback)
    world.conduct(algo.id)
    return algo.id


def rests(world: PositionWorld, quantity: str, price: str = "66000", **terms: object) -> str:
    """A limit order of hers that closes, acknowledged."""
    coid = world.by_hand("SELL", quantity, type="LIMIT", price=price, **terms)
    assert coid is not None
    return coid


def at(world: PositionWorld, algo_id: str, bid: str) -> Algo:
    world.touch(bid, str(D(bid) + D("0.1")))
    world.conduct(algo_id)
    return world.desk.algos.every[algo_id]


def sold(world: PositionWorld, algo_id: str) -> list[Decimal]:
    return [order.row.quantity for order in world.of(algo_id)]


def order(world: PositionWorld, coid: str) -> Order:
    return world.desk.orders[coid]


@pytest.mark.parametrize("reduce_only", [True, False])
def test_a_limit_far_from_the_market_holds_up_no_stop(reduce_only: bool) -> None:
    world = held()
    algo_id, resting = trailing(world), rests(world, "0.05", reduceOnly=reduce_only)
    algo = at(world, algo_id, "59000")
    assert (sold(world, algo_id), order(world, resting).cancel_wanted) == ([], True)
    assert algo.slots[0].note == MAKING_WAY
    entry = world.postings[-1].entry
    ((row,), (fired,)) = entry.rows.orders, entry.rows.algos
    told = f"makes way for trail_stop {algo_id}, which closes at market"
    assert (row.client_order_id, row.cancel_wanted, row.reason) == (resting, True, told)
    assert decode_object(fired.memory)["fired"] == 59_000
    world.end(resting, "CANCELED")
    (event,) = [each for each in world.postings[-1].events if isinstance(each, OrderEvent)]
    assert (event.type, event.client_order_id, event.reason) == ("order_cancelled", resting, told)
    at(world, algo_id, "58000")
    assert sold(world, algo_id) == [D("0.05")]
    world.trade(world.of(algo_id)[0].row.client_order_id, D("0.05"))
    assert (at(world, algo_id, "58000").status, world.holds) == (Status.FINISHED, 0)


def test_what_is_free_is_sold_at_once_and_the_rest_with_each_word() -> None:
    world = held()
    algo_id = trailing(world)
    far, near = rests(world, "0.01", "66000"), rests(world, "0.02", "61000")
    at(world, algo_id, "59000")
    (first,) = world.of(algo_id)
    assert first.row.quantity == D("0.02")
    world.trade(first.row.client_order_id, D("0.02"))
    at(world, algo_id, "59000")
    assert sold(world, algo_id) == [D("0.02")]
    world.end(far, "CANCELED")
    at(world, algo_id, "59000")
    assert (sold(world, algo_id), world.spare()) == ([D("0.02"), D("0.01")], 0)
    world.trade(world.of(algo_id)[1].row.client_order_id, D("0.01"))
    world.end(near, "CANCELED")
    at(world, algo_id, "59000")
    assert (sold(world, algo_id)[2:], world.spare()) == ([D("0.02")], 0)


def test_a_cancel_that_comes_late_leaves_to_sell_what_did_not_trade() -> None:
    world = held()
    algo_id, resting = trailing(world), rests(world, "0.05")
    at(world, algo_id, "59000")
    world.trade_silently(resting, D("0.02"))
    at(world, algo_id, "59000")
    assert sold(world, algo_id) == []
    world.end(resting, "CANCELED")
    # The exchange counts a trade more than we have booked: the order is not over yet.
    at(world, algo_id, "59000")
    assert sold(world, algo_id) == []
    world.tell(resting)
    at(world, algo_id, "59000")
    assert (sold(world, algo_id), world.spare()) == ([D("0.03")], 0)


def test_one_that_fills_instead_ends_the_stop() -> None:
    world = held()
    algo_id, resting = trailing(world), rests(world, "0.05")
    at(world, algo_id, "59000")
    world.trade(resting, D("0.05"))
    algo = at(world, algo_id, "59000")
    assert (algo.status, sold(world, algo_id), world.holds) == (Status.FINISHED, [], 0)


def test_an_order_of_unknown_outcome_counts_until_it_is_proven() -> None:
    world = held()
    algo_id = trailing(world)
    posting = world.ask(
        "pms.trade", symbol="BTCUSDT", side="SELL", quantity="0.05", type="LIMIT", price="66000", leverage=10
    )
    (row,) = posting.entry.rows.orders
    world.orders[row.client_order_id].sent = True
    world.observe(row.client_order_id, Doubtful())
    at(world, algo_id, "59000")
    world.pass_time(60_000)
    at(world, algo_id, "58000")
    assert (sold(world, algo_id), order(world, row.client_order_id).cancel_wanted) == ([], True)
    world.absent(row.client_order_id)
    at(world, algo_id, "58000")
    assert (sold(world, algo_id), world.spare()) == ([D("0.05")], 0)


def test_only_as_much_makes_way_as_is_missing_the_furthest_and_newest_first() -> None:
    world = held()
    terms = {"positionId": world.position_id, "quantity": "0.03", "stopLoss": "59000"}
    algo_id = world.start("pms.bracket", **terms).id
    hers = []
    for quantity, price in (("0.02", "61000"), ("0.01", "66000"), ("0.01", "66000")):
        hers.append(rests(world, quantity, price))
        world.pass_time(1_000)
    at(world, algo_id, "59000")
    wanted = [order(world, coid).cancel_wanted for coid in hers]
    assert (wanted, sold(world, algo_id)) == ([False, True, True], [D("0.01")])


def test_of_two_that_rest_at_one_price_the_older_stays() -> None:
    world = held()
    terms = {"positionId": world.position_id, "quantity": "0.03", "stopLoss": "59000"}
    algo_id = world.start("pms.bracket", **terms).id
    older = rests(world, "0.02")
    world.pass_time(1_000)
    newer = rests(world, "0.01")
    at(world, algo_id, "59000")
    assert [order(world, coid).cancel_wanted for coid in (older, newer)] == [False, True]


def test_an_order_at_market_is_waited_for_and_not_cancelled() -> None:
    world = held()
    algo_id = trailing(world)
    posting = world.ask(
        "pms.trade", symbol="BTCUSDT", side="SELL", quantity="0.05", leverage=10, reduceOnly=True
    )
    (row,) = posting.entry.rows.orders
    algo = at(world, algo_id, "59000")
    assert (sold(world, algo_id), algo.slots[0].note) == ([], ALL_TAKEN)
    assert not order(world, row.client_order_id).cancel_wanted
    world.ack(row.client_order_id)
    world.end(row.client_order_id, "EXPIRED")
    at(world, algo_id, "59000")
    assert sold(world, algo_id) == [D("0.05")]


def test_orders_that_close_nothing_of_it_stay() -> None:
    world = held()
    algo_id, resting = trailing(world), rests(world, "0.02")
    under_way = {"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.03", "leverage": 10}
    world.ask("pms.trade", **under_way)
    buys = world.by_hand("BUY", "0.01", type="LIMIT", price="50000")
    assert buys is not None
    at(world, algo_id, "59000")
    assert [order(world, coid).cancel_wanted for coid in (resting, buys)] == [True, False]


def test_what_opens_the_other_side_of_a_hedged_account_stays() -> None:
    world = PositionWorld()
    world.touch("60000", "60000.1")
    world.ask("pms.position_mode", hedge=True)
    world.by_hand("BUY", "0.05", positionSide="LONG")
    long = world.desk.holds(("alice", "BTCUSDT", "LONG"))
    assert long is not None
    algo_id = world.start("pms.trail_stop", positionId=long.id, callbackPct="1").id
    closes = rests(world, "0.05", "61000", positionSide="LONG")
    opens = rests(world, "0.05", "66000", positionSide="SHORT")
    at(world, algo_id, "60000")
    at(world, algo_id, "59000")
    assert [order(world, coid).cancel_wanted for coid in (closes, opens)] == [True, False]


def test_two_that_fire_at_once_wait_for_what_rests_and_not_for_each_other() -> None:
    world = held()
    first, second, resting = trailing(world), trailing(world, "0.5"), rests(world, "0.05")
    for algo_id in (first, second, first):
        at(world, algo_id, "58000")
    asked = [each.entry for each in world.postings if each.entry.kind == "algo" and each.entry.rows.orders]
    assert [[row.client_order_id for row in entry.rows.orders] for entry in asked] == [[resting]]
    world.end(resting, "CANCELED")
    for algo_id in (second, first):
        at(world, algo_id, "58000")
    assert (sold(world, first), sold(world, second)) == ([], [D("0.05")])
    (living,) = world.of(second)
    world.ack(living.row.client_order_id)
    world.trade(living.row.client_order_id, D("0.03"))
    world.end(living.row.client_order_id, "EXPIRED")
    for algo_id in (first, second):
        at(world, algo_id, "58000")
    assert (sold(world, first), world.spare()) == ([D("0.02")], 0)
    world.trade(world.of(first)[0].row.client_order_id, D("0.02"))
    assert [at(world, algo_id, "58000").status for algo_id in (first, second)] == [Status.FINISHED] * 2


def test_the_next_life_goes_on_between_the_cancel_and_the_order() -> None:
    world = held()
    algo_id, resting = trailing(world), rests(world, "0.05")
    at(world, algo_id, "59000")
    world.restart()
    assert order(world, resting).cancel_wanted
    at(world, algo_id, "65000")
    assert sold(world, algo_id) == []
    world.end(resting, "CANCELED")
    world.restart()
    at(world, algo_id, "65000")
    assert sold(world, algo_id) == [D("0.05")]


@pytest.mark.parametrize("how", ["closed", "halted"])
def test_nobody_makes_way_while_nothing_may_be_placed(how: str) -> None:
    world = held()
    algo_id, resting = trailing(world), rests(world, "0.05")
    if how == "halted":
        halt = HaltRow(scope="alice", mode="HALTED", reason="r", actor="a", since=1, request_id="r")
        world.desk.note_halt(halt)
    world.touch("59000", "59000.1")
    world.conduct(algo_id, closed="for a while" if how == "closed" else None)
    assert (order(world, resting).cancel_wanted, sold(world, algo_id)) == (False, [])
    world.desk.halts.clear()
    at(world, algo_id, "58000")
    assert order(world, resting).cancel_wanted


def test_nobody_makes_way_while_a_siblings_order_would_be_met() -> None:
    world = held()
    algo_id, resting = trailing(world), rests(world, "0.05")
    bid = world.ask(
        "pms.trade",
        "bob",
        symbol="BTCUSDT",
        side="BUY",
        quantity="0.01",
        type="LIMIT",
        price="59000",
        leverage=10,
    )
    (sibling,) = (row.client_order_id for row in bid.entry.rows.orders)
    world.ack(sibling)
    algo = at(world, algo_id, "59000")
    assert (order(world, resting).cancel_wanted, sold(world, algo_id)) == (False, [])
    assert (algo.slots[0].note or "").startswith("SELF_MATCH")
    world.end(sibling, "EXPIRED")
    at(world, algo_id, "59000")
    assert order(world, resting).cancel_wanted


def test_nobody_makes_way_while_its_symbol_is_not_traded() -> None:
    world = held()
    algo_id, resting = trailing(world), rests(world, "0.05")
    setting = {"action": "set", "scope": "alice", "limit": "trading.state", "reason": "r", "actor": "a"}
    world.ask("pms.limits", None, value="HALTED", **setting)
    at(world, algo_id, "59000")
    assert (order(world, resting).cancel_wanted, sold(world, algo_id)) == (False, [])
    world.ask("pms.limits", None, value="REDUCE_ONLY", **setting)
    at(world, algo_id, "59000")
    assert order(world, resting).cancel_wanted


def test_a_halt_that_permits_reducing_holds_up_no_stop() -> None:
    world = held()
    algo_id, resting = trailing(world), rests(world, "0.05")
    world.desk.note_halt(
        HaltRow(scope="*", mode="REDUCE_ONLY", reason="r", actor="a", since=1, request_id="r")
    )
    at(world, algo_id, "59000")
    assert order(world, resting).cancel_wanted


def test_another_algo_whose_order_made_way_pauses_and_says_for_whom() -> None:
    world = held()
    algo_id = trailing(world)
    terms = {"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.05", "leverage": 10, "stalkMode": "maintain"}
    chase = world.start("pms.chase", **terms, stalkOffset="5").id
    world.conduct(chase)
    (resting,) = (each.row.client_order_id for each in world.of(chase))
    world.ack(resting)
    at(world, algo_id, "59000")
    algo = at(world, chase, "59000")
    told = f"{resting} makes way for trail_stop {algo_id}, which closes at market"
    assert (algo.status, algo.reason) == (Status.PAUSED, told)


def test_too_little_to_be_sold_alone_waits_for_what_comes_free() -> None:
    world = held("0.041")
    world.desk.instruments["BTCUSDT"] = replace(BTC, min_notional=D(100))
    # The exchange's net is short, so that it would refuse so small an order, and the stop had to pause.
    world.desk.treasury.net["BTCUSDT"] = D("-0.1")
    algo_id, resting = trailing(world), rests(world, "0.04")
    at(world, algo_id, "59000")
    assert (sold(world, algo_id), order(world, resting).cancel_wanted) == ([], True)
    world.end(resting, "CANCELED")
    at(world, algo_id, "59000")
    assert sold(world, algo_id) == [D("0.041")]


def test_it_asks_again_soon_while_it_waits() -> None:
    world = held()
    algo_id = trailing(world)
    rests(world, "0.05")
    at(world, algo_id, "59000")
    assert world.conduct(algo_id) == world.now + STOPS_MS


def test_a_fault_in_the_turn_takes_back_what_was_to_make_way(monkeypatch: pytest.MonkeyPatch) -> None:
    world = held()
    algo_id = trailing(world)
    # Admitted in the very millisecond of the turn: none of its own, so not to be forgotten with it.
    resting = rests(world, "0.05")

    def faulty(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a fault of ours")

    with monkeypatch.context() as patched:
        patched.setattr(conducting, "tell", faulty)
        with pytest.raises(ZeroDivisionError):
            at(world, algo_id, "59000")
    assert (order(world, resting).cancel_wanted, order(world, resting).why) == (False, None)
    at(world, algo_id, "59000")
    (row,) = world.postings[-1].entry.rows.orders
    assert (row.client_order_id, row.cancel_wanted) == (resting, True)


def test_a_stop_that_fires_as_its_position_grows_sells_all_of_it() -> None:
    world = held()
    algo_id = trailing(world)
    world.by_hand("BUY", "0.02")
    at(world, algo_id, "59000")
    assert sold(world, algo_id) == [D("0.07")]


def test_all_of_a_ladder_beyond_the_position_makes_way_at_once() -> None:
    world = held()
    algo_id = trailing(world)
    ladder = [rests(world, "0.05", price) for price in ("66000", "67000", "68000")]
    at(world, algo_id, "59000")
    assert [order(world, coid).cancel_wanted for coid in ladder] == [True] * 3
    assert len(world.postings[-1].entry.rows.orders) == 3
    for coid in ladder[:-1]:
        world.end(coid, "CANCELED")
        at(world, algo_id, "59000")
        assert sold(world, algo_id) == []
    world.end(ladder[-1], "CANCELED")
    at(world, algo_id, "59000")
    assert (sold(world, algo_id), world.spare()) == ([D("0.05")], 0)


def test_of_a_ladder_beyond_the_position_a_stop_for_a_part_leaves_none_that_would_open() -> None:
    world = held()
    terms = {"positionId": world.position_id, "quantity": "0.03", "stopLoss": "59000"}
    algo_id = world.start("pms.bracket", **terms).id
    ladder = [rests(world, "0.02", price) for price in ("66000", "65000", "64000", "63000")]
    at(world, algo_id, "59000")
    assert [order(world, coid).cancel_wanted for coid in ladder] == [True, True, True, False]


def test_what_is_in_the_way_of_a_brackets_stop_goes_with_its_take_profit() -> None:
    world = held()
    terms = {"positionId": world.position_id, "takeProfit": "61000", "stopLoss": "59000"}
    algo_id = world.start("pms.bracket", **terms).id
    world.conduct(algo_id)
    (target,) = world.of(algo_id)
    profit = target.row.client_order_id
    world.ack(profit)
    # It came between the last look and the tick that fires.
    plain = [rests(world, "0.05", price) for price in ("66000", "67000")]
    algo = at(world, algo_id, "59000")
    assert [order(world, coid).cancel_wanted for coid in (profit, *plain)] == [True] * 3
    assert {row.client_order_id for row in world.postings[-1].entry.rows.orders} == {profit, *plain}
    assert (algo.slots[2].note, sold(world, algo_id)) == (MAKING_WAY, [D("0.05")])
    for coid in (profit, *plain):
        world.end(coid, "CANCELED")
    at(world, algo_id, "59000")
    assert (sold(world, algo_id)[1:], world.spare()) == ([D("0.05")], 0)


def test_what_fits_beside_a_brackets_take_profit_stays_when_its_stop_fires() -> None:
    world = held()
    terms = {"positionId": world.position_id, "quantity": "0.03", "takeProfit": "61000", "stopLoss": "59000"}
    algo_id = world.start("pms.bracket", **terms).id
    world.conduct(algo_id)
    (target,) = world.of(algo_id)
    world.ack(target.row.client_order_id)
    beside = rests(world, "0.02")
    at(world, algo_id, "59000")
    assert not order(world, beside).cancel_wanted
    world.end(target.row.client_order_id, "CANCELED")
    at(world, algo_id, "59000")
    assert (order(world, beside).cancel_wanted, sold(world, algo_id)[1:]) == (False, [D("0.03")])
