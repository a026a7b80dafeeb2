"""Who is the streamer: a lease held by a random nonce, and the epoch that it opens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from pms.bus.scripts import Scripts
from pms.contract import names

LEASE_MS = 6000


class NotLeading(Exception):
    """Another streamer leads, Redis was restarted, or the chain has a gap: step down and recover."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """Under which nonce and which life of Redis a streamer may write."""

    nonce: str
    run_id: str


class Lead:
    """The lease of one streamer."""

    def __init__(self, redis: Redis, *, nonce: str) -> None:
        self._redis: Any = redis
        self._scripts = Scripts(redis)
        self._nonce = nonce

    async def take(self) -> bool:
        """Try to win the lease; False while another holds it."""
        return bool((await self._call("take"))[0])

    async def open(self) -> Epoch:
        """Open the epoch: nothing admitted under an older one may be sent any more."""
        won, run_id = await self._call("open")
        if not won:
            raise NotLeading("the lease was lost before the epoch was opened")
        return Epoch(self._nonce, run_id.decode())

    async def begin_from(self, seq: int) -> None:
        """Say from which seq this epoch journals on; Redis may have lost what lies before it."""
        if not (await self._call("base", seq))[0]:
            raise NotLeading("the lease was lost during recovery")

    async def all_known(self, *, forgot: bool) -> None:
        """Say that what an earlier life of Redis may have forgotten is known again, from the exchange.

        `forgot` is whether there was one. Trap: the streamer knows it, Redis still does not. Until nobody
        remembers the requests of before, only a streamer may say that nothing came of one.
        """
        if not (await self._call("known", int(forgot)))[0]:
            raise NotLeading("the lease was lost during recovery")

    async def remembered(self) -> str | None:
        """The life of Redis of which a streamer has said that all is known; None before the first.

        Trap: that an earlier streamer led in it is not enough. It may have died before it had asked the
        exchange what Redis forgot.
        """
        known = await self._redis.hget(names.EPOCH, "known")
        return None if known is None else str(known.decode())

    async def forgetful(self) -> tuple[str, int] | None:
        """The life of Redis that followed another, and when all was said to be known of it, ms; or None."""
        forgot, at = await self._redis.hmget(names.EPOCH, "forgot", "forgot_at")
        return None if forgot is None else (str(forgot.decode()), int(at or 0) * 1000)

    async def renew(self) -> str:
        """Prolong the lease; returns Redis' run_id; raises NotLeading when another holds it."""
        won, run_id = await self._call("renew")
        if not won:
            raise NotLeading("the lease is another's")
        return str(run_id.decode())

    async def leave(self) -> None:
        """Free the lease, so that a successor need not wait for it to run out."""
        await self._call("leave")

    async def _call(self, verb: str, number: int = 0) -> tuple[int, bytes]:
        won, run_id = await self._scripts.call(
            "lead", [names.LEASE, names.EPOCH], self._nonce, LEASE_MS, verb, number
        )
        return won, run_id
