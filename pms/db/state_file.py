"""State snapshots: what the streamer starts from, in a file, so that a start needs no PostgreSQL.

A snapshot is exactly what `load_state` read in one transaction, so it can be true only together with
the seq it was read at. First line: format, seq and a checksum of the rest. A file that fails any of
them, or that another release's rows do not fit, is passed over for the one before.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

import msgspec
import structlog

from pms.archive.segments import sync_directory
from pms.db.collector import collector_paused
from pms.db.load import LoadedState

log = structlog.get_logger()
KEPT: Final = 2
_FORMAT: Final = b"pms-state 1"
_encoder = msgspec.msgpack.Encoder(decimal_format="string")
_decoder = msgspec.msgpack.Decoder(LoadedState)


def write_state(directory: Path, state: LoadedState) -> Path:
    """Write a snapshot, whole or not at all, and drop all but the newest two. Raises OSError."""
    directory.mkdir(parents=True, mode=0o700, exist_ok=True)
    body = _encoder.encode(state)
    path = directory / f"{state.applied:016d}.state"
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    # One process writes snapshots: another draft is of one that died, and takes room from the archive.
    for left in directory.glob("*.new"):
        left.unlink(missing_ok=True)
    try:
        with draft.open("wb") as file:
            file.write(b"%s %d %s\n" % (_FORMAT, state.applied, _checksum(body)))
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_directory(directory)
    for old in _files(directory)[KEPT:]:
        old.unlink(missing_ok=True)
    return path


def newest_state(directory: Path) -> LoadedState | None:
    """The newest snapshot that is whole; None if there is none."""
    for path in _files(directory):
        try:
            return read_state(path)
        except (OSError, ValueError) as fault:
            log.warning("snapshot_passed_over", file=path.name, reason=str(fault))
    return None


def newest_seq(directory: Path) -> int:
    """The seq of the newest snapshot by its name alone; 0 if there is none."""
    files = _files(directory)
    return int(files[0].name.partition(".")[0]) if files else 0


def read_state(path: Path) -> LoadedState:
    """Read a snapshot; raises ValueError for one that is damaged or of another format."""
    head, separator, body = path.read_bytes().partition(b"\n")
    if not separator or not head.startswith(_FORMAT + b" "):
        raise ValueError("it is of another format")
    seq, _, checksum = head.removeprefix(_FORMAT + b" ").partition(b" ")
    if checksum != _checksum(body):
        raise ValueError("its checksum does not hold")
    with collector_paused():
        state = _decoder.decode(body)  # msgspec's errors are ValueErrors
    if b"%d" % state.applied != seq:
        raise ValueError(f"it says of itself that it is {state.applied}")
    return state


def _files(directory: Path) -> list[Path]:
    """All snapshots, newest first."""
    return sorted(directory.glob("*.state"), reverse=True)


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()
