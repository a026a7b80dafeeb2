"""What a REST request is answered with, whoever carries it: count, weigh, authorise, answer."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from pms.venue.account import Account
from pms.venue.errors import VenueError
from pms.venue.faults.requests import Cut, subject_of
from pms.venue.params import Params
from pms.venue.rest import account as accounts
from pms.venue.rest import algo, batches, history, market_data, orders, price_klines, settings, statistics
from pms.venue.rest.endpoint import Call, Endpoint, Security
from pms.venue.venue import Venue

encode = msgspec.json.Encoder().encode

TABLE: dict[tuple[str, str], Endpoint] = {
    (endpoint.method, endpoint.path): endpoint
    for rows in (
        market_data.ENDPOINTS,
        statistics.ENDPOINTS,
        price_klines.ENDPOINTS,
        history.ENDPOINTS,
        orders.ENDPOINTS,
        batches.ENDPOINTS,
        algo.ENDPOINTS,
        accounts.ENDPOINTS,
        settings.ENDPOINTS,
    )
    for endpoint in rows
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it was written; `query` and `body` are the very bytes that were signed."""

    method: str
    path: str
    query: str = field(repr=False)
    body: str = field(repr=False)
    key: str | None = field(repr=False)
    remote: str
    # By how much the clock is wrong that judges it
    skew_ms: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back; the body is JSON."""

    status: int
    headers: dict[str, str]
    body: bytes


def answer(venue: Venue, asked: Asked) -> Answer:
    """Answer one request, refusals too."""
    headers: dict[str, str] = {}
    try:
        result = dispatch(venue, asked, Params(asked.query, asked.body), headers)
    except VenueError as error:
        return refused(error, headers)
    return Answer(200, headers, encode(result))


def refused(error: VenueError, headers: dict[str, str]) -> Answer:
    """What a refusal looks like."""
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    return Answer(error.status, headers, encode(error.body()))


def dispatch(venue: Venue, asked: Asked, params: Params, headers: dict[str, str]) -> object:
    """Find the endpoint and call it; `headers` takes what was counted. Raises VenueError, or Cut."""
    if venue.failed():
        raise Cut
    endpoint = TABLE.get((asked.method, asked.path))
    if endpoint is None:
        raise VenueError(-5000, f"Path {asked.path}, Method {asked.method} is invalid", status=404)
    used = venue.limits.charge(asked.remote, endpoint.weigh(params))
    headers["X-MBX-USED-WEIGHT-1M"] = str(used)
    if endpoint.security is Security.NONE:
        return endpoint.handler(Call(venue, params, skew_ms=asked.skew_ms))
    if endpoint.security is Security.KEY:
        credential = venue.credentials.identify(asked.key)
    else:
        credential = venue.credentials.authorise(
            asked.key, query=asked.query, body=asked.body, params=params, now=venue.clock() + asked.skew_ms
        )
        credential.check_may(trade=endpoint.trades)
    if any(endpoint.orders):
        short, long = venue.limits.charge_order(credential.account, *endpoint.orders)
        headers["X-MBX-ORDER-COUNT-10S"] = str(short)
        headers["X-MBX-ORDER-COUNT-1M"] = str(long)
    return endpoint.handler(Call(venue, params, reader(venue, endpoint, params, credential.account)))


def reader(venue: Venue, endpoint: Endpoint, params: Params, name: str) -> Account:
    """The account that a request is about; where a rule says so, as it was some time ago."""
    account = venue.account(name)
    if not venue.faults.rules:
        return account
    return venue.late_reads.reader(account, endpoint.method, endpoint.path, subject_of(params))
