"""A venue whose doors write down what goes through them, for tape.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tape import ACCOUNT, BALANCE, CONTROL, KEY, OPERATOR, REST, SECRET, TRADING, Chance, judged

from pms.venue import app
from pms.venue.app import AccountSpec, RunningVenue, VenueConfig, serve
from pms.venue.clock import forward_clock
from pms.venue.errors import VenueError
from pms.venue.rest import admin
from pms.venue.rest import server as rest
from pms.venue.rest.dispatch import Asked, encode, refused
from pms.venue.ws import server as sockets
from pms.venue.ws.trading import TradingSession


class Recorder:
    """Stands in the venue's doors while a session runs."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self._held: int | None = None
        self._forward = forward_clock()
        self._tokens = Chance()
        self._connections: dict[int, int] = {}

    def clock(self) -> int:
        """The venue's clock; it stands while one request is dealt with, as on the tape."""
        return self._forward() if self._held is None else self._held

    @asynccontextmanager
    async def venue(self) -> AsyncIterator[RunningVenue]:
        """A venue on a free port with a market that only the operator moves."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(app, "forward_clock", lambda _: self.clock)
            patch.setattr(app, "_token", self._tokens.token)
            self._stand_in(patch)
            spec = AccountSpec.parse(f"{ACCOUNT}:{KEY}:{SECRET}:{BALANCE}")
            running = await serve(VenueConfig(port=0, market="none", accounts=(spec,)))
            try:
                yield running
            finally:
                await running.close()

    def _stand_in(self, patch: pytest.MonkeyPatch) -> None:
        dispatch, body_of, answer, handle = (
            rest.dispatch,
            admin._body,
            TradingSession.answer,
            sockets.handle,
        )

        def dispatched(venue: Any, asked: Asked, params: Any, headers: dict[str, str]) -> object:
            entry = self._entry(
                REST, method=asked.method, path=asked.path, query=asked.query, body=asked.body, key=asked.key
            )
            self._held = entry["at"]
            try:
                result = dispatch(venue, asked, params, headers)
                entry["answer"] = judged(encode(result))
                return result
            except VenueError as error:
                entry["status"] = error.status
                entry["answer"] = judged(refused(error, {}).body)
                raise
            finally:
                self._held = None

        async def ordered(request: Any) -> dict[str, Any]:
            body = await body_of(request)
            self._entry(OPERATOR, path=request.path, body=body)
            return body

        def traded(session: TradingSession, text: str) -> bytes:
            entry = self._entry(TRADING, connection=self._number(session), text=text)
            self._held = entry["at"]
            try:
                told = answer(session, text)
            finally:
                self._held = None
            entry["answer"] = judged(told)
            return told

        def controlled(connection: Any, route: Any, text: str) -> bool:
            self._entry(CONTROL, connection=self._number(connection), route=route.value, text=text)
            return handle(connection, route, text)

        patch.setattr(rest, "dispatch", dispatched)
        patch.setattr(admin, "_body", ordered)
        patch.setattr(TradingSession, "answer", traded)
        patch.setattr(sockets, "handle", controlled)

    def _entry(self, kind: str, **more: Any) -> dict[str, Any]:
        entry = {"kind": kind, "at": self._forward(), **more}
        self.entries.append(entry)
        return entry

    def _number(self, connection: object) -> int:
        return self._connections.setdefault(id(connection), len(self._connections))
