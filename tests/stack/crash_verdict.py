"""What the judge of a crash found: rules that were broken, and figures for people."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from crash_money import Losses


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that was broken."""

    account: str
    rule: str
    text: str

    def __str__(self) -> str:
        return f"{self.account} {self.rule}: {self.text}"


@dataclass(slots=True)
class Verdict:
    """What the judge found, and figures for people."""

    findings: list[Finding] = field(default_factory=list)
    actions: Counter[str] = field(default_factory=Counter)
    lateness: Counter[int] = field(default_factory=Counter)
    #: ticks between crossing and deed, of what had to be done
    doubtful: int = 0
    #: what was done where it was not sure that it had to be
    liquidated: set[str] = field(default_factory=set)
    #: taken over, or deleveraged to nothing
    touched: set[str] = field(default_factory=set)
    kept: set[str] = field(default_factory=set)
    losses: Losses = field(default_factory=Losses)
    weighed: int = 0

    def says(self, account: str, rule: str, text: str) -> None:
        self.findings.append(Finding(account, rule, text))

    @property
    def rules(self) -> set[str]:
        """The rules that were broken."""
        return {finding.rule for finding in self.findings}
