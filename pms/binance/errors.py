"""What an exchange call can end in, other than an answer.

    ExchangeError
    ├── Refused               definite refusal: nothing was executed                    give up
    │   ├── DuplicateClientId     -4116: an order of this id *is there*                 ask for it
    │   └── TimestampRefused      -1021, -5028: the clock was wrong, not the order      learn it, once more
    ├── NotFound              -2013, -2011: at this moment there is no such order       ask again
    ├── Throttled             429, 418, -1003, -1015, our own budget: not executed      all of us wait
    │   └── Overloaded            -1008: documented as not executed, once seen alive    ask for it
    ├── Unsent                transport: no connection, not one byte left us            try again
    └── Unknown               may have executed: only the feed or a query tells         ask, however long
                                  transport: connection lost after the first byte, time-out, cut or
                                  unreadable body; any 5xx and 408 but -1008; -1000, -1001, -1006,
                                  -1007; an answer without a code (HTML of a proxy, an empty body)

Trap: a transport error is never "not found", and an HTTP 5xx is never "failed", whatever its text says:
orders have been filled behind both. A code that nobody has documented, with a 4xx, is a refusal.
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


class Overloaded(Throttled):
    """The matching engine took nothing new; who places an order asks about it all the same."""


class Unsent(ExchangeError):
    """No connection could be made; proven not sent."""


class Unknown(ExchangeError):
    """The request left us, and nothing proves what became of it."""


_REFUSALS: Final = (
    # 10xx: the server; 11xx: the request
    *(-1002, -1013, -1014, -1016, -1020, -1022, -1023, -1100, -1101, -1102, -1103, -1104, -1105, -1106),
    *(-1111, -1112, -1114, -1115, -1116, -1117, -1118, -1119, -1120, -1121, -1122, -1125, -1127, -1128),
    *(-1130, -1136),
    # 20xx: the account and its orders
    *(
        -2010,
        -2012,
        -2014,
        -2015,
        -2018,
        -2019,
        -2020,
        -2021,
        -2022,
        -2023,
        -2024,
        -2025,
        -2026,
        -2027,
        -2028,
    ),
    # 4xxx: filters and settings
    *(-4001, -4002, -4003, -4004, -4005, -4013, -4014, -4015, -4016, -4021, -4023, -4024, -4028, -4032),
    *(-4045, -4046, -4047, -4048, -4050, -4051, -4059, -4060, -4061, -4062, -4087, -4088, -4105, -4106),
    *(-4107, -4118, -4120, -4131, -4135, -4136, -4137, -4138, -4140, -4141, -4142, -4161, -4164, -4167),
    *(-4168, -4169, -4170, -4171, -4172, -4183, -4184, -4192, -4400, -4401, -4531),
    # 5xxx: the matching engine
    *(-5000, -5021, -5022, -5024, -5025, -5026, -5027, -5029, -5037, -5038, -5039, -5040, -5041, -5043),
    -5047,
)
OF_SYMBOL_RULES: Final = frozenset(
    {-1111, -1121, -1122, -4002, -4004, -4005, -4013, -4014, -4023, -4164, -5029}
)
"""A price, a quantity or a symbol that its rules forbid: what knew the rules would not have been sent."""

MEANING: Final[Mapping[int, type[ExchangeError]]] = {
    **dict.fromkeys(_REFUSALS, Refused),
    -1000: Unknown,
    -1001: Unknown,
    -1003: Throttled,
    -1006: Unknown,
    -1007: Unknown,
    -1008: Overloaded,
    -1015: Throttled,
    -1021: TimestampRefused,
    -2011: NotFound,
    -2013: NotFound,
    -4116: DuplicateClientId,
    -5028: TimestampRefused,
}
"""Every code of Binance USDⓈ-M ("Error Codes"), once; each is only believed with a 4xx."""

TEXTS_OF_503: Final[Mapping[str, type[ExchangeError]]] = {
    "Unknown error, please check your request or try again later.": Unknown,
    "Service Unavailable.": Unknown,
    "Internal error; unable to process your request. Please try again.": Unknown,
    "Request throttled by system-level protection.": Overloaded,
    "Server is currently overloaded with other requests.": Overloaded,
}
"""How a 503's text begins. The second and third are documented as failed; no 5xx is taken for proof."""

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
    kind = _kind(status, code, msg)
    text = msg or f"HTTP {status}"
    if issubclass(kind, Throttled):
        banned = _banned_until.search(msg)
        return kind(
            text,
            code=code,
            http=status,
            retry_after=_retry_after(headers),
            banned_until_ms=int(banned[1]) if banned else None,
        )
    return kind(text, code=code, http=status)


def _kind(status: int, code: int | None, msg: str) -> type[ExchangeError]:
    if status in {418, 429}:
        return Throttled
    if 400 <= status < 500 and status != 408:
        return MEANING.get(code, Refused) if code is not None else Unknown
    if MEANING.get(code or 0) is Overloaded:
        return Overloaded
    told = (kind for text, kind in TEXTS_OF_503.items() if msg.startswith(text))
    return next(told, Unknown) if status == 503 and code is None else Unknown


def _read(body: bytes) -> tuple[int | None, str]:
    """The code and text of an error's body; a body without a code is the engine's own "unknown"."""
    try:
        parsed = _body.decode(body)
    except ValueError:  # bytes within a string that are no UTF-8 are no msgspec.DecodeError
        return None, ""
    code = str(parsed.code)
    return int(code) if _whole.fullmatch(code) else None, parsed.msg


def _retry_after(headers: Mapping[str, str]) -> float:
    for name, value in headers.items():
        if name.lower() == "retry-after" and _whole.fullmatch(value):
            return max(float(value), 0.0)
    return 0.0
