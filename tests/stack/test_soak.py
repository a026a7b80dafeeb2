"""Kills, stops and cuts at random under load: the books agree to the last digit, and no answer lied.

A minute of it in every run; `make soak` goes on for ten.
"""

from __future__ import annotations

import json
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from soak import DESKS, Soak
from soak_system import PARTS, SoakSystem

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def soaked(pytestconfig: pytest.Config) -> AsyncIterator[SoakSystem]:
    paths = Path(tempfile.mkdtemp(prefix="pmsk-")), Path(tempfile.mkdtemp(prefix="pmsl-"))
    system = SoakSystem(*paths)
    try:
        await system.begin(*PARTS)
        system.start("watchdog")
        for desk in DESKS:
            await system.account(desk)
        yield system
    finally:
        await system.end()
        if not pytestconfig.getoption("--soak-keep"):
            for path in paths:
                shutil.rmtree(path, ignore_errors=True)


async def test_f2_a_soak_ends_with_books_that_agree(
    soaked: SoakSystem, pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    given = pytestconfig.getoption("--soak-seed")
    seed = secrets.randbelow(2**32) if given is None else given
    seconds = pytestconfig.getoption("--soak-seconds")

    def say(line: str) -> None:
        if seconds > 60:
            with capsys.disabled():
                print(line, flush=True)

    print(f"seed {seed}")
    soak = Soak(soaked, seed, say, pytestconfig.getoption("--soak-only"))
    await soak.run(seconds)
    figures = await soak.judge()
    with capsys.disabled():
        print(f"\n{json.dumps(figures, indent=1)}")
    assert len(soak.faults) >= seconds / 15
