"""Request parameters as Binance reads them: any case, query before body, lower-cased in refusals."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from urllib.parse import unquote_plus

from pms.venue import errors

DECIMAL = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?")
DECIMAL_TEXT = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
INTEGER = re.compile(r"-?[0-9]{1,19}")
INTEGER_TEXT = "^[0-9]{1,19}$"
CLIENT_ORDER_ID = re.compile(r"[\.A-Z\:/a-z0-9_-]{1,36}")
CLIENT_ORDER_ID_TEXT = r"^[\.A-Z\:/a-z0-9_-]{1,36}$"
MAX_CLIENT_ORDER_ID = 36
MOST_INTEGER = 2**63 - 1
"""Beyond it a number is malformed: the real one holds 64 bits, and so does what keeps the history here."""
LATEST_MS = 253_370_764_800_000
"""The first moment of the year 9999."""


class Params:
    """The parameters of one request. An empty value is refused where the parameter is read.

    One that is in the query and in the body is the query's; one that is twice in either is -1101.
    """

    __slots__ = ("_values",)

    def __init__(self, query: str, body: str = "") -> None:
        values: dict[str, str] = {}
        for part in (query, body):
            fresh: dict[str, str] = {}
            for piece in (part if part.isascii() else _text(part)).split("&"):
                name, equals, value = piece.partition("=")
                if equals:
                    key = unquote_plus(name).lower()
                    if key in fresh:
                        raise errors.refusal(-1101)
                    fresh[key] = unquote_plus(value)
            values = fresh | values
        self._values = values

    @classmethod
    def of(cls, values: Mapping[str, object]) -> Params:
        """The parameters of one element of a batch: texts, numbers as they were written, truths."""
        params = cls("")
        given = {name: value for name, value in values.items() if value is not None}
        params._values = {
            name.lower(): str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in given.items()
        }
        if len(params._values) < len(given):
            raise errors.refusal(-1101)
        return params

    def renamed(self, name: str, to: str) -> Params:
        """The same parameters with one under another name, which two endpoints give it."""
        params = Params("")
        params._values = {
            to.lower() if key == name.lower() else key: each for key, each in self._values.items()
        }
        return params

    def sent(self, name: str) -> bool:
        """Whether the parameter is there and not empty."""
        return bool(self._values.get(name.lower()))

    def text(self, name: str) -> str | None:
        """A parameter, or None; -1105 when it was sent empty."""
        value = self._values.get(name.lower())
        if value == "":
            raise errors.empty(name)
        return value

    def need(self, name: str) -> str:
        """A mandatory parameter; -1102 without it."""
        value = self._values.get(name.lower())
        if not value:
            raise errors.missing(name)
        return value

    def decimal(self, name: str) -> Decimal | None:
        """A decimal without exponent; -1100 otherwise."""
        value = self.text(name)
        if value is None:
            return None
        if DECIMAL.fullmatch(value) is None:
            raise errors.illegal(name, DECIMAL_TEXT)
        return Decimal(value)

    def need_decimal(self, name: str) -> Decimal:
        """A mandatory decimal."""
        self.need(name)
        value = self.decimal(name)
        assert value is not None
        return value

    def integer(self, name: str, default: int | None = None) -> int | None:
        """A whole number of 64 bits; -1102 if it is none, as Binance answers malformed numbers."""
        value = self.text(name)
        if value is None:
            return default
        if INTEGER.fullmatch(value) is None or abs(found := int(value)) > MOST_INTEGER:
            raise errors.missing(name)
        return found

    def need_integer(self, name: str) -> int:
        """A mandatory whole number."""
        self.need(name)
        value = self.integer(name)
        assert value is not None
        return value

    def limited(self, name: str, *, default: int, most: int) -> int:
        """A count from 1 to `most`; more is cut, as the real one does; less is -1130."""
        value = self.integer(name, default)
        assert value is not None
        if value < 1:
            raise errors.not_valid(name)
        return min(value, most)

    def flag(self, name: str) -> bool | None:
        """ "true" or "false" as text; anything else is -1102."""
        value = self.text(name)
        if value is None:
            return None
        if value.lower() not in ("true", "false"):
            raise errors.missing(name)
        return value.lower() == "true"

    def choice(self, name: str, allowed: Iterable[str], *, code: int, default: str | None = None) -> str:
        """One of some words; -1102 if absent without default, `code` if it is another word."""
        value = self.text(name)
        if value is None:
            if default is None:
                raise errors.missing(name)
            return default
        if value not in allowed:
            raise errors.refusal(code)
        return value

    def client_order_id(self, name: str) -> str | None:
        """A client order id; too long is -4015, other characters -1100."""
        value = self.text(name)
        if value is None:
            return None
        if len(value) > MAX_CLIENT_ORDER_ID:
            raise errors.refusal(-4015)
        if CLIENT_ORDER_ID.fullmatch(value) is None:
            raise errors.illegal(name, CLIENT_ORDER_ID_TEXT)
        return value

    def window(self) -> tuple[int | None, int | None]:
        """startTime and endTime; -1023 when they are the wrong way round, -1100 before the epoch.

        A time beyond the calendar is its last year: nothing is there either, and months can be counted.
        """
        start, end = self._time("startTime"), self._time("endTime")
        if start is not None and end is not None and start > end:
            raise errors.refusal(-1023)
        return start, end

    def _time(self, name: str) -> int | None:
        time = self.integer(name)
        if time is not None and time < 0:
            raise errors.illegal(name, INTEGER_TEXT)
        return None if time is None else min(time, LATEST_MS)


def _text(part: str) -> str:
    """Bytes that are no UTF-8 as %-encoded ones are read; what is signed are the bytes as they came."""
    return part.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
