"""What the supervisor tells about itself and its children: `run/state.json`, rewritten on each change."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Literal

import msgspec

from pms.bus.process_id import ProcessId

PartState = Literal["waiting", "starting", "ready", "restarting", "stopped", "failed", "external"]
Phase = Literal["starting", "ready", "stopping"]


class Part(msgspec.Struct):
    """One part of the system as the supervisor sees it; `since` is Unix seconds."""

    name: str
    address: str
    state: PartState = "waiting"
    process: ProcessId | None = None
    since: float = 0.0
    restarts: int = 0
    note: str = ""


class Stack(msgspec.Struct):
    """One run of the whole system."""

    supervisor: ProcessId
    started: float
    version: str
    stack_id: str
    live: bool
    phase: Phase
    parts: list[Part]

    def running(self) -> bool:
        """Whether the supervisor that wrote this still lives."""
        return self.supervisor.living() is not None


def write(path: Path, stack: Stack) -> None:
    """Replace the file at once, so that a reader never sees half of it."""
    draft = path.with_name(path.name + ".new")
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(stack), indent=1))
    draft.chmod(0o600)
    draft.rename(path)


def read(path: Path) -> Stack | None:
    """The last run's state; None if there is none or another release wrote it."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Stack)
    except (FileNotFoundError, ValueError):
        return None


def me() -> ProcessId:
    """This very process."""
    return ProcessId.of(os.getpid())


def ended_within(process: ProcessId, seconds: float) -> bool:
    """Wait for a process's end; dead but not yet collected by its parent counts."""
    deadline = time.monotonic() + seconds
    while process.living() is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
