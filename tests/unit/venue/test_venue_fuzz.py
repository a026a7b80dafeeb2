"""Malformed requests and frames by a seed: each gets an error in Binance's shape, and changes nothing.

They are made from what real clients sent (tests/clients/tapes), bent in one to three places and signed
again, so that most come past the signature. `make fuzz` plays 100,000.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec
import pytest
import tape
from pydantic import SecretStr

from pms.venue import core
from pms.venue.auth import Credential
from pms.venue.journal import MemoryJournal
from pms.venue.rest.dispatch import TABLE, Asked, answer
from pms.venue.rest.endpoint import Security
from pms.venue.restore import Remembered
from pms.venue.settlement import Fees
from pms.venue.state import AlgoOrder, Amendment, Income, Order, Trade, Wallet
from pms.venue.store.history_file import HistoryFile
from pms.venue.symbols import SHIPPED, SymbolTable
from pms.venue.ws.connection import Connection
from pms.venue.ws.control import handle
from pms.venue.ws.routes import Route
from pms.venue.ws.trading import METHODS, TradingSession

STATUSES = (400, 401, 404)
JUNK = (
    *("", " ", "0", "-1", "-0", "1e5", "NaN", "Infinity", "null", "true", "TRUE", "0x10", "1.", ".5", "00"),
    *(
        "9" * 19,
        "9" * 40,
        "-" + "9" * 19,
        "0." + "0" * 30 + "1",
        "1" * 5000,
        "[" * 3000,
        '[{"symbol":' + "[" * 3000 + "]" * 3000 + "}]",
        "\x00",
        "\ufeff",
        "牛来USDT",
        "🐂",
    ),
    *(
        "'; DROP TABLE",
        "[1,2",
        '{"a":',
        "[]",
        "{}",
        "[[]]",
        '[{"symbol":1}]',
        "[null]",
        '["a",1]',
        "%",
        "%zz",
        "&&",
    ),
    *(
        "BTCUSDT",
        "btcusdt",
        "BUY",
        "LIMIT",
        "GTC",
        "LONG",
        "٣",
        "１２",
        "2147483648",
        "1M",
        "18446744073709551616",
        "9223372036854775807",
        "-9223372036854775808",
    ),
)
NAMES = ("page", "orderId", "fromId", "origClientOrderId", "limit", "endTime", "x")
RAW = "\udc80\udcff"
"""Bytes that are no UTF-8, as they come off the wire."""
JUNK_JSON = (None, True, -1, 0, 1.5, 10**30, [], {}, [[]], "", "x" * 5000, {"a": {"b": []}}, ["a", 1])


class Pipe:
    """Keeps what a connection was told last."""

    told = b""

    def write(self, frame: bytes) -> None:
        self.told = frame

    def abort(self) -> None:
        raise AssertionError("cut")

    async def drained(self) -> None:
        pass


def was_over(at: int) -> list[Order | Trade | Income | AlgoOrder | Amendment]:
    """A row of each kind that only the history has any more."""
    who, what = tape.ACCOUNT, "BTCUSDT"
    return [
        Order(who, what, 1, "o", 1, "LIMIT", "GTC", 1, 1, False, "NONE", at, at, "FILLED", 1, 1),
        Trade(who, what, 1, 1, "o", 1, 1, 1, Decimal(0), Decimal(0), maker=True, time=at),
        Income(who, what, "COMMISSION", Decimal(-1), at, 5),
        AlgoOrder(
            *(who, what, 1, "a", 1, "STOP_MARKET", "GTC", 1, 0, 9, "MARK_PRICE"),
            close_position=False,
            price_protect=False,
            reduce_only=False,
            self_trade="NONE",
            created=at,
            updated=at,
            status="CANCELED",
        ),
        Amendment(who, what, 1, 1, "o", at, (1, 2), (1, 1), 1),
    ]


class Fuzzed:
    """A venue with some state to spoil, and what it says to bent requests."""

    def __init__(self, seed: int, past: HistoryFile) -> None:
        self.random = Random(seed)
        self.now = 1_800_000_000_000
        past.add(was_over(self.now - 1000), segment=1)
        wallet = Wallet(tape.ACCOUNT, Decimal(tape.BALANCE), self.now, next_transaction=9)
        self.venue = core.build(
            SymbolTable.load(SHIPPED),
            credentials=[Credential(tape.ACCOUNT, tape.KEY, SecretStr(tape.SECRET))],
            journal=MemoryJournal(),
            memory=Remembered.fold([wallet]),
            clock=lambda: self.now,
            monotonic_ns=lambda: self.now,
            token=tape.Chance().token,
            fees=Fees(),
            limited=False,
            past=past,
        )
        self.account = self.venue.exchange.accounts[tape.ACCOUNT]
        self.venue.exchange.set_levels(
            "BTCUSDT",
            bids=[(599_999 - n, 900) for n in range(9)],
            asks=[(600_001 + n, 900) for n in range(9)],
        )
        self.trader = TradingSession(self.venue, "127.0.0.1", "")
        entries = [each for client in ("official", "ccxt") for each in tape.read(client)]
        self.requests = [each for each in entries if each["kind"] == tape.REST]
        self.changes = [each for each in self.requests if each["method"] != "GET"]
        # What clients sent elsewhere: right in form, wrong in place
        self.values = sorted(
            {value for each in self.requests for _, value in parse_qsl(each["query"] + "&" + each["body"])}
        )
        self.frames = [each["text"] for each in entries if each["kind"] == tape.TRADING]
        self.controls = [each["text"] for each in entries if each["kind"] == tape.CONTROL]
        self.seen = Counter[str]()

    def state(self) -> bytes:
        """All that a refused request must leave as it was."""
        account = self.account
        shelf = self.venue.conditionals.shelves[account.name]
        settled = [
            leg.position for leg in account.every_leg() if leg.position.lots or leg.position.leverage != 20
        ]
        kept = [account.wallet, settled, account.open_orders(None), list(shelf.open.values())]
        counted = [sum(map(len, account.orders.values())), len(shelf.all), len(account.incomes)]
        book = self.venue.exchange.markets["BTCUSDT"].book
        levels = [[(each.price, each.total) for each in side] for side in (book.bids, book.asks)]
        return msgspec.json.encode([kept, counted, levels, self.venue.keys.of(account.name)])

    def request(self) -> None:
        """Send one bent request; an assertion fails where it is not refused as it should be."""
        entry = self.random.choice(self.changes if self.random.random() < 0.6 else self.requests)
        method, path = entry["method"], entry["path"]
        pairs = [
            pair
            for pair in parse_qsl(entry["query"] + "&" + entry["body"], keep_blank_values=True)
            if pair[0] not in ("signature", "timestamp")
        ]
        for _ in range(self.random.choice((1, 1, 1, 2, 3))):
            method, path, pairs = self._bent(method, path, pairs)
        endpoint = TABLE.get((method, path))
        if endpoint is not None and endpoint.security is Security.SIGNED and self.random.random() < 0.95:
            pairs.append(("timestamp", str(self.now - self.random.choice((0, 0, 0, 10, 4999)))))
        text = urlencode(pairs, errors="surrogatepass")
        if self.random.random() < 0.03:
            text = self._torn(text)
        elif self.random.random() < 0.03:
            place = self.random.randrange(len(text) + 1)
            text = text[:place] + self.random.choice(RAW) + text[place:]
        payload = text.encode("utf-8", "surrogateescape")
        signature = hmac.new(tape.SECRET.encode(), payload, hashlib.sha256).hexdigest()
        if self.random.random() < 0.01:
            signature += self.random.choice(RAW)
        text += f"&signature={signature}"
        in_body = self.random.random() < 0.4
        before = self.state()
        given = answer(
            self.venue,
            Asked(method, path, "" if in_body else text, text if in_body else "", tape.KEY, "127.0.0.1"),
        )
        body = json.loads(given.body)
        self.seen[f"{given.status}"] += 1
        if given.status != 200:
            assert given.status in STATUSES, (method, path, text, body)
            assert list(body) == ["code", "msg"], (method, path, text, body)
            assert isinstance(body["code"], int), (method, path, text, body)
            assert body["code"] < 0, (method, path, text, body)
            assert self.state() == before, (method, path, text, body)
            self.seen[str(body["code"])] += 1

    def frame(self) -> None:
        """Send one bent frame to the trading API."""
        request = json.loads(self.random.choice(self.frames))
        params = request.get("params") or {}
        params.pop("signature", None)
        if "timestamp" in params:
            params["timestamp"] = self.now
        for _ in range(self.random.randint(1, 3)):
            bend = self.random.random()
            if bend < 0.5 and params:
                params[self.random.choice(list(params))] = self.random.choice((*JUNK, *JUNK_JSON))
            elif bend < 0.7 and params:
                params.pop(self.random.choice(list(params)))
            elif bend < 0.8:
                request["method"] = self.random.choice((*METHODS, "session.logon", "nothing", None, 1, []))
            elif bend < 0.9:
                request["id"] = self.random.choice(JUNK_JSON)
            else:
                request["params"] = self.random.choice(JUNK_JSON)
        if isinstance(request.get("params"), dict) and request["params"]:
            signed = sorted((name, _text(value)) for name, value in request["params"].items())
            payload = "&".join(f"{name}={value}" for name, value in signed)
            request["params"]["signature"] = hmac.new(
                tape.SECRET.encode(), payload.encode(), hashlib.sha256
            ).hexdigest()
        text = json.dumps(request)
        if self.random.random() < 0.1:
            text = self._torn(text)
        before = self.state()
        told = json.loads(self.trader.answer(text))
        assert {"id", "status"} <= told.keys(), (text, told)
        self.seen["frames"] += 1
        if "error" in told:
            assert told["status"] in STATUSES, (text, told)
            assert list(told["error"]) == ["code", "msg"], (text, told)
            assert told["error"]["code"] < 0, (text, told)
            assert self.state() == before, (text, told)
            self.seen["refused frames"] += 1

    def control(self) -> None:
        """Send one bent control message to a stream connection."""
        message = json.loads(self.random.choice(self.controls))
        name = self.random.choice(("method", "params", "id"))
        message[name] = self.random.choice(
            (*JUNK, *JUNK_JSON, "SUBSCRIBE", "SET_PROPERTY", "GET_PROPERTY", ["combined"], ["combined", 1])
        )
        text = json.dumps(message)
        if self.random.random() < 0.1:
            text = self._torn(text)
        pipe = Pipe()
        route = self.random.choice(list(Route))
        connection = Connection(pipe, self.venue.feeds.hub, route, combined=self.random.random() < 0.5)
        before = self.state()
        handle(connection, route, text)
        connection.drop()
        told = pipe.told[2 if pipe.told[1] < 126 else 4 :]
        assert json.loads(told).keys() in ({"result", "id"}, {"error", "id"}), (text, told)
        assert self.state() == before
        self.seen["controls"] += 1

    def _bent(
        self, method: str, path: str, pairs: list[tuple[str, str]]
    ) -> tuple[str, str, list[tuple[str, str]]]:
        bend, place = self.random.random(), self.random.randrange(len(pairs)) if pairs else -1
        if place < 0 or bend < 0.04:
            return *self.random.choice((("GET", path), ("DELETE", path), (method, path + "x"))), pairs
        name, value = pairs[place]
        if bend < 0.3:
            pairs[place] = name, self.random.choice(JUNK)
        elif bend < 0.55:
            pairs[place] = name, self.random.choice(self.values)
        elif bend < 0.7:
            del pairs[place]
        elif bend < 0.8:
            pairs.append((self.random.choice((name, name.upper(), *NAMES)), self.random.choice(JUNK)))
        elif bend < 0.9:
            pairs[place] = name, self._torn(value)
        else:
            other = self.random.choice(self.requests)
            method, path = other["method"], other["path"]
        return method, path, pairs

    def _torn(self, text: str) -> str:
        place = self.random.randrange(len(text) + 1)
        return (
            text[:place] + self.random.choice(("", "�", '"', "]", "-", "0", "\\", "\n")) + text[place + 1 :]
        )


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_whatever_is_sent_is_refused_in_binance_s_shape_and_changes_nothing(
    pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    history = HistoryFile(tmp_path / "venue.history")
    fuzzed = Fuzzed(pytestconfig.getoption("--fuzz-seed"), history)
    acts = (fuzzed.request, fuzzed.request, fuzzed.request, fuzzed.frame, fuzzed.control)
    for number in range(pytestconfig.getoption("--fuzz-requests")):
        fuzzed.now += 5
        acts[number % len(acts)]()
        if number % 500 == 0:
            fuzzed.venue.exchange.cancel_all(fuzzed.account, "BTCUSDT")
            fuzzed.venue.conditionals.cancel_all(fuzzed.account, "BTCUSDT")
    # It reached beyond the doors: refusals of every stage, and some requests that were harmless after all
    assert {
        "200",
        "-5000",
        "-1102",
        "-1121",
        "-1100",
        "-1130",
        "-2013",
        "-2021",
        "-2022",
        "refused frames",
    } <= fuzzed.seen.keys()
    history.close()


@pytest.mark.parametrize(
    "frame",
    [
        "[" * 3000,
        '{"method":"SUBSCRIBE","id":' + "[" * 3000 + "]" * 3000 + "}",
        '{"method":"LIST_SUBSCRIPTIONS","id":' + "9" * 5000 + "}",
    ],
    ids=["open", "deep", "long"],
)
def test_a_control_frame_that_no_parser_takes_is_an_error_not_the_end(frame: str, tmp_path: Path) -> None:
    pipe = Pipe()
    hub = Fuzzed(1, HistoryFile(tmp_path / "venue.history")).venue.feeds.hub
    handle(Connection(pipe, hub, Route.PUBLIC, combined=True), Route.PUBLIC, frame)
    assert json.loads(pipe.told[2 if pipe.told[1] < 126 else 4 :])["error"]["code"] in (2, 3)
