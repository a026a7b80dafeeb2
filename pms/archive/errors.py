"""What can be wrong with the archive; each text says what an operator has to do."""

from __future__ import annotations


class ArchiveError(Exception):
    """Base of what stops archiving; while it does, nothing is folded and admission is closed."""


class Busy(ArchiveError):
    """Another process archives at this moment."""

    def __init__(self) -> None:
        super().__init__("another process holds the archive")


class Damaged(ArchiveError):
    """A record within a file is not what was written; what stands behind it cannot be trusted."""

    def __init__(self, *, file: str, after: int) -> None:
        super().__init__(
            f"the archive's file {file} is damaged behind entry {after}: bring back a copy of it"
            " (`pms verify` examines all files)"
        )
        self.file = file
        self.after = after


class Broken(ArchiveError):
    """What is to be archived does not follow what was archived last."""

    def __init__(self, *, ended: int, found: int, seq: int | None = None) -> None:
        what = f"entry {seq} follows {found}" if seq is not None else f"the journal was trimmed up to {found}"
        if found > ended:
            remedy = "its end was lost: restore a newer copy of it, or move the directory aside to begin anew"
        else:
            remedy = "Redis forgot entries that are archived: restart the streamer, which reads them there"
        super().__init__(f"the archive ends with entry {ended}, but {what}; {remedy}")
        self.ended = ended
        self.found = found
        self.seq = seq


class Unwritable(ArchiveError):
    """The files cannot be written: the disk is full, or they belong to another user."""


class OtherFormat(ArchiveError):
    """A file was written by a release whose format this code does not read."""
