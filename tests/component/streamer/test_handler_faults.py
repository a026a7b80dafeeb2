"""A bug in a handler: the feed goes on, the fault is told, and what the frame said is fetched."""

from __future__ import annotations

from typing import Any

import pytest

from pms.bus.inbox import Attend

FILL = (
    b'{"e":"ORDER_TRADE_UPDATE","E":1,"T":1,"o":{"s":"BTCUSDT","c":"PMS_alice_M_x","S":"BUY","o":"LIMIT",'
    b'"f":"GTC","q":"1","p":"1","ap":"0","sp":"0","x":"NEW","X":"NEW","i":7,"l":"0","z":"0","L":"0","T":1,'
    b'"t":0,"b":"0","a":"0","m":false,"R":false,"wt":"CONTRACT_PRICE","ot":"LIMIT","ps":"BOTH","cp":false,'
    b'"rp":"0","pP":false,"si":0,"ss":0,"V":"NONE","pm":"NONE","gtd":0}}'
)


def broken(*_: object, **__: object) -> None:
    raise ZeroDivisionError("a bug in a handler")


def incidents(streamer: Any) -> list[str]:
    waiting = streamer._outbox._waiting
    return [row.detail for each in waiting for row in each.posting.entry.rows.incidents]


async def test_a_user_frame_that_breaks_its_handler_is_made_good_by_rest(
    streamer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streamer._engine, "order_update", broken)
    for _ in range(3):
        streamer._feed.frame(FILL)
    assert streamer._feed.behind.is_set()
    assert incidents(streamer) == ["user frame: ZeroDivisionError('a bug in a handler')"]
    assert streamer._tasks.failures == {"user frame": 3}


async def test_what_a_frame_said_that_nobody_can_read_is_asked_for(streamer: Any) -> None:
    streamer._feed.frame(FILL.replace(b'"q":"1"', b'"q":"much"'))
    assert streamer._feed.behind.is_set()
    assert len(incidents(streamer)) == 1
    assert streamer._tasks.failures == {}


async def test_a_message_that_breaks_its_handler_costs_only_itself(
    streamer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hear = streamer._engine.hear
    monkeypatch.setattr(streamer._engine, "hear", broken)
    streamer._hear_one(Attend("x"))
    monkeypatch.setattr(streamer._engine, "hear", hear)
    streamer._hear_one(Attend("y"))
    assert streamer._progress()["heard"] == 2
    assert len(incidents(streamer)) == 1


async def test_whoever_hears_of_a_posting_cannot_stop_the_outbox(
    streamer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox, told = streamer._outbox, []
    streamer._engine.raise_incident("one", "info", "d")
    posting = outbox._waiting[0].posting
    outbox._waiting[0].confirmed = broken
    outbox.add(posting, told.append)
    for waiting in list(outbox._waiting):
        outbox._settle(waiting, good=True)
    assert told == [True]
    assert streamer._tasks.failures == {"outbox": 1}
