"""A reader of the exchange's REST interface, on purpose not the engine's own client.

What the engine believes is checked against what this reads; a fault in the engine's client must not
be able to hide itself. It only ever sends GET.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from decimal import Decimal
from types import TracebackType
from typing import Any
from urllib.parse import urlencode

import aiohttp
import msgspec

from pms.cli.session import Failed
from pms.config import Settings

TIMEOUT_S = 10
PAGE = 1000
MINUTE_S = 60
WEIGHT_A_MINUTE = 2400
"""What the exchange allows an address; the engine beside us lives on the same."""

TURNED_AWAY = {429, 418}
_decoder = msgspec.json.Decoder(float_hook=Decimal)


class ExchangeReader:
    """Signed and public reads; every fault ends the command with one line."""

    def __init__(self, settings: Settings) -> None:
        if not settings.binance_rest_url:
            raise Failed("no exchange address is known: start the system, or set PMS_BINANCE_REST_URL")
        self._base = settings.binance_rest_url
        self._key = settings.binance_api_key
        self._secret = settings.binance_api_secret
        self._http: aiohttp.ClientSession | None = None
        self._wait_until: float | None = None
        self.waited_s = 0.0
        #: spent waiting for the exchange's budget, not reading

    async def __aenter__(self) -> ExchangeReader:
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._http is not None:
            await self._http.close()

    async def public(self, path: str, **parameters: str | int) -> Any:
        """Read what needs no key."""
        return await self._get(path, urlencode(parameters), headers={})

    async def signed(self, path: str, **parameters: str | int) -> Any:
        """Read what only the account may see."""
        if self._key is None or self._secret is None:
            raise Failed("PMS_BINANCE_API_KEY and PMS_BINANCE_API_SECRET are needed to read the account")
        await self._await_budget()  # before the timestamp, which would be too old behind it
        query = urlencode({**parameters, "recvWindow": 10_000, "timestamp": time.time_ns() // 1_000_000})
        secret = self._secret.get_secret_value().encode()
        signature = hmac.new(secret, query.encode(), hashlib.sha256).hexdigest()
        headers = {"X-MBX-APIKEY": self._key.get_secret_value()}
        return await self._get(path, f"{query}&signature={signature}", headers=headers)

    async def pages(
        self, path: str, *, cursor: str, key: str, start: int = 0, **parameters: str | int
    ) -> list[Any]:
        """Read a list from `start` to its end, page by page: `cursor` is the parameter, `key` the row's id.

        Each page begins with the last id of the one before, for two rows may share an id (the two
        sides of a self-trade); what was read already is dropped.
        """
        rows: list[Any] = []
        while True:
            page = await self.signed(path, **{cursor: start, "limit": PAGE, **parameters})
            known = [row for row in rows[-PAGE:] if row[key] == start]
            new = [row for row in page if row not in known]
            rows.extend(new)
            if len(page) < PAGE or not new:
                return rows
            start = max(row[key] for row in page)

    async def _get(self, path: str, query: str, *, headers: dict[str, str]) -> Any:
        assert self._http is not None
        await self._await_budget()
        url = f"{self._base}{path}" + (f"?{query}" if query else "")
        try:
            async with self._http.get(url, headers=headers) as response:
                body = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Failed(f"the exchange at {self._base} does not answer: {type(error).__name__}") from None
        used = response.headers.get("X-MBX-USED-WEIGHT-1M", "")
        if used.isdigit() and 2 * int(used) > WEIGHT_A_MINUTE:
            self._wait_until = _next_minute()
        try:
            answer = _decoder.decode(body)
        except ValueError:
            answer = None
        if response.status != 200 or answer is None:
            told = answer.get("msg") if isinstance(answer, dict) else f"HTTP {response.status}"
            again = _again(response) if response.status in TURNED_AWAY else ""
            raise Failed(f"the exchange refused GET {path}: {told}{again}")
        return answer

    async def _await_budget(self) -> None:
        """Leave half of the minute's weight to the engine: what an audit eats, its orders lack."""
        if self._wait_until is None:
            return
        seconds = max(self._wait_until - time.time(), 0.0)
        self._wait_until = None
        self.waited_s += seconds
        await asyncio.sleep(seconds)


def _next_minute() -> float:
    return (time.time() // MINUTE_S + 1) * MINUTE_S


def _again(response: aiohttp.ClientResponse) -> str:
    """When to try again: asking sooner prolongs a ban, and the engine is banned with us."""
    told = response.headers.get("Retry-After", "")
    seconds = int(told) if told.isdigit() else int(_next_minute() - time.time()) + 1
    return f"; its request limit is used up: try again in {seconds} s, not sooner"
