"""Redis lost its last second: an order of an algo that only the exchange remembers is that algo's again."""

from __future__ import annotations

from typing import Any

import pytest
from market_world import D, MarketWorld
from position_world import PositionWorld

from pms.contract.codes import Code, Refusal
from pms.domain.adoption import ADOPTION, adopt
from pms.domain.algos.algo import Status
from pms.domain.algos.book import EXPECTED_STEPS
from pms.domain.algos.conduct import end
from pms.domain.algos.ids import child_id
from pms.domain.algos.machines import LETTERS
from pms.domain.desk import Desk
from pms.domain.orders import Order, State

CHASE = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.05", "leverage": 10}


def forgotten(world: MarketWorld, *, entries: int) -> None:
    """A new life that lost so many entries."""
    del world.postings[-entries:]
    world.restart()


def found(world: MarketWorld, coid: str, *, word: str = "NEW") -> Order:
    """Recovery meets the order at the exchange."""
    there = world.orders[coid]
    order, posting = adopt(
        world.desk,
        client_order_id=coid,
        exchange_order_id=there.number,
        symbol="BTCUSDT",
        side=there.row.side,
        order_type=there.row.type,
        quantity=there.total,
        price=there.price,
        time_in_force=there.row.time_in_force,
        word=word,
        filled=there.filled,
        at=world.now,
    )
    world._journal(posting)
    return order


def test_it_is_the_slots_order_again_and_nothing_is_placed_beside_it() -> None:
    world = MarketWorld()
    world.move(0)
    algo_id = world.start("pms.chase", **CHASE).id
    world.conduct(algo_id)
    (coid,) = [order.row.client_order_id for order in world.of(algo_id)]
    world.orders[coid].sent = True
    forgotten(world, entries=1)
    order = found(world, coid)
    assert (order.spec.parent_id, order.spec.origin, order.cancel_asked) == (algo_id, "CHASE", ADOPTION)
    world.conduct(algo_id)
    assert len(world.of(algo_id)) == 1

    world.trade(coid, D("0.02"))
    world.end(coid, "CANCELED")
    world.conduct(algo_id)
    algo = world.desk.algos.every[algo_id]
    assert (algo.status, algo.filled) == (Status.RUNNING, D("0.02"))
    (_, second) = world.of(algo_id)
    assert (second.total, world.exposed(algo_id)) == (D("0.03"), D("0.05"))
    assert second.row.client_order_id != coid


def test_of_an_algo_that_has_ended_or_is_forgotten_it_is_the_accounts_own() -> None:
    world = MarketWorld()
    world.move(0)
    algo = world.start("pms.chase", **CHASE)
    world.conduct(algo.id)
    (coid,) = [order.row.client_order_id for order in world.of(algo.id)]
    world.orders[coid].sent = True
    forgotten(world, entries=2)
    assert world.desk.algos.every == {}
    order = found(world, coid)
    assert (order.spec.parent_id, order.spec.sub_account_id, order.cancel_asked) == (None, "alice", ADOPTION)


def test_a_slot_that_was_lost_with_its_order_counts_what_it_filled() -> None:
    world = MarketWorld()
    world.move(0)
    terms = {"totalSize": "0.05", "lots": 5, "duration": 50, "mostCatchUp": 1}
    algo_id = world.start("pms.twap", symbol="BTCUSDT", side="BUY", leverage=10, **terms).id
    # All but the last slice are missed; it is filled, and one more is begun
    world.pass_time(40_000)
    world.conduct(algo_id)
    (last,) = [order.row.client_order_id for order in world.of(algo_id)]
    world.trade(last, D("0.01"))
    world.pass_time(10_000)
    world.conduct(algo_id)
    (coid,) = [order.row.client_order_id for order in world.of(algo_id) if not order.over]
    assert 5 in world.desk.algos.every[algo_id].slots
    world.trade_silently(coid, D("0.01"))
    forgotten(world, entries=1)
    assert 5 not in world.desk.algos.every[algo_id].slots
    found(world, coid, word="FILLED")
    world.tell(coid)
    for _ in range(8):
        world.conduct(algo_id)
        for order in world.of(algo_id):
            if not order.over:
                world.trade(order.row.client_order_id, order.total)
        world.pass_time(10_000)
    algo = world.desk.algos.every[algo_id]
    assert (algo.status, algo.filled) == (Status.FINISHED, D("0.05"))
    assert sum(order.exposed for order in world.orders.values()) == D("0.05")


def test_started_again_by_the_same_request_it_counts_what_its_forgotten_order_trades() -> None:
    world = MarketWorld(fee_rate=D("0.0002"))
    world.move(0)
    request = "7d4c1f1e-0000-4000-8000-00000000a150"
    world.ask("pms.chase", **CHASE, requestId=request)
    world.conduct(request)
    (coid,) = [order.row.client_order_id for order in world.of(request)]
    world.ack(coid)
    world.trade_silently(coid, D("0.01"))
    forgotten(world, entries=len(world.postings))
    found(world, coid, word="PARTIALLY_FILLED")
    world.tell(coid)
    world.restart()

    started = world.ask("pms.chase", **CHASE, requestId=request)
    assert [row.parent_id for row in started.entry.rows.orders] == [request]
    algo = world.desk.algos.every[request]
    assert (algo.filled, algo.slots[0].order_id) == (D("0.01"), coid)
    (fill,) = [fill for posting in world.postings for fill in posting.entry.rows.fills]
    assert fill.commission > 0
    assert algo.fees == algo.slots[0].fees == fill.commission
    assert algo.maker_qty == algo.slots[0].maker_qty == (D("0.01") if fill.maker else 0)
    world.conduct(request)
    world.trade(coid, D("0.01"))
    world.end(coid, "CANCELED")
    world.conduct(request)
    assert algo.filled == D("0.02")
    world.conduct(request)
    assert world.exposed(request) == D("0.05")
    assert len(world.of(request)) == 2


def test_started_again_it_counts_all_of_its_forgotten_orders_however_many() -> None:
    """Redis was emptied, and the ledger was seconds behind."""
    world = MarketWorld()
    world.move(0)
    request = "7d4c1f1e-0000-4000-8000-00000000a151"
    world.ask("pms.chase", **CHASE, requestId=request)
    for _ in range(6):
        world.conduct(request)
        (coid,) = [order.row.client_order_id for order in world.of(request) if not order.over]
        world.ack(coid)
        world.trade(coid, D("0.005"))
        world.end(coid, "EXPIRED")
        world.conduct(request)
        world.pass_time(60_000)
        world.move(0)
    lost = [order.row.client_order_id for order in world.of(request)]
    assert len(lost) == 6
    for coid in lost:
        world.orders[coid].untold = [(world.orders[coid].number, D("0.005"), world.now)]
    forgotten(world, entries=len(world.postings))
    # The second was never sent, as far as anybody can tell: nothing is found of it.
    for coid in (*lost[:1], *lost[2:]):
        found(world, coid, word="EXPIRED")
        world.tell(coid)

    world.ask("pms.chase", **CHASE, requestId=request)
    algo = world.desk.algos.every[request]
    assert (algo.filled, algo.slots[0].steps) == (D("0.025"), 6)
    world.conduct(request)
    (_, placed) = world.of(request)[-2:]
    assert placed.total == D("0.025")


def test_a_trailing_stop_whose_firing_was_lost_closes_what_is_left_of_the_position() -> None:
    """What its forgotten order sold is filled, and no longer held: its size is both."""
    world = PositionWorld()
    world.touch("60000", "60000.1")
    world.by_hand("BUY", "0.05")
    algo_id = world.start("pms.trail_stop", positionId=world.position_id, callbackPct="1").id
    world.conduct(algo_id)
    before = len(world.postings)
    world.touch("59000", "59000.1")
    world.conduct(algo_id)
    (coid,) = [order.row.client_order_id for order in world.of(algo_id)]
    world.ack(coid)
    world.trade_silently(coid, D("0.02"))
    world.orders[coid].over, world.orders[coid].word = True, "EXPIRED"
    forgotten(world, entries=len(world.postings) - before)
    found(world, coid, word="EXPIRED")
    world.tell(coid)
    world.conduct(algo_id)
    algo = world.desk.algos.every[algo_id]
    assert (algo.filled, algo.target, algo.slots[0].target) == (D("0.02"), D("0.05"), D("0.05"))
    (left,) = [order for order in world.of(algo_id) if not order.over]
    assert left.total == D("0.03") == world.holds
    world.ack(left.row.client_order_id)
    world.trade(left.row.client_order_id, left.total)
    world.conduct(algo_id)
    assert (algo.status, algo.filled, world.position) == (Status.FINISHED, D("0.05"), None)


def refused_and_then_resting(world: MarketWorld, algo_id: str, *, refused: int) -> str:
    """The exchange keeps no record of what it refuses; the next order of the slot rests."""
    for _ in range(refused):
        world.conduct(algo_id)
        (live,) = [order for order in world.of(algo_id) if not order.over]
        world.refuse(live.row.client_order_id, "-5022: it would take")
        algo = world.desk.algos.every[algo_id]
        world.conduct(algo_id)
        algo.slots[0].tries = algo.slots[0].resume_at = 0
        world.pass_time(250)
    world.conduct(algo_id)
    (live,) = [order for order in world.of(algo_id) if not order.over]
    live.sent = True
    return live.row.client_order_id


@pytest.mark.parametrize("refused", [0, 3, 4, EXPECTED_STEPS - 1])
def test_however_many_the_exchange_refused_before_it_its_slot_knows_it(refused: int) -> None:
    world = MarketWorld()
    world.move(0)
    algo_id = world.start("pms.chase", **CHASE, postOnly=True).id
    known = len(world.postings)
    coid = refused_and_then_resting(world, algo_id, refused=refused)
    forgotten(world, entries=len(world.postings) - known)
    assert found(world, coid).spec.parent_id == algo_id
    world.conduct(algo_id)
    world.trade(coid, D("0.05"))
    world.conduct(algo_id)
    algo = world.desk.algos.every[algo_id]
    assert (algo.status, algo.filled, algo.slots[0].steps) == (Status.FINISHED, D("0.05"), refused + 1)
    assert len(world.of(algo_id)) == refused + 1, "nothing was placed beside it"


def test_started_again_it_counts_the_order_behind_many_that_were_refused() -> None:
    world = MarketWorld()
    world.move(0)
    request = "7d4c1f1e-0000-4000-8000-00000000a152"
    world.ask("pms.chase", **CHASE, postOnly=True, requestId=request)
    coid = refused_and_then_resting(world, request, refused=40)
    forgotten(world, entries=len(world.postings))
    assert found(world, coid).spec.parent_id is None
    world.restart()
    world.ask("pms.chase", **CHASE, postOnly=True, requestId=request)
    slot = world.desk.algos.every[request].slots[0]
    assert (slot.order_id, slot.steps) == (coid, 41)
    world.conduct(request)
    assert world.exposed(request) == D("0.05")


DAY = 86_400_000


def without_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """Orders are named as they were before the day of the start was part of it."""

    def named(*known: Any, started_at: int | None) -> str:
        return child_id(*known, started_at=None)

    monkeypatch.setattr("pms.domain.algos.children.child_id", named)


def test_a_request_that_is_repeated_when_it_is_forgotten_leaves_the_algo_that_runs_alone() -> None:
    world = PositionWorld()
    world.touch("60000", "60000.1")
    world.by_hand("BUY", "0.05")
    request = "7d4c1f1e-0000-4000-8000-00000000a153"
    terms = {"positionId": world.position_id, "takeProfit": "61000", "requestId": request}
    algo = world.start("pms.bracket", **terms)
    world.conduct(algo.id)
    (order,) = world.of(algo.id)
    world.ack(order.row.client_order_id)
    world.desk.requests.clear()
    with pytest.raises(Refusal) as refused:
        world.start("pms.bracket", **terms)
    assert (refused.value.code, refused.value.field) == (Code.REQUEST_ID_REUSED, "requestId")
    assert world.desk.algos.every[request] is algo
    assert algo.slots[1].order_id == order.row.client_order_id


def test_a_request_id_that_is_used_again_another_day_gives_its_orders_other_ids() -> None:
    request, ids = "7d4c1f1e-0000-4000-8000-00000000a154", []
    for now in (1_000, 1_000 + DAY):
        world = MarketWorld(now=now)
        world.move(0)
        algo = world.start("pms.chase", **CHASE, requestId=request)
        world.conduct(algo.id)
        ids += [order.row.client_order_id for order in world.of(algo.id)]
    assert len(set(ids)) == 2


@pytest.mark.parametrize(("later", "named_before"), [(DAY // 2, False), (DAY, False), (0, True), (DAY, True)])
def test_started_again_it_finds_its_orders_of_yesterday_and_those_that_were_named_without_a_day(
    later: int, named_before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = MarketWorld(now=DAY - 1_000)
    world.move(0)
    request = "7d4c1f1e-0000-4000-8000-00000000a155"
    with monkeypatch.context() as before:
        if named_before:
            without_a_day(before)
        world.ask("pms.chase", **CHASE, requestId=request)
        coid = refused_and_then_resting(world, request, refused=0)
    forgotten(world, entries=len(world.postings))
    found(world, coid)
    world.pass_time(later)
    world.move(0)
    world.ask("pms.chase", **CHASE, requestId=request)
    assert world.desk.algos.every[request].slots[0].order_id == coid


def test_an_order_that_was_named_without_a_day_is_its_slots_over_the_upgrade(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = MarketWorld()
    world.move(0)
    algo_id = world.start("pms.chase", **CHASE).id
    with monkeypatch.context() as before:
        without_a_day(before)
        coid = refused_and_then_resting(world, algo_id, refused=0)
    forgotten(world, entries=1)
    assert found(world, coid).spec.parent_id == algo_id
    assert world.desk.algos.every[algo_id].slots[0].order_id == coid


@pytest.mark.parametrize("word", ["M", "H", "H0", "H0.", "h00", "H000", "B12"])
def test_an_id_of_another_form_is_no_algo_s(word: str) -> None:
    world = MarketWorld()
    world.move(0)
    algo_id = world.start("pms.chase", **CHASE).id
    parent = child_id("alice", "H", algo_id, 0, 1, started_at=world.now).removeprefix("PMS_alice_H00_")
    book = world.desk.algos
    assert book.expecting(f"PMS_alice_H00_{parent}", LETTERS) is not None
    assert book.expecting(f"PMS_alice_{word}_{parent}", LETTERS) is None
    assert book.expecting(f"PMS_alice_{word}", LETTERS) is None


def test_what_was_adopted_is_forgotten_with_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    world = MarketWorld()
    world.move(0)
    algo_id = world.start("pms.chase", **CHASE).id
    coid = refused_and_then_resting(world, algo_id, refused=0)
    assert world.desk.algos.adopted.of("alice", "H", 0) == frozenset()
    forgotten(world, entries=len(world.postings))
    order = found(world, coid)
    assert world.desk.algos.adopted.of("alice", "H", 0) == {coid}
    monkeypatch.setattr("pms.domain.desk.KEPT_CLOSED_ORDERS", 0)
    world.end(coid, "CANCELED")
    assert order.state is State.CANCELLED
    assert coid not in world.desk.orders
    assert world.desk.algos.adopted.of("alice", "H", 0) == frozenset()


def test_an_algo_that_is_loaded_in_pieces_has_all_its_slots() -> None:
    world = MarketWorld()
    world.move(0)
    algo = world.start("pms.chase", **CHASE)
    row, slot = algo.row(at=1), algo.slot_row(algo.slots[0], at=1)
    for first, second in (((row,), ()), ((), (slot,))), (((), (slot,)), ((row,), ())):
        desk = Desk(epoch="new")
        desk.algos.load(*first)
        desk.algos.load(*second)
        assert desk.algos.every[algo.id].slots[0].target == D("0.05")
        assert list(desk.algos.by_symbol) == ["BTCUSDT"]
    end(algo, Status.CANCELLED, "enough")
    world.conduct(algo.id)
    assert world.desk.algos.by_symbol == world.desk.algos.by_account == {}
