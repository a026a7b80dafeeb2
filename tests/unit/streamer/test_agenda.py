"""The agenda: a subject is looked at by one look at a time, and none is forgotten."""

from __future__ import annotations

import asyncio

from pms.streamer.agenda import Agenda


async def test_what_is_put_again_while_all_are_busy_is_looked_at_once_at_a_time() -> None:
    free, looking, most, looks = asyncio.Event(), list[str](), 0, list[str]()

    async def attend(subject: str) -> float | None:
        nonlocal most
        looking.append(subject)
        looks.append(subject)
        most = max(most, looking.count(subject))
        await free.wait() if subject.startswith("busy") else await asyncio.sleep(0)
        looking.remove(subject)
        # The first look at it wants another
        return 0.0 if looks.count(subject) == 1 and subject == "order" else None

    agenda = Agenda(attend, clock=asyncio.get_running_loop().time, at_once=2)
    running = asyncio.create_task(agenda.run())
    agenda.put("busy 1", in_s=0)
    agenda.put("busy 2", in_s=0)
    await turns()
    assert len(looking) == 2
    agenda.put("order", in_s=0)
    await turns()
    agenda.put("order", in_s=0)
    free.set()
    await turns()
    running.cancel()
    assert most == 1
    assert looks.count("order") == 2
    assert not len(agenda)


async def test_what_is_urgent_waits_behind_nothing_that_hangs() -> None:
    never, looks, urgent = asyncio.Event(), list[str](), set[str]()

    async def attend(subject: str) -> float | None:
        looks.append(subject)
        if subject.startswith("busy"):
            await never.wait()
        return None

    clock = asyncio.get_running_loop().time
    agenda = Agenda(attend, clock=clock, at_once=2, urgent=urgent.__contains__, urgent_at_once=1)
    running = asyncio.create_task(agenda.run())
    for subject in ("busy 1", "busy 2", "order", "other"):
        agenda.put(subject, in_s=0)
    await turns()
    assert looks == ["busy 1", "busy 2"]
    urgent.add("order")
    agenda.put("order", in_s=0)
    await turns()
    assert looks == ["busy 1", "busy 2", "order"], "though it was due already"
    never.set()
    await turns()
    running.cancel()
    assert sorted(looks[3:]) == ["other"], "and not once more"
    assert not len(agenda)


async def turns() -> None:
    """Let the loop do what it can do by itself."""
    for _ in range(50):
        await asyncio.sleep(0)
