"""Catching up with the exchange after a gap: at start, and whenever the user stream was away.

What the exchange has is booked; what it lists and we do not know is adopted or alarmed; what we
think alive and it does not list is asked about by id. Running it twice changes nothing more.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import structlog

from pms.binance.client import ExchangeClient, OrderAnswer, UserTrade
from pms.binance.errors import ExchangeError, NotFound
from pms.binance.windows import Lane
from pms.domain.adoption import ours
from pms.domain.booking import prove_cursor
from pms.domain.incidents import OF_ORDERS
from pms.domain.orders import Order
from pms.streamer.attention import seen_from, trade_from, unbooked
from pms.streamer.engine import Engine
from pms.streamer.forgotten import Forgotten
from pms.streamer.refused_symbols import asked_about
from pms.streamer.start import given_room
from pms.streamer.trade_pages import trade_pages

log = structlog.get_logger()
ENDS = frozenset(("FILLED", "CANCELED", "EXPIRED", "EXPIRED_IN_MATCH", "REJECTED"))
DAY_MS = 86_400_000
TRADES_WEIGHT = 5
ACCOUNT_WEIGHT = 10
MOST_READS = 3
OVERLAP_MS = 10_000
"""A trade younger than this may still have an older one hidden behind it; the cursor stays before it."""

FOUND_WITHIN_MS = 60_000
"""GET order lags behind userTrades by seconds: "not found" says nothing of the order of a younger trade."""

OWED_EVERY_S = 2.0


@dataclass(slots=True)
class CatchUp:
    """Brings the desk up to what the exchange knows."""

    engine: Engine
    client: ExchangeClient
    alone: asyncio.Lock = field(default_factory=asyncio.Lock)
    #: held by whoever compares with the exchange, so that no two do at once
    weight: int = 0
    #: of the exchange's request budget, spent so far
    owed: set[str] = field(default_factory=set)
    #: symbols in which the exchange showed a trade that is not booked yet
    forgotten: Forgotten = field(init=False)

    def __post_init__(self) -> None:
        self.forgotten = Forgotten(self.engine, self.client)
        self.engine.trades_missed = self.owed.add

    async def run(self) -> int:
        """Close the gap; returns how many trades were booked by it. Raises what REST raises.

        Each step waits for room in the rate budget by itself: all of them together may not fit into a minute,
        and what was read is not read again.
        """
        async with self.alone:
            return await self._run()

    async def _run(self) -> int:
        listed = await given_room(self.forgotten.open_orders)
        for order in listed:
            self.take(order)
        booked = 0
        for symbol in self._symbols():
            booked += await given_room(partial(self.trades, symbol))
        await self._ask_unlisted({order.client_order_id for order in listed})
        await given_room(self.account)
        return booked

    async def all_orders(self) -> None:
        """Take in every order of the last day, finished ones too: a repeat of a command that Redis forgot
        must meet the order that came of it."""
        since = self.client.exchange_now_ms() - DAY_MS
        async with self.alone:
            for symbol in self._symbols():
                with asked_about(self.engine, symbol):
                    for order in await given_room(partial(self.client.orders_since, symbol, since)):
                        if ours(order.client_order_id) and not self._forgotten(order):
                            self.take(order)

    async def trades(
        self, symbol: str, *, prove: bool = True, take: bool = True, lane: Lane = "query"
    ) -> int:
        """Book a symbol's trades from the proven cursor on; returns how many were new.

        With `prove` the cursor moves to what the pages showed; without `take` they are only counted.
        """
        desk, booked = self.engine.desk, 0
        after = desk.cursors.get(symbol, 0)
        waits: dict[int, int] = {}  # the first trade of each order that is not found yet
        left_out: list[int] = []
        with asked_about(self.engine, symbol):
            async for page in trade_pages(self.client, symbol, after=after, lane=lane):
                self.weight += TRADES_WEIGHT
                for row in page:
                    if not unbooked(desk, row) or row.order_id in waits:
                        continue
                    if take and self.engine.leaves_out((row.symbol, row.order_id, row.id)):
                        left_out.append(row.id)
                        continue
                    new = await self._book(row) if take else True
                    if new is None:
                        waits[row.order_id] = row.id
                        self.owed.add(symbol)
                    else:
                        booked += new
                if take and prove:
                    self._prove(symbol, page, before=min([*waits.values(), *left_out], default=None))
        # One that the exchange refuses is not read every two seconds for ever: the next pass asks again.
        if take and not waits:
            self.owed.discard(symbol)
        return booked

    def _prove(self, symbol: str, page: list[UserTrade], *, before: int | None) -> None:
        """Move the proven cursor to the last of a page's trades that hides nothing and is not waited for."""
        old = self.client.exchange_now_ms() - OVERLAP_MS
        safe = [row.id for row in page if row.time < old and (before is None or row.id < before)]
        if safe:
            self.engine.outbox.add(prove_cursor(self.engine.desk, symbol, max(safe), at=page[-1].time))

    async def read_owed(self) -> None:
        """Read again, for ever, where a trade is owed: nothing else brings it soon."""
        while True:
            await asyncio.sleep(OWED_EVERY_S)
            for symbol in sorted(self.owed):
                try:
                    await self.trades(symbol)
                except (ExchangeError, OSError) as error:
                    log.warning("owed_trades_not_read", symbol=symbol, error=str(error))

    async def unlisted(self) -> None:
        """Ask by id about every order that rests with us and not at the exchange: its last word was lost.

        The newest trade of a symbol is told by nothing else: no later one shows that it is missing.
        """
        if all(order.unproven for order in self.engine.desk.live.values()):
            return
        async with self.alone:
            listed = await given_room(self.forgotten.open_orders)
            await self._ask_unlisted({order.client_order_id for order in listed})

    async def account(self, *, take: bool = True) -> None:
        """Read the wallets and the net positions, to be compared with our own sums.

        With `take`, trades of a symbol in which something is held and nothing was ever read are booked.
        Trap: the feed may tell something newer while the answers are under way; then they are asked again.
        """
        venue = self.engine.venue
        for _ in range(MOST_READS):
            told = venue.told
            positions = await self.client.position_risk()
            balances = await self.client.balances()
            self.weight += ACCOUNT_WEIGHT
            if venue.told == told:
                break
        else:
            return
        venue.positions = {row.symbol: row.position_amt for row in positions}
        venue.wallets = {row.asset: row.balance for row in balances}
        for row in positions if take else ():
            if row.position_amt and row.symbol not in self.engine.desk.cursors:
                await self.trades(row.symbol)

    async def _book(self, row: UserTrade) -> bool | None:
        """Book one row; an order that we cannot place, or that it would end, is asked for by its id first.

        None where nobody can say yet whose it is. Trap: booked to the house it is known, and the order that
        is found later never gets it.
        """
        known = self.engine.desk.by_exchange
        name = known.get((row.symbol, row.order_id))
        if name is None:
            self.weight += 1
            try:
                order = await self.client.query_order(symbol=row.symbol, order_id=row.order_id)
            except NotFound:
                await self._ask_unacknowledged(row)
                name = known.get((row.symbol, row.order_id))
                if name is None and self.client.exchange_now_ms() - row.time < FOUND_WITHIN_MS:
                    return None
            else:
                name = order.client_order_id
                if not self._forgotten(order):
                    self.take(order)
        elif self._would_end(name, row):
            self.weight += 1
            with suppress(NotFound):
                self.take(await self.client.query_order(symbol=row.symbol, order_id=row.order_id))
        return self.engine.book(trade_from(row, name))

    def _would_end(self, name: str, row: UserTrade) -> bool:
        """Whether a trade would fill an order by the terms that we know: Redis may have forgotten others."""
        order = self.engine.desk.orders.get(name)
        if order is None or order.momentary or order.state.terminal or order.said_over:
            return False
        return order.filled_qty + row.qty >= order.total

    async def _ask_unacknowledged(self, row: UserTrade) -> None:
        """Ask by our id about the orders that may have traded this, and have no id of the exchange's yet."""
        for order in list(self.engine.desk.live.values()):
            spec = order.spec
            fits = (spec.symbol, spec.side) == (row.symbol, row.side) and row.qty <= order.total
            if order.exchange_order_id is None and fits:
                self.weight += 1
                with suppress(NotFound):
                    self.take(
                        await self.client.query_order(
                            symbol=spec.symbol, client_order_id=spec.client_order_id
                        )
                    )

    def _forgotten(self, answer: OrderAnswer) -> bool:
        """Whether an order closed so long ago that only PostgreSQL may remember it.

        Adopted, it would overwrite what stands there; its trade is booked by the tag in its id instead.
        """
        desk = self.engine.desk
        closed = answer.status in ENDS and answer.client_order_id not in desk.orders
        return closed and answer.update_time <= desk.forgotten_until

    def take(self, answer: OrderAnswer) -> None:
        """Take in one order of the exchange: ours, ours forgotten, or foreign."""
        engine = self.engine
        known = engine.order_of(answer.symbol, answer.order_id, answer.client_order_id)
        if known is not None:
            engine.observe(known, seen_from(answer), at=answer.update_time)
            engine.found(known)
        elif ours(answer.client_order_id):
            engine.adopt(answer)
        else:
            engine.foreign(answer.symbol, answer.order_id, answer.client_order_id)

    async def _ask_unlisted(self, listed: set[str]) -> None:
        """Ask by id about every order that we think alive and the list does not show."""
        for order in list(self.engine.desk.live.values()):
            if order.spec.client_order_id in listed or order.state.terminal:
                continue
            if order.unproven:
                self.engine.agenda.put(order.spec.client_order_id, in_s=0)
            else:
                await given_room(partial(self._ask, order))

    async def _ask(self, order: Order) -> None:
        symbol, coid = order.spec.symbol, order.spec.client_order_id
        with asked_about(self.engine, symbol):
            try:
                self.take(await self.client.query_order(symbol=symbol, client_order_id=coid))
            except NotFound:
                await self.vanished(order)

    async def vanished(self, order: Order) -> None:
        """An order that was live is not found: an alarm, until it is proven over or an operator ends it."""
        if await self.forgotten.settles(order):
            return
        coid = order.spec.client_order_id
        detail = f"{coid} was {order.state}, and the exchange does not find it"
        self.engine.raise_incident("order_vanished", "critical", detail, subject=coid)

    def settle_over(self) -> None:
        """Settle what earlier lives told of orders that are over: the word that ended one comes no more.

        Trap: only while no proof of an order's end waits to be journaled; it may yet fail.
        """
        desk = self.engine.desk
        for kind in OF_ORDERS:
            for row in desk.incidents.of_kind(kind):
                order = desk.orders.get(row.subject)
                if order is None or order.state.terminal:
                    how = "its order is over" if order is None else f"it is {order.state}"
                    self.engine.settle_incident(kind, row.subject, how)

    def _symbols(self) -> list[str]:
        """Every symbol with a history here; first those with orders, positions or unproven trades."""
        desk = self.engine.desk
        first = {symbol for held in desk.held.values() for symbol, _ in held}
        first |= {order.spec.symbol for order in desk.live.values()}
        first |= {
            symbol for symbol, newest in desk.newest_trades.items() if newest > desk.cursors.get(symbol, 0)
        }
        return [*sorted(first), *sorted(desk.cursors.keys() - first)]
