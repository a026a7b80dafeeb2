"""Backups: a dump of PostgreSQL, then the archive, so that the archive continues what was dumped.

A backup is made beside its place and renamed when it is whole and was read back. Redis is not in it:
all that it holds is in the archive, for the ledger ends last, or dies with its epoch. Trap: where the ledger
was killed the last entries are in Redis alone. Keys and passwords are not in it either.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from pms import __version__
from pms.archive.errors import ArchiveError, Damaged
from pms.archive.reader import Reader
from pms.archive.records import HEADER, good_line_behind, scan
from pms.archive.segments import Segment, segments
from pms.config import Settings
from pms.db import dump as dumps
from pms.db.migrate import upgrade
from pms.stack.errors import StackError
from pms.stack.places import Places
from pms.stack.servers.postgres import EmbeddedPostgres

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
BATCH: Final = 5000
Say = Callable[[str], None]


class Manifest(msgspec.Struct, frozen=True, rename="camel"):
    """What a backup holds. `taken_at` in ms; the archive goes from behind `begin` to `end`, both seqs."""

    format: int
    version: str
    taken_at: int
    database: dumps.Dump
    begin: int | None
    end: int | None
    entries: int
    files: dict[str, str]
    #: sha256 of each file of the archive


@contextmanager
def database_of(settings: Settings, places: Places) -> Iterator[str]:
    """The address of the system's database; an embedded one that does not run is started for as long."""
    if settings.database_url:
        yield settings.database_url
        return
    places.make_for_postgres()
    server = EmbeddedPostgres(
        data_dir=places.postgres_data,
        runtime_dir=places.postgres_runtime,
        system_dir=places.system_dir,
        log=places.log_of("postgres"),
    )
    with server:
        yield server.url


def take(address: str, archive_dir: Path, target: Path, *, now_ms: int, say: Say) -> Manifest:
    """Make a backup. Raises DatabaseError, ArchiveError, StackError; then `target` is not there."""
    if target.exists():
        raise StackError(f"{target} is already there; a backup never overwrites one")
    draft = target.with_name(f".{target.name}.partial")
    try:
        shutil.rmtree(draft, ignore_errors=True)
        (draft / "database").mkdir(parents=True, mode=0o700)
        draft.chmod(0o700)
        database = dumps.dump(address, draft / "database", say=say)
        (draft / "archive").mkdir(mode=0o700)
        for segment in segments(archive_dir):
            _copy(archive_dir, segment, draft / "archive")
        manifest = _examined(database, draft, now_ms=now_ms, say=say)
        if database.applied > (manifest.end or 0):
            say(f"the archive ends before entry {database.applied} of the database: only the latter counts")
        (draft / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1))
        os.sync()
        draft.rename(target)
    except OSError as error:
        raise StackError(f"the backup cannot be written to {target.parent}: {error.strerror}") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return manifest


def read_manifest(source: Path) -> Manifest:
    """Read a backup's manifest and compare every file with it. Raises StackError, BadDump."""
    try:
        manifest = msgspec.json.decode((source / MANIFEST).read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise StackError(f"{source} is not a backup: it has no {MANIFEST}") from None
    except (OSError, ValueError) as fault:
        raise StackError(f"{source / MANIFEST} cannot be read: {fault}") from None
    if manifest.format != FORMAT:
        raise StackError(f"{source} is a backup of format {manifest.format}, this release reads {FORMAT}")
    for name, sha256 in manifest.files.items():
        path = source / "archive" / name
        if not path.is_file() or _sha256(path) != sha256:
            raise StackError(f"{path} is not what was backed up")
    dumps.check_files(manifest.database, source / "database")
    return manifest


def restore(address: str, archive_dir: Path, source: Path, *, now_ms: int, say: Say) -> str:
    """Put a backup back; returns what became of the archive. The system must not run.

    What the database holds before is backed up beside the archive first. An archive that continues the
    backup's is kept: the next start refolds from it what came after the backup. Another waits whole beside
    its place before the ledger is replaced: a ledger that continues no archive would leave a hole in it.
    Raises DatabaseError, ArchiveError, StackError.
    """
    manifest = read_manifest(source)
    keep = _continues(archive_dir, source, manifest)
    before = archive_dir.with_name("backups") / f"before-restore-{now_ms}"
    draft = archive_dir.with_name(f".{archive_dir.name}.restoring")
    try:
        before.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
        if not keep:
            _copy_aside(source / "archive", manifest, archive_dir, draft)
        upgrade(address)
        say(f"backing up what is there to {before}")
        take(address, archive_dir, before, now_ms=now_ms, say=_quiet)
        dumps.load(address, manifest.database, source / "database", say=say)
    except BaseException as fault:
        shutil.rmtree(draft, ignore_errors=True)
        if isinstance(fault, OSError):
            raise StackError(f"nothing is restored: {fault}") from None
        raise
    if keep:
        return "the archive continues the backup and was kept"
    try:
        if archive_dir.exists():
            archive_dir.rename(archive_dir.with_name(f"archive.before-restore-{now_ms}"))
        draft.rename(archive_dir)
    except OSError as fault:
        raise StackError(
            f"the ledger is restored, its archive is not in its place ({fault.strerror}):"
            f" rename {draft} to {archive_dir} before `pms up`"
        ) from None
    return "the archive is the backup's"


def _copy_aside(source: Path, manifest: Manifest, archive_dir: Path, draft: Path) -> None:
    """Copy a backup's archive beside the place where it belongs. Raises StackError, OSError."""
    if archive_dir.is_mount():
        raise StackError(
            f"{archive_dir} is a mount point, in whose place nothing can be put: unmount it first"
        )
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    for name in manifest.files:
        shutil.copy2(source / name, draft / name)
    os.sync()


def _continues(archive_dir: Path, source: Path, manifest: Manifest) -> bool:
    """Whether the present archive goes on from the backup's; raises StackError for another history."""
    here, there = Reader(archive_dir), Reader(source / "archive")
    end = here.end()
    if end is None:
        return False
    last = there.read((manifest.end or 1) - 1, count=1) if manifest.end else []
    if not last or here.read(last[0].seq - 1, count=1) == last:
        return True
    ours = here.read(end - 1, count=1)
    if there.read(end - 1, count=1) == ours:
        return False
    raise StackError(
        f"the archive {archive_dir} ends with entry {end} and is of another history than the backup,"
        f" which ends with {manifest.end}: move it aside if the backup's is the one that counts"
    )


def _examined(database: dumps.Dump, draft: Path, *, now_ms: int, say: Say) -> Manifest:
    """Read the copied archive as a whole: a backup that cannot be read back is none."""
    reader, entries, after = Reader(draft / "archive"), 0, -1
    while records := reader.read(after, count=BATCH):
        entries, after = entries + len(records), records[-1].seq
    say(f"archive: {entries} entries")
    return Manifest(
        format=FORMAT,
        version=__version__,
        taken_at=now_ms,
        database=database,
        begin=reader.begin(),
        end=after if entries else None,
        entries=entries,
        files={path.name: _sha256(path) for path in sorted((draft / "archive").iterdir())},
    )


def _copy(archive_dir: Path, segment: Segment, target: Path) -> None:
    """Copy a file; of the one being written only its whole records. Raises ArchiveError."""
    try:
        content = segment.path.read_bytes()
    except FileNotFoundError:  # packed meanwhile
        segment = next(each for each in segments(archive_dir) if each.first == segment.first)
        content = segment.path.read_bytes()
    if not segment.packed:
        end, last = len(HEADER), segment.first - 1
        for record, behind in scan(content, at=end, after=None):
            end, last = behind, record.seq
        if end < len(content) and good_line_behind(content, end):
            raise Damaged(file=segment.path.name, after=last)
        if segment != segments(archive_dir)[-1] and end != len(content):
            raise ArchiveError(f"the archive's file {segment.path.name} is damaged: `pms verify` tells more")
        content = content[:end]
    (target / segment.path.name).write_bytes(content)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _quiet(_text: str) -> None:
    """Say nothing."""
