"""What the commands share: the running system's addresses, its Redis and database, one-line errors."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

import click
from redis.exceptions import ConnectionError, RedisError, TimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine

from pms.bus.connection import connect
from pms.bus.requests import DEFAULT_TTL_MS, SETTLE_GRACE_MS, Requests
from pms.config import ConfigError, Settings, load_settings
from pms.contract.codes import Code
from pms.contract.money import decode_object, encode
from pms.db import engine as database
from pms.db.errors import DatabaseError

T = TypeVar("T")
_TURNED_AWAY = {
    "conflict": (Code.REQUEST_ID_REUSED, "this requestId belongs to another command, which stands"),
    "bad": (Code.BAD_REQUEST_ID, "requestId is not a UUID in lower case with dashes"),
}
ANSWER_SLACK_S = 2.0
"""A result comes at the latest a grace after the deadline; then nobody serves commands at all."""


class Failed(click.ClickException):
    """A command line that ends with one clear line; exit code 1."""

    def show(self, file: Any = None) -> None:
        click.secho(f"error: {self.message}", fg="red", err=True)


class Undecided(Failed):
    """Nobody answered in time; exit code 3, for the command may yet be decided."""

    exit_code = 3


@dataclass(frozen=True, slots=True)
class Session:
    """One run of a command line against the running system."""

    settings: Settings
    redis: Any  # redis-py's types cannot say that replies are bytes
    database: AsyncEngine

    async def send(
        self, command: str, fields: dict[str, Any], *, request_id: str | None = None, again: str | None = None
    ) -> dict[str, Any]:
        """Submit a command as a gateway does and await its result; raises Undecided, and what a ping raises.

        Trap: once it is on its way a lost line to Redis proves nothing, and the id is all there is to ask by.
        `again` says how a lost answer is asked for, where the command line that was typed does not tell.
        """
        request_id = request_id or str(uuid4())
        fields = {"requestId": request_id, **{k: v for k, v in fields.items() if v is not None}}
        encode(fields)  # what cannot be told is refused before anybody is asked
        await self.redis.ping()
        try:
            return await self._sent(command, fields, request_id, again)
        except (ConnectionError, TimeoutError) as error:
            how = again or _again(request_id)
            raise Undecided(
                f"the line to Redis was lost ({error}) with {request_id} on its way. {how}"
            ) from None

    async def _sent(
        self, command: str, fields: dict[str, Any], request_id: str, again: str | None
    ) -> dict[str, Any]:
        requests = Requests(self.redis, new_id=lambda: str(uuid4()))
        submission = await requests.submit(command, fields, door="record")
        if submission.kind in _TURNED_AWAY:
            code, error = _TURNED_AWAY[submission.kind]
            return {
                "success": False,
                "requestId": request_id,
                "command": command,
                "code": code.value,
                "error": error,
                "field": "requestId",
            }
        wait_s = (fields.get("ttlMs", DEFAULT_TTL_MS) + SETTLE_GRACE_MS) / 1000 + ANSWER_SLACK_S
        answer = submission.result or await requests.result(request_id, timeout_s=wait_s)
        if answer is None:
            raise Undecided(
                f"nobody answered {request_id} within {wait_s:g} s; is the engine up? `pms status` tells."
                f" {again or _again(request_id)}"
            )
        return decode_object(answer)


def _again(request_id: str) -> str:
    """How to repeat the command line that was typed: not every one takes a request id."""
    context = click.get_current_context(silent=True)
    typed = context.command.params if context is not None else []
    if any(parameter.name == "request_id" for parameter in typed):
        return f"Repeat with --request-id {request_id}, never without"
    return "It may have been done, and may be typed again"


def run(work: Callable[[Session], Awaitable[T]]) -> T:
    """Run a command's work in a session; turns what an operator can put right into one line."""
    try:
        settings = load_settings()
    except ConfigError as error:
        raise Failed(str(error)) from None
    for name in ("redis_url", "database_url"):
        if not getattr(settings, name):
            raise Failed(f"no running system found under {settings.home}: start it with `pms up`")
    return asyncio.run(_with_session(settings, work))


async def _with_session(settings: Settings, work: Callable[[Session], Awaitable[T]]) -> T:
    redis = redis_of(settings, name="pms-cli")
    try:
        engine = database.create(settings.database_url or "", name="pms-cli", pool=2)
    except DatabaseError as error:
        raise Failed(str(error)) from None
    try:
        return await work(Session(settings=settings, redis=redis, database=engine))
    except RedisError as error:
        raise Failed(f"Redis: {error}; is the system up? `pms status` tells") from None
    except DatabaseError as error:
        raise Failed(str(error)) from None
    finally:
        await engine.dispose()
        await redis.aclose()


def redis_of(settings: Settings, *, name: str, **limits: Any) -> Any:
    """A client of the configured Redis; raises Failed, which tells no password, where its address is none."""
    try:
        return connect(settings.redis_url or "", name=name, **limits)
    except ValueError:
        raise Failed("PMS_REDIS_URL is no address of a Redis: redis://[:password@]host:port/0") from None


def warn_if_live(settings: Settings) -> None:
    """Say in red, on stderr, that an order moves real money or is refused for want of the phrase."""
    if settings.real_money:
        host = urlsplit(settings.binance_rest_url or "").hostname
        state = (
            "orders move real money" if settings.orders_allowed else "orders are refused: PMS_LIVE is not set"
        )
        click.secho(f"LIVE {host}: {state}", fg="red", bold=True, err=True)
