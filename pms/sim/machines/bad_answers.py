"""What the machinery in front of the exchange's engine answers on bad days (USDⓈ-M docs, HTTP codes 503)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec

from pms.venue.rest.dispatch import Answer

encode = msgspec.json.Encoder().encode
_UNKNOWN = "Unknown error, please check your request or try again later."
_UNAVAILABLE = "Service Unavailable."
_INTERNAL = "Internal error; unable to process your request. Please try again."
_OVERLOADED = "Request throttled by system-level protection. Reduce-only/close-position orders are exempt."


def _told(now_ms: int, *, status: int, msg: str, code: int | None = None) -> Answer:
    body = {"timestamp": now_ms, "msg": msg} if code is None else {"code": code, "msg": msg}
    return Answer(status, {}, encode(body))


def _page(now_ms: int, *, status: int) -> Answer:
    return Answer(status, {}, b"<html><body>Bad Gateway</body></html>")


def _nonsense(now_ms: int) -> Answer:
    return Answer(200, {}, b'{"orderId":')


_KINDS: dict[str, Callable[[int], Answer]] = {
    "rest_503_unknown": partial(_told, status=503, msg=_UNKNOWN),
    "rest_503_unavailable": partial(_told, status=503, msg=_UNAVAILABLE),
    "rest_503_internal": partial(_told, status=503, msg=_INTERNAL),
    "rest_1006": partial(_told, status=400, code=-1006, msg="An unexpected response was received."),
    "rest_1007": partial(_told, status=408, code=-1007, msg="Timeout waiting for response from backend."),
    "rest_502": partial(_page, status=502),
    "rest_504": partial(_page, status=504),
    "rest_garbled": _nonsense,
}
GATEWAY: dict[str, Callable[[int], Answer]] = {
    "rest_503_overloaded_before": partial(_told, status=503, code=-1008, msg=_OVERLOADED),
    **{
        f"{kind}_{when}": answer
        for kind, answer in _KINDS.items()
        for when in ("before", "after")
        if (kind, when) != ("rest_garbled", "before")
    },
}
"""By kind of fault: `_before` the order was not executed, `_after` it was. Nothing in the answer tells."""
