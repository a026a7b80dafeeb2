"""Reading the three books for the independent reader; nothing is computed here."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from pms.cli.audit_checks import WALLET, Engine, Exchange, Import, Ledger, Snapshot, Trade
from pms.cli.audit_money import Fee, Funding, Handed, Money
from pms.cli.exchange import PAGE, ExchangeReader
from pms.cli.session import Failed
from pms.contract import names
from pms.contract.journal import AssetRow, CommandRow, FeeRow, IncomeRow, LiquidationRow, MoveRow
from pms.contract.money import decode_object
from pms.db import queries

CORRECTIONS = {"pms.adjust", "pms.reassign"}
TRADED = {"COMMISSION", "REALIZED_PNL"}
"""Kinds of income that each trade tells itself."""

KINDS = (
    *("TRANSFER", "INTERNAL_TRANSFER", "STRATEGY_UMFUTURES_TRANSFER", "CROSS_COLLATERAL_TRANSFER"),
    *("COIN_SWAP_DEPOSIT", "COIN_SWAP_WITHDRAW", "AUTO_EXCHANGE"),
    *("FUNDING_FEE", "SPECIAL_FUNDING_FEE", "INSURANCE_CLEAR", "POSITION_LIMIT_INCREASE_FEE", "FEE_RETURN"),
    *("REFERRAL_KICKBACK", "COMMISSION_REBATE", "API_REBATE"),
    *("WELCOME_BONUS", "CONTEST_REWARD", "BFUSD_REWARD"),
    *("OPTIONS_PREMIUM_FEE", "OPTIONS_SETTLE_PROFIT", "DELIVERED_SETTELMENT"),
)
"""All others that Binance documents; its spelling."""

MOST_PAGES = 3
"""Of all kinds together, at a weight of 30 each; over it trades fill them, and each kind is asked alone."""

DAY_MS = 86_400_000
KEPT_DAYS = 85
"""Binance keeps trades, orders and incomes for three months: some days less, for reading takes time, too."""

LATE_MS = 900_000
"""How late a row may appear: minutes have been seen. What is older is not read again."""


@dataclass(slots=True)
class Incomes:
    """The income history, read once; later passes read only what may be new.

    Trap: a long history lacks the rows of TRADED behind its first pages. A trade in a symbol that the books
    never had then shows in the wallet, or in another asset, rather than as a trade.
    """

    reader: ExchangeReader
    _old: list[Any] = field(default_factory=list)
    _start: int = 0

    async def read(self, *, since: int) -> list[Any]:
        """Every row since a time, the same in each pass; with the exchange's words."""
        now = time.time_ns() // 1_000_000
        start = max(since, self._start)
        rows = self._old + await self._read(start)
        self._start = max(start, now - LATE_MS)
        self._old = [row for row in rows if row["time"] < self._start]
        return rows

    async def _read(self, start: int) -> list[Any]:
        rows, whole = await self._pages(start, most=MOST_PAGES)
        if whole:
            return rows
        apart = [row for row in rows if row["incomeType"] in TRADED]
        for kind in KINDS:
            found, _ = await self._pages(start, incomeType=kind)
            apart += found
        # A kind that Binance does not document is only in the pages of all kinds.
        return apart + [row for row in rows if row["incomeType"] not in {*TRADED, *KINDS}]

    async def _pages(self, start: int, *, most: int | None = None, **only: str) -> tuple[list[Any], bool]:
        """The rows from a time on, and whether that is all; without a start the exchange gives a week."""
        rows: list[Any] = []
        number = 0
        while most is None or number < most:
            number += 1
            page = await self.reader.signed(
                "/fapi/v1/income", startTime=start, page=number, limit=PAGE, **only
            )
            rows += page
            if len(page) < PAGE:
                return rows, True
        return rows, False


def horizon(opened_at: int, *, now: int, days: int) -> int:
    """From when on the exchange is asked; 0 for all there ever was, where the books are younger than that."""
    since = now - days * DAY_MS
    return since if since > opened_at else 0


async def read_exchange(
    reader: ExchangeReader, symbols: set[str], income: list[Any], ledger: Ledger, *, since: int
) -> Exchange:
    """Read the account: the trades of all its symbols behind `since`; other income was read before."""
    positions = {
        row["symbol"]: Decimal(row["positionAmt"]) for row in await reader.signed("/fapi/v2/positionRisk")
    }
    traded = {row["symbol"] for row in income if row["symbol"]}
    held = {symbol for symbol, quantity in positions.items() if quantity}
    trades: list[Trade] = []
    client_ids: dict[tuple[str, int], str] = {}
    for symbol in sorted(symbols | traded | held):
        first_trade, first_order = _first(ledger, symbol, since)
        rows = await reader.pages(
            "/fapi/v1/userTrades", cursor="fromId", key="id", start=first_trade, symbol=symbol
        )
        trades += [_exchange_trade(row) for row in rows]
        orders = await reader.pages(
            "/fapi/v1/allOrders", cursor="orderId", key="orderId", start=first_order, symbol=symbol
        )
        client_ids |= {(symbol, int(row["orderId"])): row["clientOrderId"] for row in orders}
    balances = await read_balances(reader)
    open_orders = await reader.signed("/fapi/v1/openOrders")
    return Exchange(
        trades=tuple(trades),
        client_ids=client_ids,
        positions=positions,
        wallet=balances.get(WALLET, Decimal(0)),
        moved=tuple(
            (int(row["time"]), row["incomeType"], Decimal(row["income"]))
            for row in income
            if row["incomeType"] not in TRADED and row["asset"] == WALLET
        ),
        open_orders={(row["symbol"], int(row["orderId"])): row["clientOrderId"] for row in open_orders},
        since=since,
    )


def _first(ledger: Ledger, symbol: str, since: int) -> tuple[int, int]:
    """The trade and the order to read a symbol from: the newest trade of before, the oldest order of since.

    An order that is older than all of these and told nothing yet is in the list of open ones.
    """
    if not since:
        return 0, 0
    fills = [fill for fill in ledger.fills if fill.symbol == symbol]
    before = max((fill.trade_id for fill in fills if fill.at <= since), default=0)
    return before, min((fill.order_id for fill in fills if fill.at > since), default=0)


async def read_balances(reader: ExchangeReader) -> dict[str, Decimal]:
    """The account's balances by asset."""
    return {row["asset"]: Decimal(row["balance"]) for row in await reader.signed("/fapi/v2/balance")}


async def read_money(
    reader: ExchangeReader, database: AsyncEngine, ledger: Ledger, incomes: list[Any]
) -> Money:
    """Read both sides of the money that no trade moved, since the books were opened."""
    entries = await queries.ledger(database, limit=None)
    symbols = {symbol for _, symbol, _ in ledger.positions}
    theirs = {asset: held for asset, held in (await read_balances(reader)).items() if asset != WALLET}
    return Money(
        theirs=theirs,
        ours={row.asset: row.balance for row in await queries.every(database, AssetRow)},
        entries=tuple((entry.asset, entry.amount) for entry in entries if entry.asset != WALLET),
        told={
            (row["incomeType"], int(row["tranId"]), row["asset"], row["symbol"]): Decimal(row["income"])
            for row in incomes
            if row["incomeType"] not in TRADED
        },
        booked={
            (row.kind, row.tran_id, row.asset, row.symbol): row.amount
            for row in await queries.every(database, IncomeRow)
        },
        fees=tuple(
            Fee(
                (row.symbol, row.exchange_order_id, row.trade_id),
                row.sub_account_id,
                row.asset,
                row.commission,
                row.price,
                row.amount,
            )
            for row in await queries.every(database, FeeRow)
        ),
        fundings=tuple(
            [row for symbol in sorted(symbols) for row in await _fundings(reader, symbol, ledger)]
        ),
        paid=tuple(
            (entry.sub_account_id, entry.reference, entry.amount)
            for entry in entries
            if entry.reason == "FUNDING"
        ),
        handed=tuple(
            Handed(row.sub_account_id, row.symbol, row.quantity, row.at, row.position_side)
            for row in await queries.every(database, MoveRow)
        ),
    )


async def _fundings(reader: ExchangeReader, symbol: str, ledger: Ledger) -> list[Funding]:
    """A symbol's fundings since the books were opened, but for those that are hardly over."""
    found: list[Funding] = []
    start = ledger.opened_at
    while True:
        page = await reader.public("/fapi/v1/fundingRate", symbol=symbol, startTime=start, limit=PAGE)
        found += [
            Funding(
                symbol, int(row["fundingTime"]), Decimal(row["fundingRate"]), Decimal(row["markPrice"] or 0)
            )
            for row in page
        ]
        if len(page) < PAGE:
            return found
        start = found[-1].at + 1


async def read_ledger(database: AsyncEngine) -> Ledger:
    """Read what PostgreSQL keeps; raises Failed when the books were never opened."""
    entries = await queries.ledger(database, limit=None)
    entries = [entry for entry in entries if entry.asset == WALLET]
    opening = next((entry for entry in entries if entry.reason == "OPENING"), None)
    if opening is None:
        raise Failed("the books are not open: the engine has not started on this database yet")
    fills = await queries.fills(database, limit=None)
    orders = await queries.orders(database, open_only=True, limit=None)
    commands = await queries.commands(database, decision="admitted", limit=None)
    return Ledger(
        opened_at=opening.at,
        opening=opening.amount,
        balances={row.id: row.balance for row in await queries.accounts(database)},
        entries=tuple((entry.sub_account_id, entry.reason, entry.amount) for entry in entries),
        fills=tuple(
            Trade(
                symbol=fill.symbol,
                order_id=fill.exchange_order_id,
                trade_id=fill.trade_id,
                side=fill.side,
                price=fill.price,
                quantity=fill.quantity,
                commission=fill.commission,
                commission_asset=fill.commission_asset,
                realized=fill.venue_realized_pnl,
                maker=fill.maker,
                at=fill.venue_time,
                owner=fill.sub_account_id,
                position_side=fill.position_side,
            )
            for fill in fills
        ),
        positions={
            (row.sub_account_id, row.symbol, row.position_side): (row.quantity, row.cost)
            for row in await queries.position_rows(database)
        },
        imports=(
            *(handed for row in commands for handed in _handed(row)),
            *(
                Import(row.sub_account_id, row.symbol, -row.quantity, -row.quantity * row.price)
                for row in await queries.every(database, LiquidationRow)
                if row.symbol is not None and row.quantity is not None and row.price is not None
            ),
        ),
        taken_orders=frozenset(
            row.client_order_id
            for row in await queries.orders(database, sub_account_id=names.HOUSE, limit=None)
            if not row.client_order_id.startswith(f"PMS_{names.HOUSE}_")
        ),
        open_orders=tuple((row.symbol, row.exchange_order_id, row.client_order_id) for row in orders),
        moved=tuple(
            (row.at, row.kind, row.amount)
            for row in await queries.every(database, IncomeRow)
            if row.asset == WALLET and row.kind not in TRADED
        ),
    )


async def read_engine(redis: Any, accounts: set[str]) -> Engine:
    """Read what the engine publishes; an account without a snapshot is left out."""
    health = await redis.get(names.HEALTH)
    shown = sorted(accounts)
    texts = await redis.mget([names.risk_key(account) for account in shown])
    return Engine(
        state=str(decode_object(health).get("state")) if health else "not running",
        snapshots={
            account: _snapshot(decode_object(text))
            for account, text in zip(shown, texts, strict=True)
            if text is not None
        },
    )


async def journal_end(redis: Any) -> int:
    """The seq of the journal's last entry; 0 in an empty one."""
    found = await redis.xrevrange(names.JOURNAL, count=1)
    return int(found[0][0].split(b"-")[0]) if found else 0


def _exchange_trade(row: dict[str, Any]) -> Trade:
    return Trade(
        symbol=row["symbol"],
        order_id=int(row["orderId"]),
        trade_id=int(row["id"]),
        side=row["side"],
        price=Decimal(row["price"]),
        quantity=Decimal(row["qty"]),
        commission=Decimal(row["commission"]),
        commission_asset=row["commissionAsset"],
        realized=Decimal(row["realizedPnl"]),
        maker=bool(row["maker"]),
        at=int(row["time"]),
    )


def _handed(command: CommandRow) -> list[Import]:
    """What a command handed from the house to a sub-account, or back: quantity, and what it cost."""
    if command.command == "pms.import_position":
        fields = decode_object(command.text)
        quantity, entry = Decimal(str(fields["quantity"])), Decimal(str(fields["entryPrice"]))
        cost = (quantity * entry).quantize(Decimal("0.00000001"))
        return [Import(fields["subAccountId"], fields["symbol"].upper(), quantity, cost)]
    if command.command not in CORRECTIONS:
        return []
    answer = decode_object(command.answer)
    told = answer["details"]
    if "price" not in told:
        return []
    quantity = Decimal(told["quantity"])
    cost = quantity * Decimal(told["price"]) + Decimal(told.get("commission", 0))
    sides = ((told["to"], 1), (told["from"], -1))
    return [Import(who, answer["symbol"], quantity * s, cost * s) for who, s in sides if who != names.HOUSE]


def _snapshot(fields: dict[str, Any]) -> Snapshot:
    positions = {
        (row["symbol"], row["positionSide"]): Decimal(row["quantity"]) * (1 if row["side"] == "LONG" else -1)
        for row in fields["positions"]
    }
    return Snapshot(balance=Decimal(fields["balance"]), positions=positions)
