"""One client of the venue in a process of its own: a kept connection, one request after another.

A line on stdin is a series, `{"url", "what", "count", "run"}`; the line back is when it began and ended, and
how long each request took, by the clock that all processes share. All is signed before the first is sent.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode, urlsplit

KEY, SECRET = "BENCH", "BENCHSECRET"
PING, MARKET, RESTING = "ping", "market", "resting"
PLAIN = {"symbol": "BTCUSDT", "quantity": "0.002", "recvWindow": "60000"}
Request = tuple[str, str]


def signed(params: dict[str, str]) -> str:
    """A query of now, signed."""
    query = urlencode({**params, "timestamp": str(int(time.time() * 1000))})
    return f"{query}&signature={hmac.new(SECRET.encode(), query.encode(), hashlib.sha256).hexdigest()}"


def _requests(what: str, count: int, run: str) -> Iterator[Request]:
    if what == PING:
        yield from (("GET", "/fapi/v1/ping"),) * count
        return
    terms: dict[str, str] = {"type": "MARKET"}
    if what == RESTING:
        terms = {"type": "LIMIT", "timeInForce": "GTX", "price": "59000"}
    for number in range(count):
        side = "BUY" if what == RESTING or number % 2 else "SELL"
        order = {**PLAIN, **terms, "side": side, "newClientOrderId": f"{run}-{number}"}
        yield "POST", f"/fapi/v1/order?{signed(order)}"


def _series(connection: HTTPConnection, requests: list[Request]) -> dict[str, Any]:
    taken: list[int] = []
    headers = {"X-MBX-APIKEY": KEY}
    began = before = time.monotonic_ns()
    for method, path in requests:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        after = time.monotonic_ns()
        if answer.status != 200:
            raise RuntimeError(f"{method} {path}: {answer.status} {body[:200]!r}")
        taken.append(after - before)
        before = after
    return {"began": began, "ended": before, "taken": taken}


def main() -> None:
    connections: dict[str, HTTPConnection] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        address = urlsplit(asked["url"])
        connection = connections.get(asked["url"])
        if connection is None:
            connection = connections[asked["url"]] = HTTPConnection(str(address.hostname), address.port)
        requests = list(_requests(asked["what"], asked["count"], asked["run"]))
        sys.stdout.write(json.dumps(_series(connection, requests)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
