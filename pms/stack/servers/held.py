"""One server on one data directory, ever.

The lock is a `flock` on a file beside the directory, and its descriptor is passed on to the server:
it is held exactly as long as any process of that server lives, whatever became of its supervisor.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from pms.bus.process_id import ProcessId
from pms.stack.errors import InUse

ORPHAN_GRACE_S = 8.0


class DataLock:
    """The lock of one data directory; the file names the server and who started it."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._path = data_dir.with_name(data_dir.name + ".lock")
        self._descriptor: int | None = None

    def acquire(self) -> int:
        """Take the lock, ending a server whose supervisor is gone. Raises InUse."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not _try_lock(descriptor):
            server, owner = self._recorded()
            if server is not None and owner is not None:
                os.close(descriptor)
                raise InUse(
                    f"{self._data_dir} already has a running server"
                    f" (process {server.pid}, started by {owner.pid})"
                )
            # Either the supervisor is gone, or the server is and its last children are on their way.
            _end(server)
            if not _lock_within(descriptor, ORPHAN_GRACE_S):
                os.close(descriptor)
                raise InUse(
                    f"{self._data_dir} is still held by a server that was left behind;"
                    f" `fuser -v {self._path}` shows it"
                )
        self._descriptor = descriptor
        return descriptor

    def record(self, server_pid: int) -> None:
        """Write down which process serves and who started it."""
        assert self._descriptor is not None, "acquired first"
        note = json.dumps({"server": _identity(server_pid), "owner": _identity(os.getpid())}).encode()
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, note, 0)

    def release(self) -> None:
        """Let go of our own hold; the server's lasts until it has ended."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _recorded(self) -> tuple[psutil.Process | None, psutil.Process | None]:
        try:
            note = json.loads(self._path.read_text())
            return _found(note["server"]), _found(note["owner"])
        except (ValueError, KeyError, TypeError):
            return None, None


def _identity(pid: int) -> list[str | float]:
    """A process id is used again after a while; with its start it is not."""
    return [pid, ProcessId.of(pid).created]


def _found(identity: list[Any]) -> psutil.Process | None:
    pid, created = identity
    return ProcessId(int(pid), created).living()


def _end(server: psutil.Process | None) -> None:
    """End a server that nobody supervises: gently, then not."""
    if server is None:
        return
    with suppress(psutil.NoSuchProcess):
        server.send_signal(2 if server.name() == "postgres" else 15)
        try:
            server.wait(ORPHAN_GRACE_S / 2)
        except psutil.TimeoutExpired:
            server.kill()


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock_within(descriptor: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not _try_lock(descriptor):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
