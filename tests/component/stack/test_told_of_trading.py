"""What `pms status` and `pms doctor` make of a system whose parts are up: does it trade?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from pms.cli.status import View
from pms.config import Settings
from pms.stack import checks, pulse, state
from pms.stack.places import Places

ALL = {
    "subAccountId": None,
    "mode": "HALTED",
    "reason": "unwell",
    "actor": "ann",
    "since": 1,
    "requestId": "r",
}


def told(url: str, **health: Any) -> None:
    with Redis.from_url(url) as redis:
        redis.set("pms:health", json.dumps({"state": "live", "admission": True, "halts": [], **health}))


def found(url: str, places: Places) -> dict[str, str]:
    settings = Settings(redis_url=url)
    return {each.what: each.level for each in checks.check_trading(settings, places)}


def healthy(url: str, places: Places) -> bool:
    part = state.Part(name="streamer", address="", state="ready")
    stack = state.Stack(state.me(), 0.0, "1", "s", False, "ready", [part])
    view = View(
        settings=Settings(redis_url=url),
        places=places,
        stack=stack,
        parts=[{"state": "ready"}],
        seen=pulse.take(url, []),
        fault=None,
    )
    return view.healthy


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    monkeypatch.setattr(checks, "_running", lambda _places: True)
    return Places(tmp_path, tmp_path / "system", as_root=False)


def test_a_system_that_trades_is_well(redis_url: str, places: Places) -> None:
    told(redis_url)
    assert found(redis_url, places) == {"commands are admitted": "ok"}
    assert healthy(redis_url, places)


def test_closed_admission_is_a_fault(redis_url: str, places: Places) -> None:
    told(redis_url, admission=False, reason="the user stream is down")
    assert found(redis_url, places) == {"commands are refused: the user stream is down": "fail"}
    assert not healthy(redis_url, places)


def test_parts_without_a_streamer_that_leads_are_a_fault(redis_url: str, places: Places) -> None:
    assert list(found(redis_url, places).values()) == ["fail"]
    assert not healthy(redis_url, places)


def test_a_halt_is_told_and_is_no_fault(redis_url: str, places: Places) -> None:
    told(redis_url, halts=[ALL, {**ALL, "subAccountId": "alice"}])
    assert found(redis_url, places)["halted: all trading, alice"] == "warn"
    assert healthy(redis_url, places)


def test_a_halt_of_which_no_streamer_tells_is_read_from_its_key(redis_url: str, places: Places) -> None:
    told(redis_url)
    with Redis.from_url(redis_url) as redis:
        redis.set("pms:halt", json.dumps(ALL))
    assert found(redis_url, places)["halted: all trading"] == "warn"


def test_incidents_are_counted_until_they_are_resolved(redis_url: str, places: Places) -> None:
    told(redis_url)
    with Redis.from_url(redis_url) as redis:
        for number, told_state in enumerate(("open", "open", "acknowledged")):
            redis.hset("pms:incidents:open", str(number), json.dumps({"state": told_state}))
    seen = pulse.take(redis_url, [])
    assert (seen.open_incidents, seen.acknowledged_incidents) == (2, 1)
    assert found(redis_url, places)["2 incidents that nobody has acknowledged"] == "warn"
