"""Reconciliation: memory against the exchange, again and again, in one pass that converges.

A pass asks, it never concludes from silence: an order that openOrders does not show is asked for by
its id (the list is stale by up to 30 s), and only rows of userTrades are booked. What differs in the
end is told by `conservation`, which waits until it has lasted. A second pass finds nothing and
journals nothing.

Weight of a quiet pass: 50, and 5 for each symbol read: those with live orders or unproven trades, those
whose position differs, and `SYMBOLS_IN_TURN` of the others.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from pms.binance.client import ExchangeClient, OrderAnswer
from pms.binance.errors import ExchangeError, NotFound
from pms.bus.inbox import Reconcile
from pms.contract import names
from pms.contract.reconciliation import Books, Comparison, Report, encode_report
from pms.domain.orders import Order, known_word
from pms.domain.rows import order_row, position_row
from pms.streamer.catch_up import CatchUp
from pms.streamer.conservation import differences
from pms.streamer.engine import Engine
from pms.streamer.refused_symbols import asked_about

log = structlog.get_logger()
LISTING_WEIGHT = 40
SYMBOLS_IN_TURN = 5
MOST_WAITING = 8
ALONE_AFTER_S = 120.0
"""Without beat or worker the streamer reconciles by itself this often."""

LIST_IS_STALE_MS = 30_000
_LIVE_WORDS = {"NEW", "PARTIALLY_FILLED"}


@dataclass(slots=True)
class Reconciler:
    """Runs passes, one at a time."""

    engine: Engine
    client: ExchangeClient
    catch_up: CatchUp
    redis: Redis
    now_ms: Callable[[], int]
    _asked: deque[Reconcile] = field(default_factory=lambda: deque(maxlen=MOST_WAITING))
    _wanted: asyncio.Event = field(default_factory=asyncio.Event)
    _turn: int = 0

    def ask(self, message: Reconcile) -> None:
        """Note that somebody wants a pass; of very many the oldest is forgotten."""
        self._asked.append(message)
        self._wanted.set()

    async def run(self) -> None:
        """Serve passes for ever."""
        while True:
            try:
                async with asyncio.timeout(ALONE_AFTER_S):
                    await self._wanted.wait()
            except TimeoutError:
                self.ask(Reconcile("alone"))
            self._wanted.clear()
            while self._asked:
                await self._serve(self._asked.popleft())

    async def _serve(self, asked: Reconcile) -> None:
        report = await self.reconcile(asked)
        found = [line for comparison in report.comparisons for line in comparison.found]
        if found or report.fault:
            log.warning("reconciled", booked=report.booked, found=found[:10], fault=report.fault)
        redis: Any = self.redis
        try:
            await redis.set(names.report_key(asked.id), encode_report(report), ex=names.REPORT_TTL_S)
        except (RedisError, OSError) as error:
            log.warning("report_not_told", error=str(error))

    async def reconcile(self, asked: Reconcile) -> Report:
        """Make one pass, or with `books_only` none: then the books are all that is told."""
        desk, before, weight = self.engine.desk, self.engine.desk.last_seq, self.catch_up.weight
        comparisons: list[Comparison] = []
        booked, fault = 0, None
        if not asked.books_only:
            try:
                async with self.catch_up.alone:
                    booked = await self._pass(comparisons, take=not asked.dry_run)
            except (ExchangeError, OSError) as error:
                fault = f"the exchange: {error}"
        return Report(
            id=asked.id,
            at=self.now_ms(),
            before=before,
            seq=desk.last_seq,
            dry_run=asked.dry_run,
            weight=self.catch_up.weight - weight,
            booked=booked,
            comparisons=tuple(comparisons),
            books=self._books(),
            fault=fault,
        )

    async def _pass(self, comparisons: list[Comparison], *, take: bool) -> int:
        comparisons.append(await self._orders(take=take))
        await self.catch_up.account(take=take)
        found, booked, symbols = [], 0, self._symbols()
        for symbol in symbols:
            new = await self.catch_up.trades(symbol, prove=False, take=take, lane="background")
            if new:
                found.append(f"{symbol}: {new} trade{'s' if new > 1 else ''} of the exchange not booked")
            booked += new if take else 0
        comparisons.append(
            Comparison(what="trades since the proven cursors", rows=len(symbols), found=tuple(found))
        )
        if differences(self.engine.desk, self.engine.venue):
            # Something may have traded between the two answers.
            await self.catch_up.account(take=take)
        comparisons += self._sums()
        return booked

    # --- orders ---

    async def _orders(self, *, take: bool) -> Comparison:
        """Each live order on either side, by its id where the list alone would not prove it."""
        listed = await self.catch_up.forgotten.open_orders(lane="background")
        self.catch_up.weight += LISTING_WEIGHT
        live = [order for order in self.engine.desk.live.values() if not order.unproven]
        found: list[str] = []
        for answer in listed:
            found += await self._listed(answer, take=take)
        shown = {(answer.symbol, answer.order_id) for answer in listed}
        for order in live:
            if not order.state.terminal and (order.spec.symbol, order.exchange_order_id) not in shown:
                with asked_about(self.engine, order.spec.symbol):
                    found += await self._unlisted(order, take=take)
        if take:
            for order in self.engine.desk.live.values():
                if order.unproven:
                    self.engine.agenda.put(order.spec.client_order_id, in_s=0)
            await self._foreign_gone(shown)
        return Comparison(what="orders", rows=len(live) + len(listed), found=tuple(found))

    async def _listed(self, answer: OrderAnswer, *, take: bool) -> list[str]:
        order = self.engine.order_of(answer.symbol, answer.order_id, answer.client_order_id)
        if order is not None and _agrees(order, answer):
            return []
        if order is not None:
            # Our own word may be the younger one.
            if self.client.exchange_now_ms() - order.updated_at < LIST_IS_STALE_MS and order.state.terminal:
                return []
            asked = await self._ask(order)
            if asked is None or _agrees(order, asked):
                return []
            answer = asked
        foreign = f"{answer.symbol}:{answer.order_id}"
        if order is None and self.engine.desk.incidents.get("foreign_order", foreign):
            return []  # it stands as an incident, and is left alone
        was = "is unknown here" if order is None else f"is {order.state} here"
        if take:
            self.catch_up.take(answer)
        return [f"{answer.symbol} {answer.client_order_id}: {answer.status} there, {was}"]

    async def _unlisted(self, order: Order, *, take: bool) -> list[str]:
        answer = await self._ask(order)
        name = f"{order.spec.symbol} {order.spec.client_order_id}"
        if answer is None:
            state = order.state
            if take:
                await self.catch_up.vanished(order)
            return [f"{name}: not found there, was {state} here"]
        if _agrees(order, answer):
            return []
        state = order.state
        if take:
            self.catch_up.take(answer)
        return [f"{name}: {answer.status} there, was {state} here"]

    async def _ask(self, order: Order) -> OrderAnswer | None:
        self.catch_up.weight += 1
        try:
            return await self.client.query_order(
                symbol=order.spec.symbol, client_order_id=order.spec.client_order_id
            )
        except NotFound:
            return None

    async def _foreign_gone(self, shown: set[tuple[str, int]]) -> None:
        """End the incidents of foreign orders that the exchange says are over."""
        for row in self.engine.desk.incidents.of_kind("foreign_order"):
            symbol, _, number = row.subject.partition(":")
            if not number.isdecimal() or (symbol, int(number)) in shown:
                continue
            self.catch_up.weight += 1
            with asked_about(self.engine, symbol):
                try:
                    answer = await self.client.query_order(symbol=symbol, order_id=int(number))
                    word = known_word(answer.status)
                except NotFound:
                    word = "not found any more"
                if word not in _LIVE_WORDS:
                    self.engine.settle_incident("foreign_order", row.subject, f"the exchange says: {word}")

    # --- sums ---

    def _sums(self) -> list[Comparison]:
        venue, net = self.engine.venue, self.engine.desk.treasury.net
        off = differences(self.engine.desk, venue)
        money = tuple(str(each) for each in off if each.name in venue.wallets)
        held = tuple(str(each) for each in off if each.name not in venue.wallets)
        return [
            Comparison(
                what="positions per symbol", rows=len(net.keys() | venue.positions.keys()), found=held
            ),
            Comparison(what="wallet", rows=len(self.engine.desk.accounts), found=money),
        ]

    def _symbols(self) -> list[str]:
        """Where a trade may be missing, and some of the others in turn."""
        desk = self.engine.desk
        wanted = {order.spec.symbol for order in desk.live.values()}
        wanted |= {s for s, newest in desk.newest_trades.items() if newest > desk.cursors.get(s, 0)}
        venue = self.engine.venue
        wanted |= {off.name for off in differences(desk, venue) if off.name not in venue.wallets}
        others = sorted((set(desk.cursors) | set(venue.positions)) - wanted)
        start = self._turn % len(others) if others else 0
        self._turn = start + SYMBOLS_IN_TURN
        return sorted(wanted | set([*others[start:], *others[:start]][:SYMBOLS_IN_TURN]))

    def _books(self) -> Books:
        desk = self.engine.desk
        return Books(
            seq=desk.last_seq,
            orders=tuple(order_row(order) for order in desk.live.values()),
            positions=tuple(position_row(p) for held in desk.held.values() for p in held.values()),
            accounts=tuple(account.row() for account in desk.accounts.values()),
        )


def _agrees(order: Order, answer: OrderAnswer) -> bool:
    """Whether the exchange says of an order what we have."""
    alive = known_word(answer.status) in _LIVE_WORDS
    same_terms = order.price is None or (order.quantity, order.price) == (answer.orig_qty, answer.price)
    return (
        not order.unproven
        and alive != order.state.terminal
        and order.filled_qty == answer.executed_qty
        and same_terms
    )
