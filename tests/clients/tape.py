"""What a client really sent, and what it was content with: recorded at the venue's doors, played again.

One entry a line. Clock and chance of the venue are the tape's own, so a signature stands over the very bytes
that carried it, and an id that one answer gave is the id that a later request names.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

NUMBER = re.compile(r"-?[0-9]+(\.[0-9]*)?")
TAPES = Path(__file__).with_name("tapes")
REST, OPERATOR, TRADING, CONTROL = "rest", "operator", "trading", "control"
ACCOUNT, KEY, SECRET, BALANCE = "demo", "KEY", "SECRET", "100000"


def shape(value: Any) -> Any:
    """What a client may build on: keys in their order, types, how a number is written, how long a list is.

    Figures are left out: what margin or price a step comes to is for other tests.
    """
    if isinstance(value, dict):
        return [[key, shape(each)] for key, each in value.items()]
    if isinstance(value, list):
        return {"list": len(value), "of": shape(value[0]) if value else None}
    if isinstance(value, str):
        return "text" if NUMBER.fullmatch(value) is None else "number in a text"
    return type(value).__name__


def judged(body: bytes) -> Any:
    """An answer's shape; of a refusal its very words."""
    answer = json.loads(body)
    if isinstance(answer, dict) and isinstance(answer.get("code"), int) and answer["code"] < 0:
        return {"refused": answer["code"], "msg": answer["msg"]}
    return shape(answer)


class Chance:
    """The tokens of a tape: the same at every playing."""

    def __init__(self) -> None:
        self._count = count(1)

    def token(self, length: int) -> str:
        """The next one."""
        return f"{next(self._count):0{length}d}"


def path_of(client: str) -> Path:
    """Where a client's tape is kept."""
    return TAPES / f"{client}.ndjson.gz"


def write(client: str, entries: list[dict[str, Any]]) -> None:
    """Keep a tape."""
    TAPES.mkdir(exist_ok=True)
    text = "".join(json.dumps(each, separators=(",", ":")) + "\n" for each in entries)
    path_of(client).write_bytes(gzip.compress(text.encode(), mtime=0))


def read(client: str) -> Iterator[dict[str, Any]]:
    """A tape, entry by entry."""
    for line in gzip.decompress(path_of(client).read_bytes()).splitlines():
        yield json.loads(line)
