"""What the private stream tells, and its gaps: what comes behind one waits until what it hid has been read.

    starting     every frame waits until the exchange has been caught up with
    a gap        frames wait until it is closed: for three seconds, or ten while the exchange answers
    else         each frame is taken as it comes

A trade that is booked before an older one closes a position that was never closed, with its stops, and
opens another. Whoever cannot read the older one for long must hear of the newer all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from pms.binance.errors import ExchangeError, Throttled
from pms.binance.frames import (
    AccountConfigUpdate,
    AccountUpdate,
    FrameError,
    MarginCall,
    OrderUpdate,
    decode_user,
)
from pms.streamer.catch_up import CatchUp
from pms.streamer.engine import Engine
from pms.streamer.lifeline import Lifeline

log = structlog.get_logger()
CATCH_UP_EVERY_S = 15.0
AGAIN_S = 0.5
READ_AGAIN_S = 3.0
"""By then the exchange shows what it did before the first reading of a start that knows little."""

PROVED_AT_A_TIME = 10
"""Symbols whose cursors are moved together: 50 of weight, so that many busy ones leave room for questions."""

HELD_S = 3.0
"""So long a gap holds frames back without an answer: while REST is away, fills told beat fills in order."""

MOST_HELD_S = 10.0
"""And so long at most, however many symbols are still to be read: a fill that is told must not wait on."""


@dataclass(slots=True)
class UserFeed:
    """Takes frames, and closes gaps."""

    engine: Engine
    catch_up: CatchUp
    failed: Callable[[Exception], None]
    #: told of a fault in the handling of a frame
    closed: Callable[[], None] = lambda: None
    #: told that a gap is closed
    lifeline: Lifeline = field(init=False)
    up: asyncio.Event = field(default_factory=asyncio.Event)
    behind: asyncio.Event = field(default_factory=asyncio.Event)
    #: the exchange knows more than we
    held: list[bytes] | None = field(default_factory=list)
    _gaps: int = 0
    _gaps_closed: int = 0
    _patience: asyncio.TimerHandle | None = None
    _held_until: float = 0.0
    _proved: str = ""
    #: the symbol whose cursor was looked at last

    # --- what the stream says ---

    def frame(self, raw: bytes) -> None:
        """Take a frame, or keep it until what was told before it has been read."""
        if self.held is not None:
            self.held.append(raw)
            return
        try:
            self._take(raw)
        except FrameError as error:
            self.engine.raise_incident("bad_user_frame", "critical", str(error))
            self.behind.set()  # it may have told a fill
        except Exception as error:
            # What it told is lost to memory: the exchange is asked for all of it
            log.exception("user_frame_failed")
            self.failed(error)
            self.behind.set()

    def _take(self, raw: bytes) -> None:
        event = decode_user(raw)
        match event:
            case OrderUpdate():
                self.lifeline.heard(event.trade_time)
                self.engine.order_update(event)
            case AccountUpdate():
                self.lifeline.account(event)
                self.engine.account_update(event)
            case MarginCall():
                self.engine.margin_call(event)
            case AccountConfigUpdate():
                self.engine.account_config(event)
            case _:
                pass

    async def is_up(self, *, first: bool) -> None:
        """The stream is there; unless for the first time, it has told nothing of a while."""
        self.up.set()
        if first:
            return
        self._gaps += 1
        self.behind.set()
        if self.held is None:
            self.held = []
            self._hold_for_a_while()

    def is_down(self) -> None:
        """The stream is gone."""
        self.up.clear()

    def complete(self) -> bool:
        """Whether the stream is up and has no gap that is not closed."""
        return self.up.is_set() and self._gaps == self._gaps_closed

    def ready(self) -> bool:
        """Whether all that happened up to now has been taken in."""
        return self.held is None and self.complete()

    def _hold_for_a_while(self) -> None:
        self._held_until = asyncio.get_running_loop().time() + MOST_HELD_S
        self._wait_on()

    def _wait_on(self) -> None:
        loop = asyncio.get_running_loop()
        patience = min(HELD_S, self._held_until - loop.time())
        self._patience = loop.call_later(patience, self._lose_patience, self.catch_up.weight)

    def _lose_patience(self, weight: int) -> None:
        """Take what was kept, unless answers came meanwhile: what the gap hid is being read."""
        answered = self.catch_up.weight != weight
        if answered and asyncio.get_running_loop().time() < self._held_until:
            self._wait_on()
        else:
            self._let_go()

    def _let_go(self) -> None:
        """Take what was kept, in the order in which it came."""
        held, self.held = self.held or [], None
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        for raw in held:
            self.frame(raw)

    # --- catching up ---

    async def begin(self, *, remembered: bool) -> None:
        """Catch up over REST, then apply what the stream said meanwhile; again until both went through.

        Unless Redis `remembered` who asked for what, the orders of the last day are taken in first, and once
        more some seconds later: the exchange may show one late, and one that is over is on no other list.
        """
        self.engine.gate.denies = remembered
        while True:
            try:
                await self.up.wait()
                if not remembered:
                    await self.catch_up.all_orders()
                    remembered = True
                gaps = self._gaps
                booked = await self._close()
            except (ExchangeError, OSError) as error:
                log.warning("catch_up_failed", error=str(error))
                await asyncio.sleep(AGAIN_S)
                continue
            log.info("caught_up", trades=booked)
            break
        if gaps == self._gaps:
            self._let_go()
        else:
            # Another one came meanwhile, which `run` will close.
            self._hold_for_a_while()

    async def run(self) -> None:
        """Close each gap, for ever, and whatever else shows that the exchange knows more than we.

        Admission is closed until a gap is; meanwhile the proven cursors are moved now and then.
        """
        while True:
            denies = self.engine.gate.denies
            try:
                async with asyncio.timeout(CATCH_UP_EVERY_S if denies else READ_AGAIN_S):
                    await self.behind.wait()
            except TimeoutError:
                if not denies:
                    await self.catch_up.all_orders()
                    self.engine.gate.denies = True
                    continue
                await self._prove_cursors()
                if not self.behind.is_set():
                    await self.catch_up.unlisted()
                continue
            self.behind.clear()
            gaps = self._gaps
            try:
                log.info("caught_up", trades=await self._close())
            except BaseException:
                self.behind.set()
                raise
            try:
                if gaps == self._gaps:
                    self._let_go()
            finally:
                self._gaps_closed = gaps
            self.closed()

    async def _close(self) -> int:
        began = self.catch_up.client.exchange_now_ms()
        booked = await self.catch_up.run()
        self.lifeline.caught_up(began)
        return booked

    async def _prove_cursors(self) -> None:
        """Page some of the symbols that traded since their cursors, so that recovery need not look far back.

        A gap that opens meanwhile comes first, frames wait behind it; and whoever asks for room, too.
        """
        desk = self.engine.desk
        behind = sorted(s for s, trade_id in desk.newest_trades.items() if trade_id > desk.cursors.get(s, 0))
        in_turn = sorted(behind, key=lambda symbol: symbol <= self._proved)
        for symbol in in_turn[:PROVED_AT_A_TIME]:
            if self.behind.is_set():
                return
            try:
                await self.catch_up.trades(symbol, lane="background")
            except Throttled as fault:
                log.info("cursors_wait_for_room", error=str(fault))
                return
            self._proved = symbol
