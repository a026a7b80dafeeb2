"""The REST face: requests off the wire to the dispatcher and back; faults where they belong."""

from __future__ import annotations

from dataclasses import replace

import structlog
from aiohttp import web

from pms.venue import errors
from pms.venue.errors import VenueError
from pms.venue.faults import requests
from pms.venue.faults.requests import Cut, Gateway, Ordeal
from pms.venue.params import MAX_CLIENT_ORDER_ID, Params
from pms.venue.rest import batches
from pms.venue.rest.dispatch import TABLE, Answer, Asked, dispatch, encode, refused
from pms.venue.venue import Arrival, Venue

log = structlog.get_logger(__name__)
PLACE = ("POST", "/fapi/v1/order")
PLACE_BATCH = ("POST", "/fapi/v1/batchOrders")


class RestFace:
    """Requests under /fapi. A handler is a plain function: nothing is awaited while state changes."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._ordeal = Ordeal(venue)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        at_ns = self._venue.monotonic_ns()
        method, path = request.method, request.path
        if (method, path) in TABLE:
            # Not whatever anybody made up: the counts are kept for good
            self._venue.requests.counts[f"{method} {path}"] += 1
        query = request.raw_path.partition("?")[2]
        raw = await request.read() if request.can_read_body else b""
        body = raw.decode("utf-8", "surrogateescape")
        headers: dict[str, str] = {}
        asked = Asked(method, path, query, body, request.headers.get("X-MBX-APIKEY"), request.remote or "")
        try:
            params = Params(query, body)
            if (method, path) == PLACE:
                self._arrived(at_ns, requests.subject_of(params))
            elif (method, path) == PLACE_BATCH:
                for each in batches.placed_ids(params):
                    self._arrived(at_ns, each)
            if self._venue.faults.rules:
                result = await self._disturbed(asked, params, headers)
            else:
                result = dispatch(self._venue, asked, params, headers)
        except VenueError as error:
            return _written(refused(error, headers))
        except Gateway as fault:
            if fault.retry_after:
                headers["Retry-After"] = str(fault.retry_after)
            return _written(Answer(fault.status, headers, encode(fault.body)))
        except Cut:
            if request.transport is not None:
                request.transport.abort()
            # Nobody is left to read it; aiohttp wants something to write
            return web.Response()
        except ConnectionError:
            raise
        except Exception:
            log.exception("rest.failed", method=method, path=path)
            return _written(Answer(500, headers, encode(errors.refusal(-1000).body())))
        return _written(Answer(200, headers, encode(result)))

    def _arrived(self, at_ns: int, client_order_id: str) -> None:
        # Nobody has looked at it yet: a longer one will be refused
        self._venue.requests.arrivals.append(Arrival(at_ns, client_order_id[:MAX_CLIENT_ORDER_ID]))

    async def _disturbed(self, asked: Asked, params: Params, headers: dict[str, str]) -> object:
        seen = requests.Asked(asked.method, asked.path, params, asked.key, asked.remote)
        skew_ms = await self._ordeal.before(seen)
        result = dispatch(self._venue, replace(asked, skew_ms=skew_ms), params, headers)
        await self._ordeal.after(seen)
        return self._ordeal.answered(seen, result)


def _written(answer: Answer) -> web.Response:
    return web.Response(
        body=answer.body, status=answer.status, headers=answer.headers, content_type="application/json"
    )
