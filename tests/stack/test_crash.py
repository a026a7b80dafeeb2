"""A crash of 35 percent over 200 sub-accounts with 600 positions, end to end, three times.

Plain; with workers that are seconds behind; and with the streamer killed in the middle. Each time the
judge weighs all accounts on all ticks: who is liquidated and who is kept is as the rules say, none
later than one tick, and the insurance ledger explains every unit lost.

Twelve seconds to the bottom in every run; `make crash` takes the minute.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio
from crash_books import INSURANCE, Step, fold, read_archive
from crash_desk import GROUP, Member
from crash_events import read_events, untold
from crash_feed import CrashFeed
from crash_judge import Judge
from crash_system import PARTS, CrashSystem
from crash_verdict import Verdict
from system import until

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="module")]

PERCENT, GAPS, THIN = "-35", 6, "4"
FUND = "500"
"""Less than a crash with gaps costs: what the fund cannot pay, the house must, and both are seen."""

CALM_S = 4.0
"""Until the marks have long told the bottom: from then on nothing forbids what is still due."""

LEAST_SLACK_MS = 250
"""A mark and a tick so near each other may have reached the engine in either order."""

STOPPED_S = 5.0
SLOW = ("worker-orders", "worker-urgent", "worker-ledger")
Away = tuple[int, int]
Disturb = Callable[[CrashSystem], Awaitable[list[Away]]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def market() -> AsyncIterator[CrashSystem]:
    paths = Path(tempfile.mkdtemp(prefix="pmsc-")), Path(tempfile.mkdtemp(prefix="pmsd-"))
    system = CrashSystem(*paths)
    try:
        await system.begin(*PARTS)
        yield system
    finally:
        await system.end()
        for path in paths:
            shutil.rmtree(path, ignore_errors=True)


@dataclass(slots=True)
class Crashed:
    """What a crash left."""

    desk: list[Member]
    verdict: Verdict
    steps: list[Step]
    since: int
    away: list[Away]
    slack_ms: int

    def taken(self, begin: int, end: int) -> set[str]:
        """Accounts that were taken over in that time, ms."""
        return {
            row["sub_account_id"]
            for step in self.steps
            if step.seq > self.since
            for row in step.rows.get("liquidations", ())
            if row["action"] == "TAKEOVER" and begin <= row["at"] <= end
        }


async def crash(system: CrashSystem, seed: int, seconds: int, disturb: Disturb) -> Crashed:
    """Move a desk in, let the market fall, and judge what was done."""
    desk = await system.move_in(seed, prefix=f"c{seed}x")
    await system.insure(FUND)
    await system.settled()
    since = await system.newest()
    async with CrashFeed(system.http, system.venue_url, system.symbols) as feed:
        await system.crash(percent=PERCENT, seconds=seconds, gaps=GAPS, thin=THIN, seed=seed)
        away = await disturb(system)
        await system.crashed(seconds=seconds * 3 + 30)
        await asyncio.sleep(CALM_S)
        horizon = len(feed.ticks) - 1
        await system.seen({tick.symbol: tick.at for tick in feed.ticks[: horizon + 1]})
        await system.closed()
        steps = list(fold(read_archive(system.home / "archive")))
        tape = feed.tape(slack_ms=max(LEAST_SLACK_MS, 2 * most_behind(steps, since, away)))
    verdict = Judge(tape, system.rules, away, horizon).judge(steps, since=since)
    return Crashed(desk, verdict, steps, since, away, tape.slack_ms)


def most_behind(steps: list[Step], since: int, away: list[Away]) -> int:
    """How old a tick was at most when the engine decided on it, ms, by its own word.

    Not while it was away: its first decisions are on what a book holds that was just built.
    """
    return max(
        (
            row["at"] - max((top["at"] for top in json.loads(row["tops"]).values()), default=row["at"])
            for step in steps
            if step.seq > since
            for row in step.rows.get("liquidations", ())
            if not any(begin <= row["at"] <= end for begin, end in away)
        ),
        default=0,
    )


async def agrees(system: CrashSystem, crashed: Crashed) -> None:
    """The verdict, the fates, the events, PostgreSQL, and the three books."""
    verdict, since = crashed.verdict, crashed.since
    print(json.dumps(figures(crashed), indent=1))
    assert crashed.steps[0].kind == "opening"
    assert verdict.findings == [], "\n".join(map(str, verdict.findings[:20]))

    fates = {
        fate: {member.id for member in crashed.desk if member.fate == fate} for fate in ("doomed", "sound")
    }
    # Not all the doomed end with nothing: some are deleveraged in time, and stand
    assert len(fates["doomed"] & verdict.touched) > len(fates["doomed"]) * 0.9
    assert len(fates["doomed"] & verdict.liquidated) > len(fates["doomed"]) / 2
    assert not fates["sound"] & verdict.liquidated
    assert {"WARN", "CANCEL", "TAKEOVER", "CLOSE", "CLOSED"} <= verdict.actions.keys()
    market = {member.id for member in crashed.desk if member.at_market}
    assert len(fates["doomed"] & market & verdict.liquidated) > len(fates["doomed"] & market) / 2
    # No kind of account went by unjudged
    for kind in (
        {member.id for member in crashed.desk if member.hedged},
        {member.id for member in crashed.desk if member.group == GROUP},
    ):
        assert kind & verdict.liquidated

    events = read_events(await system.redis.xrange("pms:stream:events"))
    read = [step for step in crashed.steps if step.seq > since]
    last = read[-1].seq
    assert list(untold(read, [event for event in events if event["seq"] <= last], since=since)) == []

    await system.unwound()
    columns = ("seq", "line", "sub_account_id", "action", "symbol", "realized")
    stored = await system.rows(f"select {', '.join(columns)} from pms.liquidations order by seq, line")
    journaled = [
        tuple(_number(row[name]) if name == "realized" else row[name] for name in columns)
        for step in fold(read_archive(system.home / "archive"))
        for row in step.rows.get("liquidations", ())
    ]
    # The market is open still: the journal may have gone on since
    assert [tuple(row) for row in stored] == journaled[: len(stored)]
    assert len(stored) >= sum(verdict.actions.values())
    await closed_at_the_exchange(system)
    assert (await system.audit())["agrees"]


async def closed_at_the_exchange(system: CrashSystem) -> None:
    """What the house took over is what its own orders have closed since, and what is left to be closed."""
    unequal = await system.rows(
        "select symbol, sum(quantity) from ("
        " select symbol, quantity from pms.liquidations where quantity is not null and action <> 'CLOSE'"
        " union all select symbol, -quantity from pms.unwinds"
        " union all select f.symbol, case f.side when 'BUY' then f.quantity else -f.quantity end"
        " from pms.fills f join pms.orders o using (client_order_id)"
        " where o.origin = 'LIQUIDATION' and f.sub_account_id = 'house'"
        ") as moved group by symbol having sum(quantity) <> 0"
    )
    assert unequal == []


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def figures(crashed: Crashed) -> dict[str, object]:
    """What came of it, for people."""
    verdict, losses = crashed.verdict, crashed.verdict.losses
    desk = {member.id for member in crashed.desk}
    return {
        "accounts": len(desk),
        "positions": sum(len(member.positions) for member in crashed.desk),
        "ticks weighed": verdict.weighed,
        "liquidated": len(desk & verdict.liquidated),
        "kept": len(desk - verdict.liquidated),
        "liquidated of earlier desks": len(verdict.liquidated - desk),
        "actions": dict(verdict.actions),
        "ticks between crossing and deed": dict(verdict.lateness),
        "acts on ticks that the mark may have forbidden": verdict.doubtful,
        "slack, ms": crashed.slack_ms,
        "realised": str(losses.realized),
        "owed beyond balances": str(losses.owed),
        "paid by the fund": str(losses.insured),
        "paid by the house": str(losses.housed),
        "away, ms": [end - begin for begin, end in crashed.away],
    }


async def nothing(system: CrashSystem) -> list[Away]:
    return []


async def slow_workers(system: CrashSystem) -> list[Away]:
    """Stop the workers, all at once, for five seconds at a time, as long as the market falls."""
    behind = []
    while await falling(system):
        for name in SLOW:
            system.processes[name].send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(STOPPED_S)
            behind.append(await system.newest() - int(await system.redis.get("pms:journal:applied") or 0))
        finally:
            for name in SLOW:
                system.processes[name].send_signal(signal.SIGCONT)
        await asyncio.sleep(0.5)
    assert max(behind) > 0, "the workers were never behind"
    return []


async def killed_streamer(system: CrashSystem) -> list[Away]:
    """SIGKILL the streamer in the middle of the fall and start it anew."""
    await until(partial(fallen, system, 0.4), "two fifths of the fall", seconds=200)
    gone = time.time_ns() // 1_000_000
    system.kill("streamer")
    await system.redis.delete("pms:ready:streamer", "pms:health")
    await asyncio.sleep(0.5)
    system.start("streamer")
    await system.ready("streamer")
    # Until a symbol's book is built anew nobody there can know its price
    await system.priced(since=gone)
    # What it had weighed in its last moments may not have reached the journal
    return [(gone - 500, time.time_ns() // 1_000_000)]


async def falling(system: CrashSystem) -> bool:
    crashes = (await system.admin("GET", "crash"))["crashes"]
    return any(each["state"] == "falling" for each in crashes)


async def fallen(system: CrashSystem, share: float) -> bool:
    """Whether so much of the way down is done."""
    crashes = (await system.admin("GET", "crash"))["crashes"]
    return all(each["step"] >= each["steps"] * share for each in crashes)


@pytest.fixture
def seconds(pytestconfig: pytest.Config) -> int:
    return int(pytestconfig.getoption("--crash-seconds"))


async def test_every_account_is_liquidated_or_kept_as_the_rules_say(
    market: CrashSystem, seconds: int
) -> None:
    crashed = await crash(market, 1, seconds, nothing)
    await agrees(market, crashed)
    # The gaps cost more than the fund held: it is empty, and the house bore the rest
    losses = crashed.verdict.losses
    assert losses.insured == Decimal(FUND)
    assert losses.housed > 0
    (row,) = await market.rows("select balance from pms.sub_accounts where id = :id", id=INSURANCE)
    assert row.balance == 0


async def test_workers_that_are_five_seconds_behind_delay_no_liquidation(
    market: CrashSystem, seconds: int
) -> None:
    await agrees(market, await crash(market, 2, seconds, slow_workers))


async def test_a_streamer_killed_in_the_middle_goes_on_where_it_was(
    market: CrashSystem, seconds: int
) -> None:
    crashed = await crash(market, 3, seconds, killed_streamer)
    await agrees(market, crashed)
    ((gone, _),) = crashed.away
    assert crashed.taken(0, gone), "nobody was taken over before the kill"
    assert crashed.taken(gone + 1_000, gone + 1_000_000), "nobody was taken over by the new life"
