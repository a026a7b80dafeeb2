"""The Lua scripts, each a file beside this one whose head draws its keys."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.commands.core import AsyncScript

LUA = Path(__file__).parent / "lua"


@cache
def source(name: str) -> str:
    """The text of one script."""
    return (LUA / f"{name}.lua").read_text()


class Scripts:
    """The scripts as calls on one Redis; sends the digest, and the text only where it is not known."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._known: dict[str, AsyncScript] = {}

    async def call(self, name: str, keys: Sequence[str], *args: str | bytes | int) -> Any:
        """Run one script; a lost reply raises, and the script may have run."""
        script = self._known.get(name)
        if script is None:
            script = self._known[name] = self._redis.register_script(source(name))
        return await script(keys=list(keys), args=list(args))
