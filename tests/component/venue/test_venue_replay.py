"""Replaying recordings: the book a client builds equals the recorded one, diff for diff."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path

import aiohttp
import pytest
from venue_client import SHARED, VenueClient, follow_book, offline_best, public_stream, user_stream

from pms.venue.app import VenueStartError
from pms.venue.background.replay import ReplayWait

needs_recordings = pytest.mark.skipif(
    not SHARED.is_dir(), reason="no ../shared: recorded market data is absent"
)
BTC = SHARED / "hftbacktest" / "btcusdt_20240808_first60s.ndjson.gz"
FOUR = SHARED / "cryptofeed" / "ws_20210722.ndjson.gz"


@needs_recordings
async def test_the_bitcoin_recording_comes_out_as_it_went_in(start, session: aiohttp.ClientSession) -> None:
    expected = offline_best(BTC, "BTCUSDT", None)
    assert len(expected) > 1100
    venue = await start(replay=(BTC,), speed=0.0, replay_wait=ReplayWait.SNAPSHOT)
    client = VenueClient(session, venue.url)
    assert await follow_book(client, "BTCUSDT", len(expected)) == expected
    assert (await client.admin("GET", "replay"))["replays"][0]["finished"]


@needs_recordings
async def test_four_symbols_at_once_on_the_gathering_stream(start, session: aiohttp.ClientSession) -> None:
    names = ("SUSHIUSDT", "AKROUSDT", "KEEPUSDT", "CTKUSDT")
    venue = await start(replay=(FOUR,), speed=50.0, replay_wait=ReplayWait.SNAPSHOT)
    client = VenueClient(session, venue.url)
    expected = {
        name: offline_best(FOUR, name, next(FOUR.parent.glob(f"depth1000_{name}_*.json.gz")))
        for name in names
    }
    found = await asyncio.gather(
        *(follow_book(client, name, len(expected[name]), "depth@100ms") for name in names)
    )
    assert dict(zip(names, found, strict=True)) == expected


def line(at_ns: int, event: dict) -> str:
    return json.dumps({"recv_ns": at_ns, "frame": {"stream": "x", "data": event}})


def diff(at_ns: int, bids: list, asks: list) -> str:
    return line(at_ns, {"e": "depthUpdate", "s": "BTCUSDT", "u": at_ns, "b": bids, "a": asks})


def trade(at_ns: int, price: str, quantity: str, *, seller_takes: bool) -> str:
    return line(at_ns, {"e": "trade", "s": "BTCUSDT", "p": price, "q": quantity, "m": seller_takes})


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """A small recording: 5 lots bid, a trade of 3, the diff that says so, another trade of 4."""
    path = tmp_path / "small.ndjson.gz"
    lines = [
        diff(1, [["100.00", "5"], ["99.00", "9"]], [["101.00", "5"]]),
        trade(2, "100.00", "3", seller_takes=True),
        diff(3, [["100.00", "2"]], []),
        trade(4, "100.00", "4", seller_takes=True),
        diff(5, [["100.00", "0"]], [["100.50", "1"]]),
    ]
    with gzip.open(path, "wt") as file:
        file.write("\n".join(lines))
    return path


async def test_our_order_waits_behind_the_recorded_quantity(
    start, session: aiohttp.ClientSession, recording: Path, tmp_path: Path
) -> None:
    snapshot = tmp_path / "snapshot.json"
    snapshot.write_text(json.dumps({"lastUpdateId": 1, "bids": [["100.00", "5"]], "asks": [["101.00", "5"]]}))
    symbols = _cheap_symbols(tmp_path)
    venue = await start(
        replay=(recording,),
        replay_snapshots={"BTCUSDT": snapshot},
        speed=0.0,
        replay_wait=ReplayWait.SUBSCRIBED,
        symbols=symbols,
    )
    client = VenueClient(session, venue.url)
    events = await user_stream(client)
    prints = await public_stream(client, "btcusdt@trade")
    await client.limit("BUY", "100", "1.5")
    assert (await events.next())["o"]["x"] == "NEW"
    depth = await public_stream(client, "btcusdt@depth@0ms")
    told = await events.take(3)
    assert [each["e"] for each in told] == ["TRADE_LITE", "ACCOUNT_UPDATE", "ORDER_TRADE_UPDATE"]
    assert (told[-1]["o"]["l"], told[-1]["o"]["X"], told[-1]["o"]["m"]) == ("1.5", "FILLED", True)
    assert [(each["p"], each["q"]) for each in await prints.take(4)] == [
        ("100.00", "3.000"),
        ("100.00", "2.000"),
        ("100.00", "1.500"),
        ("100.00", "0.500"),
    ]
    diffs = await depth.take(4)
    assert [each["b"] for each in diffs] == [
        [["99.00", "9.000"], ["100.00", "6.500"]],
        [["100.00", "3.500"]],
        [["100.00", "2.000"]],
        [["100.00", "0.000"]],
    ]


async def test_one_recording_in_two_books_that_do_not_meet(
    start, session: aiohttp.ClientSession, recording: Path, tmp_path: Path
) -> None:
    snapshot = tmp_path / "snapshot.json"
    snapshot.write_text(json.dumps({"lastUpdateId": 1, "bids": [["100.00", "5"]], "asks": [["101.00", "5"]]}))
    venue = await start(
        replay=(recording,),
        replay_snapshots={"BTCUSDT": snapshot},
        replay_as={"TWINUSDT": "BTCUSDT"},
        speed=0.0,
        replay_wait=ReplayWait.HOLD,
        symbols=_cheap_symbols(tmp_path, twin="TWINUSDT"),
    )
    client = VenueClient(session, venue.url)
    events = await user_stream(client)
    await client.limit("BUY", "100", "1.5")
    assert (await events.next())["o"]["x"] == "NEW"
    twin = await public_stream(client, "twinusdt@depth@0ms")
    prints = await public_stream(client, "twinusdt@trade")
    for _ in range(2):
        # Whoever has to take a second snapshot waits for a diff behind that one.
        taken = await client.ok("GET", "/fapi/v1/depth", symbol="TWINUSDT", limit=5)
        (shown,) = await twin.take(1)
        assert shown["b"] == [["99.00", "9.000"], ["100.00", "5.000"]]
        assert shown["U"] <= taken["lastUpdateId"] <= shown["u"]
    assert _played(await client.admin("GET", "replay")) == {"BTCUSDT": 0, "TWINUSDT": 1}
    await client.admin("POST", "replay/start")
    told = await events.take(3)
    assert (told[-1]["o"]["l"], told[-1]["o"]["s"]) == ("1.5", "BTCUSDT")
    # All of it is the anonymous market's here, where the order does not stand.
    assert [(each["p"], each["q"]) for each in await prints.take(2)] == [
        ("100.00", "3.000"),
        ("100.00", "4.000"),
    ]
    assert [each["b"] for each in await twin.take(2)] == [[["100.00", "2.000"]], [["100.00", "0.000"]]]


def _played(told: dict) -> dict[str, int]:
    return {each["symbol"]: each["played"] for each in told["replays"]}


async def test_what_cannot_be_played_under_another_name_is_refused(
    start, recording: Path, tmp_path: Path
) -> None:
    symbols = _cheap_symbols(tmp_path)
    for names, reason in (
        ({"ETHUSDT": "BTCUSDT"}, "another tickSize or stepSize"),
        ({"NONEUSDT": "BTCUSDT"}, "not in the symbols file"),
        ({"ETHUSDT": "SOLUSDT"}, "no recording"),
        ({"BTCUSDT": "BTCUSDT"}, "a recording of its own"),
    ):
        with pytest.raises(VenueStartError, match=reason):
            await start(replay=(recording,), replay_as=names, symbols=symbols)


def _cheap_symbols(tmp_path: Path, *, twin: str | None = None) -> Path:
    """The shipped symbols with a BTCUSDT that may cost 100, and one that is like it."""
    from pms.venue.symbols import SHIPPED

    info = json.loads(SHIPPED.read_text())
    for each in info["symbols"][0]["filters"]:
        each.update({"PRICE_FILTER": {"minPrice": "0.10"}}.get(each["filterType"], {}))
    if twin is not None:
        info["symbols"].append(info["symbols"][0] | {"symbol": twin})
    path = tmp_path / "symbols.json"
    path.write_text(json.dumps(info))
    return path


async def test_a_recording_that_does_not_fit_is_refused_in_one_line(start, tmp_path: Path) -> None:
    for text, reason in (
        ("", "holds no depth diffs"),
        ("nonsense", "cannot be replayed"),
        (diff(1, [["100.05", "1"]], []), "tickSize"),
    ):
        path = tmp_path / "bad.ndjson"
        path.write_text(text)
        with pytest.raises(VenueStartError, match=reason) as refused:
            await start(replay=(path,))
        assert "\n" not in str(refused.value)
