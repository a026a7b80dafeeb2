"""The REST face: requests off the wire to the dispatcher and back; faults where they belong."""

from __future__ import annotations

import asyncio

import structlog
from aiohttp import web

from pms.venue import errors
from pms.venue.errors import VenueError
from pms.venue.faults import AFTER, BEFORE, Fault, FaultKind
from pms.venue.params import Params
from pms.venue.rest import batches
from pms.venue.rest.dispatch import Answer, Asked, dispatch, encode, refused
from pms.venue.venue import Arrival, Venue

log = structlog.get_logger(__name__)
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
        asked = Asked(method, path, query, body, request.headers.get("X-MBX-APIKEY"), request.remote or "")
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
            result = dispatch(self._venue, asked, params, headers)
            if self._venue.faults.rules and (fault := self._fault(AFTER, method, path, subject)):
                await self._suffer(fault, request)
        except VenueError as error:
            return _written(refused(error, headers))
        except _BadGateway as fault_answer:
            if fault_answer.retry_after:
                headers["Retry-After"] = str(fault_answer.retry_after)
            return _written(Answer(fault_answer.status, headers, encode(fault_answer.body)))
        except _Cut:
            # Nobody is left to read it; aiohttp wants something to write
            return web.Response()
        except ConnectionError:
            raise
        except Exception:
            log.exception("rest.failed", method=method, path=path)
            return _written(Answer(500, headers, encode(errors.refusal(-1000).body())))
        return _written(Answer(200, headers, encode(result)))

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


def _written(answer: Answer) -> web.Response:
    return web.Response(
        body=answer.body, status=answer.status, headers=answer.headers, content_type="application/json"
    )
