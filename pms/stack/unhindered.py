"""Writing to a terminal that may stand still, by whoever must not.

A paused terminal (Ctrl-S), a hung line or a pager that nobody turns takes no more, and whoever writes to it
waits: here that would be the supervisor, and with it every restart.
"""

from __future__ import annotations

import io
import os
import stat
from typing import TextIO


class Unhindered(io.TextIOBase):
    """Writes what there is room for, and tells later how much was left out."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._left_out = 0

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        """Raises OSError once the terminal is gone."""
        lines = "1 line" if self._left_out == 1 else f"{self._left_out} lines"
        told = f"\n({lines} left out: the terminal stood still)\n" if self._left_out else ""
        data = (told + text).encode(errors="replace")
        try:
            sent = os.write(self._descriptor, data)
        except BlockingIOError:
            sent = 0
        if sent == len(data):
            self._left_out = 0
        else:
            self._left_out += max(text.count("\n"), 1)
        return len(text)


def unhindered(stream: TextIO) -> TextIO:
    """A way to the same terminal or pipe that never waits; the stream itself if it is neither."""
    try:
        descriptor = stream.fileno()
        if not (os.isatty(descriptor) or stat.S_ISFIFO(os.fstat(descriptor).st_mode)):
            return stream
        # Opened anew: not to wait is a mark of what was opened, and the shell's is shared with others.
        path = f"/proc/self/fd/{descriptor}"
        return Unhindered(os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC))  # type: ignore[return-value]
    except (OSError, ValueError):
        return stream
