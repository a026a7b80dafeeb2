"""What an account holds has a price, however it came by it: else it is neither judged nor closed."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "domain"))

from desk_maker import BTC, D, decide, desk_at, move_price, request_id, trade
from filling import fill
from test_cancels_back_off import AtOnce
from test_settings_after_gap import Account, ended

from pms.bus.inbox import Arrived
from pms.domain.booking import Trade, book
from pms.domain.desk import Desk, Top
from pms.domain.tiers import tiers_of
from pms.streamer.engine import Engine, Gate
from pms.streamer.outside import Outside
from pms.streamer.risk import WAITS, RiskGuard

DOGE = "DOGEUSDT"


class Place:
    """An engine, its beat and its guard, on a market in which a symbol has a price once it is followed."""

    def __init__(self) -> None:
        self.desk = desk_at()
        self.desk.instruments[DOGE] = replace(BTC, symbol=DOGE, base_asset="DOGE")
        self.followed: list[str] = []
        self.waiting: list[Callable[[], None]] = []
        self.engine = Engine(self.desk, AtOnce(), gate=Gate(closed_because=None), redis_now_ms=lambda: 2_000)
        self.engine.follow = self.follow_for
        agenda: Any = SimpleNamespace(put=lambda _, in_s: None)
        self.engine.agenda = agenda
        self.account = Account()
        client: Any = self.account
        nothing: Any = None
        self.outside = Outside(self.engine, client, nothing, lambda: 0.0, lambda: True, self.follow)
        duties: Any = self.outside
        # The other duties have nothing to do here.
        duties._income_at = duties._margin_at = duties._funding_at = float("inf")
        self.guard = RiskGuard(
            self.engine,
            tiers_of=partial(tiers_of, self.desk),
            unwind=lambda: None,
            close=lambda _: None,
            fatal=lambda error: pytest.fail(str(error)),
        )
        self.guard.begin()

    def follow(self, symbol: str) -> None:
        self.followed.append(symbol)
        if symbol not in self.desk.tops:
            self.desk.price(symbol, Top(D(1), D(1), D("1.1"), D(1), 1))

    def follow_for(self, symbol: str, then: Callable[[], None]) -> bool:
        if symbol in self.desk.tops:
            return False
        self.waiting.append(then)
        return True

    async def beat(self) -> None:
        """One beat, which reads the account's settings as well."""
        duties: Any = self.outside
        duties._settings_at = 0.0
        self.outside.reconfigured()
        task = asyncio.create_task(self.outside.run())
        async with asyncio.timeout(60):
            await self.account.reads.get()
        await ended(task)


def imported(desk: Desk) -> None:
    decide(
        desk,
        "pms.import_position",
        subAccountId="alice",
        symbol=DOGE,
        quantity="100",
        entryPrice="1",
        leverage=5,
    )


def by_hand(desk: Desk) -> None:
    """Somebody trades at the exchange: the house holds it."""
    assert book(desk, Trade(DOGE, 7, 7, None, "BUY", D(1), D(100), D(0), "USDT", D(0), False, 1_000))


@pytest.mark.parametrize("comes", [imported, by_hand])
async def test_what_is_held_is_followed_with_the_next_beat(comes: Callable[[Desk], None]) -> None:
    place = Place()
    await place.beat()
    assert DOGE not in place.followed
    comes(place.desk)
    await place.beat()
    assert DOGE in place.followed


async def test_what_is_not_listed_is_not_followed() -> None:
    place = Place()
    imported(place.desk)
    del place.desk.instruments[DOGE]
    await place.beat()
    assert place.followed == []


async def test_who_was_handed_a_position_is_still_liquidated_by_his_others() -> None:
    place = Place()
    fill(place.desk, trade(place.desk, quantity="1.6"), price="60000")
    imported(place.desk)
    await place.beat()
    move_price(place.desk, "55000")
    place.guard.ticked("BTCUSDT")
    assert not place.desk.incidents.of_kind(WAITS)
    assert place.desk.held.get("alice") is None or not place.desk.held["alice"]


async def test_a_close_waits_for_its_position_s_price_as_a_trade_does() -> None:
    place = Place()
    imported(place.desk)
    position = place.desk.holds(("alice", DOGE, "BOTH"))
    assert position is not None
    asked = request_id()
    text = json.dumps({"requestId": asked, "positionId": position.id})
    place.engine.decide(Arrived(asked, "pms.close", text, 1_000, 6_000))
    assert asked not in place.desk.requests
    (then,) = place.waiting
    place.follow(DOGE)
    then()
    assert place.desk.requests[asked][1].success
