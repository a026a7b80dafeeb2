"""Refusing commands that waited too long, or nobody knows how long: an old market order is not wanted now."""

from __future__ import annotations

from typing import Any, Literal, cast

from redis.asyncio import Redis

from pms.bus.requests import echo
from pms.bus.scripts import Scripts
from pms.contract import names
from pms.contract.codes import Code
from pms.contract.money import encode
from pms.contract.results import Result, carried


class Stale:
    """The refusal of commands that are too old, or of unknown age."""

    def __init__(self, redis: Redis) -> None:
        self._scripts = Scripts(redis)

    async def refuse(
        self, request_id: str, command: str, text: bytes, *, door: str
    ) -> Literal["new", "open", "repeat", "conflict", "bad"]:
        """Record the command as refused `STALE`; one that was recorded before keeps its own answer.

        `bad` is a requestId that cannot be recorded. `open`: behind a Redis that forgot it may be the repeat
        of one that was carried out, so it is recorded too late to be, and the streamer answers.
        """
        keys = [
            names.request_key(request_id),
            names.result_key(request_id),
            names.INBOX,
            names.OPEN_REQUESTS,
            names.EPOCH,
        ]
        answer = _answer(request_id, command, echo(text))
        reply = await self._scripts.call(
            "stale",
            keys,
            *(request_id, command, text, answer, names.REQUEST_TTL_S, names.RESULT_TTL_S, door),
            names.REQUEST_TTL_S,
        )
        return cast("Literal['new', 'open', 'repeat', 'conflict', 'bad']", reply.decode())


def _answer(request_id: str, command: str, echoed: dict[str, Any]) -> bytes:
    result = Result(
        success=False,
        request_id=request_id,
        command=command,
        **carried(echoed),
        code=Code.STALE,
        error="the command waited longer than it has to live, or nobody knows for how long; send it anew",
    )
    return encode(result)
