"""All that Binance's own client and ccxt sent in a whole session, answered as they were content with.

The tapes hold the very bytes, signatures too; `make conformance ARGS=--record` makes them anew.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any, cast

import msgspec
import pytest
import tape
from aiohttp import web
from pydantic import SecretStr

from pms.venue import core
from pms.venue.auth import Credential
from pms.venue.background.crash import Crashes
from pms.venue.feeds.hub import Hub
from pms.venue.journal import MemoryJournal
from pms.venue.rest.admin import AdminFace
from pms.venue.rest.dispatch import TABLE, Asked, answer
from pms.venue.restore import Remembered
from pms.venue.settlement import Fees
from pms.venue.symbols import SHIPPED, SymbolTable
from pms.venue.ws.connection import Connection
from pms.venue.ws.control import handle
from pms.venue.ws.routes import Route
from pms.venue.ws.trading import METHODS, TradingSession


class Order:
    """An operator's request, as far as its handler looks at it."""

    remote = "127.0.0.1"

    def __init__(self, body: object) -> None:
        self._body = msgspec.json.encode(body)

    async def read(self) -> bytes:
        return self._body


class Pipe:
    """Where a connection's frames end."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def write(self, frame: bytes) -> None:
        self.frames.append(frame)

    def abort(self) -> None:
        raise AssertionError("cut")

    async def drained(self) -> None:
        pass


class Player:
    """A venue without doors, on the tape's time and chance."""

    def __init__(self, start: int) -> None:
        self.now = start
        chance = tape.Chance()
        self.venue = core.build(
            SymbolTable.load(SHIPPED),
            credentials=[Credential(tape.ACCOUNT, tape.KEY, SecretStr(tape.SECRET))],
            journal=MemoryJournal(),
            memory=Remembered(),
            clock=lambda: self.now,
            monotonic_ns=lambda: self.now * 1_000_000,
            token=chance.token,
            fees=Fees(),
            limited=True,
        )
        self.venue.exchange.open_account(tape.ACCOUNT, Decimal(tape.BALANCE))
        face = AdminFace(self.venue, cast(Any, None), [], Crashes({}), {})
        self._operator = {route.path: route.handler for route in face.routes() if route.method == "POST"}
        self._traders: dict[int, TradingSession] = {}
        self._connections: dict[int, Connection] = {}

    async def play(self, entry: dict[str, Any]) -> None:
        """Play one entry; an assertion fails where the answer is another one."""
        self.now = entry["at"]
        self.venue.countdowns.fire_due()
        if entry["kind"] == tape.REST:
            asked = Asked(*(entry[name] for name in ("method", "path", "query", "body", "key")), "127.0.0.1")
            given = answer(self.venue, asked)
            assert (given.status, tape.judged(given.body)) == (entry.get("status", 200), entry["answer"])
        elif entry["kind"] == tape.OPERATOR:
            done = await self._operator[entry["path"]](cast(web.Request, Order(entry["body"])))
            assert done.status == 200
        elif entry["kind"] == tape.TRADING:
            session = self._traders.setdefault(
                entry["connection"], TradingSession(self.venue, "127.0.0.1", "")
            )
            assert tape.judged(session.answer(entry["text"])) == entry["answer"]
        else:
            self._control(entry)

    def _control(self, entry: dict[str, Any]) -> None:
        route, hub = Route(entry["route"]), cast(Hub, self.venue.feeds.hub)
        connection = self._connections.setdefault(
            entry["connection"], Connection(Pipe(), hub, route, combined=True)
        )
        assert handle(connection, route, entry["text"])
        told = cast(Pipe, connection.pipe).frames[-1]
        asked = msgspec.json.decode(entry["text"])
        assert told.endswith(msgspec.json.encode({"result": None, "id": asked["id"]}))


@pytest.mark.parametrize("client", ["official", "ccxt"])
async def test_what_a_client_sent_is_answered_as_it_was_content_with(client: str) -> None:
    entries = list(tape.read(client))
    player = Player(entries[0]["at"])
    played = Counter[str]()
    for number, entry in enumerate(entries, start=1):
        try:
            await player.play(entry)
        except AssertionError as fault:
            what = entry.get("path") or entry.get("text")
            raise AssertionError(f"entry {number}, {entry.get('method', '')} {what}: {fault}") from None
        played[entry["kind"]] += 1
    assert min(played[kind] for kind in (tape.REST, tape.OPERATOR, tape.TRADING, tape.CONTROL)) >= 4, played


def test_the_tapes_reach_all_that_the_venue_offers() -> None:
    entries = [entry for client in ("official", "ccxt") for entry in tape.read(client)]
    asked = {(entry["method"], entry["path"]) for entry in entries if entry["kind"] == tape.REST}
    methods = {
        msgspec.json.decode(entry["text"])["method"] for entry in entries if entry["kind"] == tape.TRADING
    }
    assert TABLE.keys() == asked
    # The session asks for balances in their newer form, and keeps its user stream
    assert METHODS.keys() - methods == {"account.balance", "userDataStream.stop"}
