"""Every algo on recorded frames, through Celery, streamer, workers and venue, faster than recorded.

Each way trades in a book of its own, all at once. What that costs is `pms bench execution`'s to tell, at the
recorded speed, since an algo's times are real time. Here: it is exact, it is bounded, and it trades.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import pytest
import pytest_asyncio

from benchmarks.execution import Played, played
from benchmarks.execution_basket import LegLane, Recipe, baskets
from benchmarks.execution_lanes import Lane, lanes
from benchmarks.execution_outcome import Outcome
from benchmarks.execution_table import wrong_as_a_whole
from benchmarks.execution_ways import CHASE_LEG, MARKET_LEG, TWAP_LEG, WAYS, Side
from benchmarks.samples import Progress
from benchmarks.tape import FOLDER, tapes
from pms.domain.algos.machines import MACHINES

pytestmark = [
    pytest.mark.stack,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(not FOLDER.is_dir(), reason="no ../shared: recorded market data is absent"),
]

RISING = "BTCUSDT"
SPEED = 5
BASKET = Recipe(
    "basket",
    "parallel",
    (("BTCUSDT", CHASE_LEG), ("ETHUSDT", MARKET_LEG), ("ETHUSDT", TWAP_LEG)),
)
"""Across both recordings: one side of it is bought, the other sold."""

PERCENT = Decimal(2)
"""The size of each, of what trades in the recording."""


def must_end(lane: Lane) -> bool:
    """What ends by its time; and on the first tape, on which the price ends higher, what a rise ends.

    Bought for: a short's trailing stop and its exits, and a long's exits, are reached where the tape stands
    still at last, whenever they came.
    """
    rises = lane.tape.symbol == RISING and lane.way.kind in {"trail_stop", "bracket"}
    return lane.way.timed or lane.way.name in {"market order", "market leg"} or rises


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def found() -> Played:
    """All ways on both recordings at once: bought on the one, sold on the other."""
    recorded = tapes()
    sides: dict[str, Side] = {tape.symbol: "BUY" if tape.symbol == RISING else "SELL" for tape in recorded}
    every = [lane for tape in recorded for lane in lanes(tape, PERCENT, sides=(sides[tape.symbol],))]
    (basket,) = baskets(recorded, PERCENT, sides=[sides], recipes=[BASKET], first=len(every))
    settings = {"PMS_MOST_LAG_MS": "1000"}
    return await played(
        [*every, *basket.legs], speed=SPEED, progress=Progress(), settings=settings, ends=must_end
    )


async def test_venue_record_and_postgresql_agree_to_the_last_digit(found: Played) -> None:
    assert [(named(each), why) for each in found.outcomes for why in each.disagreements()] == []
    legs = [each.lane for each in found.outcomes if isinstance(each.lane, LegLane)]
    assert len(found.outcomes) == 2 * len(WAYS) + len(legs)
    assert len(legs) == len(BASKET.legs)
    assert wrong_as_a_whole([legs[0].basket], found.outcomes) == {}
    assert found.audit["agrees"], found.audit


async def test_each_does_its_work_and_no_more(found: Played) -> None:
    for each in found.outcomes:
        way, size = each.lane.way, each.lane.size
        net = sum((one.quantity if one.side == "BUY" else -one.quantity for one in each.trades), Decimal(0))
        wanted = size if each.lane.side == "BUY" else -size
        told = (named(each), each.status, each.reason, net)
        assert each.status not in {"failed", "running", "rejected", "void"}, told
        if not way.round_trip:
            assert abs(net) <= size, told
            assert net * wanted >= 0, told
        if way.kind == "twap" or way is TWAP_LEG:
            # On a machine that stands still its time may be over first, and then it says so.
            assert net == wanted if each.reason == "filled" else abs(net) < size, told
        elif must_end(each.lane):
            assert net == (0 if way.round_trip else wanted), told
    assert all(each.orders for each in found.outcomes if each.lane.way.kind in {"chase", "scalper"})
    chased = [each for each in found.outcomes if each.lane.way.kind == "chase"]
    assert sum(len(each.trades) for each in chased) > 0
    assert {each.lane.way.kind for each in found.outcomes} == MACHINES.keys() | {"trade"}


async def test_maker_and_taker_are_told_apart_and_charged_as_such(found: Played) -> None:
    makes = {"market order": False, "limit at the touch": True, "twap": False, "trailing stop": False}
    makes |= {"market leg": False, "twap leg": False}
    for each in found.outcomes:
        for one in each.trades:
            rate = Decimal("0.0002") if one.maker else Decimal("0.0005")
            fee = (one.price * one.quantity * rate).quantize(one.commission, rounding=ROUND_HALF_UP)
            assert one.commission == fee, named(each)
            assert one.maker == makes.get(each.lane.way.name, one.maker), named(each)


def named(outcome: Outcome) -> str:
    """Which lane."""
    return f"{outcome.lane.way.name} {outcome.lane.side} in {outcome.lane.book}"
