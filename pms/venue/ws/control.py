"""Control messages of a connection: SUBSCRIBE and its like, answered exactly as Binance does."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

from pms.venue.ws.connection import Connection
from pms.venue.ws.routes import Route

METHODS = (
    "SUBSCRIBE",
    "UNSUBSCRIBE",
    "LIST_SUBSCRIPTIONS",
    "SET_PROPERTY",
    "GET_PROPERTY",
)


class ControlError(Exception):
    """A control message that is answered with an error."""

    def __init__(self, code: int, message: str, *, fatal: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.fatal = fatal


def handle(connection: Connection, route: Route, text: str) -> bool:
    """Answer one control message; False when the connection is to be closed after it."""
    request_id: Any = None
    fatal = False
    try:
        message = _parse(text)
        request_id = message.get("id")
        answer: dict[str, Any] = {"result": _act(connection, route, message), "id": request_id}
    except ControlError as error:
        answer = {"error": {"code": error.code, "msg": error.message}, "id": request_id}
        fatal = error.fatal
    connection.answer(json.dumps(answer, separators=(",", ":")).encode())
    return not fatal


def subscribe_from_path(connection: Connection, streams: str, query: str) -> None:
    """Begin what the address asks for: streams in its path or query, listen keys with their events."""
    names = [name for name in streams.split("/") if name]
    pairs = parse_qsl(query)
    if connection.route is not Route.PRIVATE:
        listed = [value for name, value in pairs if name == "streams"] if connection.combined else []
        for name in [*names, *(each for value in listed for each in value.split("/") if each)]:
            connection.subscribe(name)
        return
    for key in names:
        connection.follow(key)
    events: frozenset[str] = frozenset()
    # `events` belongs to the listenKey beside it, whichever of the two comes first
    pending: str | None = None
    for name, value in [*pairs, ("listenKey", "")]:
        if name == "listenKey":
            if pending:
                connection.follow(pending, events)
                events = frozenset()
            pending = value
        elif name == "events":
            events = frozenset(value.split("/"))
        elif name == "streams":
            for key in value.split("/"):
                connection.follow(key)


def _parse(text: str) -> dict[str, Any]:
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        line, column = (error.lineno, error.colno) if isinstance(error, json.JSONDecodeError) else (1, 1)
        where = f"expected value at line {line} column {column}"
        raise ControlError(3, f"Invalid JSON: {where}", fatal=True) from None
    if not isinstance(message, dict):
        raise ControlError(2, "Invalid request: missing field `method` at line 1 column 1")
    if "method" not in message:
        raise ControlError(2, f"Invalid request: missing field `method` at line 1 column {len(text)}")
    request_id = message.get("id")
    if isinstance(request_id, bool) or not isinstance(request_id, int | str | None):
        raise ControlError(2, "Invalid request: request ID must be an unsigned integer")
    return message


def _act(connection: Connection, route: Route, message: dict[str, Any]) -> Any:
    method = message["method"]
    if method in ("SUBSCRIBE", "UNSUBSCRIBE"):
        names = message.get("params")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ControlError(2, "Invalid request: params must be an array of strings")
        for name in names:
            (_begin if method == "SUBSCRIBE" else _end)(connection, route, name)
        return None
    if method == "LIST_SUBSCRIPTIONS":
        return connection.listed()
    if method in ("SET_PROPERTY", "GET_PROPERTY"):
        return _property(connection, method, message.get("params"))
    variants = ", ".join(f"`{each}`" for each in METHODS)
    raise ControlError(2, f"Invalid request: unknown variant {method}, expected one of {variants}")


def _begin(connection: Connection, route: Route, name: str) -> None:
    if route is not Route.PRIVATE:
        connection.subscribe(name)
        return
    key, at, event = name.partition("@")
    followed = connection.keys.get(key)
    if followed is not None and not followed:
        # All events already: one of them more is none less
        return
    connection.follow(key, frozenset((event,)) | (followed or frozenset()) if at else frozenset())


def _end(connection: Connection, route: Route, name: str) -> None:
    if route is not Route.PRIVATE:
        connection.unsubscribe(name)
        return
    key, at, event = name.partition("@")
    followed = connection.keys.get(key, frozenset())
    if not at or followed == {event}:
        connection.unfollow(key)
    elif event in followed:
        connection.follow(key, followed - {event})


def _property(connection: Connection, method: str, params: Any) -> Any:
    if not isinstance(params, list) or not params or not isinstance(params[0], str):
        raise ControlError(2, "Invalid request: property name must be a string")
    if params[0] != "combined":
        raise ControlError(0, "Unknown property")
    if method == "GET_PROPERTY":
        return connection.combined
    if len(params) != 2 or not isinstance(params[1], bool):
        raise ControlError(1, "Invalid value type: expected Boolean")
    connection.combined = params[1]
    return None
