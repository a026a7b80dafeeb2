"""What both sessions stand on: steps told one a line, and the hand of the operator on the market.

Nothing here may import the product: these files run in `.clients/`, where it is not installed.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import traceback
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from random import Random
from typing import Any

SYMBOL = "BTCUSDT"
MIDDLE = Decimal(60000)
TICK = Decimal("0.1")
DEEP = 30
WAIT_S = 20.0


class Steps:
    """Tells each step as it is over; the first that fails ends the session."""

    def __init__(self) -> None:
        self.done = 0

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """One thing that a client does; what it raises is told with where it was raised."""
        try:
            yield
        except BaseException as fault:
            _tell({"step": name, "failed": repr(fault), "where": traceback.format_exc()})
            raise SystemExit(1) from None
        self.done += 1
        _tell({"step": name})

    def over(self) -> None:
        """The last word: how many steps there were."""
        _tell({"steps": self.done})


def _tell(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


class Operator:
    """The venue's own face: a still market, moved only where a step wants it moved."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.middle = MIDDLE

    def quote(self, middle: Decimal, *, symbol: str = SYMBOL) -> None:
        """Stand a market of thirty levels a side around a price; what stood elsewhere goes."""
        old = [self.middle + sign * TICK * (step + 1) for sign in (-1, 1) for step in range(DEEP)]
        bids = {middle - TICK * (step + 1): "5" for step in range(DEEP)}
        asks = {middle + TICK * (step + 1): "5" for step in range(DEEP)}
        gone_bids = {price: "0" for price in old if price < self.middle and price not in bids}
        gone_asks = {price: "0" for price in old if price > self.middle and price not in asks}
        self.middle = middle
        self.levels(
            [[str(price), lots] for price, lots in (gone_bids | bids).items()],
            [[str(price), lots] for price, lots in (gone_asks | asks).items()],
            symbol=symbol,
        )

    def levels(self, bids: list[list[str]], asks: list[list[str]], *, symbol: str = SYMBOL) -> None:
        """Set levels as one diff."""
        self._post("levels", {"symbol": symbol, "bids": bids, "asks": asks})

    def trade(self, side: str, quantity: str, *, price: str | None = None) -> None:
        """Let the rest of the market take."""
        self._post("trade", {"symbol": SYMBOL, "side": side, "quantity": quantity, "price": price})

    def expire_listen_key(self, account: str) -> None:
        """End an account's key as if its hour were over."""
        self._post("listenKey/expire", {"account": account})

    def wander(self, random: Random) -> None:
        """One change of the book near its middle, as a busy market makes many of."""
        sign = random.choice((-1, 1))
        price = self.middle + sign * TICK * random.randint(1, DEEP)
        level = [[str(price), str(random.choice((0, 1, 2, 5, 9)))]]
        self.levels(level if sign < 0 else [], level if sign > 0 else [])
        if random.random() < 0.2:
            self.trade(random.choice(("BUY", "SELL")), "0.5")

    def _post(self, path: str, body: dict[str, Any]) -> None:
        request = urllib.request.Request(
            f"{self._url}/venue/admin/{path}",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
            answer.read()


async def until(true: Callable[[], Any], what: str) -> Any:
    """Wait for what must come; the error names it."""
    late = time.monotonic() + WAIT_S
    while not (found := true()):
        if time.monotonic() > late:
            raise AssertionError(f"never came: {what}")
        await asyncio.sleep(0.02)
    return found


def soon(true: Callable[[], Any], what: str) -> Any:
    """Ask until something is so; what it then is."""
    until_s = time.monotonic() + WAIT_S
    while not (found := true()):
        if time.monotonic() > until_s:
            raise AssertionError(f"not within {WAIT_S:g} s: {what}")
        time.sleep(0.2)
    return found


async def raises(kind: type[BaseException], call: Callable[[], Any], *words: str) -> BaseException:
    """The error of exactly this class that a call must end in, its text holding the words."""
    try:
        answer = call()
        if isinstance(answer, Awaitable):
            await answer
    except Exception as error:
        if type(error) is not kind or not all(word in str(error) for word in words):
            raise AssertionError(f"{kind.__name__} {words} wanted, got {error!r}") from error
        return error
    raise AssertionError(f"no {kind.__name__} came")


def same(found: Any, wanted: Any) -> None:
    """An assertion that says both."""
    if found != wanted:
        raise AssertionError(f"{found!r} is not {wanted!r}")
