"""Keeping the halts in Redis and those in the journal one and the same.

A Redis that forgot must not let orders out, and a halt that only Redis knows (a door's, whose command
was lost, or an operator's by hand) must not be lost with it. Both are put right by an entry of the
journal, so that nothing here can overtake a resume.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from pms.contract.halts import BY_HAND, read_standing
from pms.contract.journal import HaltRow
from pms.contract.names import EVERYTHING, HOUSE, halt_key
from pms.domain.halting import renew_halts
from pms.streamer.engine import Engine

log = structlog.get_logger()
EVERY_S = 1.0
ALL_EVERY = 10
DECIDED_WITHIN_MS = 5000
"""A halt younger than this may still have its command on the way here."""


@dataclass(slots=True)
class Halts:
    """Compares, and journals what differs."""

    engine: Engine
    redis: Redis
    now_ms: Callable[[], int]
    sleep: Callable[[float], Awaitable[None]]

    async def run(self) -> None:
        """Compare for ever: the halts we know every second, those of all accounts every ten."""
        turn = 0
        while True:
            await self.sleep(EVERY_S)
            turn += 1
            desk = self.engine.desk
            try:
                await self.compare([*desk.halts, *(desk.accounts if turn % ALL_EVERY == 0 else ())])
            except (RedisError, OSError) as error:
                log.warning("halts_not_compared", error=str(error))

    async def begin(self) -> None:
        """At start, before any order is admitted: make Redis halt what the journal halts, and take in
        whatever else stands there. Raises what Redis raises."""
        await self.compare(self.engine.desk.accounts, younger_too=True)

    async def compare(self, scopes: Iterable[str], *, younger_too: bool = False) -> None:
        """Journal the halts of these scopes that Redis lacks, and those that only it has."""
        desk, outbox = self.engine.desk, self.engine.outbox
        looked = list(dict.fromkeys(scope for scope in (EVERYTHING, *scopes) if scope != HOUSE))
        before = dict(desk.halts)
        if len(outbox) and not younger_too:
            return
        untyped: Any = self.redis
        found = await untyped.mget([halt_key(scope) for scope in looked])
        if desk.halts != before or (len(outbox) and not younger_too):
            return  # an entry is on its way that Redis did not have when it was asked
        now = self.now_ms()
        wrong: list[HaltRow] = []
        for scope, raw in zip(looked, found, strict=True):
            known = desk.halts.get(scope)
            if raw is None:
                if known is not None:
                    wrong.append(known)
                continue
            standing = read_standing(scope, raw, now=now)
            if known is not None and standing.request_id == known.request_id:
                continue
            young = standing.request_id != BY_HAND and standing.since > now - DECIDED_WITHIN_MS
            if young and not younger_too:
                continue
            wrong.append(standing)
        if wrong:
            told = ", ".join(f"{row.scope} {row.mode} by {row.actor}: {row.reason}" for row in wrong)
            log.warning("halts_renewed", halts=told)
            detail = f"Redis and the journal told differently: {told}"
            outbox.add(renew_halts(desk, wrong, at=now, detail=detail))
