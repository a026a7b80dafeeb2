"""What each kind of algo was asked for, as bounds on what its orders may trade: in arithmetic of our own.

Only commands, slots and the exchange's books are known here. Nothing of this is the domain's, or a mistake
in it would be judged by itself. Of what was amended the largest counts: what was sent before stays right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from typing import Any

ZERO = Decimal(0)
FRESH_MS = 2_000
"""How old the volume may be that one who takes part begins with."""

LEAST_NOTIONAL = Decimal(130)
"""More than the least order of any symbol here, which may be carried from one slice to the next."""


@dataclass(slots=True)
class Traded:
    """What the orders of a slot have traded at the exchange, and what they may yet."""

    executed: Decimal = ZERO
    leaves: Decimal = ZERO

    @property
    def worst(self) -> Decimal:
        """All that it may come to."""
        return self.executed + self.leaves


@dataclass(slots=True)
class Asked:
    """What was asked of an algo, and what is planned of it in its first entry."""

    terms: dict[str, Any]
    step: Decimal
    price: Decimal
    volume: Callable[[], Decimal]
    """What its symbol has traded since it began."""
    amends: list[dict[str, Any]] = field(default_factory=list)
    plan: dict[int, Decimal] = field(default_factory=dict)

    def most(self, name: str) -> Decimal | None:
        """The largest that was asked for by a name; None where the start names none."""
        if self.terms.get(name) is None:
            return None
        return max(Decimal(each[name]) for each in (self.terms, *self.amends) if each.get(name) is not None)

    def newest(self, name: str) -> Any:
        """What was asked for last by a name; None where nobody named it."""
        found = [each[name] for each in (self.terms, *self.amends) if each.get(name) is not None]
        return found[-1] if found else None


Bound = Callable[[Asked, Mapping[int, Traded]], Iterator[str]]


def _chase(asked: Asked, slots: Mapping[int, Traded]) -> Iterator[str]:
    yield from _in_all(asked, slots, "quantity")


def _in_all(asked: Asked, slots: Mapping[int, Traded], name: str) -> Iterator[str]:
    most, worst = asked.most(name), sum((slot.worst for slot in slots.values()), ZERO)
    if most is not None and worst > most:
        yield f"it may trade {worst}, and {name} is {most}"


def _twap(asked: Asked, slots: Mapping[int, Traded]) -> Iterator[str]:
    """The total, what a slice may come to, and what it may be of the market."""
    yield from _in_all(asked, slots, "totalSize")
    total = asked.most("totalSize") or ZERO
    even = (total / len(asked.plan) / asked.step).to_integral_value(ROUND_CEILING) * asked.step
    catch_up = even * Decimal(asked.terms.get("mostCatchUp", 2))
    carried = LEAST_NOTIONAL / asked.price + asked.step
    for number, slot in slots.items():
        most = max(asked.plan.get(number, ZERO), catch_up) + carried
        if slot.worst > most:
            yield f"slice {number} may trade {slot.worst}, the most for one of {len(asked.plan)} is {most}"
    if asked.terms.get("profile") == "participation":
        worst = sum((slot.worst for slot in slots.values()), ZERO)
        # Its orders trade with somebody: what they take is of what traded.
        part = asked.volume() * Decimal(asked.terms["participation"]) / 100
        if worst > part:
            yield f"it may trade {worst}, and its part of what traded is {part}"


ENTRY, PROFIT, STOP = 0, 1, 2


def _bracket(asked: Asked, slots: Mapping[int, Traded]) -> Iterator[str]:
    """Both exits together are for what was entered, or for what was asked to be protected."""
    exits = slots.get(PROFIT, Traded()).worst + slots.get(STOP, Traded()).worst
    quantity = asked.most("quantity")
    if asked.terms.get("positionId") is not None:
        if quantity is not None and exits > quantity:
            yield f"its exits may close {exits}, and are for {quantity}"
        return
    entry = slots.get(ENTRY, Traded())
    if quantity is not None and entry.worst > quantity:
        yield f"it may enter {entry.worst}, and quantity is {quantity}"
    if exits > entry.executed:
        yield f"its exits may close {exits}, and it has entered {entry.executed}"


def _trail_stop(asked: Asked, slots: Mapping[int, Traded]) -> Iterator[str]:
    """What a stop may close is a question of its position."""
    return iter(())


def _scalper(asked: Asked, slots: Mapping[int, Traded]) -> Iterator[str]:
    """No layer holds more than its size or gives more than it holds; nor do all of them hold too much."""
    held, layers = ZERO, int(asked.terms["layers"])
    for number in range(2 * layers):
        entry, leaving = slots.get(2 * number, Traded()), slots.get(2 * number + 1, Traded())
        size = Decimal(asked.terms["quantity"]) * Decimal(asked.terms.get("sizeFactor", 1)) ** (
            number % layers
        )
        if leaving.worst > entry.executed:
            yield f"layer {number} may give {leaving.worst}, and has entered {entry.executed}"
        if entry.worst - leaving.executed > size:
            yield f"layer {number} may hold {entry.worst - leaving.executed}, its size is {size}"
        held += entry.worst - leaving.executed
    exposure = asked.most("maxExposure")
    if exposure is not None and held > exposure:
        yield f"its layers may hold {held}, and maxExposure is {exposure}"


BOUNDS: dict[str, Bound] = {
    "chase": _chase,
    "twap": _twap,
    "trail_stop": _trail_stop,
    "bracket": _bracket,
    "scalper": _scalper,
}
"""By kind."""


def _all_slices(asked: Asked, targets: Mapping[int, Decimal]) -> str | None:
    """Nothing is planned twice: what a slice missed is gone from it before another makes up for it."""
    total, planned = asked.most("totalSize"), sum(targets.values(), ZERO)
    return None if total is None or planned <= total else f"its slices are for {planned} of {total}"


PLANS: dict[str, Callable[[Asked, Mapping[int, Decimal]], str | None]] = {"twap": _all_slices}
"""What must hold of the targets of all slots, of kinds that plan them ahead."""
