"""What traders do in one seed: drawn before anything runs, so that faults can be taken out of the plan
without changing what is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random
from typing import Literal

from pms.sim.machines.exchange import SYMBOLS

ACCOUNTS = ("alpha", "bravo", "carol")
HEDGED = "carol"
"""She holds a long beside a short."""
FUNDS = Decimal(100_000)
ORDERS = 21
BEGIN_MS, LENGTH_MS = 700, 2600
Kind = Literal[
    "market",
    "near",
    "far",
    "ioc",
    "post",
    "close",
    "cancel",
    "cancel_all",
    "repeat",
    "reuse",
    "transfer",
    "amend",
    "batch",
    "close_all",
]
Door = Literal["record", "task", "list"]
_ORDERS: tuple[tuple[Kind, int], ...] = (
    ("market", 42),
    ("near", 20),
    ("far", 18),
    ("ioc", 8),
    ("post", 4),
    ("close", 8),
)
_REST: tuple[tuple[Kind, int], ...] = (
    ("cancel", 6),
    ("repeat", 2),
    ("cancel_all", 1),
    ("reuse", 1),
    ("transfer", 1),
)
_MORE: tuple[tuple[Kind, int], ...] = (
    ("amend", 6),
    ("batch", 3),
    ("close_all", 1),
)
MORE_FROM = 1000
"""The number of the first step that every other seed has more."""

_TTLS = (5000, 5000, 3000, 1500, 600)
_RESTING = ("near", "far")
REDUCING = 0.35
"""How many of the orders that may rest only reduce, in every other seed."""
_PARTS = (1, 1, 2, 4)


@dataclass(frozen=True, slots=True)
class Step:
    """One wish of one trader; numbers are drawn here and turned into prices when its time has come."""

    number: int
    at_ms: int
    kind: Kind
    account: str
    symbol: str
    side: Literal["BUY", "SELL"]
    lots: int
    away: int
    ttl_ms: int
    door: Door
    target: int
    """Which earlier order a cancel or repeat is about, counted back from this step."""
    part: int = 0
    """Where something is held: an order that only reduces, for one part of so many of it; 0: a plain one."""


def draw(seed: int, *, exposed: Sequence[str] = ()) -> list[Step]:
    """The steps of a seed, by time; `exposed` accounts trade as often as the others."""
    accounts = (*ACCOUNTS, *exposed)
    rng = Random(f"{seed}:workload")
    kinds = [_one(rng, _ORDERS) for _ in range(ORDERS)]
    kinds += [_one(rng, _REST) for _ in range(rng.randrange(4, 9))]
    lists = rng.random() < 0.25
    times = sorted(BEGIN_MS + rng.randrange(LENGTH_MS) for _ in kinds)
    rng.shuffle(kinds)
    reducing = Random(f"{seed}:reducing")
    share = REDUCING if reducing.random() < 0.5 else 0.0
    steps = [
        _step(rng, number, at_ms, kind, accounts, lists=lists)
        for number, (at_ms, kind) in enumerate(zip(times, kinds, strict=True))
    ]
    steps = [replace(step, part=_part(reducing, step, share)) for step in steps]
    return sorted([*steps, *_more(seed, accounts)], key=lambda step: step.at_ms)


def _more(seed: int, accounts: Sequence[str]) -> list[Step]:
    """What every other seed has besides: drawn by itself, so that the others stay as they are."""
    rng = Random(f"{seed}:more")
    count = rng.randrange(2, 7) if rng.random() < 0.5 else 0
    return [
        _step(rng, number, BEGIN_MS + rng.randrange(LENGTH_MS), _one(rng, _MORE), accounts, lists=False)
        for number in range(MORE_FROM, MORE_FROM + count)
    ]


def _step(rng: Random, number: int, at_ms: int, kind: Kind, accounts: Sequence[str], *, lists: bool) -> Step:
    return Step(
        number=number,
        at_ms=at_ms,
        kind=kind,
        account=rng.choice(accounts),
        symbol=rng.choice((SYMBOLS[0], *SYMBOLS)),
        side="BUY" if rng.random() < 0.5 else "SELL",
        lots=rng.choice((1, 2, 5, 20, 120)) * rng.randrange(4, 9),
        away=rng.randrange(1, 6),
        ttl_ms=rng.choice(_TTLS),
        door=_door(rng, lists=lists),
        target=rng.randrange(1, 12),
    )


def _part(rng: Random, step: Step, share: float) -> int:
    return rng.choice(_PARTS) if step.kind in _RESTING and rng.random() < share else 0


def _one(rng: Random, weighted: tuple[tuple[Kind, int], ...]) -> Kind:
    kinds, weights = zip(*weighted, strict=True)
    chosen: Kind = rng.choices(kinds, weights)[0]
    return chosen


def _door(rng: Random, *, lists: bool) -> Door:
    chance = rng.random()
    if chance < 0.12:
        return "task"
    return "list" if lists and chance < 0.3 else "record"
