"""A risk report: the books at one seq of PostgreSQL, prices from Redis, the past from the exchange.

dies before the report is stored   the last one stands until it expires; the next run makes a new one
dies before limits are told        they are found crossed again, and told by the next run
told twice, or late                the same incident: it stands already
a message to the streamer is lost  the limit does not stand, so the next run tells it again
the ledger is behind               the report says at which seq it is; it never mixes two

The figures are made in a thread of their own: the loop serves this worker's other tasks meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import structlog
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from pms.binance.client import ExchangeClient
from pms.bus.inbox import Inbox, LimitTold
from pms.contract import names
from pms.contract.codes import Code, Refusal
from pms.contract.events import Price
from pms.contract.journal import Rows, SubAccountRow
from pms.contract.limits import DEFAULT_GROUP
from pms.contract.money import decode_object, encode
from pms.contract.portfolio import PortfolioReport
from pms.db.holdings import Holdings, load_holdings
from pms.domain.desk import Desk, Top
from pms.domain.limits import LimitBook
from pms.domain.positions import Position
from pms.domain.risk_limits import KIND
from pms.domain.rows import position_from
from pms.flows.margin_ladders import margin_ladders
from pms.flows.price_history import INTERVALS, price_history
from pms.risk.assess import Assessed, Method, Snapshot, assess
from pms.risk.book import ZERO, Account
from pms.risk.coverage import Quote
from pms.risk.limits import Finding, limits_in
from pms.risk.returns import Closes, align
from pms.risk.scenarios import Scenario

log = structlog.get_logger()
MOST_TOLD = 50
"""Limits told in one run, the desk's first: in a crash thousands of accounts cross one, and the streamer
has better to do. The next run tells the next; the report counts them all."""

MOST_STANDING = 150
"""Below what one kind of incident may have (open_incidents), so that each keeps a name of its own."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How risk is reckoned; what is too much of it is in the books."""

    method: Method
    returns: int
    least_returns: int
    reference: str
    scenarios: Sequence[Scenario]
    kept_s: int
    #: how long the periodic report stands


@dataclass(frozen=True, slots=True)
class Deps:
    """What a report needs."""

    redis: Redis
    database: AsyncEngine
    client: ExchangeClient
    terms: Terms


@dataclass(frozen=True, slots=True)
class Asked:
    """A report that somebody waits for: of one account, with one more scenario, or of everything."""

    id: str
    account: str | None = None
    scenario: Scenario | None = None


async def watch_risk(deps: Deps, *, report_id: str) -> PortfolioReport:
    """The periodic report: kept under its key, its limits judged and told. Raises Unreachable."""
    found = await _assessed(deps, Asked(report_id))
    untyped: Any = deps.redis
    await untyped.set(names.PORTFOLIO, encode(found.report), ex=deps.terms.kept_s)
    await _tell(deps, found)
    return found.report


async def report_risk(deps: Deps, asked: Asked) -> PortfolioReport:
    """One that was asked for: it tells nobody else. Raises Unreachable, and Refusal for no such account."""
    found = await _assessed(deps, asked)
    untyped: Any = deps.redis
    await untyped.set(names.portfolio_key(asked.id), encode(found.report), ex=names.REPORT_TTL_S)
    return found.report


async def _assessed(deps: Deps, asked: Asked) -> Assessed:
    terms = deps.terms
    untyped: Any = deps.redis

    async def progress(words: str) -> None:
        await untyped.set(names.portfolio_progress_key(asked.id), words, ex=names.REPORT_TTL_S)

    await progress("the books")
    holdings = await load_holdings(deps.database, incidents_of=KIND)
    if asked.account is not None and asked.account not in {row.id for row in holdings.sub_accounts}:
        raise Refusal(
            Code.UNKNOWN_ACCOUNT,
            "no sub-account has this id",
            field="subAccountId",
            actual=asked.account,
        )
    held = sorted({row.symbol for row in holdings.positions})
    history = await price_history(
        deps.redis,
        deps.client,
        sorted({*held, terms.reference}),
        interval=terms.method.interval,
        bars=terms.returns + 1,
        progress=progress,
    )
    ladders = await margin_ladders(deps.redis, deps.client)
    await progress("the figures")
    now, tops = await _prices(deps.redis, held)
    snapshot = Snapshot(
        seq=holdings.applied,
        entry_at=holdings.entry_at,
        at=now,
        accounts=accounts_of(holdings, tops),
        quotes=quotes_of(tops, history.closes, now=now, interval_ms=INTERVALS[terms.method.interval]),
        returns=align(
            history.closes, count=terms.returns, least=terms.least_returns, reference=terms.reference
        ),
        ladders=ladders,
        last_bars={symbol: each.times[-1] for symbol, each in history.closes.items() if each.times},
        stale=history.faults.keys(),
        standing={row.subject for row in holdings.incidents},
    )
    scenarios = list(terms.scenarios)
    if asked.scenario is not None:
        # In front, and in place of a known one of that name.
        scenarios = [asked.scenario, *(each for each in scenarios if each.name != asked.scenario.name)]
    return await asyncio.to_thread(
        assess,
        snapshot,
        report_id=asked.id,
        method=terms.method,
        scenarios=scenarios,
        limits_of=limits_in(limit_book(holdings)),
        wanted=asked.account,
    )


async def _prices(redis: Redis, symbols: Sequence[str]) -> tuple[int, dict[str, Top]]:
    """What the streamer tells at this moment, and Redis time."""
    untyped: Any = redis
    async with untyped.pipeline(transaction=True) as pipe:
        pipe.time()
        for symbol in symbols:
            pipe.get(names.price_key(symbol))
        (seconds, micros), *texts = await pipe.execute()
    tops: dict[str, Top] = {}
    for symbol, text in zip(symbols, texts, strict=True):
        if text is not None:
            price = Price.model_validate(decode_object(text))
            tops[symbol] = Top(price.bid, ZERO, price.ask, ZERO, price.ts)
    return seconds * 1000 + micros // 1000, tops


def quotes_of(
    tops: Mapping[str, Top], closes: Mapping[str, Closes], *, now: int, interval_ms: int
) -> dict[str, Quote]:
    """Mid where there is one, else the last close: each says which it is, and how old."""
    found = {
        symbol: Quote(each.prices[-1], "close", max(0, now - each.times[-1] - interval_ms))
        for symbol, each in closes.items()
        if each.times
    }
    return found | {symbol: Quote(top.mid, "mid", max(0, now - top.at)) for symbol, top in tops.items()}


def accounts_of(holdings: Holdings, tops: Mapping[str, Top]) -> list[Account]:
    """The accounts with their positions, and the margin that the domain says their orders reserve.

    A position whose account has no row stands under an account without balance: it is at risk all the same.
    """
    positions: dict[str, list[Position]] = {}
    for row in holdings.positions:
        positions.setdefault(row.sub_account_id, []).append(position_from(row))
    known = {row.id for row in holdings.sub_accounts}
    orders = [row for row in holdings.orders if row.sub_account_id in known]
    ordering = {row.sub_account_id for row in orders}
    desk = Desk(epoch="", tops=dict(tops))
    desk.load(
        Rows(
            sub_accounts=tuple(row for row in holdings.sub_accounts if row.id in ordering),
            positions=tuple(row for row in holdings.positions if row.sub_account_id in ordering),
            orders=tuple(orders),
        )
    )
    found = [
        Account(
            id=row.id,
            balance=row.balance,
            positions=tuple(positions.pop(row.id, ())),
            reserved=desk.reserved_margin(row.id) if row.id in ordering else ZERO,
            group=group_of(row),
        )
        for row in holdings.sub_accounts
    ]
    return [*found, *(Account(owner, ZERO, tuple(held)) for owner, held in sorted(positions.items()))]


def limit_book(holdings: Holdings) -> LimitBook:
    """The limits as they are set, and who is in which group."""
    book = LimitBook()
    for row in holdings.limits:
        book.take(row)
    for account in holdings.sub_accounts:
        book.join(account.id, account.group)
    return book


def group_of(row: SubAccountRow) -> str:
    """The account's group; who was put into none, and the desk's own accounts, are in none."""
    own = row.id in {names.HOUSE, names.INSURANCE}
    return "" if own or row.group == DEFAULT_GROUP else row.group


async def _tell(deps: Deps, found: Assessed) -> None:
    """What is newly crossed or over; what stands already is not told again."""
    standing: Collection[str] = found.standing
    room = max(0, min(MOST_TOLD, MOST_STANDING - len(standing)))
    over = [each for each in found.findings if each.over]
    crossed = [each for each in found.findings if not each.over and each.subject not in standing]
    inbox = Inbox(deps.redis)
    for each in [*over[:MOST_TOLD], *crossed[:room]]:
        await inbox.put(_told(each))
    if len(crossed) > room:
        log.warning("limits_not_told", crossed=len(crossed), told=room)


def _told(each: Finding) -> LimitTold:
    return LimitTold(
        scope=each.kind,
        name=each.name,
        measure=each.measure,
        limit=_cents(each.limit),
        actual=_cents(each.actual),
        over=each.over,
    )


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"))
