"""The outbox before a real journal: what a call on its way leaves to whoever comes behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from chain import Chain

from pms.domain.posting import Posting
from pms.streamer.outbox import Outbox


class Slow(Outbox):
    """An outbox over a journal that writes at once and answers never, until `answers`."""

    def __init__(self, chain: Chain) -> None:
        super().__init__(chain.journal, withdraw=lambda _: None, sleep=asyncio.sleep)
        self.written_once, self.answers = asyncio.Event(), asyncio.Event()
        self._real = chain.journal.append
        chain.journal.append = self._append_slowly  # type: ignore[method-assign]

    async def _append_slowly(self, postings: list[Posting]) -> list[bool]:
        held = await self._real(postings)
        self.written_once.set()
        await self.answers.wait()
        return held


@pytest.fixture
async def slow(chain: Chain) -> AsyncIterator[Slow]:
    outbox = Slow(chain)
    running = asyncio.create_task(outbox.run())
    for _ in range(3):
        outbox.add(chain.posting())
    await outbox.written_once.wait()
    for _ in range(5):
        outbox.add(chain.posting(kind="behind"))
    yield outbox
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_an_orderly_end_journals_what_waits_behind_a_call_on_its_way(chain: Chain, slow: Slow) -> None:
    (running,) = [each for each in asyncio.all_tasks() if "Outbox.run" in repr(each)]
    running.cancel()
    await asyncio.wait([running])
    slow.answers.set()
    await slow.flush()
    assert await chain.kinds() == ["test"] * 3 + ["behind"] * 5
    assert len(slow) == 0


async def test_it_says_up_to_where_the_journal_is_surely_written(slow: Slow) -> None:
    assert slow.written() == 0, "no reply was heard"
    slow.answers.set()
    await slow.drained()
    assert slow.written() is None
