"""Planting bugs: each is patched into this process only, for the time of a `with`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from pms.bus import scripts

Patch = tuple[Any, str, Any]


def _anywhere(seed: int) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Mutant:
    """One bug: what is wrong, and the names that are replaced while it is planted."""

    name: str
    what: str
    patches: Callable[[], Sequence[Patch]]
    storms: bool = False
    """It shows only where somebody is liquidated: it is looked for in stormy worlds alone."""
    where: Callable[[int], Any] = _anywhere
    """The seeds in which it shows: where algos run, somebody else trades, an operator corrects."""
    only: str | None = None
    """It shows only under faults that begin so, and seldom enough to be looked for under no others."""

    @contextmanager
    def planted(self) -> Iterator[None]:
        """Have the bug for a while."""
        with ExitStack() as stack:
            for target, name, value in self.patches():
                stack.enter_context(replaced(target, name, value))
            yield


@contextmanager
def replaced(target: Any, name: str, value: Any) -> Iterator[None]:
    """An attribute that is another for a while; one that the class only declares is put back as it was."""
    before = target.__dict__.get(name, _ABSENT)
    setattr(target, name, value)
    try:
        yield
    finally:
        if before is _ABSENT:
            delattr(target, name)
        else:
            setattr(target, name, before)


_ABSENT = object()
MUTANTS: list[Mutant] = []


def mutant(
    what: str,
    *,
    storms: bool = False,
    where: Callable[[int], Any] = _anywhere,
    only: str | None = None,
) -> Callable[[Callable[[], Sequence[Patch]]], Callable[[], Sequence[Patch]]]:
    """Enter a bug under its function's name."""

    def enter(patches: Callable[[], Sequence[Patch]]) -> Callable[[], Sequence[Patch]]:
        MUTANTS.append(Mutant(patches.__name__, what, patches, storms, where, only))
        return patches

    return enter


def script(name: str, old: str, new: str) -> Sequence[Patch]:
    """One script with a part of it changed; the part must be there, or the bug would be none."""
    real = scripts.source
    text = real(name)
    assert old in text, f"{name}.lua no longer says {old!r}"
    changed = text.replace(old, new)
    return [(scripts, "source", lambda asked: changed if asked == name else real(asked))]
