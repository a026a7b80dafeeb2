"""Which code the worlds ran: campaigns of the same code add up, others do not."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pms

NOT_SIMULATED = ("cli/", "stack/", "sim/planted/")
"""Rooms that no world of a campaign runs: an operator's words, a real machine's processes, planted bugs."""

DIGITS = 12


def fingerprint(root: Path | None = None) -> str:
    """Digest of all modules and scripts that a world may run, its judges among them.

    Trap: the locked libraries and Python itself are not in it.
    """
    root = root or Path(pms.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.suffix in {".py", ".lua"} and not name.startswith(NOT_SIMULATED):
            digest.update(f"{name}\n{path.stat().st_size}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:DIGITS]
