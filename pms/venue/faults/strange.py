"""What a parser meets the day after the exchange changed something: new event types, new fields."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from pms.venue.faults.kinds import FaultKind

NEW_EVENT: Final = "NOT_DOCUMENTED_YET"
NEW_FIELD: Final = "zz"
encode = msgspec.json.Encoder().encode


def strange(kind: FaultKind, payload: bytes) -> Iterator[bytes]:
    """A message as a rule bends it: with an unknown one before it, or with unknown fields."""
    message = msgspec.json.decode(payload)
    if kind is FaultKind.UNKNOWN_EVENT:
        time = message.get("E") if isinstance(message, dict) else None
        yield encode({"e": NEW_EVENT, "E": time, "n": {"a": ["1", 2, None, True]}})
        yield payload
    else:
        yield encode(grown(message))


def grown(value: object) -> object:
    """The same JSON with a field in each object that nobody has documented yet."""
    if isinstance(value, dict):
        return {**{name: grown(each) for name, each in value.items()}, NEW_FIELD: ["1", 2, None]}
    if isinstance(value, list | tuple):
        return [grown(each) for each in value]
    return value
