"""What an exchange call can end in, other than an answer.

    ExchangeError
    ├── Refused            a definite no; nothing was executed
    │   ├── DuplicateClientId   -4116: an order of this id *is there*
    │   └── TimestampRefused    -1021, -5028: the clock, not the order, was wrong
    ├── NotFound           the exchange answered that it has no such thing
    ├── Throttled          turned away before the engine; try again after `retry_after`
    ├── Unsent             no connection: not one byte left us
    └── Unknown            perhaps executed: only the feed or a query tells

Trap: a transport error is never "not found", and an HTTP 5xx is never "failed": orders have been
filled behind both.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class ExchangeError(Exception):
    """Base of all; `code` is Binance's, where it gave one."""

    def __init__(self, msg: str, *, code: int | None = None, http: int | None = None) -> None:
        super().__init__(msg if code is None else f"{code}: {msg}")
        self.msg = msg
        self.code = code
        self.http = http


class Refused(ExchangeError):
    """The exchange said no, for a reason of its own; nothing was executed."""


class DuplicateClientId(Refused):
    """An open order already carries this client order id: the earlier send arrived."""


class TimestampRefused(Refused):
    """The timestamp was outside recvWindow; a new signature may be tried."""


class NotFound(ExchangeError):
    """There is no such order, as far as the exchange knows at this moment."""


class Throttled(ExchangeError):
    """Turned away for rate or load."""

    def __init__(
        self, msg: str, *, code: int | None = None, http: int | None = None, retry_after: float = 0.0
    ) -> None:
        super().__init__(msg, code=code, http=http)
        self.retry_after = retry_after


class Unsent(ExchangeError):
    """No connection could be made; proven not sent."""


class Unknown(ExchangeError):
    """The request left us, and nothing proves what became of it."""


class _Body(msgspec.Struct):
    code: int | str | None = None
    msg: str = ""


_NOT_FOUND = {-2011, -2013}
_TIMESTAMP = {-1021, -5028}
_UNKNOWN = {-1000, -1006, -1007}
_THROTTLED = {-1003, -1008, -1015}
_body = msgspec.json.Decoder(_Body)


def classify(status: int, headers: Mapping[str, str], body: bytes) -> ExchangeError:
    """Turn an answer that is not a success into the one error it means."""
    code, msg = _read(body)
    retry_after = _seconds(headers.get("Retry-After"))
    if status in {429, 418} or code in _THROTTLED:
        return Throttled(msg or "too many requests", code=code, http=status, retry_after=retry_after)
    if status >= 500 or status == 408 or code in _UNKNOWN or code is None:
        return Unknown(msg or f"HTTP {status}", code=code, http=status)
    if code in _NOT_FOUND:
        return NotFound(msg, code=code, http=status)
    if code == -4116:
        return DuplicateClientId(msg, code=code, http=status)
    if code in _TIMESTAMP:
        return TimestampRefused(msg, code=code, http=status)
    return Refused(msg, code=code, http=status)


def _read(body: bytes) -> tuple[int | None, str]:
    try:
        parsed = _body.decode(body)
    except msgspec.DecodeError:
        return None, ""
    code = parsed.code
    if isinstance(code, str):
        code = int(code) if code.lstrip("-").isdigit() else None
    return code, parsed.msg


def _seconds(value: str | None) -> float:
    return int(value) if value and value.isdigit() else 0
