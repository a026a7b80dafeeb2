"""Which code the worlds ran: campaigns of the same code add up, others do not."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pms

NOT_SIMULATED = ("cli", "stack")
"""Rooms that no world runs: what an operator types, and the processes of a real machine."""

DIGITS = 12


def fingerprint(root: Path | None = None) -> str:
    """Digest of all modules and scripts that a world may run, its judges among them.

    Trap: the locked libraries and Python itself are not in it.
    """
    root = root or Path(pms.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root)
        if path.suffix in {".py", ".lua"} and name.parts[0] not in NOT_SIMULATED:
            digest.update(f"{name.as_posix()}\n{path.stat().st_size}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:DIGITS]
