"""One dispatcher for all REST endpoints: count, weigh, authorise, answer; faults where they belong."""

from __future__ import annotations

import asyncio

import msgspec
import structlog
from aiohttp import web

from pms.venue import errors
from pms.venue.errors import VenueError
from pms.venue.faults import AFTER, BEFORE, Fault, FaultKind
from pms.venue.params import Params
from pms.venue.rest import account, batches, market_data, orders, settings
from pms.venue.rest.endpoint import Call, Endpoint, Security
from pms.venue.venue import Arrival, Venue

log = structlog.get_logger(__name__)
encode = msgspec.json.Encoder().encode

TABLE: dict[tuple[str, str], Endpoint] = {
    (endpoint.method, endpoint.path): endpoint
    for rows in (
        market_data.ENDPOINTS,
        orders.ENDPOINTS,
        batches.ENDPOINTS,
        account.ENDPOINTS,
        settings.ENDPOINTS,
    )
    for endpoint in rows
}
PLACE = ("POST", "/fapi/v1/order")
PLACE_BATCH = ("POST", "/fapi/v1/batchOrders")


class RestFace:
    """Requests under /fapi. A handler is a plain function: nothing is awaited while state changes."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        at_ns = self._venue.monotonic_ns()
        method, path = request.method, request.path
        self._venue.requests.counts[f"{method} {path}"] += 1
        query = request.raw_path.partition("?")[2]
        raw = await request.read() if request.can_read_body else b""
        body = raw.decode("utf-8", "surrogateescape")
        headers: dict[str, str] = {}
        try:
            params = Params(query, body)
            subject = _client_order_id(params)
            if (method, path) == PLACE:
                self._venue.requests.arrivals.append(Arrival(at_ns, subject))
            elif (method, path) == PLACE_BATCH:
                arrived = (Arrival(at_ns, each) for each in batches.placed_ids(params))
                self._venue.requests.arrivals.extend(arrived)
            if self._venue.faults.rules and (fault := self._fault(BEFORE, method, path, subject)):
                await self._suffer(fault, request)
            result = self._answer(request, query, body, params, headers)
            if self._venue.faults.rules and (fault := self._fault(AFTER, method, path, subject)):
                await self._suffer(fault, request)
        except VenueError as error:
            if error.retry_after is not None:
                headers["Retry-After"] = str(error.retry_after)
            return _json(error.body(), status=error.status, headers=headers)
        except _BadGateway as fault_answer:
            if fault_answer.retry_after:
                headers["Retry-After"] = str(fault_answer.retry_after)
            return _json(fault_answer.body, status=fault_answer.status, headers=headers)
        except _Cut:
            # Nobody is left to read it; aiohttp wants something to write
            return web.Response()
        except ConnectionError:
            raise
        except Exception:
            log.exception("rest.failed", method=method, path=path)
            return _json(errors.refusal(-1000).body(), status=500, headers=headers)
        return _json(result, status=200, headers=headers)

    def _answer(
        self, request: web.Request, query: str, body: str, params: Params, headers: dict[str, str]
    ) -> object:
        venue, method, path = self._venue, request.method, request.path
        endpoint = TABLE.get((method, path))
        if endpoint is None:
            raise VenueError(-5000, f"Path {path}, Method {method} is invalid", status=404)
        used = venue.limits.charge(request.remote or "", endpoint.weigh(params))
        headers["X-MBX-USED-WEIGHT-1M"] = str(used)
        if endpoint.security is Security.NONE:
            return endpoint.handler(Call(venue, params))
        key = request.headers.get("X-MBX-APIKEY")
        if endpoint.security is Security.KEY:
            credential = venue.credentials.identify(key)
        else:
            credential = venue.credentials.authorise(
                key, query=query, body=body, params=params, now=venue.clock()
            )
        if any(endpoint.orders):
            short, long = venue.limits.charge_order(credential.account, *endpoint.orders)
            headers["X-MBX-ORDER-COUNT-10S"] = str(short)
            headers["X-MBX-ORDER-COUNT-1M"] = str(long)
        return endpoint.handler(Call(venue, params, venue.account(credential.account)))

    def _fault(self, kinds: tuple[FaultKind, ...], method: str, path: str, subject: str) -> Fault | None:
        return self._venue.faults.on_request(
            kinds, method=method, path=path, subject=subject, at_ns=self._venue.monotonic_ns()
        )

    async def _suffer(self, fault: Fault, request: web.Request) -> None:
        kind = fault.kind
        if kind in (FaultKind.DELAY_BEFORE, FaultKind.DELAY_AFTER):
            await asyncio.sleep(fault.ms / 1000)
        elif kind in (FaultKind.HANG_BEFORE, FaultKind.HANG_AFTER):
            await fault.released.wait()
        elif kind in (FaultKind.CUT_BEFORE, FaultKind.CUT_AFTER):
            if request.transport is not None:
                request.transport.abort()
            raise _Cut
        else:
            raise _BadGateway(fault, timestamp=self._venue.clock(), path=request.path)


class _Cut(Exception):
    """The connection was cut on purpose; there is nobody to answer."""


class _BadGateway(Exception):
    """An answer from the machinery in front of the engine. Without a code it says nothing of the order."""

    def __init__(self, fault: Fault, *, timestamp: int, path: str) -> None:
        super().__init__(fault.message)
        self.status = fault.status
        self.retry_after = fault.retry_after
        self.body: dict[str, object] = {"timestamp": timestamp, "path": path, "msg": fault.message}
        if fault.code is not None:
            self.body = {"code": fault.code, "msg": fault.message}


def _client_order_id(params: Params) -> str:
    for name in ("newClientOrderId", "origClientOrderId", "orderId", "batchOrders", "origClientOrderIdList"):
        if params.sent(name):
            return params.need(name)
    return ""


def _json(body: object, *, status: int, headers: dict[str, str]) -> web.Response:
    return web.Response(body=encode(body), status=status, headers=headers, content_type="application/json")
