"""A requestId that named an algo before: what that one filled is not the next one's."""

from __future__ import annotations

from uuid import uuid4

import pytest
from market_world import D
from msgspec.structs import replace
from position_world import PositionWorld

from pms.contract.journal import AlgoRow, AlgoSlotRow
from pms.domain.algos.algo import Algo, Status
from pms.domain.algos.book import KEPT_ENDED, AlgoBook
from pms.domain.algos.ids import DAY_MS

Key = tuple[str, int]


def held(world: PositionWorld) -> str:
    world.touch("60000", "60000.1")
    world.by_hand("BUY", "0.05")
    return world.position_id


def fill(world: PositionWorld, algo: Algo) -> None:
    world.conduct(algo.id)
    for order in [each for each in world.of(algo.id) if not each.over]:
        world.ack(order.row.client_order_id)
        world.trade(order.row.client_order_id, order.total)
    world.conduct(algo.id)


def twice(world: PositionWorld) -> Algo:
    """A trailing stop under the id of a bracket that has closed a position of the same size."""
    name = str(uuid4())
    world.start("pms.bracket", requestId=name, positionId=held(world), stopLoss="59000")
    world.touch("58000", "58000.1")
    fill(world, world.desk.algos.every[name])
    assert world.desk.algos.every[name].status is Status.FINISHED
    # A life later nobody knows of it.
    world.desk.algos = AlgoBook()
    world.pass_time(2 * DAY_MS)
    return world.start("pms.trail_stop", requestId=name, positionId=held(world), callbackPct="1")


def tables(world: PositionWorld) -> tuple[dict[str, AlgoRow], dict[Key, AlgoSlotRow]]:
    """What PostgreSQL keeps: of each key the newest row."""
    algos, slots = {}, {}
    for posting in world.postings:
        algos |= {row.id: row for row in posting.entry.rows.algos}
        slots |= {(row.algo_id, row.slot): row for row in posting.entry.rows.algo_slots}
    return algos, slots


def test_the_next_life_reads_no_slots_of_the_earlier_one() -> None:
    world = PositionWorld()
    algo = twice(world)
    algos, slots = tables(world)
    assert sorted(slot for _, slot in slots) == [0, 1, 2]
    world.desk.algos = AlgoBook()
    world.desk.algos.load(tuple(algos.values()), tuple(slots.values()))
    algo = world.desk.algos.every[algo.id]
    assert (sorted(algo.slots), algo.filled) == ([0], 0)
    world.conduct(algo.id)
    world.touch("59000", "59000.1")
    fill(world, algo)
    assert (algo.status, world.holds) == (Status.FINISHED, 0)


def test_nor_where_the_journal_still_tells_of_both() -> None:
    world = PositionWorld()
    algo_id = twice(world).id
    world.restart()
    algo = world.desk.algos.every[algo_id]
    assert (sorted(algo.slots), algo.filled, algo.kind) == ([0], 0, "trail_stop")
    row = algo.row(at=world.now)
    for number in range(KEPT_ENDED):
        ended = replace(row, id=str(number), status="finished", ended_at=1)
        world.desk.algos.load((ended,), ())
    assert algo_id in world.desk.algos.every


@pytest.mark.parametrize("late", [1, 3_600_000])
def test_a_trade_that_seems_to_be_before_the_start_is_kept(late: int) -> None:
    world = PositionWorld()
    algo = world.start("pms.trail_stop", positionId=held(world), callbackPct="1")
    algo.slots[0].filled = D("0.01")
    # The exchange's clock, or ours put back.
    row = algo.slot_row(algo.slots[0], at=algo.started_at - late)
    book = AlgoBook()
    book.load((algo.row(at=world.now),), (row,))
    assert book.every[algo.id].filled == D("0.01")
