"""The table of docs/venue.md names every route that the venue has, once, and no other."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from pms.venue.rest.dispatch import TABLE
from pms.venue.ws.trading import METHODS

PAGE = (Path(__file__).parents[3] / "docs" / "venue.md").read_text()
ROUTES = PAGE.split("## Endpoint by endpoint")[1].split("Not there:")[0]
TRADING = PAGE.split("**The WebSocket trading API**")[1].split("Each is the REST endpoint")[0]


def test_every_endpoint_is_told_once() -> None:
    told = Counter(re.findall(r"`(GET|POST|PUT|DELETE) (/v[0-9][^`]*)`", ROUTES))
    assert told == Counter((method, path.removeprefix("/fapi")) for method, path in TABLE)


def test_every_method_of_the_trading_api_is_told_once() -> None:
    assert Counter(re.findall(r"`([a-z0-9/A-Z]+(?:\.[a-zA-Z]+)?)`", TRADING)) == Counter(METHODS.keys())
