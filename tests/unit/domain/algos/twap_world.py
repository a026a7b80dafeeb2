"""What the tests of TWAPs begin with, and a judge of them by the exchange's own reckoning."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_UP, Decimal

from any_order import come_to_rest
from hypothesis import strategies as st
from market_world import D, MarketWorld

from pms.domain.algos.algo import Algo
from pms.domain.algos.ids import slot_of
from pms.domain.algos.volumes import MINUTE_MS, MINUTES
from pms.domain.orders import Order

TWAP = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "totalSize": "0.05",
    "lots": 5,
    "duration": 50,
    "leverage": 10,
}
SLICE_MS = 10_000
DAY_MS = MINUTES * MINUTE_MS
TOTAL = D("0.05")


def started(**terms: object) -> tuple[MarketWorld, str]:
    """A TWAP just asked once: its first slice is on its way."""
    world = MarketWorld()
    world.move(0)
    algo = world.start("pms.twap", **{**TWAP, **terms})
    world.conduct(algo.id)
    return world, algo.id


def algo_of(world: MarketWorld, algo_id: str) -> Algo:
    return world.desk.algos.every[algo_id]


def live(world: MarketWorld, algo_id: str) -> list[Order]:
    """The orders that live."""
    return [world.desk.orders[each.row.client_order_id] for each in world.of(algo_id) if not each.over]


def fill(world: MarketWorld, algo_id: str) -> Decimal:
    """Trade what lives; returns how much."""
    filled = D(0)
    for order in live(world, algo_id):
        world.trade(order.spec.client_order_id, order.leaves)
        filled += order.quantity
    world.conduct(algo_id)
    return filled


def after(world: MarketWorld, algo_id: str, ms: int) -> None:
    """Time passes, and it is asked."""
    world.pass_time(ms)
    world.conduct(algo_id)


def amend(world: MarketWorld, algo_id: str, **terms: object) -> None:
    world.ask("pms.twap", None, algoId=algo_id, action="amend", **terms)


MODES: dict[str, dict[str, object]] = {
    "market": {},
    "ioc": {"limitPrice": "60010"},
    "gtc": {"limitPrice": "60000", "timeInForce": "GTC"},
    "passive": {"passive": True},
    "passive within": {"passive": True, "limitPrice": "60000"},
}
TOTALS = ("0.013", "0.03", "0.05", "0.051", "0.08")


TERMS = st.fixed_dictionaries(
    {
        "duration": st.just(30),
        "onMissed": st.sampled_from(["catch_up", "skip"]),
        "jitter": st.sampled_from([0, 100]),
        "mostCatchUp": st.sampled_from(["1", "1.7", "3"]),
    }
)


@dataclass
class Judge:
    """Judges an algo by the exchange's own reckoning."""

    world: MarketWorld
    algo_id: str
    multiple: Decimal
    widest: Decimal = TOTAL
    #: the largest total that it ever had

    def look(self) -> None:
        world, algo = self.world, algo_of(self.world, self.algo_id)
        assert world.exposed(self.algo_id) <= algo.target
        assert algo.filled == world.told(self.algo_id)
        planned = sum((slot.target for slot in algo.slots.values()), D(0))
        assert planned + D(algo.memory["missed"]) + D(algo.memory["carried"]) == algo.target
        self.widest = max(self.widest, algo.target)
        even = (self.widest / 5).quantize(D("0.001"), ROUND_UP)
        by_slice: dict[int, Decimal] = {}
        for order in world.of(self.algo_id):
            number = slot_of(order.row.client_order_id)
            by_slice[number] = by_slice.get(number, D(0)) + order.exposed
        assert all(exposed <= algo.slots[number].target for number, exposed in by_slice.items())
        # What is too little for an order of its own may come on top
        assert max(by_slice.values(), default=D(0)) < even * self.multiple + D("0.001")


def calm_down(world: MarketWorld, algo_id: str, judge: Judge) -> None:
    """All comes to rest, a second after the other: what lives trades."""
    world.mid = D("59990")
    for _ in range(120):
        world.move(0)
        come_to_rest(world, algo_id)
        judge.look()
        if algo_of(world, algo_id).status.over and not live(world, algo_id):
            break
        world.pass_time(1_000)
