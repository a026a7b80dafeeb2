"""What leaves with what: a word that another is sure to follow waits for it, but never for long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any

import pytest
import pytest_asyncio

from pms.contract.journal import Entry
from pms.domain.posting import Posting
from pms.streamer import outbox as outboxes
from pms.streamer.outbox import BATCH, Outbox


class Calls:
    """A journal that notes what came in each call."""

    def __init__(self) -> None:
        self.made: list[list[int]] = []

    async def append(self, postings: Sequence[Posting]) -> list[bool]:
        self.made.append([posting.entry.seq for posting in postings])
        await asyncio.sleep(0)
        return [True] * len(postings)


def posting(seq: int) -> Posting:
    return Posting(Entry(v=1, seq=seq, prev=seq - 1, kind="noop", at=0))


@pytest_asyncio.fixture
async def calls() -> Calls:
    return Calls()


@pytest_asyncio.fixture
async def outbox(calls: Calls) -> AsyncIterator[Outbox]:
    journal: Any = calls
    outbox = Outbox(journal, withdraw=lambda _: None, sleep=asyncio.sleep)
    running = asyncio.create_task(outbox.run())
    yield outbox
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever waits for another waits longer than any test."""
    monkeypatch.setattr(outboxes, "LINGER_S", 600)


@pytest.mark.usefixtures("patient")
async def test_a_fill_takes_the_word_before_it_along(calls: Calls, outbox: Outbox) -> None:
    outbox.add(posting(1), followed=True)
    for _ in range(3):
        await asyncio.sleep(0)
    outbox.add(posting(2))
    await outbox.drained()
    assert calls.made == [[1, 2]]


async def test_a_word_that_nothing_follows_leaves_all_the_same(calls: Calls, outbox: Outbox) -> None:
    outbox.add(posting(1), followed=True)
    await outbox.drained()
    assert calls.made == [[1]]


@pytest.mark.usefixtures("patient")
async def test_nothing_waits_behind_what_is_urgent(calls: Calls, outbox: Outbox) -> None:
    """More than one call takes: the last of them goes at once too, though it ends with one that may wait."""
    for seq in range(1, BATCH + 1):
        outbox.add(posting(seq))
    outbox.add(posting(BATCH + 1))
    outbox.add(posting(BATCH + 2), followed=True)
    await outbox.drained()
    assert [len(call) for call in calls.made] == [BATCH, 2]
