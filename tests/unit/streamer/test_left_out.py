"""A fault of ours in the middle of a booking ends that life: no trade is lost, and no later life ends."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "domain"))

from desk_maker import desk_at, trade

from pms.binance.client import UserTrade
from pms.domain.booking import observe
from pms.domain.desk import Desk
from pms.domain.orders import Order, Seen
from pms.streamer import lives
from pms.streamer.agenda import Agenda
from pms.streamer.attention import trade_from
from pms.streamer.catch_up import CatchUp
from pms.streamer.engine import Engine, Gate
from pms.streamer.left_out import LEFT_OUT, LeftOut, Spoiled
from pms.streamer.outbox import Outbox

SYMBOL, NUMBER, FIRST, LAST = "BTCUSDT", 7, 100, 102
SUBJECT = f"{SYMBOL}:{NUMBER}:{FIRST}"


def row(number: int) -> UserTrade:
    return UserTrade(
        symbol=SYMBOL,
        id=number,
        order_id=NUMBER,
        side="BUY",
        price=Decimal(60_000),
        qty=Decimal("0.01"),
        commission=Decimal(0),
        commission_asset="USDT",
        realized_pnl=Decimal(0),
        maker=False,
        time=5_000,
    )


class Exchange:
    """It has filled the order in three trades, all of them old enough to be proven."""

    def exchange_now_ms(self) -> int:
        return 60_000

    async def user_trades(self, *, from_id: int, **_: object) -> list[UserTrade]:
        return [row(number) for number in range(max(from_id, FIRST), LAST + 1)]


@dataclass
class Life:
    """One life of the streamer: a desk as the journal has it, and the order that the exchange has filled."""

    left_out: LeftOut = field(default_factory=LeftOut)
    ended: list[Exception] = field(default_factory=list)

    def __post_init__(self) -> None:
        nothing: Any = None
        client: Any = Exchange()
        self.desk = desk_at()
        placed = trade(self.desk, quantity="0.03")
        self.order: Order = self.desk.orders[placed.entry.rows.orders[0].client_order_id]
        observe(self.desk, self.order, Seen(NUMBER, "NEW", Decimal(0)), at=2_000)
        self.began_at = self.desk.last_seq
        self.outbox = Outbox(nothing, withdraw=lambda _: None, sleep=asyncio.sleep)
        self.engine = Engine(self.desk, self.outbox, gate=Gate(), redis_now_ms=lambda: 60_000)
        self.engine.agenda = Agenda(_nobody, clock=lambda: 0.0)
        self.engine.left_out, self.engine.spoiled = self.left_out, self._end
        self.catch_up = CatchUp(self.engine, client)

    def _end(self, error: Exception) -> None:
        self.outbox.close()
        self.ended.append(error)

    @property
    def journal(self) -> list[Any]:
        return [waiting.posting.entry for waiting in self.outbox._waiting]

    @property
    def booked(self) -> list[int]:
        return [fill.trade_id for entry in self.journal for fill in entry.rows.fills]

    @property
    def proven(self) -> list[int]:
        return [cursor.trade_id for entry in self.journal for cursor in entry.rows.cursors]


async def _nobody(_: str) -> float | None:
    return None


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Whoever tells an account as it stands after its first trade raises."""
    snapshot = Desk.snapshot

    def broken(desk: Desk, account: str) -> Any:
        if (
            desk.position("alice", SYMBOL).quantity == Decimal("0.01")
            and (SYMBOL, NUMBER, FIRST) in desk.trades
        ):
            raise ArithmeticError("beyond the context")
        return snapshot(desk, account)

    with monkeypatch.context() as patch:
        patch.setattr(Desk, "snapshot", broken)
        yield patch


async def test_a_fault_in_a_booking_ends_that_life_with_the_cursor_before_the_trade(
    fault: pytest.MonkeyPatch,
) -> None:
    life = Life()
    with pytest.raises(Spoiled):
        await life.catch_up.trades(SYMBOL)
    assert [type(error) for error in life.ended] == [Spoiled]
    # Whoever still runs journals nothing more, though memory takes the trade for known.
    await life.catch_up.trades(SYMBOL)
    assert (life.booked, life.proven) == ([], [])
    assert [entry.prev for entry in life.journal] == [life.began_at]
    assert [incident.kind for incident in life.journal[0].rows.incidents] == ["task_failed"]
    assert life.left_out.trades == {(SYMBOL, NUMBER, FIRST)}


async def test_the_next_life_leaves_it_out_and_goes_on_until_it_can_be_booked(
    fault: pytest.MonkeyPatch,
) -> None:
    before = Life()
    with pytest.raises(Spoiled):
        await before.catch_up.trades(SYMBOL)
    life = Life(before.left_out)
    for _ in range(2):
        await life.catch_up.trades(SYMBOL)
    assert not life.ended
    assert (life.booked, life.proven) == ([101, 102], []), "the cursor stays before what is owed"
    assert life.order.trades_missing is False
    assert life.desk.incidents.get(LEFT_OUT, SUBJECT) is not None
    fault.undo()
    life.engine.left_out = LeftOut()  # as another process has it
    await life.catch_up.trades(SYMBOL)
    assert (life.booked, life.proven) == ([101, 102, 100], [LAST])
    assert life.desk.position("alice", SYMBOL).quantity == Decimal("0.03")
    assert life.desk.incidents.get(LEFT_OUT, SUBJECT) is None


async def test_the_word_that_came_with_it_is_heard_all_the_same() -> None:
    """Else nobody would ask after an order whose last trade is left out."""
    life = Life(LeftOut(trades={(SYMBOL, NUMBER, FIRST)}))
    from_feed = Seen(NUMBER, "FILLED", Decimal("0.03"))
    assert not life.engine.book(_trade(FIRST, life.order), seen=from_feed)
    assert life.order.trades_missing


async def test_a_spoiled_life_is_followed_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    real = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", lambda _: real(0))
    faults: list[Exception] = [Spoiled("a trade"), Spoiled("another"), RuntimeError("what no life mends")]
    begun: list[bool] = []

    class Short:
        async def run(self) -> None:
            raise faults[len(begun) - 1]

    def new_life(standby: bool) -> Any:
        begun.append(standby)
        return Short()

    with pytest.raises(RuntimeError):
        await lives.live(new_life)
    assert begun == [False, False, False], "nobody else leads meanwhile"


def _trade(number: int, order: Order) -> Any:
    return trade_from(row(number), order.spec.client_order_id)
