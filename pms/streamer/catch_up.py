"""Catching up with the exchange after a gap: at start, and whenever the user stream was away.

What the exchange has is booked; what it lists and we do not know is adopted or alarmed; what we
think alive and it does not list is asked about by id. Running it twice changes nothing more.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from pms.binance.client import ExchangeClient, OrderAnswer, UserTrade
from pms.binance.errors import NotFound
from pms.domain.adoption import adopt, ours
from pms.domain.booking import prove_cursor
from pms.domain.orders import Order
from pms.streamer.attention import seen_from, trade_from
from pms.streamer.engine import Engine

log = structlog.get_logger()
PAGE = 1000
DAY_MS = 86_400_000
OVERLAP_MS = 10_000
"""A trade younger than this may still have an older one hidden behind it; the cursor stays before it."""


@dataclass(slots=True)
class CatchUp:
    """Brings the desk up to what the exchange knows."""

    engine: Engine
    client: ExchangeClient

    async def run(self) -> int:
        """Close the gap; returns how many trades were booked by it. Raises what REST raises."""
        listed = await self.client.open_orders()
        for order in listed:
            self._take(order)
        booked = 0
        for symbol in sorted(self._symbols()):
            booked += await self.trades(symbol)
        await self._ask_unlisted({order.client_order_id for order in listed})
        await self.account()
        return booked

    async def all_orders(self) -> None:
        """Take in every order of the last day, finished ones too: a repeat of a command that Redis forgot
        must meet the order that came of it."""
        since = self.client.exchange_now_ms() - DAY_MS
        for symbol in sorted(self._symbols()):
            for order in await self.client.orders_since(symbol, since):
                if ours(order.client_order_id):
                    self._take(order)

    async def trades(self, symbol: str) -> int:
        """Book a symbol's trades from the proven cursor on, and prove what the pages showed."""
        desk, booked = self.engine.desk, 0
        after = desk.cursors.get(symbol, 0)
        while True:
            page = await self.client.user_trades(symbol=symbol, from_id=after + 1, limit=PAGE)
            for row in page:
                booked += await self._book(row)
            if not page:
                return booked
            safe = [row.id for row in page if self.client.exchange_now_ms() - row.time > OVERLAP_MS]
            if safe:
                self.engine.outbox.add(prove_cursor(desk, symbol, max(safe), at=page[-1].time))
            after = max(row.id for row in page)
            if len(page) < PAGE:
                return booked

    async def unlisted(self) -> None:
        """Ask by id about every order that rests with us and not at the exchange: its last word was lost.

        The newest trade of a symbol is told by nothing else: no later one shows that it is missing.
        """
        resting = [order for order in self.engine.desk.live.values() if not order.unproven]
        if not resting:
            return
        listed = {order.client_order_id for order in await self.client.open_orders()}
        for order in resting:
            if order.spec.client_order_id not in listed and not order.state.terminal:
                await self._ask(order)

    async def account(self) -> None:
        """Read the wallet and the net positions, to be compared with our own sums."""
        venue = self.engine.venue
        positions = await self.client.position_risk()
        balances = await self.client.balances()
        venue.positions = {row.symbol: row.position_amt for row in positions}
        venue.wallet = next((row.balance for row in balances if row.asset == "USDT"), None)
        venue.heard_at = self.client.exchange_now_ms()

    async def _book(self, row: UserTrade) -> int:
        """Book one row; an order that we cannot place is asked for by its id first."""
        desk = self.engine.desk
        if (row.symbol, row.order_id, row.id) in desk.trades:
            return 0
        if (row.symbol, row.order_id) not in desk.by_exchange:
            try:
                order = await self.client.query_order(symbol=row.symbol, order_id=row.order_id)
            except NotFound:
                return self.engine.book(trade_from(row, None))
            self._take(order)
            return self.engine.book(trade_from(row, order.client_order_id))
        return self.engine.book(trade_from(row, desk.by_exchange[row.symbol, row.order_id]))

    def _take(self, answer: OrderAnswer) -> None:
        """Take in one order of the exchange: ours, ours forgotten, or foreign."""
        engine = self.engine
        known = engine.order_of(answer.symbol, answer.order_id, answer.client_order_id)
        if known is not None:
            engine.observe(known, seen_from(answer), at=answer.update_time)
        elif ours(answer.client_order_id):
            _, posting = adopt(
                engine.desk,
                client_order_id=answer.client_order_id,
                exchange_order_id=answer.order_id,
                symbol=answer.symbol,
                side=answer.side,
                order_type=answer.type,
                quantity=answer.orig_qty,
                price=answer.price or None,
                time_in_force=answer.time_in_force,
                word=answer.status,
                filled=answer.executed_qty,
                at=answer.update_time,
            )
            engine.outbox.add(posting)
            engine.agenda.put(answer.client_order_id, in_s=0)
        else:
            engine.foreign(answer.symbol, answer.order_id, answer.client_order_id)

    async def _ask_unlisted(self, listed: set[str]) -> None:
        """Ask by id about every order that we think alive and the list does not show."""
        for order in list(self.engine.desk.live.values()):
            if order.spec.client_order_id in listed:
                continue
            if order.unproven:
                self.engine.agenda.put(order.spec.client_order_id, in_s=0)
            else:
                await self._ask(order)

    async def _ask(self, order: Order) -> None:
        try:
            answer = await self.client.query_order(
                symbol=order.spec.symbol, client_order_id=order.spec.client_order_id
            )
        except NotFound:
            detail = f"{order.spec.client_order_id} was {order.state}, and the exchange does not find it"
            self.engine.raise_incident("order_vanished", "critical", detail)
            return
        self._take(answer)

    def _symbols(self) -> set[str]:
        desk = self.engine.desk
        positions = {symbol for held in desk.held.values() for symbol in held}
        return set(desk.cursors) | positions | {order.spec.symbol for order in desk.live.values()}
