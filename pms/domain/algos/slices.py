"""A total cut into slices, and when each is due: exact, on the step, and the same for everyone who asks.

Trap: what is rounded is the sum so far, never a slice: so the slices add up to the total, to the last step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

ZERO = Decimal(0)
HUNDRED = Decimal(100)
_WIDE = Context(prec=80)
"""Room for any command's digits times any weight's."""


def spread(total: Decimal, weights: Sequence[Decimal], *, step: Decimal, least: Decimal) -> list[Decimal]:
    """A total by weights: on the step, in sum the total, and none below `least` but zero.

    A part that is too small waits for the next; the last for want of one joins the part before it.
    """
    whole, passed, given = sum(weights, ZERO), ZERO, ZERO
    parts: list[Decimal] = []
    for number, weight in enumerate(weights, start=1):
        passed += weight
        upto = total if number == len(weights) else _share(total, passed, whole, step)
        part = upto - given if upto - given >= least else ZERO
        given += part
        parts.append(part)
    if given < total:
        taken = [number for number, part in enumerate(parts) if part]
        parts[taken[-1] if taken else -1] += total - given
    return parts


def _share(total: Decimal, passed: Decimal, whole: Decimal, step: Decimal) -> Decimal:
    portion = _WIDE.multiply(total, passed)
    return _WIDE.multiply(_WIDE.divide_int(portion, _WIDE.multiply(whole, step)), step)


def moments(algo_id: str, *, start: int, duration_ms: int, count: int, jitter: Decimal) -> list[int]:
    """When each slice is due, ms: its turn, and up to `jitter` percent of an interval later.

    By how much is told by the algo's id and the slice's number; a slice never comes before the one ahead.
    """
    return [
        start + duration_ms * number // count + _late(algo_id, number, duration_ms // count, jitter)
        for number in range(count)
    ]


def _late(algo_id: str, number: int, interval: int, jitter: Decimal) -> int:
    most = int(interval * jitter / HUNDRED)
    digest = hashlib.blake2b(f"{algo_id}:{number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) * most >> 64


def up(quantity: Decimal, step: Decimal) -> Decimal:
    """On the step, not below."""
    return (quantity / step).to_integral_value(ROUND_CEILING) * step if step else quantity


def down(quantity: Decimal, step: Decimal) -> Decimal:
    """On the step, not above."""
    return (quantity / step).to_integral_value(ROUND_FLOOR) * step if step else quantity
