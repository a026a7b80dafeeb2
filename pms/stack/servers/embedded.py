"""What both embedded servers have in common: prepare, launch, wait for an answer, stop."""

from __future__ import annotations

import signal
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from pms.stack.errors import StackError
from pms.stack.servers.held import DataLock

SOCKET_PATH_LIMIT = 107
"""Bytes of a Unix socket's path; Redis truncates a longer one without a word (sun_path, unix(7))."""


class EmbeddedServer(ABC):
    """One server on one data directory; a context manager whose value is the server itself."""

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals]

    def __init__(self, *, data_dir: Path, runtime_dir: Path, log: Path | None = None) -> None:
        self.data_dir = data_dir
        self.runtime_dir = runtime_dir
        self.log = log or data_dir.with_name(f"{self.name}.log")
        self._lock = DataLock(data_dir)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """The address that clients take."""

    @abstractmethod
    def prepare(self) -> None:
        """Make directories and an empty database where there is none. Raises StackError."""

    @abstractmethod
    def _spawn(self, lock: int) -> subprocess.Popen[bytes]: ...

    @abstractmethod
    def answers(self) -> bool:
        """Whether the server really serves at this moment."""

    def on_ready(self) -> None:  # noqa: B027 - most need nothing
        """What to do when it first answers; nothing by default."""

    @property
    def pid(self) -> int:
        """The server's process id; 0 when it does not run."""
        return self._process.pid if self._process and self._process.poll() is None else 0

    def launch(self) -> subprocess.Popen[bytes]:
        """Start the process and return at once. Raises InUse."""
        descriptor = self._lock.acquire()
        try:
            self._process = self._spawn(descriptor)
            self._lock.record(self._process.pid)
        finally:
            self._lock.release()
        return self._process

    def start(self, timeout_s: float = 60.0) -> str:
        """Start and return the address once the server answers. Raises StackError with its last words."""
        self.prepare()
        process = self.launch()
        deadline = time.monotonic() + timeout_s
        while not self.answers():
            if process.poll() is not None:
                raise StackError(f"{self.name} ended at once: {self.last_words()} (see {self.log})")
            if time.monotonic() > deadline:
                self.kill()
                raise StackError(f"{self.name} did not answer within {timeout_s:g} s (see {self.log})")
            time.sleep(0.01)
        self.on_ready()
        return self.url

    def stop(self, timeout_s: float = 6.0) -> None:
        """Stop in order; kill what has not ended in time."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(self.stop_signal)
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it as a crash would (SIGKILL)."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def last_words(self) -> str:
        """The last line of its log."""
        lines = self.log.read_text(errors="replace").strip().splitlines() if self.log.exists() else []
        return lines[-1] if lines else "it said nothing"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def checked_socket(path: Path) -> Path:
    """The path, if a Unix socket can have it. Raises StackError."""
    if len(bytes(path)) > SOCKET_PATH_LIMIT:
        raise StackError(f"the socket path {path} is longer than {SOCKET_PATH_LIMIT} bytes")
    return path
