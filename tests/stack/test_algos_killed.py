"""Every kind of algo in the middle of its work, and the streamer, the workers or Redis killed under it.

A few of the cases in every run; `make kills` goes through all of them and prints the table.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from itertools import count
from pathlib import Path

import pytest
import pytest_asyncio
from killed_basket import BasketCase
from killed_case import IN_FLIGHT, MIDDLES, OVERDUE, PART_FILLED, RESTING, Case
from killed_judge import Killing, Row
from killed_protecting import PROTECTING, BracketCase, OcoCase, TrailCase
from killed_system import DEATHS, PARTS, Death, KilledSystem, RedisForgets, StreamerDies
from killed_table import lines
from killed_working import WORKING, ChaseCase, ScalperCase, SkippingTwapCase, TwapCase

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="module")]

KINDS: tuple[type[Case], ...] = (*WORKING, *PROTECTING, BasketCase)

SOME: dict[type[Death], dict[type[Case], str]] = {
    StreamerDies: {
        ChaseCase: PART_FILLED,
        SkippingTwapCase: OVERDUE,
        TrailCase: RESTING,
        BracketCase: OVERDUE,
        OcoCase: IN_FLIGHT,
        ScalperCase: RESTING,
        BasketCase: OVERDUE,
    },
    RedisForgets: {
        ChaseCase: IN_FLIGHT,
        TwapCase: PART_FILLED,
        TrailCase: IN_FLIGHT,
        BracketCase: IN_FLIGHT,
        OcoCase: PART_FILLED,
        ScalperCase: PART_FILLED,
    },
}
"""Those that differ most."""

_numbers = count(1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def killed(short_dirs: tuple[Path, Path]) -> AsyncIterator[KilledSystem]:
    system = KilledSystem(*short_dirs)
    try:
        await system.begin(*PARTS)
        yield system
    finally:
        await system.end()


def chosen(pytestconfig: pytest.Config) -> list[tuple[type[Death], dict[type[Case], str]]]:
    """Some of the cases, or all."""
    if not pytestconfig.getoption("--killed-all"):
        return list(SOME.items())
    words = [word for word in pytestconfig.getoption("--killed-only").split(",") if word]
    deaths = [death for name, death in DEATHS.items() if _named(name, DEATHS, words)]
    middles = [middle for middle in MIDDLES if _named(middle, MIDDLES, words)]
    names = [kind.kind for kind in KINDS]
    kinds = [kind for kind in KINDS if _named(kind.kind, names, words)]
    every = [
        (death, {kind: middle for kind in kinds if middle in kind.middles})
        for death in deaths
        for middle in middles
    ]
    return [(death, cases) for death, cases in every if cases]


def _named(name: str, like: Collection[str], words: Sequence[str]) -> bool:
    """Whether it is among those that are named; where none of its like is, all of them are meant."""
    return name in words or not any(word in like for word in words)


async def test_algos_go_on_where_they_were_when_anything_dies(
    killed: KilledSystem, pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    rows: list[Row] = []
    for death, middles in chosen(pytestconfig):
        cases = [kind(killed, middle, f"k{next(_numbers)}") for kind, middle in middles.items()]
        found = await Killing(killed, death, cases).run()
        rows += found
        with capsys.disabled():
            print("\n".join(lines(found)), flush=True)
        assert (await killed.audit())["agrees"]
    assert not wrong(rows), "\n".join(lines(wrong(rows)))


def wrong(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.faults]
