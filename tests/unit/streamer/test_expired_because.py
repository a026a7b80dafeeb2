"""An order that the exchange let expire says why in words, wherever its reason is read."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "domain"))

from desk_maker import desk_at, trade

from pms.binance.expiry_reasons import expired_because
from pms.binance.frames import OrderUpdate, decode_user
from pms.contract.money import encode
from pms.streamer.engine import Engine, Gate
from pms.streamer.outbox import Outbox


def told(coid: str, *, word: str, reason: str) -> OrderUpdate:
    """The exchange's last word on an order that it let expire."""
    frame = {"e": "ORDER_TRADE_UPDATE", "T": 1_000, "E": 1_000, "o": {
        "s": "BTCUSDT", "c": coid, "S": "BUY", "o": "LIMIT", "f": "GTC", "q": "0.01", "p": "59000", "ap": "0",
        "sp": "0", "x": "EXPIRED", "X": word, "i": 1, "l": "0", "z": "0", "L": "0", "n": "0", "N": "USDT",
        "T": 1_000, "t": 0, "b": "0", "a": "0", "m": False, "R": False, "wt": "CONTRACT_PRICE", "ot": "LIMIT",
        "ps": "BOTH", "cp": False, "rp": "0", "pP": False, "si": 0, "ss": 0, "V": "EXPIRE_MAKER",
        "pm": "NONE", "gtd": 0, "er": reason,
    }}  # fmt: skip
    update = decode_user(encode(frame))
    assert isinstance(update, OrderUpdate)
    return update


@pytest.mark.parametrize(
    ("word", "number", "why"),
    [
        ("EXPIRED_IN_MATCH", "1", "self-trade prevention (1)"),
        ("EXPIRED", "9", "the market had no more to trade with (9)"),
        ("EXPIRED", "12", "the exchange's expiry reason 12"),
        ("EXPIRED", "0", None),
    ],
)
def test_its_row_has_the_reason_in_words(word: str, number: str, why: str | None) -> None:
    desk = desk_at()
    coid = trade(desk, type="LIMIT", price="59000").entry.rows.orders[0].client_order_id
    outbox = Outbox(cast(Any, None), withdraw=lambda _: None, sleep=asyncio.sleep)
    engine = Engine(desk, outbox, gate=Gate(), redis_now_ms=lambda: 1_000)
    engine.agenda = cast(Any, SimpleNamespace(put=lambda *_, **__: None))
    engine.time_passed = lambda _: None
    engine.order_update(told(coid, word=word, reason=number))
    rows = [row for waiting in outbox._waiting for row in waiting.posting.entry.rows.orders]
    assert [(row.state, row.reason) for row in rows] == [("expired", why)]


def test_each_documented_reason_has_words_of_its_own() -> None:
    words = {expired_because(str(number)) for number in range(1, 10)}
    assert len(words) == 9
    assert not any(text.startswith("the exchange's expiry reason") for text in words)
