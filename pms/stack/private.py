"""Directories of our own: made private, never taken over from somebody else."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from pms.stack.errors import StackError
from pms.stack.servers.identity import Identity


def make_private(path: Path, owner: Identity | None = None) -> Path:
    """Make a directory that only its owner can enter; raises StackError if it is there but not so.

    Trap: in /tmp anyone can make a directory or a link of that name first, so one that exists is
    believed only after a look at the thing itself.
    """
    uid = os.geteuid() if owner is None else owner.uid
    try:
        path.mkdir(mode=0o700)
        if owner is not None:
            os.chown(path, owner.uid, owner.gid)
    except FileExistsError:
        pass
    except OSError as error:
        raise StackError(f"cannot make {path}: {error.strerror}") from None
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid:
        raise StackError(f"{path} is not a directory of user {uid}: remove it")
    if found.st_mode & 0o077:
        raise StackError(f"{path} is open to other users: `chmod 700 {path}`")
    return path
