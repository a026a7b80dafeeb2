"""A command lives as long as it says, in whatever way it says so."""

from __future__ import annotations

from uuid import uuid4

import pytest

from pms.bus.requests import ttl_ms
from pms.contract.codes import Refusal
from pms.contract.money import decode_object, encode_canonical
from pms.contract.reading import read_command

SPELLINGS = (
    *(
        "500",
        '"500"',
        '" 500 "',
        '"+500"',
        '"0500"',
        '"5_00"',
        '"500.0"',
        '"500.5"',
        '"5e2"',
        '"60000"',
        '"60001"',
    ),
    *("500.0", "5e2", "500.5", "1e400", "99", "60000", "60001", "-500", "true", "false", "null"),
    *('""', '"x"', "[500]", "{}", f'"{"9" * 5000}"'),
)


@pytest.mark.parametrize("spelt", SPELLINGS, ids=lambda spelt: spelt[:12])
def test_it_is_refused_or_kept(spelt: str) -> None:
    text = (
        f'{{"requestId":"{uuid4()}","subAccountId":"alice","symbol":"BTCUSDT","side":"BUY","quantity":"0.01",'
        f'"ttlMs":{spelt}}}'
    ).encode()
    for door in (text, encode_canonical(decode_object(text))):
        wished: int | str | None
        try:
            wished = read_command("pms.trade", door).ttl_ms
        except Refusal as refusal:
            wished = refusal.field
        assert wished in ("ttlMs", None, ttl_ms(door))
        if wished is None:
            assert ttl_ms(door) == 5000
