"""The feed tells a trade of an order of ours that nobody remembers: it is adopted before that is booked."""

from __future__ import annotations

import asyncio
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "domain"))

from desk_maker import desk_at

from pms.binance.frames import OrderUpdate, decode_user
from pms.contract.money import encode
from pms.domain.orders import Order, State
from pms.domain.posting import Posting
from pms.streamer.agenda import Agenda
from pms.streamer.attention import Attention
from pms.streamer.engine import Engine, Gate
from pms.streamer.outbox import Outbox

ALICE, SYMBOL, NAME, NUMBER = "alice", "BTCUSDT", "PMS_alice_M_00000000000000000001", 900
D = Decimal


def told(word: str, *, trade: int = 0, quantity: str = "0", filled: str, at: int = 2_000) -> OrderUpdate:
    """The feed's word on the order, with a trade unless its number is 0."""
    frame = {"e": "ORDER_TRADE_UPDATE", "T": at, "E": at, "o": {
        "s": SYMBOL, "c": NAME, "S": "BUY", "o": "LIMIT", "f": "GTC", "q": "0.01", "p": "60000", "ap": "0",
        "sp": "0", "x": "TRADE" if trade else word, "X": word, "i": NUMBER, "l": quantity, "z": filled,
        "L": "60000", "n": "0", "N": "USDT", "T": at, "t": trade, "b": "0", "a": "0", "m": True, "R": False,
        "wt": "CONTRACT_PRICE", "ot": "LIMIT", "ps": "BOTH", "cp": False, "rp": "0", "pP": False, "si": 0,
        "ss": 0, "V": "EXPIRE_MAKER", "pm": "NONE", "gtd": 0, "er": "0",
    }}  # fmt: skip
    update = decode_user(encode(frame))
    assert isinstance(update, OrderUpdate)
    return update


PART = told("PARTIALLY_FILLED", trade=5001, quantity="0.004", filled="0.004")
MORE = told("PARTIALLY_FILLED", trade=5002, quantity="0.002", filled="0.006")
WHOLE = told("FILLED", trade=5003, quantity="0.004", filled="0.01")
GONE = told("CANCELED", filled="0.004", at=3_000)


class Feed:
    """An engine that hears what the test says."""

    def __init__(self) -> None:
        nothing: Any = None
        self.desk = desk_at()
        outbox = Outbox(nothing, withdraw=lambda _: None, sleep=asyncio.sleep)
        self.engine = Engine(self.desk, outbox, gate=Gate(), redis_now_ms=lambda: 1_000)
        self.engine.agenda = Agenda(nothing, clock=lambda: 0.0)
        self.engine.time_passed = lambda _: None
        self.asked = 0
        self.engine.behind = self._behind

    def attention(self) -> Attention:
        nothing: Any = None
        return Attention(self.engine, nothing, nothing, nothing, same_redis=True, redis_now_ms=lambda: 1_000)

    def _behind(self) -> None:
        self.asked += 1

    def hear(self, *updates: OrderUpdate) -> None:
        for update in updates:
            self.engine.order_update(update)

    def journaled(self) -> list[Posting]:
        """What waits stands; it is told of, and what that brings stands as well."""
        outbox: Any = self.engine.outbox
        stood = []
        while outbox._waiting:
            waiting = outbox._waiting.pop(0)
            outbox._settle(waiting, good=True)
            stood.append(waiting.posting)
        return stood

    @property
    def order(self) -> Order | None:
        return self.desk.orders.get(NAME)

    @property
    def held(self) -> Decimal:
        return self.desk.position(ALICE, SYMBOL).quantity


def test_it_is_cancelled_and_its_trade_counts() -> None:
    feed = Feed()
    feed.hear(PART)
    order = feed.order
    assert order is not None
    assert not order.cancel_wanted
    feed.journaled()
    assert (order.cancel_wanted, order.trades_missing, len(feed.engine.agenda)) == (True, False, 1)
    assert (order.filled_qty, feed.held) == (D("0.004"), D("0.004"))
    feed.hear(GONE)
    assert (order.state, order.spec.sub_account_id) == (State.CANCELLED, ALICE)


def test_as_long_as_it_is_not_journaled_it_is_nobodys_to_cancel() -> None:
    """Who is cut off from Redis may lead no more: an order he has never heard of is the new leader's."""
    feed = Feed()
    feed.hear(PART, MORE)
    order = feed.order
    assert order is not None
    attention = feed.attention()
    assert (order.cancel_wanted, attention.urgent(NAME)) == (False, False)
    rows = [row for posting in feed.journaled() for row in posting.entry.rows.orders]
    assert len(rows) == 3
    assert all(row.cancel_wanted for row in rows), "the next life is to cancel it"
    assert (order.cancel_wanted, attention.urgent(NAME)) == (True, True)


@pytest.mark.parametrize(
    "frames",
    [(PART, MORE, WHOLE), (WHOLE, MORE, PART), (MORE, PART, PART, WHOLE, MORE)],
    ids=["as they happened", "backwards", "twice"],
)
def test_it_ends_once_all_its_trades_are_booked_in_whatever_order_they_come(
    frames: tuple[OrderUpdate, ...],
) -> None:
    feed = Feed()
    feed.hear(*frames)
    assert feed.order is not None
    assert (feed.order.state, feed.order.filled_qty, feed.held) == (State.FILLED, D("0.01"), D("0.01"))


def test_a_trade_that_is_known_brings_no_order_back() -> None:
    feed = Feed()
    feed.hear(WHOLE)
    assert feed.order is not None
    feed.desk.forget_order(feed.order)
    feed.hear(WHOLE)
    assert NAME not in feed.desk.orders
    assert feed.held == D("0.004")


def test_one_that_ended_when_only_the_database_remembers_is_booked_by_its_tag() -> None:
    feed = Feed()
    feed.desk.forgotten_until = 2_000
    feed.hear(WHOLE)
    assert (feed.order, feed.held) == (None, D("0.004"))


def test_a_word_without_a_trade_is_caught_up_with() -> None:
    feed = Feed()
    feed.hear(GONE)
    assert (feed.order, feed.asked) == (None, 1)
