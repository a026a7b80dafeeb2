"""Bad days by a seed: rules that come by themselves, one after another, each for a short while.

The same seed gives the same rules in the same order, the same times apart; what each of them meets is up to
the clients. A rule that met nothing in its time goes again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Self

import structlog

from pms.venue.faults.kinds import FaultKind
from pms.venue.faults.rules import Faults

log = structlog.get_logger(__name__)

PER_MINUTE = 6.0
MOST_PER_MINUTE = 600.0
IN_FORCE_S = 30.0
PLACES = ("POST", "PUT", "DELETE")
Rule = dict[str, object]


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """A seed, and how many rules a minute come on average."""

    seed: int
    per_minute: float = PER_MINUTE

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read SEED or SEED:RATE; a ValueError says what is wrong."""
        seed, colon, rate = text.partition(":")
        try:
            plan = cls(int(seed), float(rate)) if colon else cls(int(seed))
        except ValueError:
            raise ValueError("faults are SEED or SEED:RATE, a whole number and rules a minute") from None
        if not 0 < plan.per_minute <= MOST_PER_MINUTE:
            raise ValueError(f"faults: the rate must be above 0 and {MOST_PER_MINUTE:g} at most")
        return plan


def _orders(rng: Random) -> Rule:
    return {"method": rng.choice(PLACES), "path": "/fapi/v1/order"}


def _delay(rng: Random) -> Rule:
    return {**_orders(rng), "ms": rng.randint(50, 5_000)}


def _status(rng: Random) -> Rule:
    status, code = rng.choice(((503, None), (503, -1001), (408, -1007), (502, None), (504, None)))
    return {**_orders(rng), "status": status, **({} if code is None else {"code": code})}


def _late_read(rng: Random) -> Rule:
    return {"ms": rng.randint(100, 5_000), "count": rng.randint(1, 5)}


def _skew(rng: Random) -> Rule:
    return {"ms": rng.choice((-1, 1)) * rng.randint(1_000, 12_000), "count": rng.randint(1, 10)}


def _several(rng: Random) -> Rule:
    return {"count": rng.randint(1, 5)}


def _nothing(_: Random) -> Rule:
    return {}


DRAWN: dict[FaultKind, Callable[[Random], Rule]] = {
    FaultKind.DELAY_BEFORE: _delay,
    FaultKind.DELAY_AFTER: _delay,
    FaultKind.HANG_BEFORE: _orders,
    FaultKind.HANG_AFTER: _orders,
    FaultKind.CUT_BEFORE: _orders,
    FaultKind.CUT_AFTER: _orders,
    FaultKind.STATUS_BEFORE: _status,
    FaultKind.STATUS_AFTER: _status,
    FaultKind.LATE_AT_ENGINE: lambda rng: {"path": "/fapi/v1/order", "ms": rng.randint(1_000, 8_000)},
    FaultKind.SKEW_CLOCK: _skew,
    FaultKind.USE_UP_WEIGHT: _nothing,
    FaultKind.BAN: lambda rng: {"ms": rng.randint(1_000, 10_000)},
    FaultKind.FILL_FIRST: lambda rng: {
        "method": rng.choice(("PUT", "DELETE")),
        "percent": rng.randint(1, 100),
    },
    FaultKind.STALE_READS: _late_read,
    FaultKind.STALE_SNAPSHOT: _nothing,
    FaultKind.HIDE_OPEN_ORDER: _several,
    FaultKind.WITHHOLD_EVENT: _several,
    FaultKind.DUPLICATE_EVENT: _several,
    FaultKind.DELAY_EVENT: lambda rng: {"ms": rng.randint(50, 5_000)},
    FaultKind.EXPIRE_KEY: _nothing,
    FaultKind.DELETE_KEY: _nothing,
    FaultKind.DROP_DIFF: _several,
    FaultKind.LATE_CLOSE: lambda rng: {"ms": rng.randint(100, 3_000)},
    FaultKind.CUT_SOCKET: _nothing,
    FaultKind.MUTE_SOCKET: _nothing,
    FaultKind.SHUT_SOCKET: _nothing,
    FaultKind.UNKNOWN_EVENT: _several,
    FaultKind.UNKNOWN_FIELD: _several,
}


def drawn(plan: FaultPlan) -> Iterator[tuple[float, Rule]]:
    """Rules without end, and the seconds before each."""
    rng = Random(f"{plan.seed}:faults")
    kinds = list(DRAWN)
    while True:
        wait_s = rng.expovariate(plan.per_minute / 60)
        kind = rng.choice(kinds)
        yield wait_s, {"kind": kind.value, **DRAWN[kind](rng)}


async def rain(
    faults: Faults, plan: FaultPlan, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Put drawn rules in force, for ever; each goes after a while, and what it holds is answered then."""
    loop = asyncio.get_running_loop()
    for wait_s, rule in drawn(plan):
        await sleep(wait_s)
        fault = faults.add(rule)
        log.info("venue.fault_drawn", id=fault.id, **rule)
        loop.call_later(IN_FORCE_S, faults.drop, fault.id)
