"""A command that reaches the streamer once more is answered only where nobody else will do it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from pms.bus.requests import Record
from pms.contract.results import Result
from pms.domain.desk import Desk
from pms.streamer.process import Streamer

ANSWER = Result(success=True, request_id="r", command="pms.transfer", state="done")


def record(*, decision: str | None, result: bytes | None = None) -> Record:
    return Record("pms.transfer", b"{}", 1, 2, decision, [], None, result, None, "")


@pytest.mark.parametrize(
    ("known", "given"),
    [
        (record(decision="admitted", result=b"{}"), [ANSWER]),
        (record(decision="admitted"), []),
        (record(decision=None), [ANSWER]),
    ],
    ids=["answered", "PostgreSQL has not got it", "Redis forgot the decision"],
)
async def test_what_waits_for_postgresql_is_not_told_by_a_repeat(known: Record, given: list[Result]) -> None:
    told: list[Result] = []

    async def read(_: str) -> Record:
        return known

    async def give(answer: Result) -> None:
        told.append(answer)

    desk = SimpleNamespace(requests={"r": None}, orders={})
    streamer = SimpleNamespace(
        _requests=SimpleNamespace(read=read), _outbox=[], _desk=cast(Desk, desk), _give=give
    )
    await Streamer._repeated(cast(Any, streamer), ANSWER)
    assert told == given
