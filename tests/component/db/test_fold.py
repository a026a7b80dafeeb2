"""The fold: every entry once, in order, or a stop. Real Redis, real PostgreSQL, real crashes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from hashlib import sha256
from secrets import token_hex
from typing import Any

import pytest
from entries import D, account, command, entry, fill, journal, line, order, position
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from pms.contract import names
from pms.contract.journal import AssetRow, Entry, IncidentRow, UnknownFormat, encode_entry
from pms.db import engine as engines
from pms.db import queries
from pms.db.fold import ChainBroken, EntryRefused, Folded, FoldStopped, UnreadableEntry, fold, tell_applied


async def told(redis: Redis) -> int:
    return int(await redis.get(names.APPLIED) or 0)


async def run(engine: AsyncEngine, statement: str) -> None:
    async with engine.begin() as connection:
        await connection.execute(text(statement))


async def test_rows_arrive_digit_by_digit_and_the_newest_wins(redis: Redis, engine: AsyncEngine) -> None:
    exact = "12345678901234567890.12345678901234"
    first = [account(balance=D(exact)), account("house")]
    await journal(
        redis,
        [
            entry(1, sub_accounts=tuple(first), ledger=(line(1, exact),)),
            entry(2, orders=(order(),), commands=(command(),)),
            entry(4, prev=2, orders=(order(state="active", exchange_order_id=7),), positions=(position(),)),
            entry(5, orders=(order(state="filled", filled_qty=D("1.50")),), fills=(fill(),)),
        ],
    )
    assert await fold(redis, engine) == Folded(entries=4, applied=5, more=False)
    assert await told(redis) == 5
    assert await queries.accounts(engine) == first
    assert await queries.ledger(engine) == [line(1, exact)]
    (kept,) = await queries.orders(engine)
    assert kept == order(state="filled", filled_qty=D("1.50"))
    assert str(kept.filled_qty) == "1.50"
    assert await queries.fills(engine) == [fill()]
    assert await queries.commands(engine) == [command()]
    assert await queries.position_rows(engine) == [position()]


async def test_an_empty_journal_is_nothing_to_do(redis: Redis, engine: AsyncEngine) -> None:
    assert await fold(redis, engine) == Folded(entries=0, applied=0, more=False)


async def test_folding_goes_on_where_it_stood(redis: Redis, engine: AsyncEngine) -> None:
    await journal(redis, [entry(seq) for seq in range(1, 8)])
    assert await fold(redis, engine, batch=2, most=3) == Folded(entries=4, applied=4, more=True)
    assert await fold(redis, engine, batch=2) == Folded(entries=3, applied=7, more=False)
    assert (await queries.counts(engine)).entries == 7


async def test_a_crash_before_the_commit_applies_nothing(redis: Redis, engine: AsyncEngine) -> None:
    """The server ends the folder's connection at the last statement before the commit."""
    await journal(redis, [entry(1, ledger=(line(1, "5"),)), entry(2, ledger=(line(2, "7"),))])
    await run(
        engine,
        "CREATE FUNCTION crash() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$",
    )
    await run(
        engine,
        "CREATE TRIGGER crash BEFORE UPDATE ON pms.journal_cursor FOR EACH ROW EXECUTE FUNCTION crash()",
    )
    with pytest.raises(OperationalError):
        await fold(redis, engine)
    counted = await queries.counts(engine)
    assert (counted.applied, counted.ledger_entries, await told(redis)) == (0, 0, 0)
    await run(engine, "DROP TRIGGER crash ON pms.journal_cursor")
    assert (await fold(redis, engine)).entries == 2
    assert [row.amount for row in await queries.ledger(engine)] == [D(7), D(5)]


async def test_a_crash_between_commit_and_word_to_redis_is_made_good(
    redis: Redis, engine: AsyncEngine
) -> None:
    await journal(redis, [entry(1, ledger=(line(1, "5"),))])
    await fold(redis, engine)
    await redis.delete(names.APPLIED)  # as if the folder had died before it told
    assert await fold(redis, engine) == Folded(entries=0, applied=1, more=False)
    assert await told(redis) == 1
    assert (await queries.counts(engine)).ledger_entries == 1


async def test_a_slower_folder_does_not_take_a_later_word_back(redis: Redis) -> None:
    late = 1_900_000_000_000_001  # microseconds: beyond what a float's text shows
    for seq in (late, late + 1, late):
        await tell_applied(redis, seq)
    assert await told(redis) == late + 1


async def test_folders_at_once_take_turns(redis: Redis, engine: AsyncEngine, address: str) -> None:
    await journal(redis, [entry(seq, ledger=(line(seq, "0.1"),)) for seq in range(1, 301)])
    others = [engines.create(address, name=f"folder {n}", pool=1) for n in range(4)]
    done = await asyncio.gather(*(fold(redis, other, batch=7) for other in others))
    for other in others:
        await other.dispose()
    assert sum(one.entries for one in done) == 300
    assert {one.applied for one in done} <= set(range(1, 301))
    counted = await queries.counts(engine)
    assert (counted.applied, counted.entries, counted.ledger_entries) == (300, 300, 300)
    assert sum(row.amount for row in await queries.ledger(engine, limit=None)) == D(30)


async def test_a_lost_tail_stops_the_fold_and_is_never_skipped(redis: Redis, engine: AsyncEngine) -> None:
    """Redis lost 3 and 4; the streamer went on from a seq ahead by time, with prev 4."""
    await journal(redis, [entry(1), entry(2), entry(1000, prev=4), entry(1001)])
    for _ in range(2):
        with pytest.raises(ChainBroken) as stop:
            await fold(redis, engine)
        assert (stop.value.applied, stop.value.found, stop.value.seq) == (2, 4, 1000)
        assert (await queries.counts(engine)).applied == 2
        assert await told(redis) == 2


@pytest.mark.parametrize("prev", [3, 1])
async def test_a_fresh_database_takes_only_the_journals_beginning(
    redis: Redis, engine: AsyncEngine, prev: int
) -> None:
    await journal(redis, [entry(4, prev=prev)])
    with pytest.raises(ChainBroken, match="0 was applied last"):
        await fold(redis, engine)


async def test_the_first_entry_may_jump_ahead(redis: Redis, engine: AsyncEngine) -> None:
    await journal(redis, [entry(1_900_000_000_000_001, prev=0)])
    assert (await fold(redis, engine)).applied == 1_900_000_000_000_001


async def test_a_restored_database_refuses_what_was_trimmed(redis: Redis, engine: AsyncEngine) -> None:
    await journal(redis, [entry(1), entry(2), entry(3)])
    await fold(redis, engine)
    await redis.xtrim(names.JOURNAL, maxlen=1, approximate=False)
    await run(engine, "UPDATE pms.journal_cursor SET applied = 1")  # last night's
    with pytest.raises(ChainBroken) as stop:
        await fold(redis, engine)
    assert (stop.value.applied, stop.value.found) == (1, 2)
    await redis.xtrim(names.JOURNAL, maxlen=0, approximate=False)
    with pytest.raises(ChainBroken, match="trimmed up to 3"):
        await fold(redis, engine)


BROKEN = {
    "another format": ({"e": encode_entry(Entry(v=2, seq=2, prev=1, at=1, kind="x"))}, "format 2"),
    "no entry": ({"x": b"{}"}, "no field e"),
    "not JSON": ({"e": b'{"v":1'}, "2-0"),
    "an unknown shape": ({"e": b'{"v":1,"seq":2,"prev":1,"at":1,"kind":"x","rows":{"orders":[{}]}}'}, "2-0"),
    "another's id": ({"e": encode_entry(entry(3, prev=1))}, "says of itself that it is 3"),
}


@pytest.mark.parametrize("what", BROKEN)
async def test_an_unreadable_entry_stops_the_fold(redis: Redis, engine: AsyncEngine, what: str) -> None:
    fields, told_of = BROKEN[what]
    await journal(redis, [entry(1)])
    await redis.xadd(names.JOURNAL, fields, id="2-0")  # type: ignore[arg-type]
    await journal(redis, [entry(4, prev=2)])
    for _ in range(2):
        with pytest.raises(UnreadableEntry, match=told_of) as stop:
            await fold(redis, engine)
        assert isinstance(stop.value, UnknownFormat)
        assert (await queries.counts(engine)).applied == 1


REFUSED: dict[str, tuple[Sequence[dict[str, Any]], str]] = {
    "a fill told twice, differently": (
        [{"fills": (fill(),)}, {"fills": (fill(quantity=D(2)),)}],
        r"fills \(symbol BTCUSDT, exchange_order_id 7, trade_id 1\)",
    ),
    "a ledger line told twice, differently": (
        [{"ledger": (line(1, "5"),)}, {"ledger": (line(1, "5", reference="x"),)}],
        r"ledger_entries \(seq 1, line 0\)",
    ),
    "two accounts with the same first eight characters": (
        [{"sub_accounts": (account("trader-one"),)}, {"sub_accounts": (account("trader-other"),)}],
        "sub_accounts_sub8",
    ),
    "a state nobody knows": ([{}, {"orders": (order(state="closed"),)}], "orders_state"),
    "a balance that is no number": ([{}, {"sub_accounts": (account(balance=D("NaN")),)}], "balance"),
    "a key beyond what an index holds": (
        [{}, {"assets": (AssetRow(asset=token_hex(1500), balance=D(1), updated_at=1),)}],
        "index row size",
    ),
    "an id beyond 64 bits": ([{}, {"fills": (fill(2**63),)}], "out of range"),
}


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("what", REFUSED)
async def test_a_row_that_does_not_apply_stops_the_fold_at_its_entry(
    redis: Redis, engine: AsyncEngine, what: str, together: bool
) -> None:
    (first, second), reason = REFUSED[what]
    await journal(redis, [entry(1, **first), entry(2)])
    if not together:
        await fold(redis, engine)
    await journal(redis, [entry(3, **second), entry(4)])
    for _ in range(2):
        with pytest.raises(EntryRefused, match=reason) as stop:
            await fold(redis, engine)
        assert isinstance(stop.value, FoldStopped)
        assert stop.value.seq == 3
        counted = await queries.counts(engine)
        assert (counted.applied, counted.entries, await told(redis)) == (2, 2, 2)


async def test_what_is_written_once_may_be_told_again(redis: Redis, engine: AsyncEngine) -> None:
    same: dict[str, Any] = {"fills": (fill(),), "ledger": (line(1, "5"),), "commands": (command(),)}
    await journal(redis, [entry(1, **same), entry(2, **same)])
    await fold(redis, engine)
    price = D("50000.1")
    await journal(redis, [entry(3, fills=(fill(price=price),), ledger=(line(1, "5.00"),))])
    await fold(redis, engine)
    counted = await queries.counts(engine)
    assert (counted.fills, counted.ledger_entries, counted.commands) == (1, 1, 1)


async def test_a_request_id_used_again_after_its_day_keeps_both_decisions(
    redis: Redis, engine: AsyncEngine
) -> None:
    first, later = command(), command(decided_at=90_000_000, decision="refused", code="STALE")
    await journal(redis, [entry(1, commands=(first,)), entry(2, commands=(later,))])
    await fold(redis, engine)
    assert await queries.commands(engine) == [later, first]
    assert await queries.find_command(engine, "r1") == later


async def test_what_a_refused_command_says_of_itself_never_stops_the_fold(
    redis: Redis, engine: AsyncEngine
) -> None:
    nasty = command(sub_account_id="a\0b" + "x" * 100_000, text='{"a": "\\u0000"}\0', decision="refused")
    await journal(redis, [entry(1, commands=(nasty,))])
    assert (await fold(redis, engine)).applied == 1
    (kept,) = await queries.commands(engine)
    assert kept.text == '{"a": "\\u0000"}\ufffd'


async def test_a_request_id_too_long_for_an_index_is_kept_by_its_hash(
    redis: Redis, engine: AsyncEngine
) -> None:
    """An older door let it in, and the archive has it; many tokens begin alike."""
    long = [command("eyJhbGciOi" * 300 + token_hex(1500), decision="refused") for _ in range(2)]
    await journal(redis, [entry(1, commands=tuple(long)), entry(2, commands=(long[0],))])
    assert (await fold(redis, engine)).applied == 2
    kept = {row.request_id for row in await queries.commands(engine)}
    assert kept == {sha256(row.request_id.encode()).hexdigest() for row in long}


async def test_ids_that_postgresql_cannot_tell_apart_are_kept_apart(
    redis: Redis, engine: AsyncEngine
) -> None:
    both = (command("a\0", decision="refused"), command("a\ufffd", text="[]", decision="refused"))
    await journal(redis, [entry(1, commands=both)])
    assert (await fold(redis, engine)).applied == 1
    assert len(await queries.commands(engine)) == 2


async def test_incidents_are_kept(redis: Redis, engine: AsyncEngine) -> None:
    incident = IncidentRow(seq=1, kind="late_fill", severity="warning", detail="…", at=1)
    await journal(redis, [entry(1, incidents=(incident,))])
    await fold(redis, engine)
    assert await queries.incidents(engine, severity="warning") == [incident]
    assert await queries.incidents(engine, severity="critical") == []
