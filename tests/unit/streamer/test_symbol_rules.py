"""What the exchange changes in its symbols is taken over, and who holds them is judged by it."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "domain"))

from desk_maker import D, desk_at, trade
from filling import fill

from pms.binance.answers import SymbolConfig
from pms.bus.inbox import Outcome
from pms.contract.codes import Code, Refusal
from pms.contract.names import HOUSE
from pms.domain.desk import Top
from pms.domain.symbol_rules import UNLISTED
from pms.domain.tiers import tiers_of
from pms.streamer.engine import Engine, Gate
from pms.streamer.outbox import Outbox
from pms.streamer.outside import RULES_AGAIN_S, RULES_EVERY_S, Outside
from pms.streamer.risk import RiskGuard
from pms.streamer.symbol_rules import read_symbols

BTC, NEW = "BTCUSDT", "NEWUSDT"


@dataclass
class Exchange:
    """Says what its symbols are; a test changes it."""

    tick: str = "0.1"
    step: str = "0.001"
    status: str = "TRADING"
    ratio: str = "0.005"
    symbols: list[str] = field(default_factory=lambda: [BTC])
    reads: list[str] = field(default_factory=list)

    async def exchange_info(self, *, lane: str = "query") -> dict[str, Any]:
        self.reads.append(lane)
        return {"symbols": [self._row(symbol) for symbol in self.symbols]}

    async def leverage_brackets(self, *, lane: str = "query") -> list[dict[str, Any]]:
        step = {"initialLeverage": 20, "notionalFloor": 0, "notionalCap": 10_000_000}
        brackets = [step | {"maintMarginRatio": D(self.ratio)}]
        return [{"symbol": symbol, "brackets": brackets} for symbol in self.symbols]

    async def multi_assets_mode(self) -> bool:
        return False

    async def symbol_configs(self) -> list[SymbolConfig]:
        return [SymbolConfig(symbol=symbol, margin_type="ISOLATED", leverage=20) for symbol in self.symbols]

    def exchange_now_ms(self) -> int:
        return 1

    def _row(self, symbol: str) -> dict[str, Any]:
        filters = [
            {"filterType": "PRICE_FILTER", "tickSize": self.tick, "minPrice": "1", "maxPrice": "1000000"},
            {"filterType": "LOT_SIZE", "stepSize": self.step, "minQty": self.step, "maxQty": "1000"},
        ]
        assets = {"baseAsset": symbol[:3], "quoteAsset": "USDT", "marginAsset": "USDT"}
        return {"symbol": symbol, "status": self.status, "filters": filters, **assets}


class Nothing:
    """No funding is due."""

    async def poll(self, *, everything: bool) -> None:
        """Read nothing."""


@dataclass
class Made:
    exchange: Exchange
    engine: Engine
    outside: Any
    guard: RiskGuard
    now_s: float = 0.0

    def price(self, bid: str, ask: str) -> None:
        self.engine.desk.price(BTC, Top(D(bid), D(1), D(ask), D(1), 1))
        self.guard.ticked(BTC)

    def told(self) -> list[str]:
        return [row.detail for row in self.engine.desk.incidents.of_kind("symbol_rules")]


async def made() -> Made:
    """A streamer that has learned its symbols and watches its accounts."""
    nothing: Any = None
    exchange, desk = Exchange(), desk_at()
    client: Any = exchange
    desk.instruments = await read_symbols(client)
    exchange.reads.clear()
    outbox = Outbox(nothing, withdraw=lambda _: None, sleep=asyncio.sleep)
    engine = Engine(desk, outbox, gate=Gate(), redis_now_ms=lambda: 1)
    world: list[Made] = []
    outside: Any = Outside(
        engine, client, nothing, lambda: world[0].now_s if world else 0.0, lambda: True, lambda _: None
    )
    outside._income_at = outside._margin_at = float("inf")
    outside.fundings = Nothing()
    guard = RiskGuard(
        engine,
        tiers_of=partial(tiers_of, desk),
        unwind=lambda: None,
        close=lambda _: None,
        fatal=lambda error: None,
    )
    world.append(Made(exchange, engine, outside, guard))
    desk.price(BTC, desk.tops[BTC])
    guard.begin()
    return world[0]


async def test_a_price_on_the_new_tick_is_admitted() -> None:
    world = await made()
    desk, fine = world.engine.desk, {"type": "LIMIT", "price": "59999.95"}
    with pytest.raises(Refusal) as refused:
        trade(desk, **fine)
    assert refused.value.code == Code.PRICE_TICK
    world.exchange.tick = "0.05"
    await world.outside._read_rules()
    assert trade(desk, **fine).entry.rows.orders[0].price == D("59999.95")
    assert world.told() == []
    assert world.exchange.reads == ["background"]


async def test_who_is_between_the_two_lines_is_taken_over_without_the_price_moving() -> None:
    world = await made()
    desk = world.engine.desk
    fill(desk, trade(desk, quantity="1", leverage=20), price="60000")
    world.price("60000", "60000.1")
    world.price("60000", "60000.1")
    assert desk.quantity(("alice", BTC, "BOTH")) == 1
    world.exchange.ratio = "0.2"
    await world.outside._read_rules()
    world.price("60000", "60000.1")
    assert desk.quantity(("alice", BTC, "BOTH")) == 0
    assert desk.quantity((HOUSE, BTC, "BOTH")) == 1
    assert world.told() == ["the exchange changed BTCUSDT: maintenance margin is higher for alice"]


async def test_a_coarser_step_is_told_to_whom_it_leaves_with_dust() -> None:
    world = await made()
    desk = world.engine.desk
    fill(desk, trade(desk, quantity="0.015"), price="60000")
    fill(desk, trade(desk, "bob", quantity="0.02"), price="60000")
    world.exchange.step = "0.01"
    await world.outside._read_rules()
    (told,) = world.told()
    assert "step is 0.01" in told
    assert "alice" in told
    assert "bob" not in told


async def test_a_symbol_that_is_gone_stays_for_what_is_held_and_takes_no_orders() -> None:
    world = await made()
    desk = world.engine.desk
    fill(desk, trade(desk, quantity="0.015"), price="60000")
    world.exchange.symbols = [NEW]
    await world.outside._read_rules()
    assert desk.instruments[BTC].status == UNLISTED
    assert desk.instruments[BTC].step == D("0.001")
    assert len(world.told()) == 1
    with pytest.raises(Refusal) as refused:
        trade(desk)
    assert refused.value.code == Code.SYMBOL_STATUS
    await world.outside._read_rules()
    assert len(world.told()) == 1
    world.exchange.symbols = [BTC, NEW]
    await world.outside._read_rules()
    assert trade(desk).entry.rows.orders


async def test_a_new_symbol_is_known_and_its_settings_are_read() -> None:
    world = await made()
    world.exchange.symbols.append(NEW)
    await world.outside.read_settings()
    await world.outside._read_rules()
    assert NEW in world.engine.desk.instruments
    assert world.outside._settings_stale


async def test_a_torn_answer_changes_nothing() -> None:
    world = await made()
    before = dict(world.engine.desk.instruments)
    world.exchange.symbols = []
    await world.outside._guarded(world.outside._read_rules)
    assert world.engine.desk.instruments == before


async def test_rules_are_read_every_ten_minutes_and_soon_after_a_refusal_by_them() -> None:
    world = await made()
    task = asyncio.create_task(world.outside.run())
    reads = world.exchange.reads

    async def beat(at: float) -> None:
        """One turn of the loop at a time of ours; the settings are read first, and tell of the turn."""
        world.now_s = at
        world.outside._settings_at = at
        world.outside.reconfigured()
        async with asyncio.timeout(30):
            while world.outside._settings_stale or world.outside._woken.is_set():  # noqa: ASYNC110  nobody tells
                await asyncio.sleep(0)
        for _ in range(10):
            await asyncio.sleep(0)

    refused = Outcome("PMS_none", "worker", "refused", code=-4014, text="Price not increased by tick size.")
    for at, doubted, expected in (
        (1.0, False, 0),
        (2.0, True, 0),
        (RULES_AGAIN_S - 1, False, 0),
        (RULES_AGAIN_S, False, 1),
        (RULES_AGAIN_S + 1, True, 1),
        (2 * RULES_AGAIN_S, False, 2),
        (RULES_EVERY_S, False, 2),
        (2 * RULES_AGAIN_S + RULES_EVERY_S, False, 3),
    ):
        if doubted:
            world.engine.hear(refused)
        await beat(at)
        assert len(reads) == expected, at
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_brackets_that_are_left_out_are_the_last_ones() -> None:
    world = await made()
    before = world.engine.desk.instruments[BTC]
    world.exchange.tick, world.exchange.ratio = "0.05", "-1"
    await world.outside._read_rules()
    after = world.engine.desk.instruments[BTC]
    assert (after.tick, after.brackets) == (D("0.05"), before.brackets)
