"""A command that is refused whatever the price is has no symbol followed: each costs something for good."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "domain"))

from desk_maker import BTC, desk_at, request_id
from test_cancels_back_off import AtOnce

from pms.bus.inbox import Arrived
from pms.contract.codes import Code
from pms.contract.commands import Command
from pms.domain.decisions import Asked
from pms.streamer.engine import Engine, Gate

NEW = "XYZUSDT"
TERMS = {"symbol": NEW, "side": "BUY", "quantity": "1"}
COMMANDS: list[tuple[str, dict[str, Any]]] = [
    ("pms.trade", {**TERMS, "leverage": 1}),
    ("pms.batch", {"orders": [{**TERMS, "leverage": 1}]}),
    ("pms.chase", {**TERMS, "leverage": 1}),
    ("pms.adjust", {"symbol": NEW, "quantity": "1", "actor": "ops", "reason": "the books are wrong"}),
]


class Place:
    """An engine whose commands in a new symbol wait for ever."""

    def __init__(self) -> None:
        self.desk = desk_at()
        self.desk.instruments[NEW] = replace(BTC, symbol=NEW, base_asset="XYZ")
        self.followed: list[str] = []
        self.engine = Engine(self.desk, AtOnce(), gate=Gate(closed_because=None), redis_now_ms=lambda: 1_000)
        self.engine.follow = self.follow
        self.engine.local = self.local

    def follow(self, symbol: str, then: Callable[[], None]) -> bool:
        self.followed.append(symbol)
        return True

    def local(self, asked: Asked, command: Command) -> None:
        self.engine.decide_local(asked, command)

    def hear(self, name: str, account: str, fields: dict[str, Any]) -> str:
        asked = request_id()
        text = json.dumps({"requestId": asked, "subAccountId": account, **fields})
        self.engine.decide(Arrived(asked, name, text, 1_000, 6_000))
        return asked


@pytest.mark.parametrize(("name", "fields"), COMMANDS)
def test_a_command_for_nobody_is_refused_at_once(name: str, fields: dict[str, Any]) -> None:
    place = Place()
    asked = place.hear(name, "nobody", fields)
    assert place.desk.requests[asked][1].code == Code.UNKNOWN_ACCOUNT
    assert place.followed == []


@pytest.mark.parametrize(("name", "fields"), COMMANDS)
def test_a_command_of_an_account_waits_for_its_price(name: str, fields: dict[str, Any]) -> None:
    place = Place()
    asked = place.hear(name, "alice", fields)
    assert asked not in place.desk.requests
    assert place.followed == [NEW]


def test_a_correction_that_says_its_price_waits_for_none() -> None:
    place = Place()
    name, fields = COMMANDS[-1]
    asked = place.hear(name, "alice", {**fields, "price": "60000"})
    assert place.desk.requests[asked][1].success
    assert place.followed == []
