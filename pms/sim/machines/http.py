"""A client session of the simulated world with the face of aiohttp's, as far as we use it."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

import aiohttp
from aiohttp.client_reqrep import ConnectionKey
from yarl import URL

from pms.binance.session import ConnectionLost
from pms.sim.machines.bad_answers import GATEWAY
from pms.sim.machines.exchange import SimExchange
from pms.sim.machines.loop import Loop, Process
from pms.sim.machines.network import Network, Rule
from pms.venue.rest.dispatch import Answer, Asked
from pms.venue.ws.connection import Connection
from pms.venue.ws.control import handle

LEAST_S, MOST_S = 0.002, 0.012
_NOWHERE = ConnectionKey("exchange", 443, True, True, None, None, None)


class Response:
    """An answer, read."""

    def __init__(self, answer: Answer) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self._body = answer.body

    async def read(self) -> bytes:
        return self._body


class Session:
    """One process's connections to the exchange."""

    def __init__(self, exchange: SimExchange, network: Network, loop: Loop, process: Process) -> None:
        self._exchange = exchange
        self._network = network
        self._loop = loop
        self._process = process
        self._sockets: dict[Socket, None] = {}
        self.closed = False
        process.last_wishes.append(self._hang_up)

    def _hang_up(self) -> None:
        self.closed = True
        for socket in list(self._sockets):
            socket.break_off()

    async def close(self) -> None:
        """Close all connections."""
        self._hang_up()

    def request(
        self,
        method: str,
        url: URL,
        *,
        data: bytes | None,
        headers: dict[str, str],
        allow_redirects: bool,
        timeout: aiohttp.ClientTimeout,
    ) -> Exchange:
        """One request, made when it is entered."""
        asked = Asked(
            method,
            url.path,
            url.raw_query_string,
            (data or b"").decode(),
            headers.get("X-MBX-APIKEY"),
            "203.0.113.1",
        )
        return Exchange(self, asked, whole_s=timeout.total or 3.0)

    async def ws_connect(self, url: str, **_: object) -> Socket:
        """Open a WebSocket."""
        path = url.split("?", maxsplit=1)[0].rsplit("//", 1)[-1].partition("/")[2]
        line = f"ws:{path.partition('/')[0]}"
        network, loop = self._network, self._loop
        await asyncio.sleep(network.delay(LEAST_S, MOST_S))
        rule = network.strike(f"{line}:connect", path)
        if rule is not None:
            raise aiohttp.ClientConnectorError(_NOWHERE, OSError("refused"))
        socket = Socket(self._exchange, network, loop, line=line)
        socket.open(url)
        self._sockets[socket] = None
        return socket


@dataclass(slots=True)
class Exchange:
    """One request and its answer, as an `async with`."""

    session: Session
    asked: Asked
    whole_s: float

    async def __aenter__(self) -> Response:
        return Response(await self._asked())

    async def __aexit__(self, *_: object) -> None:
        """Nothing is held open."""

    def _asked(self) -> asyncio.Future[Answer]:
        session = self.session
        loop, network = session._loop, session._network
        if loop.over:
            raise asyncio.CancelledError
        future: asyncio.Future[Answer] = loop.create_future()
        asked = self.asked
        subject = f"{asked.method} {asked.path}"
        rule = network.strike(f"rest:{session._process.name}", subject) if network.rules else None
        delay = network.delay(LEAST_S, MOST_S)
        if rule is None:
            loop.at(loop.now + delay, self._arrived, future, None)
        else:
            self._suffer(rule, future, delay)
        return future

    def _suffer(self, rule: Rule, future: asyncio.Future[Answer], delay: float) -> None:
        loop = self.session._loop
        now, kind = loop.now, rule.kind
        if kind == "rest_refused":
            error = aiohttp.ClientConnectorError(_NOWHERE, ConnectionRefusedError("refused"))
            loop.at(now + delay, _fail, future, error)
        elif kind == "rest_lost_before":
            loop.at(now + delay, _fail, future, ConnectionLost("ServerDisconnectedError"))
        elif kind == "rest_hangs_before":
            loop.at(now + self.whole_s, _fail, future, TimeoutError())
        elif kind == "rest_late":
            late = now + rule.ms / 1000
            loop.at(now + self.whole_s, _fail, future, TimeoutError())
            loop.at(late, self._arrived, future, None)
        elif kind.endswith("_before") and kind in GATEWAY:
            loop.at(now + delay, _succeed, future, GATEWAY[kind](self.session._exchange.now_ms()))
        else:
            loop.at(now + delay, self._arrived, future, rule)

    def _arrived(self, future: asyncio.Future[Answer], rule: Rule | None) -> None:
        session = self.session
        loop, network = session._loop, session._network
        if rule is not None and rule.kind == "rest_banned":
            session._exchange.ban(rule.ms)
        if rule is not None and rule.kind == "rest_throttled":
            session._exchange.use_up(self.asked.remote)
        answer = session._exchange.answer(self.asked)
        back = loop.now + network.delay(LEAST_S, MOST_S)
        if rule is None or rule.kind in ("rest_banned", "rest_throttled"):
            loop.at(back, _succeed, future, answer)
        elif rule.kind == "rest_lost_after":
            loop.at(back, _fail, future, ConnectionLost("ServerDisconnectedError"))
        elif rule.kind == "rest_hangs_after":
            loop.at(loop.now + self.whole_s, _fail, future, TimeoutError())
        elif rule.kind == "rest_slow":
            loop.at(loop.now + min(rule.ms / 1000, 2.9), _succeed, future, answer)
        else:
            loop.at(back, _succeed, future, GATEWAY[rule.kind](session._exchange.now_ms()))


def _succeed(future: asyncio.Future[Answer], answer: Answer) -> None:
    if not future.done():
        future.set_result(answer)


def _fail(future: asyncio.Future[Answer], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


@dataclass(slots=True)
class Frame:
    """What `receive` gives."""

    type: aiohttp.WSMsgType
    data: bytes = b""


_OVER = Frame(aiohttp.WSMsgType.CLOSED)


class Socket:
    """A WebSocket: the client's end, and the pipe that the exchange writes into."""

    def __init__(self, exchange: SimExchange, network: Network, loop: Loop, *, line: str) -> None:
        self._exchange = exchange
        self._network = network
        self._loop = loop
        self._line = line
        self._frames: deque[bytes] = deque()
        self._something = asyncio.Event()
        self._broken = False
        self._silent = False
        self._last_s = 0.0
        self._connection: Connection | None = None
        self.close_code: int | None = None

    def open(self, url: str) -> None:
        """Connect to the exchange."""
        self._connection = self._exchange.connect(url, self)

    # --- the client's end ---

    async def receive(self) -> Frame:
        """The next frame, or that it is over."""
        while not self._frames:
            if self._broken:
                self.close_code = self.close_code or 1006
                return _OVER
            self._something.clear()
            await self._something.wait()
        return Frame(aiohttp.WSMsgType.TEXT, self._frames.popleft())

    async def send_frame(self, data: bytes, kind: aiohttp.WSMsgType) -> None:
        """Send a control message."""
        if self._broken:
            raise ConnectionResetError("Cannot write to closing transport")
        delay = self._network.delay(LEAST_S, MOST_S)
        self._loop.at(self._loop.now + delay, self._hear, data.decode())

    async def close(self) -> bool:
        """Close from the client's side."""
        self.close_code = self.close_code or 1000
        self.break_off()
        return True

    def _hear(self, text: str) -> None:
        if self._connection is not None and not self._broken:
            handle(self._connection, self._connection.route, text)

    # --- the exchange's pipe ---

    def write(self, frame: bytes) -> None:
        """Carry a frame to the client, in order, unless something befalls it."""
        if self._broken or self._silent:
            return
        payload = _payload(frame)
        rule = self._network.strike(self._line, _subject(payload)) if self._network.rules else None
        if rule is None:
            self._carry(payload)
        elif rule.kind == "ws_cut":
            self.abort()
        elif rule.kind == "ws_silent":
            # Half open: nothing comes any more, until the client's ping is not answered.
            self._silent = True
            self._loop.at(self._loop.now + rule.ms / 1000, self.abort)
        elif rule.kind == "ws_twice":
            self._carry(payload)
            self._carry(payload)
        elif rule.kind == "ws_late":
            self._loop.at(self._loop.now + rule.ms / 1000, self._take, payload)

    def abort(self) -> None:
        """Break without a close frame; who is writing just now finds out later, as with a real socket."""
        self.close_code = 1006
        self._silent = True
        self._loop.at(self._loop.now, self.break_off)

    async def drained(self) -> None:
        """Nothing gathers here."""

    def break_off(self) -> None:
        """Both ends are gone."""
        if self._broken:
            return
        self._broken = True
        if self._connection is not None:
            self._exchange.hang_up(self._connection)
        if not self._loop.over:
            self._something.set()

    def _carry(self, payload: bytes) -> None:
        self._last_s = max(self._last_s, self._loop.now + self._network.delay(LEAST_S, MOST_S))
        self._loop.at(self._last_s, self._take, payload)

    def _take(self, payload: bytes) -> None:
        if self._broken:
            return
        if self._network.heard is not None:
            self._network.heard(self._line, payload)
        self._frames.append(payload)
        self._something.set()


def _payload(frame: bytes) -> bytes:
    """What an unmasked text frame of the venue carries."""
    size = frame[1]
    return frame[2:] if size < 126 else frame[4:] if size == 126 else frame[10:]


def _subject(payload: bytes) -> str:
    """What a frame is called in rules: its event, and the order's client id and status."""
    text = payload[:400].decode(errors="replace")
    return text if '"e":"ORDER_TRADE_UPDATE"' in text else text[:60]
