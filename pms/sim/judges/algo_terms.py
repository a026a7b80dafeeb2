"""What each kind of algo was asked for, as bounds on what its orders may trade: in arithmetic of our own.

Only commands, slots and the exchange's books are known here. Nothing of this is the domain's, or a mistake
in it would be judged by itself. Of what was amended the largest counts: what was sent before stays right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from typing import Any, TypeVar

T = TypeVar("T")
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
    """What was asked of an algo or of a leg, and what is planned of it as it begins."""

    terms: dict[str, Any]
    step: Decimal
    price: Decimal
    volume: Callable[[], Decimal]
    """What its symbol has traded since it began."""
    amends: list[dict[str, Any]] = field(default_factory=list)
    plan: dict[int, Decimal] = field(default_factory=dict)
    legs: list[Leg] = field(default_factory=list)
    """Of a basket."""

    def most(self, name: str) -> Decimal | None:
        """The largest that was asked for by a name; None where the start names none."""
        if self.terms.get(name) is None:
            return None
        return max(Decimal(each[name]) for each in (self.terms, *self.amends) if each.get(name) is not None)

    def newest(self, name: str) -> Any:
        """What was asked for last by a name; None where nobody named it."""
        found = [each[name] for each in (self.terms, *self.amends) if each.get(name) is not None]
        return found[-1] if found else None


@dataclass(slots=True)
class Leg:
    """A leg of a basket: asked for like an algo of its own kind, on its range of the basket's slots."""

    kind: str
    asked: Asked
    numbers: range

    @property
    def undo(self) -> int:
        """The slot that would unwind it."""
        return self.numbers.stop

    def of(self, slots: Mapping[int, T]) -> dict[int, T]:
        """Its slots, by their numbers in it."""
        return {number - self.numbers.start: slots[number] for number in self.numbers if number in slots}

    def planned(self, targets: Mapping[int, Decimal]) -> None:
        """Learn its plan, which is made when it begins."""
        if not self.asked.plan:
            self.asked.plan = {number: target for number, target in self.of(targets).items() if target}


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
    even = (total / max(len(asked.plan), 1) / asked.step).to_integral_value(ROUND_CEILING) * asked.step
    catch_up = even * Decimal(asked.terms.get("mostCatchUp", 2))
    carried = _too_little(asked)
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


def _basket(asked: Asked, slots: Mapping[int, Traded]) -> Iterator[str]:
    """Each leg as if it were alone, what unwinds it, and which of them may have begun."""
    rules = rules_of(asked)
    sizes = [_sum(leg.of(slots)) for leg in asked.legs]
    for number, (leg, size) in enumerate(zip(asked.legs, sizes, strict=True)):
        name, undo = f"legs[{number}]", slots.get(leg.undo, Traded())
        for fault in BOUNDS[leg.kind](leg.asked, leg.of(slots)):
            yield f"{name}: {fault}"
        if undo.worst > size.executed:
            yield f"{name}: unwinding may close {undo.worst}, and it has filled {size.executed}"
        if undo.worst and "unwind" not in rules:
            yield f"{name}: it is unwound, and its rule was never more than {rules}"
        if asked.terms.get("mode") != "sequence" or not any(later.worst for later in sizes[number + 1 :]):
            continue
        if size.leaves:
            yield f"{name}: it may yet trade {size.leaves}, and a leg behind it has begun"
        total = leg.asked.most(SIZE[leg.kind]) or ZERO
        if "finish" not in rules and total - size.executed > _too_little(leg.asked):
            yield f"{name}: it has filled {size.executed} of {total}, and a leg behind it has begun"


def _one_order(asked: Asked, slots: Mapping[int, Traded]) -> Iterator[str]:
    yield from _in_all(asked, slots, "quantity")


def _sum(slots: Mapping[int, Traded]) -> Traded:
    return Traded(
        sum((slot.executed for slot in slots.values()), ZERO),
        sum((slot.leaves for slot in slots.values()), ZERO),
    )


def _too_little(asked: Asked) -> Decimal:
    """What may be left of one that is filled."""
    return LEAST_NOTIONAL / asked.price + asked.step


def rules_of(asked: Asked) -> set[str]:
    """What was ever to happen when a leg of a basket fails."""
    found = {each.get("onLegFailure") for each in asked.amends}
    return {asked.terms.get("onLegFailure") or "hold", *(each for each in found if each)}


SIZE = {"market": "quantity", "limit": "quantity", "chase": "quantity", "twap": "totalSize"}
"""What a leg is for, by the name of it in its terms."""

BOUNDS: dict[str, Bound] = {
    "chase": _chase,
    "twap": _twap,
    "trail_stop": _trail_stop,
    "bracket": _bracket,
    "scalper": _scalper,
    "basket": _basket,
    "market": _one_order,
    "limit": _one_order,
}
"""By kind of algo, or of a leg."""


def _all_slices(asked: Asked, targets: Mapping[int, Decimal]) -> str | None:
    """Nothing is planned twice: what a slice missed is gone from it before another makes up for it."""
    total, planned = asked.most("totalSize"), sum(targets.values(), ZERO)
    return None if total is None or planned <= total else f"its slices are for {planned} of {total}"


def _all_legs(asked: Asked, targets: Mapping[int, Decimal]) -> str | None:
    """No leg is planned, or unwound, for more than was asked of it."""
    for number, leg in enumerate(asked.legs):
        total = leg.asked.most(SIZE[leg.kind]) or ZERO
        planned, undone = sum(leg.of(targets).values(), ZERO), targets.get(leg.undo, ZERO)
        if max(planned, undone) > total:
            return f"legs[{number}] is planned for {planned} and unwound for {undone} of {total}"
    return None


PLANS: dict[str, Callable[[Asked, Mapping[int, Decimal]], str | None]] = {
    "twap": _all_slices,
    "basket": _all_legs,
}
"""What must hold of the targets of all slots, of kinds that plan them ahead."""
