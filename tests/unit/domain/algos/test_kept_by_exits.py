"""What a bracket or a scalper holds keeps its exits, whatever becomes of an entry."""

from __future__ import annotations

from dataclasses import replace

import pytest
from any_order import take_all
from market_world import BTC, D, MarketWorld
from position_world import PositionWorld

from pms.contract.codes import Code, Refusal
from pms.domain.algos.algo import Algo, SlotState, Status
from pms.domain.algos.children import Turn, cancel_child, take_back, unplace
from pms.domain.algos.ids import slot_of
from pms.domain.algos.machines import MACHINES
from pms.domain.decisions import Asked
from pms.domain.master import MasterMargin, judge_master

BRACKET = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.05", "leverage": 10, "stopLoss": "58000"}
SCALPER = {
    "symbol": "BTCUSDT",
    "quantity": "0.01",
    "layers": 2,
    "baseOffsetPct": "0.1",
    "spacingPct": "0.05",
    "leverage": 10,
}


def forbid(world: MarketWorld, limit: str, value: str) -> None:
    world.desk.instruments["ETHUSDT"] = replace(BTC, symbol="ETHUSDT")
    fields = {"action": "set", "scope": "alice", "limit": limit, "value": value}
    world.ask("pms.limits", None, **fields, reason="less risk", actor="ann")


def entered(**terms: object) -> tuple[PositionWorld, Algo]:
    """A bracket whose entry is filled."""
    world = PositionWorld()
    world.touch("60000", "60000.1")
    algo = world.start("pms.bracket", **{**BRACKET, **terms})
    world.conduct(algo.id)
    coid = algo.slots[0].order_id or ""
    world.ack(coid)
    world.trade(coid, D("0.05"))
    world.conduct(algo.id)
    return world, algo


def closing(world: MarketWorld, algo: Algo) -> list[tuple[str, object]]:
    """What it sends to be sold at market."""
    live = [each for each in world.of(algo.id) if not each.over and each.row.price is None]
    return [(each.row.side, each.row.quantity) for each in live]


@pytest.mark.parametrize(("limit", "value"), [("trading.symbols", "ETHUSDT"), ("trading.sides", "SELL")])
def test_a_bracket_whose_next_part_is_forbidden_protects_the_first(limit: str, value: str) -> None:
    world = PositionWorld()
    world.touch("60000", "60000.1")
    world.desk.instruments["BTCUSDT"] = replace(BTC, market_max_quantity=D("0.03"))
    algo = world.start("pms.bracket", **BRACKET)
    world.conduct(algo.id)
    first = algo.slots[0].order_id or ""
    forbid(world, limit, value)
    world.ack(first)
    world.trade(first, D("0.03"))
    for _ in range(3):
        world.pass_time(1_000)
        world.conduct(algo.id)
    assert (algo.status, algo.slots[0].state) == (Status.RUNNING, SlotState.SKIPPED)
    world.touch("57000", "57000.1")
    world.conduct(algo.id)
    assert closing(world, algo) == [("SELL", D("0.03"))]


def test_one_that_has_entered_nothing_has_failed() -> None:
    world = PositionWorld()
    world.touch("60000", "60000.1")
    algo = world.start("pms.bracket", **BRACKET)
    forbid(world, "trading.symbols", "ETHUSDT")
    world.conduct(algo.id)
    assert (algo.status, (algo.reason or "").partition(":")[0]) == (Status.FAILED, "SYMBOL_NOT_ALLOWED")


def test_a_scalper_that_holds_keeps_exit_and_stop_while_it_may_not_enter() -> None:
    world = PositionWorld()
    world.touch("60000", "60000.1")
    algo = world.start("pms.scalper", **SCALPER, stopLossPct="1", takeProfitPct="1", legs="long")
    world.conduct(algo.id)
    take_all(world, algo.id)
    world.trade(algo.slots[0].order_id or "", D("0.01"))
    world.pass_time(1_000)
    world.conduct(algo.id)
    take_all(world, algo.id)
    forbid(world, "trading.symbols", "ETHUSDT")
    for step in range(6):
        world.pass_time(1_000)
        world.touch(str(60_000 + 100 * step), f"{60_000 + 100 * step}.1")
        world.conduct(algo.id)
        take_all(world, algo.id)
    live = {slot_of(each.row.client_order_id): each.row.side for each in world.of(algo.id) if not each.over}
    assert (algo.status, live[1]) == (Status.RUNNING, "SELL"), "its exit rests"
    for _ in range(4):
        world.touch("55000", "55000.1")
        world.pass_time(1_000)
        world.conduct(algo.id)
        for order in world.of(algo.id):
            if order.row.price is not None and order.sent and not order.over:
                world.desk.orders[order.row.client_order_id].cancel_wanted = True
                world.end(order.row.client_order_id, "CANCELED")
    assert closing(world, algo) == [("SELL", D("0.01"))]


def test_nothing_is_placed_in_the_entry_in_which_it_ends() -> None:
    world = MarketWorld()
    world.move(0)
    algo = world.start("pms.scalper", **SCALPER, legs="none")
    world.conduct(algo.id)
    forbid(world, "trading.sides", "SELL")
    world.ask("pms.scalper", None, algoId=algo.id, action="amend", legs="both")
    before = len(world.postings)
    world.conduct(algo.id)
    assert algo.status is Status.FAILED
    assert [row for posting in world.postings[before:] for row in posting.entry.rows.orders] == []


def test_a_bracket_that_was_paused_closes_no_position_that_it_never_entered() -> None:
    world, algo = entered()
    world.pause_or_resume(algo.id, "pause")
    world.conduct(algo.id)
    world.by_hand("SELL", "0.05")
    world.conduct(algo.id)
    world.touch("57000", "57000.1")
    world.by_hand("BUY", "0.05")
    world.pause_or_resume(algo.id, "resume")
    for _ in range(3):
        world.pass_time(1_000)
        world.conduct(algo.id)
    assert (algo.status, world.holds) == (Status.FINISHED, D("0.05"))
    assert closing(world, algo) == []


def test_nor_one_that_was_opened_in_the_same_breath() -> None:
    world, algo = entered(takeProfit="62000")
    world.by_hand("SELL", "0.05")
    world.by_hand("BUY", "0.05")
    for _ in range(3):
        take_all(world, algo.id)
        world.pass_time(1_000)
        world.conduct(algo.id)
    world.touch("57900", "57900.1")
    world.conduct(algo.id)
    assert (algo.status, closing(world, algo)) == (Status.FINISHED, [])


def test_what_it_enters_into_the_position_that_stands_it_protects() -> None:
    world = PositionWorld()
    world.touch("60000", "60000.1")
    algo = world.start("pms.bracket", **BRACKET, price="59900")
    world.conduct(algo.id)
    coid = algo.slots[0].order_id or ""
    world.ack(coid)
    world.trade(coid, D("0.03"))
    world.conduct(algo.id)
    world.by_hand("SELL", "0.03")
    world.trade(coid, D("0.02"))
    world.conduct(algo.id)
    world.touch("57000", "57000.1")
    world.conduct(algo.id)
    assert closing(world, algo) == [("SELL", D("0.02"))]


@pytest.mark.parametrize("word", ["count", "trade", "restart"])
@pytest.mark.parametrize("over", [False, True])
def test_an_order_that_is_alive_again_beside_its_algo_is_cancelled(over: bool, word: str) -> None:
    world = MarketWorld()
    world.move(0)
    terms = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.05", "leverage": 10}
    algo = world.start("pms.chase", **terms)
    world.conduct(algo.id)
    first = algo.slots[0].order_id or ""
    world.ack(first)
    world.pass_time(31_000)
    world.ask("pms.resolve", None, orderId=first, outcome="cancelled", reason="not listed", actor="ann")
    if over:
        world.ask("pms.algo", None, algoId=algo.id, action="cancel")
    for _ in range(2):
        world.conduct(algo.id)
        world.pass_time(600)
    assert algo.status.over is over
    if word == "restart" and over:
        # Of algos that are over none is loaded.
        world.desk.algos.every.pop(algo.id)
    if word == "trade":
        world.trade(first, D("0.01"))
    else:
        world.count(first)
    order, row = world.desk.orders[first], world.postings[-1].entry.rows.orders[0]
    assert (order.state.terminal, row.client_order_id, row.cancel_wanted) == (False, first, True)


@pytest.mark.parametrize(
    ("kind", "terms", "change"),
    [
        ("pms.chase", {"side": "BUY", "quantity": "0.05", "leverage": 10}, {"quantity": "0.06"}),
        (
            "pms.twap",
            {"side": "BUY", "totalSize": "0.05", "lots": 5, "duration": 60, "leverage": 10},
            {"totalSize": "0.06"},
        ),
        ("pms.scalper", SCALPER, {"coolDown": 5}),
    ],
)
def test_an_algo_in_a_symbol_that_is_listed_no_more_is_not_amended(
    kind: str, terms: dict[str, object], change: dict[str, object]
) -> None:
    world = MarketWorld()
    world.move(0)
    algo = world.start(kind, **{"symbol": "BTCUSDT", **terms})
    world.conduct(algo.id)
    world.restart()
    world.desk.instruments.pop("BTCUSDT")
    with pytest.raises(Refusal) as refused:
        world.ask(kind, None, algoId=algo.id, action="amend", **change)
    assert (refused.value.code, refused.value.field) == (Code.UNKNOWN_SYMBOL, "algoId")


def test_a_chase_that_trails_waits_where_it_rests_behind_a_refused_move() -> None:
    world = MarketWorld()
    world.move(0)
    terms = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.05", "leverage": 10}
    algo = world.start("pms.chase", **terms, stalkMode="trail", stalkOffset="0.1")
    world.conduct(algo.id)
    coid = algo.slots[0].order_id or ""
    world.ack(coid)
    world.move(2_000)
    world.pass_time(1_000)
    world.conduct(algo.id)
    world.refuse_amend(coid)
    world.pass_time(10)
    world.conduct(algo.id)
    world.move(-2_400)
    world.pass_time(3_000)
    world.conduct(algo.id)
    assert world.desk.orders[coid].amend is None, "one that comes back trades"


def test_the_position_mode_stays_while_an_algo_runs_whose_terms_mean_it() -> None:
    world = MarketWorld()
    world.move(0)
    terms = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.05", "leverage": 10}
    algo = world.start("pms.chase", **terms)
    world.conduct(algo.id)
    coid = algo.slots[0].order_id or ""
    world.ack(coid)
    world.end(coid, "EXPIRED")
    world.conduct(algo.id)
    with pytest.raises(Refusal) as refused:
        world.ask("pms.position_mode", hedge=True, reason="both sides")
    assert (refused.value.code, refused.value.actual) == (Code.POSITION_MODE, "1")


def test_a_take_profit_whose_move_the_market_overtook_goes_to_the_touch() -> None:
    world, algo = entered(takeProfit="66000")
    take_all(world, algo.id)
    world.ask("pms.bracket", None, algoId=algo.id, action="amend", takeProfit="61000")
    world.pass_time(1_000)
    world.conduct(algo.id)
    coid = algo.slots[1].order_id or ""
    world.touch("65000", "65000.1")
    world.refuse_amend(coid, "-4024: Limit price can't be lower than 61605.6.")
    for _ in range(3):
        world.pass_time(3_000)
        world.conduct(algo.id)
    wish = world.desk.orders[coid].amend
    assert wish is not None
    assert wish.price == 65_000


def test_a_bracket_learns_while_it_is_paused_what_its_entry_was_filled_into() -> None:
    world = PositionWorld()
    world.touch("60000", "60000.1")
    algo = world.start("pms.bracket", **BRACKET, price="59900")
    world.conduct(algo.id)
    coid = algo.slots[0].order_id or ""
    world.ack(coid)
    world.pause_or_resume(algo.id, "pause")
    world.conduct(algo.id)
    world.trade(coid, D("0.05"))
    world.conduct(algo.id)
    world.by_hand("SELL", "0.05")
    world.by_hand("BUY", "0.05")
    world.pause_or_resume(algo.id, "resume")
    world.touch("57000", "57000.1")
    world.conduct(algo.id)
    assert (algo.status, closing(world, algo)) == (Status.FINISHED, [])


def test_a_scalper_that_holds_nothing_fails_though_its_entries_rest() -> None:
    world = MarketWorld()
    world.move(0)
    algo = world.start("pms.scalper", **SCALPER, legs="long", anchorMode="follow")
    world.conduct(algo.id)
    take_all(world, algo.id)
    forbid(world, "trading.symbols", "ETHUSDT")
    for step in range(8):
        world.move(2_000 * (step + 1))
        world.pass_time(1_000)
        world.conduct(algo.id)
        take_all(world, algo.id)
    assert (algo.status, (algo.reason or "").partition(":")[0]) == (Status.FAILED, "SYMBOL_NOT_ALLOWED")
    assert all(order.over for order in world.of(algo.id))


def test_what_a_slot_placed_in_the_entry_of_its_end_is_taken_back() -> None:
    world = PositionWorld()
    world.touch("60000", "60000.1")
    algo = world.start("pms.scalper", **SCALPER, legs="long")
    world.conduct(algo.id)
    take_all(world, algo.id)
    world.trade(algo.slots[0].order_id or "", D("0.004"))
    world.pause_or_resume(algo.id, "pause")
    for _ in range(3):
        world.pass_time(1_000)
        world.conduct(algo.id)
        take_all(world, algo.id)
    world.by_hand("SELL", "0.004")
    world.pause_or_resume(algo.id, "resume")
    before = len(world.postings)
    world.pass_time(1_000)
    world.conduct(algo.id)
    assert algo.status in {Status.ENDING, Status.FAILED}
    placed = [row for posting in world.postings[before:] for row in posting.entry.rows.orders]
    assert [row for row in placed if row.state == "placing" and not row.cancel_wanted] == []
    assert not world.desk.live
    assert not world.desk.pending.get("alice")


def test_a_basket_is_amended_though_a_leg_of_it_is_listed_no_more() -> None:
    world = MarketWorld()
    world.move(0)
    world.desk.instruments["ETHUSDT"] = replace(BTC, symbol="ETHUSDT")
    world.desk.price("ETHUSDT", world.desk.tops["BTCUSDT"])
    leg = {"algo": "limit", "side": "BUY", "quantity": "0.05", "leverage": 10, "price": "59000"}
    legs = [{**leg, "symbol": symbol} for symbol in ("BTCUSDT", "ETHUSDT")]
    algo = world.start("pms.basket", legs=legs, onLegFailure="hold")
    world.conduct(algo.id)
    world.desk.instruments.pop("ETHUSDT")
    world.ask("pms.basket", None, algoId=algo.id, action="amend", onLegFailure="unwind")
    assert algo.terms.on_leg_failure == "unwind"  # type: ignore[union-attr]


def test_what_another_turn_of_the_same_millisecond_placed_is_not_taken_back() -> None:
    world = MarketWorld()
    world.move(0)
    algo = world.start("pms.chase", symbol="BTCUSDT", side="BUY", quantity="0.05", leverage=10)
    world.conduct(algo.id)
    coid = algo.slots[0].order_id or ""
    asked = Asked(request_id=algo.id, command="pms.chase", text="", at=world.now, deadline=0, now=world.now)
    for undo in (take_back, unplace):
        draft = world.desk.draft("algo", at=world.now)
        turn = Turn(world.desk, draft, asked, algo, MACHINES["chase"], world.throttle)
        cancel_child(draft, algo.slots[0], world.desk.orders[coid])
        undo(turn)
        assert (coid in world.desk.live, algo.slots[0].order_id) == (True, coid)
        assert world.desk.orders[coid].cancel_wanted is (undo is unplace)


def test_a_margin_that_is_near_its_end_takes_no_exit_from_what_a_scalper_holds() -> None:
    """Entries are wanted cancelled then; it waits with them, and goes on when the halt is lifted."""
    world = MarketWorld()
    world.move(0)
    world.ask("pms.position_mode", hedge=True, reason="both sides")
    algo = world.start("pms.scalper", **SCALPER, legs="long", stopLossPct="0.5")
    world.conduct(algo.id)
    take_all(world, algo.id)
    (first, *_) = [each.row.client_order_id for each in world.of(algo.id)]
    world.trade(first, D("0.01"))
    world.conduct(algo.id)
    take_all(world, algo.id)
    posting = judge_master(world.desk, MasterMargin(D(1000), D(710)), at=world.now)
    assert posting is not None
    assert posting.entry.rows.orders, "an entry rests"
    for _ in range(3):
        world.conduct(algo.id)
        take_all(world, algo.id)
        world.pass_time(1_000)
    assert algo.status is Status.RUNNING
    world.move(-30_000)
    for _ in range(2):
        world.conduct(algo.id)
        take_all(world, algo.id)
    assert closing(world, algo) == [("SELL", D("0.010"))]
    world.ask("pms.resume", None, reason="there is money", actor="ann")
    assert algo.status is Status.RUNNING


def test_a_bracket_whose_entry_that_cancels_waits_with_it() -> None:
    world = MarketWorld()
    world.move(0)
    algo = world.start("pms.bracket", **{**BRACKET, "price": "59500"})
    world.conduct(algo.id)
    take_all(world, algo.id)
    assert judge_master(world.desk, MasterMargin(D(1000), D(710)), at=world.now) is not None
    for _ in range(3):
        world.conduct(algo.id)
        take_all(world, algo.id)
        world.pass_time(1_000)
    assert (algo.status, len(algo.busy)) == (Status.RUNNING, 0)
    world.ask("pms.resume", None, reason="there is money", actor="ann")
    world.move(0)
    world.conduct(algo.id)
    assert len(algo.busy) == 1, "its entry comes again"
