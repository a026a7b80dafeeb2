"""Reading the exchange's income history: what moved money without a trade, live and after an outage.

dies before the entry is journaled   the keys are forgotten with it; the next reading books it
the same row twice                   its key is known, in memory and in PostgreSQL
a row that appears late              the cursor stays `LAG_MS` behind the clock, and all is re-read
"""

from __future__ import annotations

from dataclasses import dataclass

from pms.binance.answers import IncomeAnswer
from pms.binance.client import ExchangeClient
from pms.domain.income import TRADED, Income, book_incomes
from pms.domain.treasury import INCOME
from pms.streamer.engine import Engine

LAG_MS = 600_000
"""Binance tells no bound on how late a row may appear; minutes have been seen."""

AHEAD_MS = 60_000
PAGE = 1000
MOST_PAGES = 3
BATCH = 200
KINDS = (
    "TRANSFER",
    "FUNDING_FEE",
    "WELCOME_BONUS",
    "INSURANCE_CLEAR",
    "REFERRAL_KICKBACK",
    "COMMISSION_REBATE",
    "API_REBATE",
    "CONTEST_REWARD",
    "CROSS_COLLATERAL_TRANSFER",
    "OPTIONS_PREMIUM_FEE",
    "OPTIONS_SETTLE_PROFIT",
    "INTERNAL_TRANSFER",
    "AUTO_EXCHANGE",
    "DELIVERED_SETTELMENT",
    "COIN_SWAP_DEPOSIT",
    "COIN_SWAP_WITHDRAW",
    "POSITION_LIMIT_INCREASE_FEE",
    "STRATEGY_UMFUTURES_TRANSFER",
    "FEE_RETURN",
    "BFUSD_REWARD",
    "SPECIAL_FUNDING_FEE",
)
"""All that Binance documents but what each trade tells itself; its spelling."""


@dataclass(slots=True)
class IncomeReader:
    """Books the income history from its cursor on."""

    engine: Engine
    client: ExchangeClient

    async def read(self, *, since: int = 0) -> set[str]:
        """Book what is new; returns the symbols that were traded and of which no trade is known to us.

        With `since` only from there on: on a busy account all since the cursor takes two dozen requests,
        a third of a minute's weight. The cursor stays then.
        """
        desk, now = self.engine.desk, self.client.exchange_now_ms()
        cursor = desk.treasury.progress.get(INCOME, now)
        start = max(cursor, since)
        rows = await self._rows(start, now + AHEAD_MS)
        untold = [_income(row) for row in rows if row.income_type not in TRADED]
        for first in range(0, len(untold), BATCH):
            self.engine.outbox.add(book_incomes(desk, untold[first : first + BATCH], at=now))
        if start == cursor:
            self.engine.outbox.add(book_incomes(desk, (), proven=now - LAG_MS, at=now))
        traded = {row.symbol for row in rows if row.income_type in TRADED and row.symbol}
        return traded - desk.cursors.keys() - desk.newest_trades.keys()

    async def _rows(self, start: int, end: int) -> list[IncomeAnswer]:
        """All kinds in one go; kind by kind where trades, two rows each, would fill too many pages."""
        rows: list[IncomeAnswer] = []
        for page in range(1, MOST_PAGES + 1):
            found = await self.client.incomes(start=start, end=end, page=page, limit=PAGE)
            rows += found
            if len(found) < PAGE:
                return rows
        # What the pages held comes again, and is known by its id.
        return rows + [row for kind in KINDS for row in await self._of(kind, start, end)]

    async def _of(self, kind: str, start: int, end: int) -> list[IncomeAnswer]:
        rows: list[IncomeAnswer] = []
        page = 1
        while True:
            found = await self.client.incomes(start=start, end=end, kind=kind, page=page, limit=PAGE)
            rows += found
            if len(found) < PAGE:
                return rows
            page += 1


def _income(row: IncomeAnswer) -> Income:
    return Income(row.income_type, row.tran_id, row.asset, row.symbol, row.income, row.time)


async def recent_incomes(client: ExchangeClient) -> list[Income]:
    """What the last minutes told: balances that are read now may hold it already."""
    now = client.exchange_now_ms()
    rows = await client.incomes(start=now - LAG_MS, end=now + AHEAD_MS)
    return [_income(row) for row in rows if row.income_type not in TRADED]
