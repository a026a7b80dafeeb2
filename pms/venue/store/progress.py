"""How far a start has come, on stderr: a line rewritten on a terminal, else one every few seconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TextIO

MIB = 1 << 20
REWRITTEN_EVERY_S, LINE_EVERY_S = 0.1, 3.0


class Progress:
    """Hears of bytes read. A start that is over before the first line was due says nothing."""

    def __init__(self, stream: TextIO, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock
        self._terminal = stream.isatty()
        self._every = REWRITTEN_EVERY_S if self._terminal else LINE_EVERY_S
        self._began = self._said = clock()
        self._total = self._done = 0
        self._shown = False

    def begin(self, total: int) -> None:
        """So many bytes are to be read."""
        self._total = total

    def step(self, count: int) -> None:
        """So many more were read."""
        self._done += count
        now = self._clock()
        if now - self._said >= self._every:
            self._said = now
            self._say()

    def end(self) -> None:
        """All is read; a terminal's line is left as it is at the end."""
        if self._shown:
            self._say()
            if self._terminal:
                self._stream.write("\n")
                self._stream.flush()

    def _say(self) -> None:
        self._shown = True
        # A damaged snapshot is read and then the one before it: more than was thought
        total = max(self._total, self._done)
        share = 100 * self._done // total if total else 100
        seconds = self._clock() - self._began
        text = (
            f"venue reads its journal: {self._done // MIB} of {total // MIB} MiB, {share} %, {seconds:.0f} s"
        )
        self._stream.write(f"\r{text}\x1b[K" if self._terminal else f"{text}\n")
        self._stream.flush()
