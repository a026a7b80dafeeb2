"""Start-up: from PostgreSQL and the journal's tail to a desk that knows what the exchange knows."""

from __future__ import annotations

from decimal import Decimal

import structlog

from pms.binance.client import ExchangeClient
from pms.binance.instruments import parse_instruments
from pms.bus.journal import Journal
from pms.contract.journal import Rows
from pms.contract.names import HOUSE
from pms.db.load import LoadedState
from pms.domain.custody import open_books
from pms.domain.desk import Desk
from pms.domain.posting import Posting

log = structlog.get_logger()


class CannotStart(Exception):
    """Something that only an operator can put right; the text says what to do."""


async def load_desk(desk: Desk, *, state: LoadedState, journal: Journal, now_us: int) -> int:
    """Take PostgreSQL's state and fold the journal's tail over it; returns the seq it stands at.

    Raises CannotStart where the journal does not continue what PostgreSQL has applied: then the
    database was restored from an older copy, and starting would lose what lies between.
    """
    desk.load(
        Rows(
            sub_accounts=tuple(state.sub_accounts),
            orders=tuple(state.orders),
            positions=tuple(state.positions),
            commands=tuple(state.commands),
            cursors=tuple(state.cursors),
            halts=tuple(state.halts),
        )
    )
    for key in state.fill_keys:
        desk.first_sight(*key)
    seq = state.applied
    while tail := await journal.tail(seq):
        for entry in tail:
            if entry.prev != seq:
                raise CannotStart(
                    f"PostgreSQL has applied entry {seq}, the journal goes on behind {entry.prev}: "
                    "restore a newer copy of the database"
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
    desk.instruments = parse_instruments(await client.exchange_info(), await client.leverage_brackets())
    if await client.position_mode():
        raise CannotStart(
            "the exchange account is in hedge mode: switch it to one-way (POST /fapi/v1/positionSide/dual)"
        )
    if await client.multi_assets_mode():
        raise CannotStart(
            "the exchange account is in multi-assets mode: switch it to single-asset "
            "(POST /fapi/v1/multiAssetsMargin)"
        )


async def first_books(desk: Desk, client: ExchangeClient, *, symbols: list[str], at: int) -> Posting | None:
    """Open the books of a new system; None where they are open already."""
    if HOUSE in desk.accounts:
        return None
    balances = await client.balances()
    wallet = next((row.balance for row in balances if row.asset == "USDT"), Decimal(0))
    positions = [
        (row.symbol, row.position_amt, row.entry_price)
        for row in await client.position_risk()
        if row.position_amt
    ]
    traded = dict.fromkeys([*symbols, *(symbol for symbol, _, _ in positions)])
    cursors = {symbol: await newest_trade(client, symbol) for symbol in traded}
    log.info("books_opened", wallet=str(wallet), positions=len(positions))
    return open_books(desk, at=at, wallet=wallet, positions=positions, cursors=cursors)


async def newest_trade(client: ExchangeClient, symbol: str) -> int:
    """The id of the account's newest trade in a symbol; 0 if it never traded there."""
    rows = await client.user_trades(symbol=symbol, limit=1)
    return max((row.id for row in rows), default=0)
