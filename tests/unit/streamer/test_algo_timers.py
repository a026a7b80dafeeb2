"""An algo whose timer was lost is asked by the sweep; one whose time has not come is left alone."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "domain"))

from desk_maker import decide as decided
from desk_maker import desk_at

from pms.domain.algos.algo import Algo, Status
from pms.domain.desk import Desk
from pms.streamer.algos import Algos

NOW = 50_000
CHASE = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.05"}
TWAP = {"symbol": "BTCUSDT", "side": "BUY", "totalSize": "0.05", "lots": 5, "duration": 50}


def swept(desk: Desk) -> list[str]:
    """Who of a desk's algos is asked by a sweep."""
    algos = Algos(cast("Any", SimpleNamespace(desk=desk, now=lambda: NOW)), cast("Any", None), lambda: 0.0)
    algos.ask_late()
    return list(algos._due)


def started(desk: Desk, name: str, **terms: object) -> Algo:
    (row,) = decided(desk, name, subAccountId="alice", **terms).entry.rows.algos
    return desk.algos.every[row.id]


@pytest.mark.parametrize(
    ("wake_at", "asked"), [(NOW - 1, True), (NOW, False), (NOW + 1, False), (None, True)]
)
def test_a_timed_one_is_asked_when_its_time_has_come_or_is_unknown(wake_at: int | None, asked: bool) -> None:
    desk = desk_at()
    algo = started(desk, "pms.twap", **TWAP)
    algo.wake_at = wake_at
    assert swept(desk) == ([algo.id] if asked else [])


def test_one_that_waits_for_the_market_is_not_asked_and_neither_is_one_that_is_over() -> None:
    desk = desk_at()
    started(desk, "pms.chase", **CHASE)
    over = started(desk, "pms.twap", **TWAP)
    over.status = Status.FINISHED
    assert swept(desk) == []
