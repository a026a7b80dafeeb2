"""A worker starts without the exchange: the ledger goes on through a ban, or an outage of hours."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from entries import entry, journal
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from pms.archive.reader import Reader
from pms.archive.writer import Writer
from pms.binance.client import ExchangeClient
from pms.binance.errors import Throttled
from pms.flows.drain import Archive, drain
from pms.tasks.runtime import build


@pytest.fixture
def nobody_there(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A worker's settings, with an exchange at an address where nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        settings = {
            "HOME": str(tmp_path),
            "REDIS_URL": redis_url,
            "BINANCE_REST_URL": f"http://127.0.0.1:{bound.getsockname()[1]}",
            "BINANCE_API_KEY": "key",
            "BINANCE_API_SECRET": "secret",
        }
        for name, value in settings.items():
            monkeypatch.setenv(f"PMS_{name}", value)
        yield


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(Writer(tmp_path / "archive"), Reader(tmp_path / "archive"))


async def folds(redis: Redis, engine: AsyncEngine, archive: Archive) -> None:
    """A worker starts, and folds what the journal holds."""
    await journal(redis, [entry(seq) for seq in range(1, 6)])
    made = await build(asyncio.get_running_loop())
    try:
        assert await drain(made.redis, engine, archive=archive) == 5
    finally:
        assert made.serving.decisions.task is not None
        made.serving.decisions.task.cancel()
        await made._close()


@pytest.mark.usefixtures("nobody_there")
async def test_where_nobody_answers(redis: Redis, engine: AsyncEngine, archive: Archive) -> None:
    await folds(redis, engine, archive)


@pytest.mark.usefixtures("nobody_there")
async def test_where_it_turns_us_away(
    redis: Redis, engine: AsyncEngine, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def server_time(_: ExchangeClient) -> int:
        raise Throttled("banned", retry_after=600.0, http=418)

    monkeypatch.setattr(ExchangeClient, "server_time", server_time)
    await folds(redis, engine, archive)
