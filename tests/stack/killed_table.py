"""The table of what happened: one line for each algo and death, 80 columns wide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from killed_judge import Row

HEAD = f"{'algo':13} {'middle':11} {'at the kill':24} {'acted':>7}  what it did"


def lines(rows: Sequence[Row]) -> Iterator[str]:
    """A block for each death."""
    for (death, dead_s), block in groupby(rows, key=lambda row: (row.death, row.dead_s)):
        yield f"\nkilled: {death}, dead for {dead_s:.1f} s"
        yield HEAD
        for row in block:
            acted = "never" if row.acted_s is None else f"{row.acted_s:.2f} s"
            told = f"{row.kind:13} {row.middle:11} {row.standing:24} {acted:>7}  {row.did}"
            yield told if not row.faults else f"{told}\n" + "\n".join(f"    {each}" for each in row.faults)
