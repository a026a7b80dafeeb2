"""Start-up: from the books on disk and the journal's tail to a desk that knows what the exchange knows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import NamedTuple, TypeVar

import structlog

from pms.binance.client import ExchangeClient, UserTrade
from pms.binance.errors import ExchangeError, Throttled
from pms.bus.journal import Journal
from pms.contract.journal import Rows
from pms.contract.names import HOUSE
from pms.db.collector import collector_paused
from pms.db.load import RECENT_MS, LoadedState
from pms.domain.custody import open_books
from pms.domain.desk import Desk
from pms.domain.income import Income
from pms.domain.posting import Posting
from pms.domain.treasury import WALLET
from pms.streamer.income import recent_incomes
from pms.streamer.symbol_rules import read_symbols

log = structlog.get_logger()
AT_ONCE = 1000
LEAST_WAIT_S = 0.5
MOST_WAIT_S = 30.0
MOST_READINGS = 20
T = TypeVar("T")


class CannotStart(Exception):
    """Something that only an operator can put right; the text says what to do."""


async def given_room(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask the exchange, waiting for as long as the rate budget has no room.

    A streamer that ended instead would be started again, and spend again what it had read already. It asks
    anew within half a minute, which costs nothing: the heartbeat tells by it that we wait and do not hang.
    """
    while True:
        try:
            return await ask()
        except Throttled as fault:
            log.warning("waits_for_room", error=str(fault))
            await asyncio.sleep(min(max(fault.retry_after, LEAST_WAIT_S), MOST_WAIT_S))


async def load_desk(desk: Desk, *, state: LoadedState, journal: Journal, now_us: int) -> int:
    """Take the books and fold over them what was archived and journaled since; returns the seq it stands at.

    Raises CannotStart where the journal does not continue them: then the books are an older copy, and
    starting would lose what lies between.
    """
    desk.load(
        Rows(
            sub_accounts=tuple(state.sub_accounts),
            positions=tuple(state.positions),
            cursors=tuple(state.cursors),
            incidents=tuple(state.incidents),
            assets=tuple(state.assets),
            incomes=tuple(state.incomes),
            fees=tuple(state.fees),
            progress=tuple(state.progress),
            fundings=tuple(state.fundings),
            halts=tuple(state.halts),
            limits=tuple(state.limits),
            unwinds=tuple(state.unwinds),
            algos=tuple(state.algos),
            algo_slots=tuple(state.algo_slots),
        )
    )
    for result in state.results:
        desk.results.add(result)
    desk.forgotten_until = max(state.entry_at - RECENT_MS, 0)
    for symbol, moves in state.moves.items():
        desk.treasury.moves[symbol] = list(moves)
    with collector_paused():
        # In pieces: the lease is renewed between them.
        for begin in range(0, max(len(state.orders), len(state.commands)), AT_ONCE):
            piece = slice(begin, begin + AT_ONCE)
            desk.load(Rows(orders=tuple(state.orders[piece]), commands=tuple(state.commands[piece])))
            await asyncio.sleep(0)
    # What memory has no room for is forgotten in this order; only proven trades are known without their keys.
    for key in sorted(state.fill_keys, key=lambda key: key[2] > desk.cursors.get(key[0], 0)):
        desk.first_sight(*key)
    seq = state.applied
    for number, entry in enumerate(state.tail):
        desk.load(entry.rows)
        desk.last_seq = seq = entry.seq  # told meanwhile: a start that goes on is not ended as one that hangs
        if number % AT_ONCE == 0:
            await asyncio.sleep(0)
    while tail := await journal.tail(seq):
        for entry in tail:
            if entry.prev != seq:
                raise CannotStart(
                    f"the books end with entry {seq}, the journal goes on behind {entry.prev}: "
                    "restore a newer copy of the database, or of the archive"
                )
            desk.load(entry.rows)
            seq = entry.seq
    desk.last_seq = seq
    desk.first_seq_after = max(seq, await journal.last_seq(), now_us)
    log.info("loaded", seq=seq, accounts=len(desk.accounts), live_orders=len(desk.live))
    return seq


async def learn_exchange(desk: Desk, client: ExchangeClient) -> None:
    """Learn the symbols and check the account's mode: one-way, single asset.

    Raises CannotStart where the account is set up otherwise; every sum here would be wrong on it.
    """
    desk.instruments = await read_symbols(client)
    if await client.position_mode():
        raise CannotStart(
            "the exchange account is in hedge mode: switch it to one-way (POST /fapi/v1/positionSide/dual)"
        )
    if await client.multi_assets_mode():
        raise CannotStart(
            "the exchange account is in multi-assets mode: switch it to single-asset "
            "(POST /fapi/v1/multiAssetsMargin)"
        )


async def price_held(desk: Desk, client: ExchangeClient) -> None:
    """Value what accounts hold at the exchange's marks, until its books are there.

    A loss that this life has not seen yet would be money to open with. Without an answer the start goes on:
    who holds something without a price opens nothing then.
    """
    held = {symbol for each in desk.held.values() for symbol, _ in each} - desk.last_tops.keys()
    if not held:
        return
    try:
        marks = await given_room(client.premium_indexes)
    except ExchangeError as error:
        log.warning("held_without_marks", symbols=len(held), error=str(error))
        return
    for row in marks:
        if row.symbol in held and row.mark_price > 0:
            desk.price_as_marked(row.symbol, row.mark_price, at=row.time)


class Standing(NamedTuple):
    """What the exchange says of the account, one answer after the other."""

    incomes: list[Income]
    balances: dict[str, Decimal]
    positions: list[tuple[str, Decimal, Decimal]]
    cursors: dict[str, int]


async def first_books(desk: Desk, client: ExchangeClient, *, symbols: list[str]) -> Posting | None:
    """Open the books of a new system; None where they are open already.

    Trap: what moves between two answers would be in one of them only, and no one heals that. So the account
    is read until two readings are the same; between them nothing moved, and that is the books' beginning.
    """
    if HOUSE in desk.accounts:
        return None
    before = await _standing(client, symbols)
    for _ in range(MOST_READINGS):
        at = client.exchange_now_ms()
        now = await _standing(client, symbols)
        if now == before:
            break
        log.info("account_moves", meaning="the books are opened once it stands still for a moment")
        before = now
    else:
        raise CannotStart(
            "somebody trades on the exchange account all the time: let them pause while the books are opened"
        )
    wallet = now.balances.pop(WALLET, Decimal(0))
    log.info("books_opened", wallet=str(wallet), positions=len(now.positions))
    return open_books(
        desk,
        at=at,
        wallet=wallet,
        positions=now.positions,
        cursors=now.cursors,
        assets=now.balances,
        incomes=now.incomes,
    )


async def _standing(client: ExchangeClient, symbols: list[str]) -> Standing:
    incomes = await recent_incomes(client)
    balances = {row.asset: row.balance for row in await client.balances()}
    positions = [
        (row.symbol, row.position_amt, row.entry_price)
        for row in await client.position_risk()
        if row.position_amt
    ]
    traded = dict.fromkeys([*symbols, *(symbol for symbol, _, _ in positions)])
    newest = {symbol: await newest_trade(client, symbol) for symbol in traded}
    cursors = {symbol: 0 if trade is None else trade.id for symbol, trade in newest.items()}
    return Standing(incomes, balances, positions, cursors)


async def newest_trade(client: ExchangeClient, symbol: str) -> UserTrade | None:
    """The account's newest trade in a symbol; None if it never traded there."""
    rows = await client.user_trades(symbol=symbol, limit=1)
    return max(rows, key=lambda row: row.id, default=None)
