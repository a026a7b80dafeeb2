"""Panic is sure of a symbol that the exchange does not trade, and of no other that is refused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from pms.binance.errors import ExchangeError, NotFound, Refused, Unknown
from pms.flows.panic import Panic, cancel_everything

GONE = "GONEUSDT"
INVALID_SYMBOL = Refused("Invalid symbol.", code=-1121, http=400)


class Exchange:
    """An exchange that refuses one symbol; its lists may show something, or fail for a while."""

    def __init__(self, refusal: ExchangeError) -> None:
        self.refusal = refusal
        self.ordered: list[str] = []
        self.held: list[str] = []
        self.positions_fail = 0
        self.looks = 0

    async def cancel_all(self, symbol: str) -> None:
        if symbol == GONE:
            raise self.refusal

    async def open_orders(self) -> list[Any]:
        self.looks += 1
        return [SimpleNamespace(symbol=symbol) for symbol in self.ordered]

    async def open_algo_orders(self) -> list[Any]:
        return []

    async def position_risk(self) -> list[Any]:
        if self.positions_fail:
            self.positions_fail -= 1
            raise Unknown("no answer")
        return [SimpleNamespace(symbol=symbol) for symbol in self.held]


async def panicked(exchange: Exchange) -> tuple[bool, list[str]]:
    """Whether all orders are gone, and what was said."""
    said: list[str] = []

    async def sleep(_: float) -> None: ...

    deps = Panic(client=cast(Any, exchange), sleep=sleep, new_id=str, say=said.append)
    return await cancel_everything(deps, ["BTCUSDT", GONE]), said


@pytest.mark.parametrize("code", [-1121, -4141])
async def test_a_symbol_that_is_not_traded_holds_nothing_up(code: int) -> None:
    exchange = Exchange(Refused("no such symbol", code=code, http=400))
    gone, said = await panicked(exchange)
    assert gone
    assert exchange.looks == 2
    assert any(GONE in line and "no order and no position" in line for line in said)


@pytest.mark.parametrize("where", ["ordered", "held"])
async def test_it_does_where_a_list_shows_it(where: str) -> None:
    exchange = Exchange(INVALID_SYMBOL)
    setattr(exchange, where, [GONE])
    assert not (await panicked(exchange))[0]


async def test_as_long_as_a_list_is_missing_nothing_is_sure() -> None:
    exchange = Exchange(INVALID_SYMBOL)
    exchange.positions_fail = 3
    gone, _ = await panicked(exchange)
    assert gone
    assert exchange.looks == 5


async def test_no_other_refusal_says_as_much() -> None:
    exchange = Exchange(Refused("Invalid API-key, IP, or permissions for action.", code=-2015, http=401))
    assert not (await panicked(exchange))[0]


class Triggering(Exchange):
    """A stop triggers while it is cancelled; openOrders shows its order half a minute later."""

    def __init__(self) -> None:
        super().__init__(INVALID_SYMBOL)
        self.stops = ["FOOUSDT"]
        self.resting: list[str] = []

    async def cancel_all(self, symbol: str) -> None:
        if symbol in self.resting:
            self.resting.remove(symbol)

    async def open_algo_orders(self) -> list[Any]:
        return [SimpleNamespace(symbol=symbol, client_algo_id="web_1") for symbol in self.stops]

    async def cancel_algo_order(self, *, client_algo_id: str) -> None:
        self.resting, self.stops = self.stops, []
        raise NotFound("Unknown order sent.", code=-2011)


async def test_what_a_stop_left_when_it_triggered_is_cancelled_though_no_list_shows_it() -> None:
    exchange = Triggering()
    gone, _ = await panicked(exchange)
    assert gone
    assert exchange.resting == []


async def test_a_symbol_in_which_a_stop_waits_is_not_taken_for_none() -> None:
    exchange = Exchange(INVALID_SYMBOL)

    async def stops() -> list[Any]:
        return [SimpleNamespace(symbol=GONE, client_algo_id="web_1")] if exchange.looks < 3 else []

    async def cancel(*, client_algo_id: str) -> None: ...

    exchange.open_algo_orders, exchange.cancel_algo_order = stops, cancel  # type: ignore[method-assign, attr-defined]
    assert (await panicked(exchange))[0]
    assert exchange.looks == 4
