"""The streamer's process: everything wired together, and its life from lease to step-down."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from functools import partial
from typing import Any

import structlog
from redis.exceptions import RedisError

from pms.archive.reader import Reader
from pms.binance.client import ExchangeClient
from pms.binance.limits import RateBudget
from pms.binance.streams import MarketStream
from pms.binance.user_stream import UserStream
from pms.bus.heartbeat import beat_forever
from pms.bus.inbox import Arrived, Inbox, Message
from pms.bus.journal import Journal
from pms.bus.lead import LEASE_MS, Epoch, Lead, NotLeading
from pms.bus.requests import Requests
from pms.bus.rights import Rights
from pms.bus.shown import Shown
from pms.config import ConfigError, Settings
from pms.contract import names
from pms.contract.names import HOUSE
from pms.contract.results import Result
from pms.domain.booking import note, prove_cursor
from pms.domain.dead_man import DeadManSwitch, ended_ago
from pms.domain.desk import Desk
from pms.domain.fees import price_symbol
from pms.domain.recalling import recalled
from pms.domain.tiers import tiers_of
from pms.flows.place import Placing
from pms.flows.resolve import PROOF_MARGIN_MS
from pms.streamer.agenda import Agenda
from pms.streamer.algos import Algos
from pms.streamer.attention import Attention
from pms.streamer.catch_up import CatchUp
from pms.streamer.closer import Closer
from pms.streamer.dead_man import DeadMan
from pms.streamer.engine import Engine, Gate
from pms.streamer.halts import Halts
from pms.streamer.health import Watch
from pms.streamer.lease import LeaseWait
from pms.streamer.ledger_wake import LedgerWake
from pms.streamer.left_out import LeftOut
from pms.streamer.lifeline import Lifeline
from pms.streamer.local import LocalCommands
from pms.streamer.market import MarketData
from pms.streamer.marks import Marks
from pms.streamer.outbox import Outbox
from pms.streamer.outside import Outside
from pms.streamer.reconcile import Reconciler
from pms.streamer.redis_clock import RedisClock
from pms.streamer.risk import RiskGuard
from pms.streamer.risk_views import RiskViews
from pms.streamer.shown_algos import ended, forget_ended
from pms.streamer.start import (
    first_books,
    given_room,
    learn_exchange,
    load_desk,
    newest_trade,
    price_held,
)
from pms.streamer.supervision import Supervision
from pms.streamer.unwinder import Unwinder
from pms.streamer.user_feed import UserFeed
from pms.streamer.volumes import Volumes
from pms.streamer.wake_ups import WakeUps
from pms.streamer.world import World

log = structlog.get_logger()
SENDER = "streamer"
SWEEP_EVERY_S = 0.25
RENEW_EVERY_S = 1.0
BEAT_EVERY_S = 0.5
FORGOT_LATELY_MS = 60_000
CANCELS = {names.Task.CANCEL, names.Task.CANCEL_ALL}
"""Commands that are carried out whether admission is open or not."""


class Streamer:
    """One life of the streamer: from winning the lease to losing it."""

    def __init__(
        self, settings: Settings, world: World, *, standby: bool = False, left_out: LeftOut | None = None
    ) -> None:
        if settings.binance_rest_url is None or settings.binance_ws_url is None:
            raise ConfigError("PMS_BINANCE_REST_URL and PMS_BINANCE_WS_URL are not set")
        self._settings = settings
        self._world = world
        self._standby = standby
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
        self._heard = 0
        self._opened = 0.0
        self._forgot = False
        self._forgot_at = 0
        self._earlier_redis = False
        #: Redis knows of an earlier life of its own: it may have lost what came last in it
        self._led = False
        self._early: list[str] | None = []
        self._answering: set[asyncio.Task[Any]] = set()
        self._wire()
        self._engine.left_out, self._engine.spoiled = left_out or LeftOut(), self._spoiled

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
        self._engine.exchange_now = self._client.exchange_now_ms
        self._tasks = Supervision(
            monotonic=monotonic,
            sleep=asyncio.sleep,
            alarm=self._alarm,
        )
        self._outbox.failed = lambda error: self._tasks.tell("outbox", error)
        self._ledger = LedgerWake(
            self._redis,
            self._journal,
            new_id=self._world.new_id,
            sleep=asyncio.sleep,
            archive=Reader(settings.archive_dir),
            written=self._outbox.written,
        )
        self._outbox.flushed = self._ledger.journaled
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
            placing=placing,
            same_redis=False,
            redis_now_ms=self._clock.now_ms,
        )
        self._engine.agenda = Agenda(
            self._attention.attend,
            clock=monotonic,
            urgent=self._attention.urgent,
            failed=lambda error: self._tasks.tell("attention", error),
        )
        self._volumes = Volumes(
            self._desk,
            self._client,
            self._clock.now_ms,
            asyncio.sleep,
            lambda algo_id: self._algos.ask(algo_id),  # noqa: PLW0108  made below
        )
        local = LocalCommands(
            engine=self._engine,
            requests=self._requests,
            redis=self._redis,
            nonce=self._nonce,
            sleep=asyncio.sleep,
            monotonic=monotonic,
            spawn=self._tasks.spawn,
            hurry=self._ledger.hurry,
            prepare=self._volumes.prepare,
        )
        self._engine.local = local.serve
        self._market = MarketData(
            self._desk,
            self._client,
            self._redis,
            now_ms=self._clock.now_ms,
            sleep=asyncio.sleep,
            prepare=self._prepare_symbol,
            spawn=self._tasks.spawn,
        )
        self._engine.follow = self._market.follow_for
        self._engine.repeat = self._repeat
        self._engine.answer = self._answer
        self._catch_up = CatchUp(self._engine, self._client)
        self._feed = UserFeed(self._engine, self._catch_up, failed=partial(self._tasks.tell, "user frame"))
        self._engine.behind, self._engine.complete = self._feed.behind.set, self._feed.complete
        self._reconciler = Reconciler(
            self._engine, self._client, self._catch_up, self._redis, now_ms=self._clock.now_ms
        )
        self._engine.reconcile = self._reconciler.ask
        self._outside = Outside(
            self._engine,
            self._client,
            self._catch_up,
            monotonic=monotonic,
            ready=self._feed.ready,
            follow=self._market.follow,
            wanted_leverage=settings.exchange_leverage,
        )
        self._halts = Halts(self._engine, self._redis, now_ms=self._clock.now_ms, sleep=asyncio.sleep)
        self._unwinder = Unwinder(
            self._engine, self._redis, new_id=self._world.new_id, spawn=self._tasks.spawn
        )
        self._closer = Closer(
            self._engine,
            self._redis,
            tiers_of=partial(tiers_of, self._desk),
            new_id=self._world.new_id,
            spawn=self._tasks.spawn,
        )
        self._risk = RiskGuard(
            self._engine,
            tiers_of=partial(tiers_of, self._desk),
            unwind=self._unwinder.look,
            close=self._closer.journaled,
            fatal=self._spoiled,
        )
        self._marks = Marks(self._desk, now_ms=self._clock.now_ms)
        self._market.followed = self._marks.follow
        wake_ups = WakeUps(self._engine, self._redis, self._world.new_id, self._tasks.spawn)
        self._algos = Algos(self._engine, wake_ups, monotonic)
        self._engine.moved, self._engine.algo_told = self._algos.moved, self._algos.ask
        self._engine.algo_begun = self._algos.begun
        self._engine.ask_algos = self._algos.ask_late
        # Risk first: an algo is asked by what a liquidation has left.
        self._market.ticked, self._market.moved = self._risk.ticked, self._algos.ticked
        self._wire_prices()
        self._user = UserStream(
            settings.binance_ws_url or "",
            session=self._session,
            new_listen_key=self._client.new_listen_key,
            on_frame=self._feed.frame,
            on_up=self._feed.is_up,
            on_down=self._feed.is_down,
            monotonic=monotonic,
            sleep=asyncio.sleep,
            jitter=self._world.jitter,
        )
        self._feed.lifeline = self._lifeline = Lifeline(
            stream=self._user,
            client=self._client,
            venue=self._engine.venue,
            up=self._feed.complete,
            busy=lambda: bool(self._desk.live),
            monotonic=monotonic,
            sleep=asyncio.sleep,
        )
        self._attention.overtaken, self._attention.owed = self._lifeline.overtaken, self._catch_up.owed.add
        self._attention.in_order, self._feed.closed = self._catch_up.trades, self._outside.gap_closed
        self._tasks.count("market frames", lambda: self._market.stream.failed_frames)
        self._tasks.count("user frames", lambda: self._user.failed_frames)
        self._watch = Watch(
            engine=self._engine,
            redis=self._redis,
            monotonic=monotonic,
            now_ms=self._clock.now_ms,
            sleep=asyncio.sleep,
            market_age_s=self._market.stream.age,
            ages=self._ages,
            feed_lag=self._market.lag,
            user_up=self._feed.complete,
            expire_stale=self._market.expire_stale,
            take_overs=lambda: self._attention.take_overs,
            budget=self._budget.view,
            dead_man=lambda: self._dead_man.state(),  # noqa: PLW0108  made below, for it asks the watch
        )
        self._dead_man = DeadMan(
            DeadManSwitch(settings.dead_man_s * 1000),
            self._client,
            resting=self._desk.resting.symbols,
            ended=lambda: ended_ago(self._desk.orders.values(), now=self._clock.now_ms()),
            unwell=self._watch.unwell,
            alarm=lambda detail: self._engine.raise_incident("dead_man_withheld", "critical", detail),
            monotonic=monotonic,
            sleep=asyncio.sleep,
            on=settings.dead_man == "on",
        )
        self._engine.time_passed = self._time_passed

    def _wire_prices(self) -> None:
        """Give books and marks their connections."""
        base = self._settings.binance_ws_url or ""
        self._market.stream = MarketStream(
            base,
            session=self._session,
            on_frame=self._market.frame,
            on_connected=self._market.connected,
            on_disconnected=self._market.disconnected,
            monotonic=self._world.monotonic,
            sleep=asyncio.sleep,
            jitter=self._world.jitter,
        )
        self._marks.stream = MarketStream(
            base,
            session=self._session,
            on_frame=self._marks.frame,
            on_connected=lambda: None,
            on_disconnected=lambda: None,
            monotonic=self._world.monotonic,
            sleep=asyncio.sleep,
            jitter=self._world.jitter,
            route="market",
        )

    async def run(self) -> None:
        """Lead, recover, serve; raises NotLeading when it must begin anew, CannotStart when it must not."""
        try:
            epoch = await self._become_leader()
            await self._tasks.live(self._begin(epoch))
        finally:
            await self._leave()

    async def _begin(self, epoch: Epoch) -> None:
        """Recover, and start what serves, each part as soon as it can."""
        keep = self._tasks.keep
        self._tasks.start("lease", self._renew(epoch))
        keep("heartbeat", self._beat)
        keep("health", self._watch.run)
        keep("supervision", self._tasks.run)
        keep("user_stream", self._user.run)
        await self._recover()
        self._tasks.start("outbox", self._outbox.run())
        keep("market", self._market.stream.run)
        keep("marks", self._marks.stream.run)
        keep("agenda", self._engine.agenda.run)
        keep("ledger_wake", self._ledger.run)
        keep("trim", self._ledger.trim)
        for symbol in self._symbols():
            self._market.follow(symbol)
        await self._outbox.drained()
        await self._until_caught_up()
        self._catch_up.settle_over()
        await self._outside.catch_up_once()
        await self._outbox.drained()
        await self._answer_forgotten()
        if not self._attention.same_redis:
            self._forgot = self._may_have_forgotten()
        await self._lead.all_known(forgot=self._forgot)
        keep("dead_man", self._dead_man.run)
        await self._watch.until_open(patience_s=3.0)
        log.info("recovered", seq=self._desk.last_seq)
        self._risk.begin()
        self._algos.begin()
        keep("algos", self._algos.run)
        keep("algo_timers", self._algos.run_timers)
        keep("volumes", self._volumes.run)
        keep("unwinder", self._unwinder.run)
        keep("closer", self._closer.run)
        keep("inbox", self._hear)
        keep("sweep", self._sweep)
        keep("halts", self._halts.run)
        keep("catch_up", self._feed.run)
        keep("owed_trades", self._catch_up.read_owed)
        keep("reconcile", self._reconciler.run)
        keep("outside", self._outside.run)
        keep("lifeline", self._lifeline.run)
        keep("market_watch", self._market.watch)
        shown = Shown(self._redis, nonce=self._nonce)
        views = RiskViews(self._desk, self._outbox, shown, asyncio.sleep, self._world.monotonic)
        keep("risk_views", views.run)

    # --- leading ---

    async def _become_leader(self) -> Epoch:
        wait = LeaseWait(
            self._lead,
            self._redis,
            monotonic=self._world.monotonic,
            sleep=asyncio.sleep,
            standby=self._standby,
        )
        await wait.win()
        await self._clock.sync()
        epoch = await self._lead.open()
        self._led = True
        known, forgot = await self._lead.remembered(), await self._lead.forgetful()
        self._attention.same_redis = known == epoch.run_id
        self._earlier_redis = known is not None and known != epoch.run_id
        self._forgot = forgot is not None and forgot[0] == epoch.run_id
        self._forgot_at = forgot[1] if forgot is not None and self._forgot else 0
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
                # What was decided or booked is journaled before a successor may begin.
                await self._outbox.flush()
        except Exception as error:
            log.info("outbox_not_flushed", error=str(error), waiting=len(self._outbox))
        try:
            async with asyncio.timeout(1):
                # Where we never led the wish is another's: a standby must not take it from who leads.
                keep = bool(self._led and await self._redis.getdel(names.KEEP_ORDERS))
        except Exception as error:
            log.warning("keep_orders_not_read", error=repr(error))
            keep = False
        # Before the lease: a successor's countdowns are its own.
        await self._dead_man.leave(keep_orders=keep)
        try:
            async with asyncio.timeout(1):
                await self._lead.leave()
                await self._budget.close()
        except Exception as error:
            log.info("lease_not_left", error=repr(error))
        await self._world.close()

    # --- recovery ---

    async def _recover(self) -> None:
        """Load, learn, and open the books of a new system; the feed is buffered meanwhile."""
        await given_room(self._client.sync_time)
        await given_room(lambda: learn_exchange(self._desk, self._client))
        state = await self._world.read_books(not self._attention.same_redis)
        seq = await load_desk(
            self._desk,
            state=state,
            journal=self._journal,
            now_us=self._clock.now_ms() * 1000,
        )
        await self._lead.begin_from(seq)
        if not self._attention.same_redis:
            await forget_ended(self._redis, ended(state))
        early, self._early = self._early or [], None
        for detail in early:
            self._alarm(detail)
        await self._halts.begin()
        opening = await given_room(
            lambda: first_books(self._desk, self._client, symbols=self._settings.symbol_list)
        )
        self._outbox.add(opening)
        await self._journal.show_incidents(
            self._desk.incidents.rows(), forgot_at=None if self._attention.same_redis else seq
        )
        await price_held(self._desk, self._client)
        await given_room(self._outside.read_settings)
        for order in list(self._desk.live.values()):
            if order.cancel_wanted:
                # Asked for again by this life: what it trades meanwhile may be on its way.
                order.want_cancelled(at=self._clock.now_ms())
            if not self._attention.same_redis:
                # Its projection may be gone.
                self._outbox.add(note(self._desk, order, at=self._clock.now_ms()))
            self._engine.agenda.put(order.spec.client_order_id, in_s=0)

    async def _until_caught_up(self) -> None:
        """Catch up with the exchange, once nothing is on its way to it any more that Redis forgot."""
        remembered = self._attention.same_redis
        if not remembered and self._may_have_forgotten():
            # Redis is another: what was sent and forgotten may still be on its way to the exchange.
            live_s = self._engine.gate.signatures_live_ms / 1000
            await asyncio.sleep(max(0.0, self._opened + live_s - self._world.monotonic()))
        # A life that ended soon behind the first reading has not made the second.
        lately = self._clock.now_ms() - self._forgot_at < FORGOT_LATELY_MS
        await self._feed.begin(remembered=remembered and not lately)
        await self._outbox.drained()

    def _may_have_forgotten(self) -> bool:
        """Whether a Redis that is new to us may have known more than this: not where we are new ourselves."""
        return self._earlier_redis or bool(self._desk.orders or self._desk.requests)

    async def _prepare_symbol(self, symbol: str) -> None:
        """Before a symbol's first price: know where our history in it begins."""
        if symbol in self._desk.cursors:
            return
        # One reading for both: a trade between two of them would be proven booked by the second.
        newest = await newest_trade(self._client, symbol)
        if newest is not None and newest.time > self._desk.accounts[HOUSE].created_at:
            # Somebody traded here behind our back, and nobody has told us.
            await self._catch_up.trades(symbol)
            return
        trade_id = 0 if newest is None else newest.id
        self._outbox.add(prove_cursor(self._desk, symbol, trade_id, at=self._clock.now_ms()))

    # --- what comes in ---

    def _time_passed(self, _: int) -> None:
        if not self._feed.complete():
            # What a gap held back is older than what REST has told, and the gap has a reading of its own.
            return
        self._watch.conservation.time_passed(
            self._desk, self._engine.venue, now=self._clock.now_ms(), behind=self._feed.behind.set
        )

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
        self._heard += 1
        try:
            self._engine.hear(message)
        except Exception as error:
            log.exception("message_failed", kind=type(message).__name__)
            self._tasks.tell(f"message {type(message).__name__}", error)

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
        """Take up what is open for long enough.

        Trap: what is decided as its record is read, or leaves as it is, answers for itself; whether its entry
        is journaled is therefore looked at before the reading.
        """
        before = self._clock.now_ms() - int(SWEEP_EVERY_S * 1000)
        for request_id in await self._requests.open_since(before):
            known = request_id in self._desk.requests
            if known and not (self._forgot or recovering):
                continue
            journaled = known and (recovering or not len(self._outbox))
            record = await self._requests.read(request_id)
            if record is None or record.decision is not None:
                continue
            text = record.text.decode(errors="replace")
            arrived = Arrived(request_id, record.command, text, record.at, record.deadline, record.run_id)
            if journaled:
                # Decided before Redis forgot it, and submitted again.
                self._engine.recall(arrived)
            elif request_id in self._desk.requests:
                continue
            elif record.run_id != self._engine.gate.run_id:
                self._engine.recall(arrived)
            elif not (recovering and self._may_wait(arrived)):
                self._hear_one(arrived)

    def _may_wait(self, arrived: Arrived) -> bool:
        """Whether a command is better heard once admission is open; what only cancels is never refused."""
        return arrived.command not in CANCELS and self._clock.now_ms() <= arrived.deadline

    # --- small things ---

    def _ages(self) -> dict[str, float]:
        """Seconds since each stream was heard, or proven to have nothing to say."""
        return {"user": self._user.age(), **self._market.ages()}

    def _symbols(self) -> list[str]:
        held = {symbol for positions in self._desk.held.values() for symbol, _ in positions}
        held |= self._desk.algos.by_symbol.keys()
        live = {order.spec.symbol for order in self._desk.live.values()}
        priced = {price_symbol(asset) for asset, balance in self._desk.treasury.assets.items() if balance}
        wanted = dict.fromkeys([*self._settings.symbol_list, *sorted(held | live | priced)])
        return [symbol for symbol in wanted if symbol in self._desk.instruments]

    async def _beat(self) -> None:
        """Beat from the very loop that decides, with what a watchdog judges it by."""
        await beat_forever(self._redis, SENDER, os.getpid(), every_s=BEAT_EVERY_S, more=self._progress)

    def _progress(self) -> dict[str, Any]:
        return {
            "recovering": not self._watch.recovered,
            "turnedAway": self._client.turned_away,
            "loaded": self._desk.last_seq,
            "heard": self._heard,
            "lagMs": self._watch.lag_ms,
        }

    def _alarm(self, detail: str) -> None:
        """Tell that a task failed; what fails before the books are loaded has no place in the journal yet."""
        if self._early is None:
            self._engine.raise_incident("task_failed", "critical", detail)
        else:
            self._early.append(detail)

    def _spoiled(self, error: Exception) -> None:
        """End this life at once: memory is half moved, and nothing that it says may be journaled any more."""
        self._outbox.close()
        self._tasks.end(error)

    def _withdraw(self, posting: Any) -> None:
        self._engine.withdraw(posting)

    def _repeat(self, answer: Result) -> None:
        """A repeat that reached us: Redis has its answer, unless it forgot."""
        self._background(self._repeated(answer))

    async def _repeated(self, answer: Result) -> None:
        # Looked at before the reading: an entry that leaves meanwhile answers for itself.
        journaled = not len(self._outbox)
        try:
            record = await self._requests.read(answer.request_id)
        except (RedisError, OSError) as error:
            log.warning("repeat_not_answered", request=answer.request_id, error=str(error))
            return
        undecided = record is None or record.decision is None
        # What is not journaled yet may still be refused: then it was no answer, and is remembered no more.
        if undecided and not (journaled and answer.request_id in self._desk.requests):
            return
        forgotten = record is not None and undecided
        # Decided and not answered: an outcome will answer it, or PostgreSQL.
        unanswered = record is not None and record.result is None
        if forgotten or not (unanswered or answer.state in {"placing", "amending"}):
            await self._give(recalled(self._desk, answer))

    def _answer(self, answer: Result) -> None:
        self._background(self._give(answer))

    def _background(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._tasks.spawn("answer", work)
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _give(self, answer: Result) -> None:
        try:
            await self._requests.answer(answer, nonce=self._nonce)
        except (RedisError, OSError) as error:
            log.warning("answer_not_given", request=answer.request_id, error=str(error))
