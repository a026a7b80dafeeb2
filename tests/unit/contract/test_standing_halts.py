"""A halt's key in Redis: whatever stands there halts, and can be told."""

from __future__ import annotations

import pytest

from pms.contract.halts import BY_HAND, read_standing


@pytest.mark.parametrize(
    "raw",
    [b"1", b"", b"\xff", b'{"mode":"HALTED","reason":"caf\xe9","actor":"a","since":1,"requestId":"r"}'],
)
def test_what_nobody_of_ours_wrote_is_a_halt_set_by_hand(raw: bytes) -> None:
    row = read_standing("*", raw, now=7)
    assert (row.mode, row.actor, row.since, row.request_id) == ("HALTED", BY_HAND, 7, BY_HAND)
