"""Whom PostgreSQL runs as. It refuses root, so root starts it as a user made for nothing else."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pms.stack.errors import StackError

NAME = "pms"
_MARK = ".made-by-pms"
_SYSTEM_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"
_NO_LOGIN = {"/usr/sbin/nologin", "/sbin/nologin", "/bin/false", "/usr/bin/false"}


@dataclass(frozen=True, slots=True)
class Identity:
    """A user that a server runs as."""

    name: str
    uid: int
    gid: int


def server_identity(system_dir: Path) -> Identity | None:
    """The user that PostgreSQL runs as, made if need be; None means ourselves. Raises StackError."""
    if os.geteuid() != 0:
        _refuse_nameless()
        return None
    if (found := existing_identity()) is None:
        _make_user(system_dir)
        found = existing_identity()
        assert found is not None, "useradd succeeded"
    return found


def existing_identity() -> Identity | None:
    """The dedicated user if it is there. Raises StackError if the name belongs to a person."""
    try:
        entry = pwd.getpwnam(NAME)
    except KeyError:
        return None
    if entry.pw_shell not in _NO_LOGIN:
        raise StackError(
            f"the user {NAME} can log in, so it is not the one PostgreSQL may run as:"
            " run pms as an ordinary user, or set PMS_DATABASE_URL to a server of your own"
        )
    return Identity(entry.pw_name, entry.pw_uid, entry.pw_gid)


def make_system_dir(system_dir: Path) -> None:
    """Make the directory of root's servers and mark it as ours. Raises StackError."""
    if system_dir.exists():
        return
    try:
        system_dir.mkdir(parents=True, mode=0o755)
        system_dir.chmod(0o755)
        (system_dir / _MARK).touch()
    except OSError as error:
        raise StackError(f"cannot make {system_dir}: {error.strerror}; set PMS_SYSTEM_DIR") from None


def made_by_us(system_dir: Path) -> bool:
    """Whether the directory was made by `make_system_dir`; only then may it be removed."""
    return (system_dir / _MARK).is_file()


def user_made_by_us(system_dir: Path) -> bool:
    """Whether the user was made for this directory; only then may it be removed."""
    return made_by_us(system_dir) and "user" in (system_dir / _MARK).read_text()


def remove_user() -> None:
    """Remove the dedicated user. Raises StackError."""
    _run("userdel", NAME, instead=f"remove the user {NAME} yourself: userdel {NAME}")


def _refuse_nameless() -> None:
    """Raise StackError where nothing names our user, as in a container run with a bare user id."""
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        raise StackError(
            f"user id {os.geteuid()} has no name here, and PostgreSQL asks for one: give it one with"
            f" `useradd --uid {os.geteuid()}`, or set PMS_DATABASE_URL to a server of your own"
        ) from None


def _make_user(system_dir: Path) -> None:
    make_system_dir(system_dir)
    _run(
        *("useradd", "--system", "--user-group", "--no-create-home", "--home-dir", str(system_dir)),
        *("--shell", "/usr/sbin/nologin", NAME),
        instead=f"PostgreSQL does not run as root: make a user for it with `useradd --system {NAME}`,"
        " or run pms as an ordinary user",
    )
    if made_by_us(system_dir):
        (system_dir / _MARK).write_text("user\n")


def _run(program: str, *arguments: str, instead: str) -> None:
    found = shutil.which(program, path=_SYSTEM_PATH)
    if found is None:
        raise StackError(f"there is no {program} here; {instead}")
    done = subprocess.run([found, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise StackError(f"{program}: {done.stderr.strip() or done.returncode}; {instead}")
