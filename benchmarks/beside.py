"""A peer under measurement: a process of its own that does a piece of work whenever it is asked to.

What goes wrong with a peer costs its figure, never the run: the figure is None and the reason is told.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from statistics import median
from typing import Any

import bootstrap
from benchmarks import clients

START_S, ROUND_S = 10, 5
LONGEST_LINE = 1 << 24

Best = tuple[Decimal, Decimal]
"""Best bid and best ask."""


class Refused(Exception):
    """Why a peer has no figure."""


class Peer:
    """One library, its process and its rounds. This one follows depth frames; others judge otherwise."""

    start_s, round_s = START_S, ROUND_S

    def __init__(self, name: str, *, version: str, python: Path | None) -> None:
        """The module of that name, run by the interpreter that has the library; None: there is none."""
        self.name = name
        self._version, self._python = version, python
        self.reason: str | None = None
        self._rates: list[float] = []
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, recording: Path) -> None:
        """Start its process on the work in a file."""
        try:
            if self._python is None:
                raise Refused(f"not installed: {clients.HOW}")
            await self._start(recording, self._python)
        except Refused as refusal:
            await self._refuse(refusal)

    async def round(self, expected: Any) -> None:
        """Have it do its work once; its figure is refused unless this comes of it."""
        if self.reason is not None:
            return
        try:
            answer = await self._ask()
            if doubt := self.doubt(answer, expected):
                raise Refused(doubt)
            self._rates.append(answer["rate"])
        except Refused as refusal:
            await self._refuse(refusal)

    def doubt(self, answer: dict[str, Any], expected: Any) -> str | None:
        """What is wrong with its work; None if nothing is."""
        return disagreement(answer["bests"], expected)

    async def end(self) -> None:
        """End its process."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.kill()
        await process.wait()

    def figures(self) -> dict[str, Any]:
        """Its version, its median rate or None, and then the reason."""
        figures = {"version": self._version}
        if self.reason is not None:
            return {**figures, "rate": None, "reason": self.reason}
        return {**figures, "rate": round(median(self._rates)), "rounds": len(self._rates)}

    async def _start(self, recording: Path, python: Path) -> None:
        self._log = recording.with_name(f"{self.name}.log")
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(str(python), "-m", f"benchmarks.peers.{self.name}", str(recording)),
                cwd=bootstrap.ROOT,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                limit=LONGEST_LINE,
            )
        await self._answer(self.start_s)

    async def _ask(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        return await self._answer(self.round_s)

    async def _answer(self, time_s: float) -> dict[str, Any]:
        """The next line that it prints; raises Refused where none comes."""
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(time_s):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise Refused(f"no answer within {time_s:g} s") from None
        if not line.endswith(b"\n"):
            said = self._log.read_text(errors="replace").strip().splitlines()
            raise Refused(f"it ended: {said[-1] if said else 'without a word'}")
        try:
            return dict(json.loads(line))
        except ValueError:
            raise Refused(f"its answer is not one: {line[:60]!r}") from None

    async def _refuse(self, refusal: Refused) -> None:
        self.reason = str(refusal)
        await self.end()


def disagreement(told: Sequence[Sequence[str]], bests: Sequence[Best]) -> str | None:
    """What differs between a peer's bests and ours, as numbers; None if nothing does."""
    if len(told) != len(bests):
        return f"it told {len(told)} bests of {len(bests)} diffs"
    for number, (theirs, ours) in enumerate(zip(told, bests, strict=True), 1):
        its_best = f"after diff {number} its best is {theirs[0]} / {theirs[1]}"
        try:
            if (Decimal(theirs[0]), Decimal(theirs[1])) != ours:
                return f"{its_best}, ours {ours[0]} / {ours[1]}"
        except InvalidOperation:
            return f"{its_best}, no numbers"
    return None
