"""How a halt stands in Redis: the value of `pms:halt` and `pms:halt:{sub}`."""

from __future__ import annotations

from typing import Final

import msgspec

from pms.contract.journal import HaltRow

BY_HAND: Final = "by hand"


class Standing(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The value of a halt's key. Trap: `take_right.lua` reads the mode at its very beginning."""

    mode: str
    reason: str
    actor: str
    since: int
    request_id: str


_decoder = msgspec.json.Decoder(Standing)
_encoder = msgspec.json.Encoder()


def standing_text(row: HaltRow) -> str:
    """The value of a halt's key in Redis."""
    value = Standing(
        mode=row.mode, reason=row.reason, actor=row.actor, since=row.since, request_id=row.request_id
    )
    return _encoder.encode(value).decode()


def read_standing(scope: str, raw: bytes, *, now: int) -> HaltRow:
    """A halt as it stands in Redis; one that nobody of ours wrote is taken as set by hand."""
    try:
        value = _decoder.decode(raw)
    except ValueError:  # bytes within a string that are no UTF-8 are no msgspec.DecodeError
        shown = raw.decode(errors="replace")[:100]
        return HaltRow(
            scope=scope,
            mode="HALTED",
            reason=f"the key was set: {shown}",
            actor=BY_HAND,
            since=now,
            request_id=BY_HAND,
        )
    return HaltRow(
        scope=scope,
        mode="REDUCE_ONLY" if value.mode == "REDUCE_ONLY" else "HALTED",
        reason=value.reason,
        actor=value.actor,
        since=value.since,
        request_id=value.request_id,
    )
