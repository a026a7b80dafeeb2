"""What the commands about our own exchange share: where it is, and asking it."""

from __future__ import annotations

from typing import Any

import aiohttp
import click
import msgspec

from pms.cli.session import Failed
from pms.config import Settings, is_loopback, load_settings

TIMEOUT_S = 10
url_option = click.option("--url", help="The venue's address.  [default: the running system's, or port 9001]")


def address(url: str | None) -> str:
    """The venue's address: as given, the running system's, or where one serves alone. Loopback only."""
    if url is None:
        settings = load_settings()
        url = settings.binance_rest_url or f"http://127.0.0.1:{settings.venue_port}"
    if not is_loopback(url):
        raise Failed(f"{url} is not our own venue: that one is on this machine, at http://127.0.0.1:PORT")
    return url.rstrip("/")


def known(settings: Settings, *, why_not: str) -> str:
    """The running system's venue; refuses another exchange by saying why not."""
    if not settings.binance_rest_url:
        raise Failed(f"no venue is known under {settings.home}: start the system with `pms up`")
    if settings.real_money:
        raise Failed(f"{settings.binance_rest_url} is not our own venue: {why_not}")
    return settings.binance_rest_url


async def ask(
    base: str, method: str, path: str, *, query: dict[str, str] | None = None, body: object = None
) -> Any:
    """One request and its answer; every fault is one line."""
    try:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with (
            aiohttp.ClientSession(timeout=timeout) as http,
            http.request(method, base + path, params=query, json=body) as response,
        ):
            answer = msgspec.json.decode(await response.read())
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise Failed(f"the venue at {base} does not answer: {type(error).__name__}") from None
    if response.status != 200:
        told = answer if isinstance(answer, dict) else {}
        raise Failed(f"the venue refused: {told.get('error') or told.get('msg') or response.status}")
    return answer
