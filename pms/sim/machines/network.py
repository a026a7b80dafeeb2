"""The lines between processes and servers: how long a message takes, and what befalls it.

A fault arms a rule on a line; the next message that fits it suffers, once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

Note = Callable[[str, str], None]


@dataclass(slots=True)
class Rule:
    """What befalls the next message whose subject contains a word."""

    line: str
    kind: str
    word: str = ""
    ms: int = 0
    spent: bool = False


@dataclass(slots=True)
class Network:
    """All lines of one world."""

    rng: Random
    note: Note
    rules: dict[str, list[Rule]] = field(default_factory=dict)
    heard: Callable[[str, bytes], None] | None = None
    """Told each frame as it reaches a process."""

    def arm(self, rule: Rule) -> Rule:
        """Put a rule in force; it fires once."""
        self.rules.setdefault(rule.line, []).append(rule)
        return rule

    def disarm(self) -> None:
        """From now on every message arrives."""
        self.rules.clear()

    def strike(self, line: str, subject: str) -> Rule | None:
        """The rule that fires on a message, if any."""
        armed = self.rules.get(line)
        if not armed:
            return None
        for rule in armed:
            if rule.word in subject:
                armed.remove(rule)
                rule.spent = True
                self.note("strike", f"{rule.kind} hits {line} {subject}")
                return rule
        return None

    def delay(self, least: float, most: float) -> float:
        """How long one message is on its way, s."""
        return least + (most - least) * self.rng.random()
