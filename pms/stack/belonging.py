"""Which exchange a home's books are of: those of another must never be written into them.

One forgotten variable would start our own exchange over the books of a real one, whose positions would then
be judged, and closed, at made-up prices; the other way round made-up balances would back real orders.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from pms.config import Settings
from pms.stack.errors import StackError
from pms.stack.places import Places

OWN = "embedded"


def exchange_of(settings: Settings) -> str:
    """The exchange that is meant: its host, whatever the port, or that it is our own."""
    url = settings.binance_rest_url
    return OWN if url is None else urlsplit(url).hostname or url


def check(settings: Settings, places: Places) -> None:
    """Raise StackError where the books of this home are of another exchange."""
    meant = exchange_of(settings)
    try:
        known = places.exchange.read_text().strip()
    except FileNotFoundError:
        return
    if known == meant:
        return
    if meant == OWN:
        raise StackError(
            f"PMS_BINANCE_REST_URL is not set, and the books in {places.home} are of {known}: set it,"
            " or PMS_HOME to another directory for an exchange of our own"
        )
    raise StackError(
        f"PMS_BINANCE_REST_URL is of {meant}, and the books in {places.home} are of"
        f" {'our own exchange' if known == OWN else known}: set PMS_HOME to another directory"
    )


def note(settings: Settings, places: Places) -> None:
    """Write down whose they are, before anything is booked; whole or not at all, and once."""
    if places.exchange.exists():
        return
    draft = places.exchange.with_name("exchange.new")
    draft.write_text(f"{exchange_of(settings)}\n")
    draft.rename(places.exchange)
