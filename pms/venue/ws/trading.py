"""The WebSocket trading API: REST's own endpoints in an envelope (USDⓈ-M docs, WebSocket API General Info).

A request is what the same endpoint would get over HTTP, so checks, limits and answers cannot drift apart.
Only two things are its own: a signature covers all parameters sorted by name, and a connection may log on
once and sign no more. Trap: the real one lets only Ed25519 keys log on; ours are HMAC keys, and may.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec

from pms.venue import errors
from pms.venue.account import Account
from pms.venue.auth import Credential, check_time
from pms.venue.errors import VenueError
from pms.venue.faults.requests import Asked, Cut, Gateway, Ordeal
from pms.venue.params import Params
from pms.venue.rest.dispatch import TABLE, encode, reader
from pms.venue.rest.endpoint import Call, Endpoint, Security
from pms.venue.venue import Venue

HANDSHAKE_WEIGHT = 5
METHODS: dict[str, tuple[str, str]] = {
    "order.place": ("POST", "/fapi/v1/order"),
    "order.modify": ("PUT", "/fapi/v1/order"),
    "order.cancel": ("DELETE", "/fapi/v1/order"),
    "order.status": ("GET", "/fapi/v1/order"),
    "algoOrder.place": ("POST", "/fapi/v1/algoOrder"),
    "algoOrder.cancel": ("DELETE", "/fapi/v1/algoOrder"),
    "account.position": ("GET", "/fapi/v2/positionRisk"),
    "v2/account.position": ("GET", "/fapi/v3/positionRisk"),
    "account.balance": ("GET", "/fapi/v2/balance"),
    "v2/account.balance": ("GET", "/fapi/v3/balance"),
    "account.status": ("GET", "/fapi/v2/account"),
    "v2/account.status": ("GET", "/fapi/v3/account"),
    "depth": ("GET", "/fapi/v1/depth"),
    "ticker.price": ("GET", "/fapi/v2/ticker/price"),
    "ticker.book": ("GET", "/fapi/v1/ticker/bookTicker"),
    "userDataStream.start": ("POST", "/fapi/v1/listenKey"),
    "userDataStream.ping": ("PUT", "/fapi/v1/listenKey"),
    "userDataStream.stop": ("DELETE", "/fapi/v1/listenKey"),
}
_message = msgspec.json.Decoder(dict[str, Any], float_hook=str)


@dataclass(slots=True)
class _LoggedOn:
    credential: Credential
    since: int


@dataclass(slots=True)
class _Reading:
    """As much of a request as could be read before it was refused."""

    shows_limits: bool
    id: Any = None
    request: dict[str, Any] = field(default_factory=dict)
    params: Params = field(default_factory=lambda: Params(""))

    def read(self, text: str) -> None:
        """Read a request; raises VenueError where it is none."""
        self.request = _decoded(text)
        self.id = _id(self.request)
        self.params = _params(self.request)
        self.shows_limits = self.shows_limits and self.params.flag("returnRateLimits") is not False


class TradingSession:
    """One connection: text in, text out; nothing is awaited unless rules are in force."""

    def __init__(self, venue: Venue, remote: str, query: str) -> None:
        self._venue = venue
        self._remote = remote
        self._connected = venue.clock()
        self._shows_limits = dict(parse_qsl(query)).get("returnRateLimits") != "false"
        self._logged_on: _LoggedOn | None = None
        self._last_account: str | None = None
        # By how much the clock is wrong that judges the request in hand
        self._skew_ms = 0

    def answer(self, text: str) -> bytes:
        """Answer one request, whatever it is; raises Cut where nothing is answered any more."""
        reading = _Reading(shows_limits=self._shows_limits)
        try:
            reading.read(text)
            view = {"status": 200, "result": self._act(reading.request, reading.params)}
        except VenueError as error:
            view = {"status": error.status, "error": error.body()}
        return self._enveloped(reading, view)

    async def suffer(self, text: str, ordeal: Ordeal) -> bytes:
        """Answer one request while rules are in force; raises Cut where the connection is to end."""
        reading = _Reading(shows_limits=self._shows_limits)
        try:
            reading.read(text)
            seen = self._seen(reading)
            self._skew_ms = 0 if seen is None else await ordeal.before(seen)
            result = self._act(reading.request, reading.params)
            if seen is not None:
                await ordeal.after(seen)
                result = ordeal.answered(seen, result)
            view = {"status": 200, "result": result}
        except VenueError as error:
            view = {"status": error.status, "error": error.body()}
        except Gateway as fault:
            # Every error has a code here; this one says nothing of the order either
            view = {"status": fault.status, "error": {"code": -1000, **fault.body}}
        finally:
            self._skew_ms = 0
        return self._enveloped(reading, view)

    def _seen(self, reading: _Reading) -> Asked | None:
        """The request as rules see it: the REST endpoint behind it."""
        rest = METHODS.get(str(reading.request.get("method")))
        if rest is None:
            return None
        key = reading.params.text("apiKey") or (self._logged_on.credential.key if self._logged_on else None)
        return Asked(*rest, reading.params, key, self._remote)

    def _enveloped(self, reading: _Reading, view: dict[str, Any]) -> bytes:
        view = {"id": reading.id, **view}
        if reading.shows_limits:
            view["rateLimits"] = self._limits()
        return encode(view)

    def _act(self, request: Mapping[str, Any], params: Params) -> Any:
        if self._venue.failed():
            raise Cut
        method = request.get("method")
        if not isinstance(method, str):
            raise VenueError(-1000, "Invalid request: missing field `method`")
        if method in ("session.logon", "session.status", "session.logout"):
            self._charge(2)
            return self._session(method, request, params)
        if method not in METHODS:
            raise VenueError(-1000, f"Unknown method: {method}")
        endpoint = TABLE[METHODS[method]]
        self._charge(endpoint.weigh(params))
        account = self._caller(endpoint, request, params)
        if account is not None and any(endpoint.orders):
            self._venue.limits.charge_order(account.name, *endpoint.orders)
        return endpoint.handler(Call(self._venue, params, account, skew_ms=self._skew_ms))

    def _charge(self, weight: int) -> None:
        self._venue.limits.charge(self._remote, weight)

    def _caller(self, endpoint: Endpoint, request: Mapping[str, Any], params: Params) -> Account | None:
        if endpoint.security is Security.NONE:
            return None
        if endpoint.security is Security.KEY:
            credential = self._venue.credentials.identify(params.text("apiKey"))
        elif self._logged_on is not None and not params.sent("signature"):
            # Its key may have been revoked since
            credential = self._venue.credentials.identify(self._logged_on.credential.key)
            check_time(params, self._now())
        else:
            credential = self._signer(request, params)
        credential.check_may(trade=endpoint.trades)
        self._last_account = credential.account
        return reader(self._venue, endpoint, params, credential.account)

    def _now(self) -> int:
        return self._venue.clock() + self._skew_ms

    def _signer(self, request: Mapping[str, Any], params: Params) -> Credential:
        credential = self._venue.credentials.identify(params.text("apiKey"))
        check_time(params, self._now())
        signature = params.need("signature")
        signed = sorted(
            (name, _text(value)) for name, value in _given(request).items() if name != "signature"
        )
        # The docs join values as they are; Binance's own client encodes them first
        plain = "&".join(f"{name}={value}" for name, value in signed)
        if not any(credential.signs(each.encode(), signature) for each in {plain, urlencode(signed)}):
            raise errors.refusal(-1022)
        return credential

    def _session(self, method: str, request: Mapping[str, Any], params: Params) -> dict[str, Any]:
        if method == "session.logon":
            self._logged_on = _LoggedOn(self._signer(request, params), self._venue.clock())
        elif method == "session.logout":
            self._logged_on = None
        on = self._logged_on
        return {
            "apiKey": on.credential.key if on else None,
            "authorizedSince": on.since if on else None,
            "connectedSince": self._connected,
            "returnRateLimits": self._shows_limits,
            "serverTime": self._venue.clock(),
        }

    def _limits(self) -> list[dict[str, Any]]:
        """What is used of the address' weight and, once an account is known here, of its orders."""
        return self._venue.limits.told(self._remote, self._last_account)


def _decoded(text: str) -> dict[str, Any]:
    try:
        return _message.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        raise VenueError(-1000, "Invalid JSON: expected an object") from None


def _id(request: Mapping[str, Any]) -> Any:
    found = request.get("id")
    if isinstance(found, bool) or not isinstance(found, int | str | None):
        raise VenueError(-1000, "Invalid request: request ID must be an integer, a string or null")
    return found


def _given(request: Mapping[str, Any]) -> dict[str, Any]:
    given = request.get("params") or {}
    if not isinstance(given, dict):
        raise VenueError(-1000, "Invalid request: params must be an object")
    return given


def _params(request: Mapping[str, Any]) -> Params:
    return Params.of(_given(request))


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
