"""When the private stream is believed, and when it is doubted."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from pms.binance.answers import Balance, PositionRisk
from pms.binance.errors import Unknown
from pms.binance.user_messages import AccountUpdate, BalanceChange, PositionChange
from pms.streamer.engine import Venue
from pms.streamer.lifeline import EVERY_S, QUIET_BUSY_S, QUIET_IDLE_S, Lifeline


class Over(Exception):
    """The test has seen enough."""


class World:
    """A stream and an exchange that say what the test says, and a clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.frames = 0
        self.heard = 0.0
        self.doubts: list[str] = []
        self.asked = 0
        self.position, self.wallet = Decimal(1), Decimal(100)
        self.lost = False
        self.busy = True
        self.up = True
        self.asleep: Callable[[], None] = lambda: None
        self.venue = Venue(
            wallets={"USDT": Decimal(100)}, positions={"BTCUSDT": Decimal(1), "ETHUSDT": Decimal(0)}
        )
        self.line = Lifeline(
            stream=self,  # type: ignore[arg-type]
            client=self,  # type: ignore[arg-type]
            venue=self.venue,
            up=lambda: self.up,
            busy=lambda: self.busy,
            monotonic=lambda: self.now,
            sleep=self._sleep,
        )
        self.line.caught_up(0)

    async def run(self, seconds: float) -> None:
        self.end = self.now + seconds
        with pytest.raises(Over):
            await self.line.run()

    async def _sleep(self, seconds: float) -> None:
        self.now += seconds
        self.asleep()
        if self.now >= self.end:
            raise Over

    # --- the stream ---

    def tells(self, quantity: str, wallet: str = "100") -> None:
        """A frame comes, and whoever keeps the exchange's figures hears of it."""
        update = AccountUpdate(
            reason="ORDER",
            balances=[BalanceChange(asset="USDT", wallet=Decimal(wallet))],
            positions=[PositionChange(symbol="BTCUSDT", quantity=Decimal(quantity), entry_price=Decimal(1))],
        )
        self.line.account(update)
        self.venue.positions["BTCUSDT"], self.venue.wallets["USDT"] = Decimal(quantity), Decimal(wallet)

    def age(self) -> float:
        return self.now - self.heard

    def proven(self) -> None:
        self.heard = self.now

    def doubt(self, reason: str) -> None:
        self.doubts.append(reason)
        self.heard = self.now

    # --- the exchange ---

    async def position_risk(self) -> list[PositionRisk]:
        self.asked += 1
        if self.lost:
            raise Unknown("no answer")
        fields: dict[str, Any] = {"position_side": "BOTH", "entry_price": Decimal(1)}
        return [PositionRisk(symbol="BTCUSDT", position_amt=self.position, **fields)]

    async def balances(self) -> list[Balance]:
        return [Balance(asset="USDT", balance=self.wallet, available_balance=Decimal(0))]

    async def passes(self) -> None:
        """A pass of reconciliation: the exchange's figures are from here on what REST says they are."""
        self.venue.positions = {row.symbol: row.position_amt for row in await self.position_risk()}
        self.venue.wallets = {row.asset: row.balance for row in await self.balances()}


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(("busy", "quiet"), [(True, QUIET_BUSY_S), (False, QUIET_IDLE_S)])
async def test_silence_is_compared_with_the_exchange_and_proven(
    world: World, *, busy: bool, quiet: float
) -> None:
    world.busy = busy
    await world.run(quiet * 3 + 3 * EVERY_S)
    assert world.asked == 3
    assert world.doubts == []


@pytest.mark.parametrize("what", ["position", "wallet"])
async def test_what_moved_without_a_word_is_a_doubt_and_only_once(world: World, what: str) -> None:
    setattr(world, what, Decimal(7))
    await world.run(QUIET_BUSY_S * 5)
    assert len(world.doubts) == 1
    world.position = Decimal(8)
    await world.run(QUIET_BUSY_S * 2)
    assert len(world.doubts) == 2, "new evidence"


async def test_a_frame_on_its_way_is_waited_for(world: World) -> None:
    world.position = Decimal(2)

    def it_comes() -> None:
        if world.asked == 1:
            world.tells("2")

    world.asleep = it_comes
    await world.run(QUIET_BUSY_S * 2)
    assert world.doubts == []


async def test_a_stream_that_talks_meanwhile_is_not_doubted(world: World) -> None:
    world.position = Decimal(2)

    def talk() -> None:
        world.frames += 1

    world.asleep = talk
    await world.run(QUIET_BUSY_S * 3)
    assert world.doubts == []


async def test_rest_failing_proves_nothing(world: World) -> None:
    world.lost = True
    await world.run(QUIET_BUSY_S * 2)
    assert world.asked > 1
    assert (world.doubts, world.heard) == ([], 0)


async def test_a_stream_that_is_down_is_nobodys_question(world: World) -> None:
    world.up = False
    await world.run(QUIET_BUSY_S * 3)
    assert world.asked == 0


async def test_an_order_seen_newer_over_rest_is_a_doubt_after_two_seconds(world: World) -> None:
    world.line.overtaken(1000)
    await world.run(1.5)
    assert world.doubts == []
    await world.run(1.0)
    assert len(world.doubts) == 1
    world.line.overtaken(1000)
    await world.run(5)
    assert len(world.doubts) == 1, "the same evidence"


@pytest.mark.parametrize("heard_first", [True, False])
async def test_a_stream_that_tells_it_is_believed(world: World, *, heard_first: bool) -> None:
    if heard_first:
        world.line.heard(1000)
    world.line.overtaken(1000)
    await world.run(1)
    world.line.heard(1000)
    await world.run(3)
    assert world.doubts == []


async def test_what_was_caught_up_with_is_owed_no_more(world: World) -> None:
    world.line.overtaken(1000)
    world.line.caught_up(1000)
    world.line.overtaken(900)
    await world.run(5)
    assert world.doubts == []


@pytest.mark.parametrize("what", ["position", "wallet"])
async def test_what_rest_said_meanwhile_proves_nothing_of_the_stream(world: World, what: str) -> None:
    """A pass of reconciliation every thirty seconds always comes before the comparison."""
    setattr(world, what, Decimal(7))
    await world.passes()
    await world.run(QUIET_BUSY_S * 5)
    assert len(world.doubts) == 1
    world.line.caught_up(0)
    await world.run(QUIET_BUSY_S * 5)
    assert len(world.doubts) == 1, "the gap is closed, and the next stream is judged by what it tells"
    world.position, world.wallet = Decimal(8), Decimal(90)
    world.tells("8", "90")
    await world.run(QUIET_BUSY_S * 5)
    assert len(world.doubts) == 1
