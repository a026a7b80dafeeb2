"""Starting a child that cannot outlive us."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from pms.stack.servers.identity import Identity

# Resolved now: after the fork nothing may be imported.
_prctl = ctypes.CDLL(None).prctl
_PR_SET_PDEATHSIG = 1


def spawn(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    log: Path,
    on_parent_death: signal.Signals,
    identity: Identity | None = None,
    keep_open: Sequence[int] = (),
    directory: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, its output appended to `log`.

    The kernel sends it `on_parent_death` when we die, however we die. Trap: "we" is the thread that
    calls this (prctl(2), PR_SET_PDEATHSIG), so it must be the main thread.
    """
    parent = os.getpid()

    def leash() -> None:
        _prctl(_PR_SET_PDEATHSIG, int(on_parent_death))
        if os.getppid() != parent:  # it died between the fork and the line above
            os._exit(1)

    as_user = {} if identity is None else {"user": identity.uid, "group": identity.gid, "extra_groups": []}
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab", buffering=0) as output:
        return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(environment),
            cwd=directory,
            start_new_session=True,
            pass_fds=tuple(keep_open),
            # Runs after the change of user, which would clear the setting; it only calls into libc,
            # so a thread's lock that the fork copied cannot stop it.
            preexec_fn=leash,  # noqa: PLW1509
            **as_user,
        )
