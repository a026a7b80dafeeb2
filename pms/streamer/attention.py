"""Attention: what one order needs next, decided from its state whenever it is due on the agenda.

never sent, in time                 send it, where no worker has (quarter-second take-over)
never sent, over or unwanted        close its send right, so that nobody will send it, and then void it
sent, no word of it                 ask the exchange, until it is found or proven absent
cancel wanted, and not said over    send a cancel, again and again until it is
trades missing                      read userTrades
amendment in flight                 send it where no worker has; sent, ask until the feed or a query ends it
cannot rest, and not over           ask the exchange: its last word was lost
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import structlog
from redis.exceptions import RedisError

from pms.binance.client import ExchangeClient, OrderAnswer, UserTrade
from pms.binance.errors import ExchangeError
from pms.bus.rights import Rights
from pms.contract import names
from pms.contract.codes import Code
from pms.contract.journal import HaltRow
from pms.domain.booking import Trade
from pms.domain.desk import Desk
from pms.domain.halts import halted_order
from pms.domain.orders import (
    AmendFailed,
    Amendment,
    Doubtful,
    Fact,
    NotExecuted,
    Order,
    Seen,
    Voided,
    known_word,
)
from pms.flows.amend import amend
from pms.flows.place import Placing, place
from pms.flows.resolve import PROOF_MARGIN_MS, Absent, look_up, proves_absence
from pms.streamer.engine import SILENCE_S, TAKE_OVER_S, Engine
from pms.streamer.queues import queue_of
from pms.streamer.trade_pages import trade_pages

log = structlog.get_logger()

ALARM_AFTER_MS = 30_000
MOST_TAKE_OVERS_PER_S = 50
RIGHTS_KEPT_MS = (names.RIGHT_TTL_S - 3600) * 1000
"""Since it could be given, a send right is there for so long; the hour is for clocks that disagree."""

NEVER_CAME = "proven: it never reached the exchange's engine"
CLOSED = "its send right was closed behind a proof that it was never executed"
"""What an earlier life had proven, and died before it could tell."""

CANCEL_DELAYS = (0.25, 0.5, 1.0, 2.0, 5.0)
QUERY_DELAYS = (0.5, 1.0, 1.5, 2.0, 4.0, 8.0, 15.0, 30.0)


async def _read_by_nobody(_: str) -> None:
    """Nobody reads a symbol's trades."""


@dataclass(slots=True)
class Care:
    """What was tried for one order so far."""

    queries: int = 0
    cancels: int = 0
    shown_at: int | None = None
    #: exchange ms, if the newest query showed the order
    first_absent: int | None = None
    alarmed: bool = False
    first_unamended: tuple[int, int] | None = None
    #: number of the wish, exchange ms
    proof: tuple[Fact, Code | None] | None = None
    #: what its send right was last to be closed for; the reply may have been lost

    @property
    def ask_again(self) -> float:
        """In how many seconds, after so many queries."""
        return QUERY_DELAYS[min(self.queries, len(QUERY_DELAYS) - 1)]

    @property
    def cancel_again(self) -> float:
        """In how many seconds, after so many cancels."""
        return CANCEL_DELAYS[min(self.cancels, len(CANCEL_DELAYS) - 1)]


@dataclass(slots=True)
class Attention:
    """Looks after every order that is not at rest."""

    engine: Engine
    client: ExchangeClient
    rights: Rights
    placing: Placing
    same_redis: bool
    """Redis has the same life as in the epoch before: what it was never asked a right for was never sent."""
    redis_now_ms: Callable[[], int]
    cares: dict[str, Care] = field(default_factory=dict)
    overtaken: Callable[[int], None] = lambda at: None
    #: told when REST shows an order as of an exchange time, ms
    owed: Callable[[str], None] = lambda symbol: None
    #: told of a symbol in which REST shows a trade that is not booked
    in_order: Callable[[str], Awaitable[object]] = _read_by_nobody
    #: books the trades of a symbol, the oldest first
    sending: dict[str, asyncio.Task[Any]] = field(default_factory=dict)
    #: by order or amendment, taken over, and waiting for room or for the exchange: nothing waits behind them
    take_overs: int = 0
    _reading: dict[str, asyncio.Lock] = field(default_factory=dict)
    #: by symbol, held while its trades are read for proofs
    _next_reading: dict[str, asyncio.Task[bool]] = field(default_factory=dict)
    #: by symbol, the reading that has not begun
    _second: int = 0
    _this_second: Counter[str] = field(default_factory=Counter)
    #: take-overs in it, by queue

    def urgent(self, client_order_id: str) -> bool:
        """Whether a cancel is the next that the order needs: it waits behind no query of another order."""
        order = self.engine.desk.orders.get(client_order_id)
        return order is not None and not order.state.terminal and _to_cancel(order)

    async def attend(self, client_order_id: str) -> float | None:
        """Do what the order needs; returns in how many seconds it is due again, or None."""
        order = self.engine.desk.orders.get(client_order_id)
        if order is None or (order.state.terminal and not order.trades_missing):
            self.cares.pop(client_order_id, None)
            return None
        care = self.cares.setdefault(client_order_id, Care())
        try:
            delay = await self._give(order, care)
        except (ExchangeError, RedisError, OSError) as error:
            log.info("attention_interrupted", order=client_order_id, error=str(error))
            care.queries += 1
            # A query that fails, or has no room, delays no cancel: its line may be back, its lane has room.
            return care.cancel_again if _to_cancel(order) else care.ask_again
        if delay is None:
            # What was tried is forgotten with its reason; the feed need not bring the order here again.
            self.cares.pop(client_order_id, None)
        return delay

    async def _give(self, order: Order, care: Care) -> float | None:
        """The most pressing of what the order needs."""
        if _to_cancel(order):
            return await self._cancel(order, care)
        if order.unproven:
            return await self._unproven(order, care)
        if order.trades_missing:
            return await self._ask(order, care)
        if order.amend is not None:
            return await self._amending(order, order.amend, care)
        if order.momentary:
            return await self._ask(order, care) or SILENCE_S
        return None

    async def _unproven(self, order: Order, care: Care) -> float | None:
        coid, now = order.spec.client_order_id, self.redis_now_ms()
        (signed_at,) = await self.rights.taken([coid])
        ours = order.spec.epoch == self.engine.desk.epoch
        # An id of the exchange says that it was sent, whatever became of its right since.
        nameless = order.exchange_order_id is None
        if nameless and signed_at is None and self._remembered(order.spec.admitted_at, ours=ours):
            if order.cancel_wanted or now > order.spec.deadline or not ours or self._halted(order):
                why = self._why_unsent(order, late=now > order.spec.deadline)
                proven = await self._prove(order, care, Voided(why), signed_at=None)
                return 1.0 if proven else TAKE_OVER_S
            if coid in self.sending or now - order.spec.admitted_at < TAKE_OVER_S * 1000:
                return TAKE_OVER_S
            if await self._may_take_over(order):
                self._send(coid, place(self.placing, coid))
            return TAKE_OVER_S
        if nameless and signed_at == 0:
            fact, code = care.proof or (NotExecuted(CLOSED), Code.NOT_EXECUTED)
            self.engine.observe(order, fact, code=code)
            return 1.0
        silent_from = signed_at or order.spec.admitted_at
        if self._just_sent(silent_from) and not order.doubt:
            return SILENCE_S
        if nameless:
            self.engine.observe(order, Doubtful())
        self._alarm(order, care)
        # Where Redis has the right no more, it may have been given until the deadline.
        sent_at = order.spec.deadline if signed_at is None else signed_at
        return await self._ask(order, care, signed_at=sent_at)

    def _alarm(self, order: Order, care: Care) -> None:
        """Tell an operator of an order of which nothing is known for long, once."""
        if self.redis_now_ms() - order.spec.admitted_at > ALARM_AFTER_MS and not care.alarmed:
            care.alarmed = True
            coid = order.spec.client_order_id
            detail = f"{coid} is unproven for over 30 s"
            self.engine.raise_incident("unknown_order", "critical", detail, subject=coid)

    async def _prove(
        self, order: Order, care: Care, fact: Fact, *, signed_at: int | None, code: Code | None = None
    ) -> bool:
        """End an order by a proof, behind its closed send right; False where another right was given."""
        care.proof = fact, code
        if not await self._close(order.spec.client_order_id, signed_at):
            return False
        self.engine.observe(order, fact, code=code)
        return True

    async def _close(self, subject: str, signed_at: int | None) -> bool:
        """Close a send right for ever: what is told behind it nobody can make untrue any more.

        Whoever dies behind it leaves a closed right, which is the next life's proof.
        """
        return await self.rights.close(subject, signed_at=signed_at, nonce=self.engine.desk.epoch)

    def _remembered(self, since: int, *, ours: bool) -> bool:
        """Whether Redis would still have a send right that was given since then: none is a proof only there.

        Trap: what is unknown may stay so for longer than rights are kept.
        """
        return (self.same_redis or ours) and self.redis_now_ms() < since + RIGHTS_KEPT_MS

    def _just_sent(self, at: int) -> bool:
        """Whether a word may still be on its way; not where the clock that signed it was ahead."""
        return abs(self.client.exchange_now_ms() - at) < SILENCE_S * 1000

    def _send(self, subject: str, flow: Coroutine[Any, Any, object]) -> None:
        self.take_overs += 1
        sending = asyncio.create_task(flow)
        self.sending[subject] = sending
        sending.add_done_callback(lambda done: self._sent(subject, done))

    def _sent(self, subject: str, done: asyncio.Task[Any]) -> None:
        del self.sending[subject]
        if not done.cancelled() and (error := done.exception()) is not None:
            log.error("send_failed", subject=subject, exc_info=error)

    async def _ask(self, order: Order, care: Care, *, signed_at: int | None = None) -> float | None:
        coid = order.spec.client_order_id
        answer = await look_up(
            self.client, symbol=order.spec.symbol, client_order_id=coid, booked=order.filled_qty
        )
        care.queries += 1
        delay = care.ask_again
        if isinstance(answer, Absent):
            care.shown_at = None
            sooner = await self._absent(order, care, answer, signed_at=signed_at)
            if sooner is None and order.state.terminal and not order.trades_missing:
                return None
            return sooner or delay
        care.first_absent, care.shown_at = None, self.client.exchange_now_ms()
        self.overtaken(answer.order.update_time)
        # Terms before trades: Redis may have lost an amendment, and by the old total it would be full.
        self.engine.observe(order, seen_from(answer.order), at=answer.order.update_time)
        if any(self._lacks(trade) for trade in answer.trades):
            # Others may have traded before: booked behind these, they would open what was never closed.
            await self.in_order(order.spec.symbol)
        for trade in answer.trades:
            self.engine.book(trade_from(trade, coid))
        return delay if order.trades_missing or order.cancel_wanted or order.amend else None

    def _lacks(self, row: UserTrade) -> bool:
        """Whether a trade is not booked, and can be."""
        left_out = (row.symbol, row.order_id, row.id) in self.engine.left_out.trades
        return unbooked(self.engine.desk, row) and not left_out

    async def _absent(
        self, order: Order, care: Care, absent: Absent, *, signed_at: int | None
    ) -> float | None:
        """Weigh an absence; only a full proof ends the order.

        The exchange's id in an answer refutes any: it took the order, however long it does not find it.
        """
        if signed_at is None or order.exchange_order_id is not None:
            return None
        window = self.placing.recv_window_ms
        dead_from = signed_at + window + PROOF_MARGIN_MS
        lives_for = dead_from - absent.at
        # Signed anew since, what was not there before proves nothing.
        if care.first_absent is None or care.first_absent <= dead_from:
            if lives_for >= 0:
                # A clock that was ahead may have signed it for hours to come.
                return min(care.ask_again, lives_for / 1000 + 0.1)
            care.first_absent = absent.at
            return 1.1
        if not proves_absence(
            signed_at=signed_at,
            recv_window_ms=window,
            first_absent=care.first_absent,
            now_absent=absent.at,
        ):
            return 1.1
        if await self._unbooked_trade(order.spec.symbol):
            # It may be this order's: it is booked first, then asked again.
            self.owed(order.spec.symbol)
            return None
        proof = NotExecuted(NEVER_CAME)
        proven = await self._prove(order, care, proof, signed_at=signed_at, code=Code.NOT_EXECUTED)
        return None if proven else 1.1

    async def _unbooked_trade(self, symbol: str) -> bool:
        """Whether the exchange shows a trade behind the proven cursor that nobody has booked.

        One reading serves every proof of its symbol that waits for it; one that has begun says nothing of an
        absence that was seen since.
        """
        waited = self._next_reading.get(symbol)
        if waited is None:
            waited = self._next_reading[symbol] = asyncio.create_task(self._read_in_turn(symbol))
        return await asyncio.shield(waited)

    async def _read_in_turn(self, symbol: str) -> bool:
        async with self._reading.setdefault(symbol, asyncio.Lock()):
            del self._next_reading[symbol]
            return await self._shows_unbooked(symbol)

    async def _shows_unbooked(self, symbol: str) -> bool:
        after = self.engine.desk.cursors.get(symbol, 0)
        async for page in trade_pages(self.client, symbol, after=after):
            if any(unbooked(self.engine.desk, row) for row in page):
                return True
        return False

    async def _cancel(self, order: Order, care: Care) -> float:
        """Send one cancel; what it proves nothing about is asked for in the same breath.

        Trap: the agenda is asked for nothing sooner, or an order that is not found is looked at without end.
        """
        coid, sent = order.spec.client_order_id, True
        care.cancels += 1
        if order.unproven:
            self._alarm(order, care)
        try:
            await self.client.cancel(symbol=order.spec.symbol, client_order_id=coid)
        except ExchangeError as error:
            log.info("cancel_unproven", order=coid, error=str(error))
            sent = False
        if not sent or care.cancels > 2 or order.trades_missing:
            await self._ask(order, care)
        return care.cancel_again

    async def _amending(self, order: Order, wish: Amendment, care: Care) -> float | None:
        """Send an amendment that nobody has sent; end one that nobody will carry out any more.

        Its right is closed before it is told as failed, so that no sender wakes behind that.
        """
        coid, now = order.spec.client_order_id, self.redis_now_ms()
        subject = names.amend_id(coid, wish.number)
        (signed_at,) = await self.rights.taken([subject])
        ours = wish.epoch == self.engine.desk.epoch
        if signed_at is None and self._remembered(wish.asked_at, ours=ours):
            late = now > wish.deadline
            if not late and ours and not self._halted(order):
                if subject in self.sending or now - wish.asked_at < TAKE_OVER_S * 1000:
                    return TAKE_OVER_S
                if await self._may_take_over(order):
                    self._send(subject, amend(self.placing, coid))
                return TAKE_OVER_S
            if not await self._close(subject, None):
                return TAKE_OVER_S
            self._amend_failed(order, wish, self._why_unsent(order, late=late), Code.NOT_SENT)
            return 0.0
        # Where Redis has the right no more, it may have been given until the deadline.
        sent_at = wish.deadline if signed_at is None else signed_at
        refused = order.amend_refused
        if signed_at and refused is None and self._just_sent(sent_at):
            return SILENCE_S
        if now - wish.asked_at > ALARM_AFTER_MS and not care.alarmed:
            care.alarmed = True
            self.engine.raise_incident("unknown_amendment", "warning", f"{subject} is unproven for over 30 s")
        delay = await self._ask(order, care)
        if order.amend is not wish:
            return delay
        if signed_at == 0:
            self._amend_failed(order, wish, CLOSED, Code.NOT_EXECUTED)
        elif refused is not None:
            if await self._close(subject, signed_at):
                self.engine.observe(order, refused)
        elif self._unamended(care, wish, sent_at) and await self._close(subject, signed_at):
            self._amend_failed(order, wish, NEVER_CAME, Code.NOT_EXECUTED)
        return max(delay or 0.0, 1.1)

    def _unamended(self, care: Care, wish: Amendment, sent_at: int) -> bool:
        """Whether the old terms, seen twice behind the signature's life, prove that it was never executed.

        An order that is not found shows no terms: the count begins anew, and another word must end the wish.
        """
        at, window = care.shown_at, self.placing.recv_window_ms
        if at is None:
            care.first_unamended = None
            return False
        number, first = care.first_unamended or (0, 0)
        dead_from = sent_at + window + PROOF_MARGIN_MS
        if number == wish.number and first > dead_from:
            return proves_absence(signed_at=sent_at, recv_window_ms=window, first_absent=first, now_absent=at)
        if at > dead_from:
            care.first_unamended = wish.number, at
        return False

    def _amend_failed(self, order: Order, wish: Amendment, reason: str, code: Code) -> None:
        self.engine.observe(order, AmendFailed(wish.number, reason, code))

    async def _may_take_over(self, order: Order) -> bool:
        """Whether the order's workers are silent, or have nothing left that could be this order.

        Each queue has take-overs of its own: a stop waits behind no moves here either.
        """
        second, queue = self.redis_now_ms() // 1000, queue_of(self.engine.desk, order)
        if second != self._second:
            self._second = second
            self._this_second.clear()
        if self._this_second[queue] >= MOST_TAKE_OVERS_PER_S:
            return False
        if await self._workers_busy(queue):
            return False
        self._this_second[queue] += 1
        return True

    async def _workers_busy(self, queue: str) -> bool:
        """Messages still wait, and workers took some since: the order's own is among them.

        Trap: what other queues hold says nothing. Their workers may be busy where these are dead.
        """
        untyped: Any = self.placing.redis
        if self.redis_now_ms() - self.engine.sent_at.get(queue, 0) >= TAKE_OVER_S * 1000:
            return False
        return bool(await untyped.llen(queue))

    def _why_unsent(self, order: Order, *, late: bool) -> str:
        if order.cancel_wanted:
            return "cancelled before it was sent"
        if late:
            return "its deadline passed before it was sent"
        if halt := self._halted(order):
            return f"halted by {halt.actor} before it was sent: {halt.reason}"
        return "it was admitted before a restart and never sent"

    def _halted(self, order: Order) -> HaltRow | None:
        return halted_order(self.engine.desk, order)


def _to_cancel(order: Order) -> bool:
    """Whether cancels are to be sent: where a trade is missing the rest of the order may still trade.

    So are they where REST alone has told of it: an id says that it is there, and a cancel waits for no query.
    """
    known = order.exchange_order_id is not None or not order.unproven
    return order.cancel_wanted and known and not order.said_over


def seen_from(answer: OrderAnswer) -> Seen:
    """A query's word on an order."""
    return Seen(
        answer.order_id,
        known_word(answer.status),
        answer.executed_qty,
        quantity=answer.orig_qty,
        price=answer.price,
        at=answer.update_time,
    )


def unbooked(desk: Desk, row: UserTrade) -> bool:
    """Whether a row is of our books' time and not in them.

    Trap: without a cursor the pages begin with the account's first trade ever, before our books.
    """
    return not desk.before_books(row.time) and (row.symbol, row.order_id, row.id) not in desk.trades


def trade_from(row: UserTrade, client_order_id: str | None) -> Trade:
    """A userTrades row as a trade; it does not name the client order id, the caller may know it."""
    return Trade(
        symbol=row.symbol,
        exchange_order_id=row.order_id,
        trade_id=row.id,
        client_order_id=client_order_id,
        side=row.side,
        price=row.price,
        quantity=row.qty,
        commission=row.commission,
        commission_asset=row.commission_asset,
        realized_pnl=row.realized_pnl,
        maker=row.maker,
        at=row.time,
    )
