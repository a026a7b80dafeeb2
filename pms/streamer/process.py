"""The streamer's process: everything wired together, and its life from lease to step-down."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog
from redis.exceptions import RedisError

from pms.binance.client import ExchangeClient
from pms.binance.errors import ExchangeError
from pms.binance.frames import AccountUpdate, FrameError, OrderUpdate, decode_user
from pms.binance.limits import RateBudget
from pms.binance.streams import MarketStream, UserStream
from pms.bus.heartbeat import beat_forever
from pms.bus.inbox import Arrived, Inbox, Message
from pms.bus.journal import Journal
from pms.bus.lead import LEASE_MS, Epoch, Lead, NotLeading
from pms.bus.requests import Requests
from pms.bus.rights import Rights
from pms.config import ConfigError, Settings
from pms.contract.results import Result
from pms.domain.admission import recalled
from pms.domain.booking import note, prove_cursor
from pms.domain.desk import Desk
from pms.flows.place import Placing
from pms.flows.resolve import PROOF_MARGIN_MS
from pms.streamer.agenda import Agenda
from pms.streamer.attention import Attention
from pms.streamer.catch_up import CatchUp
from pms.streamer.engine import Engine, Gate
from pms.streamer.health import Watch
from pms.streamer.ledger_wake import LedgerWake
from pms.streamer.local import LocalCommands
from pms.streamer.market import MarketData
from pms.streamer.outbox import Outbox
from pms.streamer.redis_clock import RedisClock
from pms.streamer.start import first_books, learn_exchange, load_desk, newest_trade
from pms.streamer.world import World, open_world

log = structlog.get_logger()
SENDER = "streamer"
SWEEP_EVERY_S = 0.25
RENEW_EVERY_S = 1.0
CATCH_UP_EVERY_S = 15.0


class Streamer:
    """One life of the streamer: from winning the lease to losing it."""

    def __init__(self, settings: Settings, world: World) -> None:
        if settings.binance_rest_url is None or settings.binance_ws_url is None:
            raise ConfigError("PMS_BINANCE_REST_URL and PMS_BINANCE_WS_URL are not set")
        self._settings = settings
        self._world = world
        self._nonce = world.nonce
        self._redis = world.redis
        self._clock = RedisClock(self._redis, monotonic=world.monotonic)
        self._session = world.session
        self._budget = RateBudget(self._redis, share=settings.rate_share, monotonic=world.monotonic)
        self._client = ExchangeClient(
            base_url=settings.binance_rest_url,
            api_key=settings.binance_api_key,
            api_secret=settings.binance_api_secret,
            session=self._session,
            clock_ms=world.now_ms,
            budget=self._budget,
        )
        self._lead = Lead(self._redis, nonce=self._nonce)
        self._journal = Journal(self._redis, nonce=self._nonce)
        self._requests = Requests(self._redis, new_id=world.new_id)
        self._buffer: list[bytes] | None = []
        self._up = asyncio.Event()
        self._behind = asyncio.Event()
        self._gap = False
        self._opened = 0.0
        self._answering: set[asyncio.Task[None]] = set()
        self._wire()

    def _wire(self) -> None:
        """Put the parts together; nothing runs yet."""
        settings, monotonic = self._settings, self._world.monotonic
        gate = Gate(
            live_guard=not settings.orders_allowed,
            default_leverage=settings.default_leverage,
            stale_after_ms=settings.stale_price_ms,
            most_lag_ms=settings.most_lag_ms,
            signatures_live_ms=settings.recv_window_ms + PROOF_MARGIN_MS,
        )
        self._desk = Desk(epoch=self._nonce)
        self._outbox = Outbox(self._journal, withdraw=self._withdraw, sleep=asyncio.sleep)
        self._engine = Engine(self._desk, self._outbox, gate=gate, redis_now_ms=self._clock.now_ms)
        self._ledger = LedgerWake(self._redis, self._journal, new_id=self._world.new_id, sleep=asyncio.sleep)
        self._outbox.flushed = self._ledger.flushed.set
        rights, inbox = Rights(self._redis, sender=SENDER), Inbox(self._redis)
        placing = Placing(
            redis=self._redis,
            client=self._client,
            rights=rights,
            inbox=inbox,
            sender=SENDER,
            recv_window_ms=settings.recv_window_ms,
            sleep=asyncio.sleep,
        )
        self._attention = Attention(
            engine=self._engine,
            client=self._client,
            rights=rights,
            inbox=inbox,
            placing=placing,
            same_redis=False,
            redis_now_ms=self._clock.now_ms,
        )
        self._engine.agenda = Agenda(self._attention.attend, clock=monotonic)
        local = LocalCommands(
            engine=self._engine,
            requests=self._requests,
            redis=self._redis,
            nonce=self._nonce,
            sleep=asyncio.sleep,
            monotonic=monotonic,
        )
        self._engine.local = local.serve
        self._market = MarketData(
            self._desk,
            self._client,
            self._redis,
            now_ms=self._clock.now_ms,
            sleep=asyncio.sleep,
            prepare=self._prepare_symbol,
        )
        self._engine.follow = self._market.follow_for
        self._engine.repeat = self._repeat
        self._engine.answer = self._answer
        self._engine.behind = self._behind.set
        self._catch_up = CatchUp(self._engine, self._client)
        base = self._settings.binance_ws_url or ""
        self._market.stream = MarketStream(
            base,
            session=self._session,
            on_frame=self._market.frame,
            on_connected=self._market.connected,
            on_disconnected=self._market.disconnected,
            monotonic=monotonic,
            sleep=asyncio.sleep,
            jitter=self._world.jitter,
        )
        self._user = UserStream(
            base,
            session=self._session,
            new_listen_key=self._client.new_listen_key,
            on_frame=self._user_frame,
            on_up=self._user_is_up,
            on_down=self._user_is_down,
            monotonic=monotonic,
            sleep=asyncio.sleep,
            jitter=self._world.jitter,
        )
        self._watch = Watch(
            engine=self._engine,
            redis=self._redis,
            monotonic=monotonic,
            now_ms=self._clock.now_ms,
            sleep=asyncio.sleep,
            market_age_s=self._market.stream.age,
            user_up=lambda: self._up.is_set() and not self._gap,
            expire_stale=self._market.expire_stale,
            take_overs=lambda: self._attention.take_overs,
        )

    async def run(self) -> None:
        """Lead, recover, serve; raises NotLeading when it must begin anew, CannotStart when it must not."""
        try:
            epoch = await self._become_leader()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._renew(epoch))
                group.create_task(beat_forever(self._redis, SENDER, os.getpid()))
                group.create_task(self._watch.run())
                group.create_task(self._supervised("user_stream", self._user.run))
                await self._recover()
                group.create_task(self._outbox.run())
                group.create_task(self._supervised("market", self._market.stream.run))
                group.create_task(self._supervised("agenda", self._engine.agenda.run))
                group.create_task(self._supervised("ledger_wake", self._ledger.run))
                group.create_task(self._supervised("trim", self._ledger.trim))
                for symbol in self._symbols():
                    self._market.follow(symbol)
                await self._outbox.drained()
                await self._until_caught_up()
                await self._answer_forgotten()
                await self._lead.all_known()
                await self._watch.until_open(patience_s=3.0)
                log.info("recovered", seq=self._desk.last_seq)
                group.create_task(self._supervised("inbox", self._hear))
                group.create_task(self._supervised("sweep", self._sweep))
                group.create_task(self._supervised("catch_up", self._keep_caught_up))
        finally:
            await self._leave()

    # --- leading ---

    async def _become_leader(self) -> Epoch:
        await self._clock.sync()
        while not await self._lead.take():  # noqa: ASYNC110  the lease runs out at Redis, which tells nobody
            await asyncio.sleep(0.25)
        epoch = await self._lead.open()
        self._attention.same_redis = await self._lead.remembered() == epoch.run_id
        self._engine.gate.run_id = epoch.run_id
        self._opened = self._world.monotonic()
        log.info("leading", same_redis=self._attention.same_redis)
        return epoch

    async def _renew(self, epoch: Epoch) -> None:
        """Keep the lease; a lease that could not be renewed in time may already be another's."""
        renewed = self._world.monotonic()
        while True:
            await asyncio.sleep(RENEW_EVERY_S)
            try:
                run_id = await self._lead.renew()
                await self._clock.sync()
            except OSError as error:
                log.warning("lease_not_renewed", error=str(error))
                continue
            except Exception as error:
                if isinstance(error, NotLeading):
                    raise
                log.warning("lease_not_renewed", error=str(error))
                continue
            if run_id != epoch.run_id:
                raise NotLeading("Redis was restarted")
            if self._world.monotonic() - renewed > LEASE_MS / 1000 * 10:
                log.warning("lease_was_late", seconds=self._world.monotonic() - renewed)
            renewed = self._world.monotonic()

    async def _leave(self) -> None:
        self._market.close()
        self._engine.agenda.close()
        try:
            async with asyncio.timeout(1):
                await self._lead.leave()
                await self._budget.close()
        except Exception as error:
            log.info("lease_not_left", error=str(error))
        await self._world.close()

    # --- recovery ---

    async def _recover(self) -> None:
        """Load, learn, and open the books of a new system; the feed is buffered meanwhile."""
        await self._client.sync_time()
        await learn_exchange(self._desk, self._client)
        seq = await load_desk(
            self._desk,
            state=await self._world.read_books(),
            journal=self._journal,
            now_us=self._clock.now_ms() * 1000,
        )
        await self._lead.begin_from(seq)
        opening = await first_books(
            self._desk, self._client, symbols=self._settings.symbol_list, at=self._clock.now_ms()
        )
        self._outbox.add(opening)
        for order in list(self._desk.live.values()):
            if not self._attention.same_redis:
                # Its projection may be gone.
                self._outbox.add(note(self._desk, order, at=self._clock.now_ms()))
            self._engine.agenda.put(order.spec.client_order_id, in_s=0)

    async def _until_caught_up(self) -> None:
        """Catch up over REST, then apply what the feed said meanwhile; again until both went through."""
        remembered = self._attention.same_redis
        if not remembered and self._desk.orders:
            # Redis is another: what was sent and forgotten may still be on its way to the exchange.
            live_s = self._engine.gate.signatures_live_ms / 1000
            await asyncio.sleep(max(0.0, self._opened + live_s - self._world.monotonic()))
        while True:
            try:
                await self._up.wait()
                if not remembered:
                    await self._catch_up.all_orders()
                    remembered = True
                booked = await self._catch_up.run()
            except (ExchangeError, OSError) as error:
                log.warning("catch_up_failed", error=str(error))
                await asyncio.sleep(0.5)
                continue
            log.info("caught_up", trades=booked)
            break
        buffered, self._buffer = self._buffer or [], None
        for raw in buffered:
            self._user_frame(raw)
        await self._outbox.drained()

    async def _keep_caught_up(self) -> None:
        """Close each gap of the user stream, and whatever else shows that the exchange knows more than we.

        Admission is closed until a gap is; meanwhile the proven cursors are moved now and then.
        """
        while True:
            try:
                async with asyncio.timeout(CATCH_UP_EVERY_S):
                    await self._behind.wait()
            except TimeoutError:
                await self._prove_cursors()
                await self._catch_up.unlisted()
                continue
            self._behind.clear()
            try:
                log.info("caught_up", trades=await self._catch_up.run())
            except BaseException:
                self._behind.set()
                raise
            self._gap = self._behind.is_set()

    async def _prove_cursors(self) -> None:
        """Page each symbol that traded since its cursor, so that recovery need not look far back."""
        for symbol, trade_id in list(self._desk.newest_trades.items()):
            if trade_id > self._desk.cursors.get(symbol, 0):
                await self._catch_up.trades(symbol)

    async def _prepare_symbol(self, symbol: str) -> None:
        """Before a symbol's first price: know where our history in it begins."""
        if symbol in self._desk.cursors:
            return
        newest = await newest_trade(self._client, symbol)
        self._outbox.add(prove_cursor(self._desk, symbol, newest, at=self._clock.now_ms()))

    # --- the feeds ---

    def _user_frame(self, raw: bytes) -> None:
        if self._buffer is not None:
            self._buffer.append(raw)
            return
        try:
            event = decode_user(raw)
        except FrameError as error:
            self._engine.raise_incident("bad_user_frame", "critical", str(error))
            return
        match event:
            case OrderUpdate():
                self._engine.order_update(event)
            case AccountUpdate():
                self._engine.account_update(event)
            case _:
                pass

    async def _user_is_up(self, *, first: bool) -> None:
        self._up.set()
        if not first:
            self._gap = True
            self._behind.set()

    def _user_is_down(self) -> None:
        self._up.clear()

    async def _hear(self) -> None:
        """Hear the inbox for ever: the first message at once, then whatever came with it."""
        inbox = Inbox(self._world.inbox_redis)
        while True:
            try:
                first = await inbox.wait(timeout_s=1.0)
                if first is None:
                    continue
                self._hear_one(first)
                for message in await inbox.rest():
                    self._hear_one(message)
            except (RedisError, OSError) as error:
                log.warning("inbox_lost", error=str(error))
                await asyncio.sleep(0.1)

    def _hear_one(self, message: Message) -> None:
        """Take one message; a fault in it must not cost the ones behind it."""
        try:
            self._engine.hear(message)
        except Exception:
            log.exception("message_failed", kind=type(message).__name__)

    async def _sweep(self) -> None:
        """Take up recorded commands that nobody brought us: a lost message, or an earlier life."""
        while True:
            await asyncio.sleep(SWEEP_EVERY_S)
            await self._sweep_once()

    async def _answer_forgotten(self) -> None:
        """Answer what earlier lives decided and Redis forgot, before anybody may call it expired."""
        await self._sweep_once(recovering=True)
        await self._outbox.drained()
        await asyncio.gather(*self._answering)

    async def _sweep_once(self, *, recovering: bool = False) -> None:
        before = self._clock.now_ms() - int(SWEEP_EVERY_S * 1000)
        for request_id in await self._requests.open_since(before):
            if request_id in self._desk.requests and self._attention.same_redis:
                continue
            record = await self._requests.read(request_id)
            if record is None or record.decision is not None:
                continue
            text = record.text.decode(errors="replace")
            arrived = Arrived(request_id, record.command, text, record.at, record.deadline, record.run_id)
            if record.run_id != self._engine.gate.run_id:
                self._engine.recall(arrived)
            elif request_id not in self._desk.requests:
                self._hear_one(arrived)
            elif recovering or not len(self._outbox):
                # Decided before Redis forgot it, and submitted again.
                self._engine.recall(arrived)

    # --- small things ---

    def _symbols(self) -> list[str]:
        held = {symbol for positions in self._desk.held.values() for symbol in positions}
        live = {order.spec.symbol for order in self._desk.live.values()}
        wanted = dict.fromkeys([*self._settings.symbol_list, *sorted(held | live)])
        return [symbol for symbol in wanted if symbol in self._desk.instruments]

    def _withdraw(self, posting: Any) -> None:
        self._engine.withdraw(posting)

    def _repeat(self, answer: Result) -> None:
        """A repeat that reached us: Redis has its answer, unless it forgot."""
        self._background(self._repeated(answer))

    async def _repeated(self, answer: Result) -> None:
        try:
            record = await self._requests.read(answer.request_id)
        except (RedisError, OSError) as error:
            log.warning("repeat_not_answered", request=answer.request_id, error=str(error))
            return
        forgotten = record is not None and record.decision is None and not len(self._outbox)
        if forgotten or answer.state != "placing":
            await self._give(recalled(self._desk, answer))

    def _answer(self, answer: Result) -> None:
        self._background(self._give(answer))

    def _background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _give(self, answer: Result) -> None:
        try:
            await self._requests.answer(answer)
        except (RedisError, OSError) as error:
            log.warning("answer_not_given", request=answer.request_id, error=str(error))

    async def _supervised(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run a service for ever; its failure is logged and it is run again, with a pause."""
        pause = 0.1
        while True:
            started = self._world.monotonic()
            try:
                await work()
            except NotLeading:
                raise
            except Exception:
                log.exception("service_failed", service=name)
            if self._world.monotonic() - started > 10:
                pause = 0.1
            await asyncio.sleep(pause)
            pause = min(pause * 2, 5.0)


async def live(new_life: Callable[[], Streamer]) -> None:
    """Run one life after the other; raises what ended one that must not be followed by another."""
    while True:
        try:
            await new_life().run()
        except Exception as fault:
            leaf: BaseException = fault
            while isinstance(leaf, BaseExceptionGroup):
                leaf = leaf.exceptions[0]
            if not isinstance(leaf, NotLeading):
                raise leaf from fault
            log.warning("stepping_down", reason=str(leaf))
        await asyncio.sleep(0.2)


async def serve(settings: Settings) -> None:
    """Run streamers until TERM or INT."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    living = asyncio.create_task(live(lambda: Streamer(settings, open_world(settings))))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([living, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if living.done():
        living.result()
        return
    living.cancel()
    await asyncio.wait([living], timeout=4)
