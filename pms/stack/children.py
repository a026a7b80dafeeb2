"""One child of the supervisor through its life: started, ready, dead, started again."""

from __future__ import annotations

import signal
import subprocess
import time
from contextlib import suppress

from rich.text import Text

from pms.bus.process_id import ProcessId
from pms.stack import state
from pms.stack.errors import StackError
from pms.stack.logs import last_lines
from pms.stack.processes import Runnable

READY_WITHIN_S = 90.0
FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 10.0
CALM_S = 60.0
"""A child that was ready for so long starts over with the shortest pause."""


class Child:
    """A part, its process, and when it is due to be started again. Times are `time.monotonic`."""

    def __init__(self, part: Runnable) -> None:
        self.part = part
        self.status = state.Part(part.name, part.address)
        self.restart_at: float | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._launched = 0.0
        self._waits: object = None
        self._waited_at = 0.0
        self._ready: float | None = None
        self._deaths_in_a_row = 0

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def took_s(self) -> float:
        """How long it took from launch to readiness."""
        return (self._ready or time.monotonic()) - self._launched

    def launch(self) -> None:
        """Start the process. Raises StackError."""
        self.restart_at = None
        self._ready = None
        self._launched = self._waited_at = time.monotonic()
        self._waits = None
        try:
            self._process = self.part.launch()
        except OSError as error:
            raise StackError(f"{self.part.name} cannot be started: {error}") from None
        self._tell("starting", process=ProcessId.of(self._process.pid))

    def became_ready(self) -> bool:
        """Ask a starting process whether it serves; True once, when it first does."""
        if self.status.state != "starting" or self._process is None or not self.alive:
            return False
        if not self.part.ready(self._process.pid):
            return False
        self._ready = time.monotonic()
        self._tell("ready")
        return True

    def died(self) -> str | None:
        """How it ended, if it ended by itself since the last look; None if it did not.

        What ends with a code has said why in its last line: alone, the code sends an operator to search.
        """
        if self._process is None or self.restart_at is not None:
            return None
        if self.status.state == "starting" and self.alive:
            if self._has_patience(self._process.pid):
                return None
            self.kill()
            return f"was not ready within {READY_WITHIN_S:g} s"
        code = self._process.poll()
        if code is None:
            return None
        said = self.last_words(1) if code > 0 else []
        return ": ".join([ended(code), *(Text.from_ansi(line).plain for line in said)])

    def _has_patience(self, pid: int) -> bool:
        """Whether it may still become ready; one that goes on and is ended spends all of it again."""
        waits = self.part.waits(pid)
        if waits is not None and waits != self._waits:
            self._waits, self._waited_at = waits, time.monotonic()
        return time.monotonic() - self._waited_at < READY_WITHIN_S

    def plan_restart(self, why: str) -> float:
        """Set when it starts again, later each time in a row; the pause in seconds."""
        now = time.monotonic()
        if self._ready is not None and now - self._ready > CALM_S:
            self._deaths_in_a_row = 0
        pause: float = min(FIRST_PAUSE_S * 2**self._deaths_in_a_row, LONGEST_PAUSE_S)
        self._deaths_in_a_row += 1
        self.restart_at = now + pause
        self.status.restarts += 1
        self._tell("restarting", note=why)
        return pause

    def restart(self) -> str | None:
        """Start it again; what stands in the way, if it cannot be started even that."""
        try:
            self.launch()
        except StackError as fault:
            return str(fault)
        return None

    def terminate(self) -> None:
        """Ask it to end."""
        self.restart_at = None
        self._signal(self.part.stop_signal)

    def kill(self) -> None:
        """End it now."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def settle(self) -> None:
        """Note that it has ended for good."""
        self._tell("stopped", process=None)

    def fail(self) -> None:
        """Note that it could not be started."""
        self._tell("failed", process=None)

    def last_words(self, count: int = 12) -> list[str]:
        """The end of its log."""
        return last_lines(self.part.log, count)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    def _tell(self, to: state.PartState, *, note: str = "", **changed: ProcessId | None) -> None:
        self.status.state = to
        self.status.since = time.time()
        self.status.note = note
        if "process" in changed:
            self.status.process = changed["process"]


def ended(code: int) -> str:
    """How a process ended, in words."""
    if code < 0:
        with suppress(ValueError):
            return f"was ended by {signal.Signals(-code).name}"
    return f"ended with code {code}"
