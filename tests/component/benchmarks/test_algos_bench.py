"""`pms bench algos` does what it says: all its chases rest, move, and keep to the throttle."""

from __future__ import annotations

import pytest

from benchmarks import algos


async def test_its_chases_move_and_keep_to_their_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(algos, "TICKS", 2_500)
    figures = await algos.run()
    assert (figures["n"], figures["algos"], figures["asked_a_tick"]) == (2_500, 200, 10)
    assert figures["moves"] > 0
    assert figures["most_moves_in_10s"] <= figures["allowed_moves_in_10s"] == 100
