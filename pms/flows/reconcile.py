"""Reconciliation from outside the streamer: ask it for a pass, then hold its books against the copies.

The streamer compares itself with the exchange; what it must not touch, PostgreSQL, is read here. Both
copies run behind or ahead of the books, so whatever the journal touched since is left out, and only
what differs twice, in two looks at the books, differs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from pms.bus.inbox import Compared, Difference, Inbox, Reconcile
from pms.contract import names
from pms.contract.journal import Entry, OrderRow, PositionRow, SubAccountRow, decode_entry
from pms.contract.money import plain
from pms.contract.reconciliation import Books, Comparison, Report, decode_report
from pms.db import queries

POLL_S = 0.05
PASS_TIMEOUT_S = 20.0
FOLD_TIMEOUT_S = 5.0
MOST_BEHIND = 5_000
"""Entries between the books and a copy that are looked through; over it the comparison is put off."""

AT_ONCE = 500
Seen = dict[tuple[str, ...], str]
"""What a copy or the books say of each row, in words that can be compared."""


class NoReport(Exception):
    """The streamer did not answer: it is away, recovering, or busy with a long pass."""


@dataclass(frozen=True, slots=True)
class Deps:
    """What a reconciliation needs."""

    redis: Redis
    database: AsyncEngine
    new_id: Callable[[], str]
    sleep: Callable[[float], Awaitable[None]]
    monotonic: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The streamer's report, and what Redis and PostgreSQL hold beside it."""

    report: Report
    copies: tuple[Comparison, ...]

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        return (*self.report.comparisons, *self.copies)

    @property
    def agrees(self) -> bool:
        """Whether all was compared and nothing differs: what was put off has not agreed."""
        return self.report.fault is None and not any(each.found or each.note for each in self.comparisons)


async def reconcile(deps: Deps, *, dry_run: bool = False) -> Reconciled:
    """Let the streamer make a pass and compare its books with both copies; raises NoReport.

    What differs is told to the streamer, unless this is a dry run.
    """
    report = await _ask(deps, dry_run=dry_run, books_only=False)
    copies = []
    for compare, where in ((_redis, "redis"), (_postgres, "postgres")):
        comparison, found = await compare(deps, report.books)
        if found:
            again, still = await compare(deps, (await _ask(deps, dry_run=True, books_only=True)).books)
            found = tuple(one for one in still if one in found)
            told = tuple(f"{':'.join(one.key)}: {one.theirs}, memory {one.ours}" for one in found)
            comparison = Comparison(what=again.what, rows=again.rows, found=told, note=again.note)
        copies.append(comparison)
        if not dry_run and not comparison.note:
            message = Compared("redis" if where == "redis" else "postgres", found)
            await Inbox(deps.redis).put(message)
    return Reconciled(report, tuple(copies))


async def _ask(deps: Deps, *, dry_run: bool, books_only: bool) -> Report:
    asked = deps.new_id()
    redis: Any = deps.redis
    await Inbox(deps.redis).put(Reconcile(asked, dry_run, books_only))
    give_up = deps.monotonic() + PASS_TIMEOUT_S
    while deps.monotonic() < give_up:
        text = await redis.get(names.report_key(asked))
        if text is not None:
            return decode_report(text)
        await deps.sleep(POLL_S)
    raise NoReport(f"the streamer has not reported within {PASS_TIMEOUT_S:g} s")


# --- the copies ---

Compare = tuple[Comparison, tuple[Difference, ...]]


async def _redis(deps: Deps, books: Books) -> Compare:
    """The orders' hashes: what senders and look-ups read."""
    redis: Any = deps.redis
    shown: Seen = {}
    for start in range(0, len(books.orders), AT_ONCE):
        some = books.orders[start : start + AT_ONCE]
        async with redis.pipeline(transaction=False) as pipe:
            for order in some:
                fields = ("state", "filledQty", "exchangeOrderId")
                pipe.hmget(names.order_key(order.client_order_id), *fields)
            for order, found in zip(some, await pipe.execute(), strict=True):
                state, filled, number = (value.decode() if value else "" for value in found)
                words = _words(state or "nothing", filled=filled or "0", number=number)
                shown["orders", order.client_order_id] = words
    ours: Seen = {("orders", order.client_order_id): _order_words(order) for order in books.orders}
    return await _compared(deps, books, "orders in Redis", ours, shown)


async def _postgres(deps: Deps, books: Books) -> Compare:
    """Live orders, open positions and all balances, once PostgreSQL has come as far as the books."""
    redis: Any = deps.redis
    give_up = deps.monotonic() + FOLD_TIMEOUT_S
    while int(await redis.get(names.APPLIED) or 0) < books.seq:
        if deps.monotonic() > give_up:
            return Comparison(what="PostgreSQL", rows=0, note="the ledger is behind the streamer"), ()
        await deps.sleep(POLL_S)
    held: Seen = {}
    for order in await queries.orders(deps.database, open_only=True, limit=None):
        held["orders", order.client_order_id] = _order_words(order)
    for position in await queries.position_rows(deps.database, open_only=True):
        held[_position_key(position)] = _position_words(position)
    for account in await queries.accounts(deps.database):
        held["accounts", account.id] = _account_words(account)
    ours: Seen = {("orders", order.client_order_id): _order_words(order) for order in books.orders}
    ours |= {_position_key(position): _position_words(position) for position in books.positions}
    ours |= {("accounts", account.id): _account_words(account) for account in books.accounts}
    return await _compared(deps, books, "rows in PostgreSQL", ours, held)


async def _compared(deps: Deps, books: Books, what: str, ours: Seen, theirs: Seen) -> Compare:
    """Compare, leaving out what the journal has touched since the books were taken."""
    touched = await _touched(deps.redis, books.seq)
    if touched is None:
        return Comparison(what=what, rows=0, note="too much has happened meanwhile"), ()
    keys = sorted((ours.keys() | theirs.keys()) - touched)
    found = tuple(
        Difference(
            table=_table(key[0]),
            key=key[1:],
            theirs=theirs.get(key, "nothing"),
            ours=ours.get(key, "nothing"),
        )
        for key in keys
        if ours.get(key) != theirs.get(key)
    )
    told = tuple(f"{':'.join(one.key)}: {one.theirs}, memory {one.ours}" for one in found)
    return Comparison(what=what, rows=len(keys), found=told), found


async def _touched(redis: Any, seq: int) -> set[tuple[str, ...]] | None:
    """The keys of all rows behind a seq; None where the journal does not reach back so far."""
    found = await redis.xrange(names.JOURNAL, min=f"({seq}-0", max="+", count=MOST_BEHIND)
    entries: list[Entry] = [decode_entry(fields[b"e"]) for _, fields in found]
    if len(entries) == MOST_BEHIND or (entries and entries[0].prev != seq):
        return None
    touched: set[tuple[str, ...]] = set()
    for entry in entries:
        touched |= {("orders", row.client_order_id) for row in entry.rows.orders}
        touched |= {_position_key(row) for row in entry.rows.positions}
        touched |= {("accounts", row.id) for row in entry.rows.sub_accounts}
    return touched


def _order_words(row: OrderRow) -> str:
    number = "" if row.exchange_order_id is None else str(row.exchange_order_id)
    return _words(row.state, filled=plain(row.filled_qty), number=number)


def _words(state: str, *, filled: str, number: str) -> str:
    return f"{state}, filled {plain(Decimal(filled))}, exchange id {number or 'none'}"


def _position_key(row: PositionRow) -> tuple[str, ...]:
    return "positions", row.sub_account_id, row.symbol, row.position_side


def _position_words(row: PositionRow) -> str:
    return f"{plain(row.quantity)} at a cost of {plain(row.cost)}"


def _account_words(row: SubAccountRow) -> str:
    return f"{row.status}, balance {plain(row.balance)}"


def _table(name: str) -> Any:
    """One of the tables that a difference can name."""
    return name
