"""Which process it is: its number, and when it began by a clock that nobody sets."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import msgspec
import psutil

_STARTED = 19
"""Field 22 of /proc/PID/stat (ticks since boot), counted behind the name, which may hold anything."""


class ProcessId(msgspec.Struct, frozen=True):
    """A process id and when it began: the number alone is used again after a while.

    Never by the wall clock where it can be helped: psutil adds ticks to a time of boot that moves with
    every step of the clock. A number is such a time: of an earlier release, or of a system without /proc.
    """

    pid: int
    created: str | float

    @classmethod
    def of(cls, pid: int) -> ProcessId:
        """The identity of a process that is there now."""
        try:
            return cls(pid, _started(psutil.Process(pid)))
        except psutil.NoSuchProcess:
            return cls(pid, 0.0)

    def living(self) -> psutil.Process | None:
        """The process, if it is still that one and runs."""
        try:
            process = psutil.Process(self.pid)
            if isinstance(self.created, str):
                same = _started(process) == self.created
            else:
                same = abs(process.create_time() - self.created) < 1
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


def _started(process: psutil.Process) -> str | float:
    """Raises psutil.NoSuchProcess."""
    boot = _boot()
    if boot is None:
        return float(process.create_time())
    try:
        told = Path(f"/proc/{process.pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        raise psutil.NoSuchProcess(process.pid) from None
    return f"{boot}:{told.rpartition(')')[2].split()[_STARTED]}"


@cache
def _boot() -> str | None:
    """This boot's id; None where there is none, and the wall clock must do."""
    if sys.platform != "linux":
        return None
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
