"""`pms halt` while no engine lives: it says what the send right finds, and nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from click.testing import CliRunner, Result
from redis import Redis

from pms.bus.connection import connect
from pms.cli import session
from pms.cli.halt import halt
from pms.contract import names
from pms.contract.journal import FORMAT, Entry, Rows, SubAccountRow, encode_entry
from pms.db import engine as engines
from pms.db.fold import fold

Halt = Callable[..., Result]
ALICE = Rows(
    sub_accounts=(SubAccountRow(id="alice", label="", status="ACTIVE", balance=Decimal(5), created_at=1),)
)


@pytest.fixture
def pms_halt(redis_url: str, database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Halt:
    """Run `pms halt` against servers behind which nobody lives, in books that know alice."""

    async def seed() -> None:
        async with connect(redis_url, name="test") as redis:
            engine = engines.create(database_url, name="test")
            entry = Entry(v=FORMAT, seq=1, prev=0, at=1, kind="order", rows=ALICE)
            await redis.xadd(names.JOURNAL, {"e": encode_entry(entry)}, id="1-0")
            await fold(redis, engine)
            await engine.dispose()

    asyncio.run(seed())
    monkeypatch.setenv("PMS_HOME", str(tmp_path))
    monkeypatch.setenv("PMS_REDIS_URL", redis_url)
    monkeypatch.setenv("PMS_DATABASE_URL", database_url)
    monkeypatch.setattr(session, "DEFAULT_TTL_MS", 0)
    monkeypatch.setattr(session, "SETTLE_GRACE_MS", 0)
    monkeypatch.setattr(session, "ANSWER_SLACK_S", 0.1)
    return lambda *words: CliRunner().invoke(halt, words)


@pytest.mark.parametrize(
    ("words", "told", "key"),
    [
        ((), "no order is sent", "pms:halt"),
        (("--reduce-only",), "no order that does not say reduceOnly is sent", "pms:halt"),
        (("alice",), "no order of alice is sent", "pms:halt:alice"),
    ],
)
def test_what_holds_is_told_as_it_stands(
    pms_halt: Halt, redis_url: str, words: tuple[str, ...], told: str, key: str
) -> None:
    said = pms_halt(*words, "--reason", "unwell")
    assert said.exit_code == 3
    assert f"the halt holds: {told}" in said.stderr
    with Redis.from_url(redis_url) as redis:
        assert json.loads(redis.get(key) or b"")["reason"] == "unwell"  # type: ignore[arg-type]


def test_a_stronger_halt_that_stands_is_what_is_told(pms_halt: Halt) -> None:
    pms_halt("--reason", "unwell")
    said = pms_halt("--reduce-only", "--reason", "let closes through")
    assert "the halt holds: no order is sent" in said.stderr


def test_an_account_that_is_misspelt_is_no_halt_of_anybody(pms_halt: Halt) -> None:
    said = pms_halt("alcie", "--reason", "unwell")
    assert said.exit_code == 3
    assert "holds" not in said.stderr
    assert "knows no sub-account alcie" in said.stderr


def test_a_halt_that_was_lost_is_told_as_none(
    pms_halt: Halt, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*_: Any, **__: Any) -> dict[str, Any]:
        raise session.Undecided("the line was lost")

    monkeypatch.setattr(session.Session, "send", lost)
    said = pms_halt("--reason", "unwell")
    assert said.exit_code == 3
    assert "does NOT hold" in said.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--reason", ""), "reason"),
        (("--reason", "x" * 201), "limit 200"),
        (("--reason", "unwell", "--actor", "x" * 81), "actor"),
        (("a/b", "--reason", "unwell"), "subAccountId"),
    ],
)
def test_what_no_engine_would_read_is_refused_at_once_and_holds_nothing(
    pms_halt: Halt, redis_url: str, words: tuple[str, ...], told: str
) -> None:
    said = pms_halt(*words)
    assert said.exit_code == 1, said.output
    assert told in said.stderr
    with Redis.from_url(redis_url) as redis:
        assert redis.keys("pms:halt*") == redis.keys("pms:request*") == []
