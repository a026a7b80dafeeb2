"""What a TWAP may be for, at its start and amended."""

from __future__ import annotations

import pytest
from market_world import D, MarketWorld
from twap_world import SLICE_MS, TWAP, after, algo_of, amend, fill, live, started

from pms.contract.codes import Code, Refusal
from pms.domain.algos.algo import Status


def test_slices_below_the_least_are_merged_and_told() -> None:
    world = MarketWorld()
    world.move(0)
    # 0.001 is worth 60: the least is one step; 5 slices of 0.0005 cannot be
    posting = world.ask("pms.twap", **{**TWAP, "totalSize": "0.003"})
    details = posting.results[0].details if posting.results else None
    (row,) = posting.entry.rows.algos
    assert [slot.target for slot in posting.entry.rows.algo_slots] == [D("0.001")] * 3
    assert [slot.due_at for slot in posting.entry.rows.algo_slots] == [1_000, 17_666, 34_333]
    assert details is None or details["slots"] == "3"
    assert row.target == D("0.003")


def test_a_market_that_fell_below_the_least_notional_carries_slices_on() -> None:
    world, algo_id = started(totalSize="0.005", onMissed="skip")
    fill(world, algo_id)
    world.mid = D("3000")  # 0.001 is worth 3 now; the least is 5
    world.move(0)
    sent = []
    for _ in range(4):
        after(world, algo_id, SLICE_MS)
        sent.append(fill(world, algo_id))
    assert sent == [D(0), D("0.002"), D(0), D("0.002")]
    assert algo_of(world, algo_id).reason == "filled"


@pytest.mark.parametrize(
    ("terms", "code", "field"),
    [
        ({"totalSize": "0"}, Code.QUANTITY_ZERO, "totalSize"),
        ({"totalSize": "0.0505555"}, Code.QUANTITY_STEP, "totalSize"),
        ({"totalSize": "0.00001"}, Code.QUANTITY_MIN, "totalSize"),
        ({"totalSize": "0.001"}, Code.QUANTITY_MIN, "totalSize"),  # not the full size at once by accident
        ({"lots": 0}, Code.BAD_FIELD, "lots"),
        ({"lots": 501}, Code.BAD_FIELD, "lots"),
        ({"duration": 1, "lots": 11}, Code.BAD_FIELD, "lots"),
        ({"duration": 0}, Code.BAD_FIELD, "duration"),
        ({"jitter": 101}, Code.BAD_FIELD, "jitter"),
        ({"mostCatchUp": "0.5"}, Code.BAD_FIELD, "mostCatchUp"),
        ({"limitPrice": "60000.05"}, Code.PRICE_TICK, "limitPrice"),
        ({"limitPrice": "0"}, Code.PRICE_RANGE, "limitPrice"),
        ({"timeInForce": "GTC"}, Code.TIME_IN_FORCE, "timeInForce"),
        ({"symbol": "NOPEUSDT"}, Code.UNKNOWN_SYMBOL, "symbol"),
        ({"positionSide": "LONG"}, Code.POSITION_SIDE, "positionSide"),
        ({"subAccountId": "nobody"}, Code.UNKNOWN_ACCOUNT, "subAccountId"),
    ],
)
def test_terms_that_cannot_be_are_refused_and_change_nothing(
    terms: dict[str, object], code: Code, field: str
) -> None:
    world = MarketWorld()
    world.move(0)
    with pytest.raises(Refusal) as refused:
        world.ask("pms.twap", None, **{"subAccountId": "alice", **TWAP, **terms})
    assert (refused.value.code, refused.value.field) == (code, field)
    assert world.desk.algos.every == {}


def test_one_lot_is_one_slice_for_who_asks_for_it() -> None:
    world, algo_id = started(lots=1, totalSize="0.001")
    assert fill(world, algo_id) == D("0.001")
    assert algo_of(world, algo_id).reason == "filled"


def test_more_is_spread_over_the_slices_to_come() -> None:
    world, algo_id = started()
    fill(world, algo_id)
    amend(world, algo_id, totalSize="0.09")
    slots = algo_of(world, algo_id).slots.values()
    assert [slot.target for slot in slots] == [D("0.01")] + [D("0.02")] * 4
    for _ in range(4):
        after(world, algo_id, SLICE_MS)
        fill(world, algo_id)
    assert algo_of(world, algo_id).filled == D("0.09")


def test_less_takes_from_what_is_to_come_and_ends_it_early() -> None:
    world, algo_id = started()
    fill(world, algo_id)
    after(world, algo_id, SLICE_MS)
    fill(world, algo_id)
    amend(world, algo_id, totalSize="0.02")
    world.conduct(algo_id)
    algo = algo_of(world, algo_id)
    assert (algo.status, algo.reason, algo.filled) == (Status.FINISHED, "filled", D("0.02"))


def test_never_less_than_is_filled_or_under_way() -> None:
    world, algo_id = started()
    with pytest.raises(Refusal) as refused:
        amend(world, algo_id, totalSize="0.009")
    assert (refused.value.code, refused.value.field, refused.value.limit) == (
        Code.BELOW_FILLED,
        "totalSize",
        "0.01",
    )
    amend(world, algo_id, totalSize="0.011")
    assert [slot.target for slot in algo_of(world, algo_id).slots.values()][:1] == [D("0.01")]
    after(world, algo_id, SLICE_MS)
    amend(world, algo_id, totalSize="0.01")
    fill(world, algo_id)
    assert algo_of(world, algo_id).reason == "filled"


def test_less_takes_nothing_from_an_order_that_lives() -> None:
    world, algo_id = started(limitPrice="59990", timeInForce="GTC")
    (first,) = live(world, algo_id)
    world.ack(first.spec.client_order_id)
    after(world, algo_id, SLICE_MS)
    world.end(first.spec.client_order_id, "CANCELED")
    amend(world, algo_id, totalSize="0.01")
    assert [slot.target for slot in algo_of(world, algo_id).slots.values()][:2] == [D(0), D("0.01")]


def test_what_the_slices_to_come_may_not_take_is_for_overtime_or_refused() -> None:
    for policy in ("catch_up", "skip"):
        world, algo_id = started(onMissed=policy)
        fill(world, algo_id)
        for _ in range(3):
            after(world, algo_id, SLICE_MS)
            fill(world, algo_id)
        if policy == "skip":
            with pytest.raises(Refusal) as refused:
                amend(world, algo_id, totalSize="0.1")
            assert (refused.value.code, refused.value.limit) == (Code.QUANTITY_MAX, "0.08")
            assert algo_of(world, algo_id).target == D("0.05")
            continue
        amend(world, algo_id, totalSize="0.1")
        sizes = []
        while algo_of(world, algo_id).status is Status.RUNNING:
            after(world, algo_id, SLICE_MS)
            sizes.append(fill(world, algo_id))
        assert sizes == [D("0.04"), D("0.02")]


def test_another_limit_moves_what_rests() -> None:
    world, algo_id = started(limitPrice="59990", timeInForce="GTC")
    (order,) = live(world, algo_id)
    world.ack(order.spec.client_order_id)
    amend(world, algo_id, limitPrice="59991")
    after(world, algo_id, 1_000)
    assert order.amend is not None
    assert (order.amend.price, order.amend.quantity) == (D("59991"), D("0.01"))


@pytest.mark.parametrize(
    ("terms", "code", "field"),
    [
        ({}, Code.MISSING_FIELD, "totalSize"),
        ({"limitPrice": "60000"}, Code.PRICE_UNWANTED, "limitPrice"),
        ({"duration": 5}, Code.UNKNOWN_FIELD, "duration"),
        ({"totalSize": "0.0100001"}, Code.QUANTITY_STEP, "totalSize"),
    ],
)
def test_amendments_that_cannot_be_are_refused(terms: dict[str, object], code: Code, field: str) -> None:
    world, algo_id = started()
    with pytest.raises(Refusal) as refused:
        amend(world, algo_id, **terms)
    assert (refused.value.code, refused.value.field) == (code, field)
