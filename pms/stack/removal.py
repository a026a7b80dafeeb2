"""Taking away what we made, and only that."""

from __future__ import annotations

import pwd
import shutil
from contextlib import suppress
from pathlib import Path

import psutil

from pms.stack.errors import StackError
from pms.stack.places import Places
from pms.stack.servers import identity
from pms.stack.servers.held import DataLock


def remove_data(places: Places) -> list[Path]:
    """Delete the data of a home that does not run; logs and secrets stay. Raises InUse, StackError."""
    for data in (places.redis_data, places.postgres_data):
        if data.parent.is_dir():
            lock = DataLock(data)
            lock.acquire()
            lock.release()
    doomed = [places.redis_data, places.postgres_data, places.venue_state]
    if places.as_root:
        doomed.append(places.system_home)
    doomed += [places.home / "archive", places.run / "beat-schedule"]
    removed = [path for path in doomed if path.exists()]
    locks = [data.with_name(f"{data.name}.lock") for data in (places.redis_data, places.postgres_data)]
    for path in (*doomed, *places.run.glob("beat-schedule*"), *locks, places.exchange):
        _remove(path)
    for directory in (places.runtime, places.postgres_runtime):
        with suppress(OSError):  # not there, or not empty
            directory.rmdir()
    return removed


def remove_home(places: Places) -> list[Path]:
    """Delete a home but what only its owner may part with: backups and whatever is not ours.

    Returns what is left there; a home in which nothing is goes, too. Raises InUse, StackError.
    """
    remove_data(places)
    for path in (places.logs, places.run, places.secrets, places.runtime, places.postgres_runtime):
        _remove(path)
    left = sorted(places.home.iterdir())
    with suppress(OSError):
        places.home.rmdir()
    return left


def other_homes(places: Places) -> list[str]:
    """Homes besides this one whose databases root keeps under the system directory."""
    notes = (places.system_dir / "data").glob("*/home")
    return sorted(note.read_text().strip() for note in notes if note.parent != places.system_home)


def refuse_while_used(places: Places) -> None:
    """Raise StackError while any system on this machine runs a database as our user."""
    user = identity.existing_identity() if identity.user_made_by_us(places.system_dir) else None
    if user is not None and (pids := _owned_by(user.uid)):
        raise StackError(
            f"processes of the user {user.name} still run, {pids[0]} among them:"
            " stop every system first (`pms down`)"
        )


def remove_system(places: Places) -> None:
    """Delete what root made outside the home: servers, every home's database, the user. Raises StackError."""
    user = identity.existing_identity() if identity.user_made_by_us(places.system_dir) else None
    if identity.made_by_us(places.system_dir):
        _remove(places.system_dir)
    if user is not None:
        identity.remove_user()
    with suppress(OSError):
        places.runtime.parent.rmdir()


def _owned_by(uid: int) -> list[int]:
    name = pwd.getpwuid(uid).pw_name
    return [process.pid for process in psutil.process_iter(["username"]) if process.info["username"] == name]


def _remove(path: Path) -> None:
    """Delete a file or a directory; of one that is a file system of its own all that is in it."""
    try:
        if path.is_symlink() or not path.is_dir():
            path.unlink(missing_ok=True)
        elif path.is_mount():
            for inner in path.iterdir():
                if inner.name != "lost+found":
                    _remove(inner)
        else:
            shutil.rmtree(path)
    except OSError as error:
        raise StackError(f"{error.filename or path} cannot be deleted: {error.strerror}") from None
