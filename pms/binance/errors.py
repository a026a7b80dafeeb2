"""What an exchange call can end in, other than an answer.

    ExchangeError
    ├── Refused               a definite no: nothing was executed
    │   ├── DuplicateClientId     -4116: an order of this id *is there*
    │   └── TimestampRefused      -1021, -5028: the clock was wrong, not the order
    ├── NotFound              -2013, -2011: at this moment the exchange knows no such order
    ├── Throttled             429, 418, -1003, -1008, -1015, or our own budget: turned away
    ├── Unsent                no connection: not one byte left us
    └── Unknown               may have executed: only the feed or a query tells
                                  5xx, 408, -1000, -1001, -1006, -1007, an answer without a code,
                                  time-out, connection lost, body that cannot be read

Trap: a transport error is never "not found", and an HTTP 5xx is never "failed", whatever its text
says: orders have been filled behind both. The exception is -1008, which is throttled by its code and
was once seen with the order live; who places an order asks about it all the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec


class ExchangeError(Exception):
    """Base of all; `code` is Binance's, where it gave one, `http` the status, where there was one."""

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
    """Turned away for rate or load; `retry_after` is in seconds, 0 where nobody said."""

    def __init__(
        self,
        msg: str,
        *,
        code: int | None = None,
        http: int | None = None,
        retry_after: float = 0.0,
        banned_until_ms: int | None = None,
    ) -> None:
        super().__init__(msg, code=code, http=http)
        self.retry_after = retry_after
        self.banned_until_ms = banned_until_ms


class Unsent(ExchangeError):
    """No connection could be made; proven not sent."""


class Unknown(ExchangeError):
    """The request left us, and nothing proves what became of it."""


MEANING: Final[Mapping[int, type[ExchangeError]]] = {
    -1000: Unknown,
    -1001: Unknown,
    -1003: Throttled,
    -1006: Unknown,
    -1007: Unknown,
    -1008: Throttled,
    -1015: Throttled,
    -1021: TimestampRefused,
    -2011: NotFound,
    -2013: NotFound,
    -4116: DuplicateClientId,
    -5028: TimestampRefused,
}
"""The codes that mean more than `Refused` (Binance USDⓈ-M docs, Error Codes)."""

OVERLOADED: Final = -1008
TOO_MANY_ORDERS: Final = -1015


class _Body(msgspec.Struct):
    code: int | str | None = None
    msg: str = ""


_body = msgspec.json.Decoder(_Body)
_banned_until = re.compile(r"banned until (\d{13})")
_whole = re.compile(r"-?\d{1,9}")


def classify(status: int, headers: Mapping[str, str], body: bytes) -> ExchangeError:
    """Turn an answer that is not a success into the one error it means."""
    code, msg = _read(body)
    kind = MEANING.get(code, Refused) if code is not None else Unknown
    if status in {418, 429}:
        kind = Throttled
    elif not 400 <= status < 500 or status == 408:
        kind = Throttled if code == OVERLOADED else Unknown
    text = msg or f"HTTP {status}"
    if kind is Throttled:
        banned = _banned_until.search(msg)
        return Throttled(
            text,
            code=code,
            http=status,
            retry_after=_retry_after(headers),
            banned_until_ms=int(banned[1]) if banned else None,
        )
    return kind(text, code=code, http=status)


def _read(body: bytes) -> tuple[int | None, str]:
    """The code and text of an error's body; a body without a code is the engine's own "unknown"."""
    try:
        parsed = _body.decode(body)
    except msgspec.DecodeError:
        return None, ""
    code = str(parsed.code)
    return int(code) if _whole.fullmatch(code) else None, parsed.msg


def _retry_after(headers: Mapping[str, str]) -> float:
    for name, value in headers.items():
        if name.lower() == "retry-after" and _whole.fullmatch(value):
            return max(float(value), 0.0)
    return 0.0
