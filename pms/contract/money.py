"""Decimals across JSON, exactly: numbers out as literals, numbers in without ever being a float.

Trap: `json.dumps(float(x))` and Lua's cjson both round; nothing here passes through either. Lua
scripts carry these texts as opaque strings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Annotated, Any

import msgspec
from pydantic import BaseModel, BeforeValidator, GetCoreSchemaHandler, PlainSerializer, WithJsonSchema
from pydantic_core import CoreSchema, core_schema

_WIDE = Context(prec=60)
_ONE, _TEN = Decimal(1), Decimal(10)
CENT_OF_A_CENT = Decimal("0.00000001")
"""The quantum of every booked amount: Binance books commissions and P&L with eight decimals."""


MOST_LEVELS = 8
"""How deep a command may nest: what is deeper would exhaust the stack of whoever walks it."""

_MOST_DIGITS = 60
_SENSIBLE = Context(prec=34)


_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
"""What a text must be that stands for a number. Python reads more than that: to it `1_5` is fifteen."""


class BadJson(ValueError):
    """The text is not JSON, its top is not an object, or it is nested too deep."""


def canonical(value: Decimal) -> Decimal:
    """The same number without trailing zeros or exponent, so that its text is unique."""
    if not value:
        return Decimal(0)
    short = value.normalize(_WIDE)
    return short if _WIDE.remainder(short, _TEN) else short.quantize(_ONE, context=_WIDE)


def plain(value: Decimal) -> str:
    """Write a decimal as `0.00001`, never `1E-5`: the form of the journal and of Binance."""
    return format(canonical(value), "f")


def booked(value: Decimal) -> Decimal:
    """Round an amount to what is booked: eight decimals, half to even."""
    return value.quantize(CENT_OF_A_CENT, rounding=ROUND_HALF_EVEN, context=_WIDE)


def _finite(value: object) -> Decimal:
    """Accept a number or its text; NaN, infinity, booleans and non-numbers are refused."""
    number = value if type(value) is Decimal else _read(value)
    if not number.is_finite():
        raise ValueError("must be a finite number")
    if abs(number.adjusted()) > 30 or _SENSIBLE.plus(number) != number:
        raise ValueError("has more than 30 digits on one side of the point")
    return number


def _read(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ValueError("must be a number")  # noqa: TRY004  pydantic wants ValueError
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise ValueError("must be a number")
    try:
        return Decimal(repr(value) if isinstance(value, float) else value)
    except ArithmeticError:
        raise ValueError("must be a number") from None


Number = Annotated[
    Decimal,
    BeforeValidator(_finite),
    PlainSerializer(canonical, return_type=Decimal, when_used="unless-none"),
    WithJsonSchema({"type": "number"}),
]
"""A Decimal that reads numbers and numeric strings and writes an exact JSON number literal."""


def _whole(value: object) -> object:
    """Leave it to pydantic, but for what Python alone takes for a number: a truth, and `1_5`."""
    if isinstance(value, bool) or (isinstance(value, str) and not _NUMBER.fullmatch(value)):
        raise ValueError("must be a whole number")
    return value


@dataclass(frozen=True, slots=True)
class Whole:
    """`Annotated[int, Whole(1, 150)]`: a whole number that reads numbers and numeric strings, in a range."""

    least: int
    most: int | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The range inside the reader, so that the schema tells it."""
        number = core_schema.int_schema(ge=self.least, le=self.most)
        return core_schema.no_info_before_validator_function(_whole, number)


_encoder = msgspec.json.Encoder(decimal_format="number")
_sorted_encoder = msgspec.json.Encoder(decimal_format="number", order="deterministic")


def exact(literal: str) -> Decimal | str:
    """Read a JSON number literal with a fraction or an exponent; one beyond Decimal stays a text."""
    try:
        return Decimal(literal)
    except ArithmeticError:
        return literal


_decoder = msgspec.json.Decoder(float_hook=exact)


def encode(shape: BaseModel | dict[str, Any]) -> bytes:
    """Write a contract shape as JSON with exact number literals and camelCase names."""
    if isinstance(shape, BaseModel):
        shape = shape.model_dump(by_alias=True)
    return _encoder.encode(shape)


def encode_canonical(fields: dict[str, Any]) -> bytes:
    """Write fields with sorted names and shortest numbers: equal content gives equal bytes.

    Raises BadJson for fields that are nested too deep.
    """
    if _deeper(fields, MOST_LEVELS):
        raise BadJson(_TOO_DEEP)
    return _sorted_encoder.encode(_shortest(fields))


def decode_object(text: bytes | str) -> dict[str, Any]:
    """Read a JSON object, fractions as Decimal; raises BadJson."""
    try:
        value = _decoder.decode(text)
    except RecursionError:
        raise BadJson(_TOO_DEEP) from None
    except (msgspec.DecodeError, ValueError) as error:
        raise BadJson(str(error)) from None
    if not isinstance(value, dict):
        raise BadJson(f"expected an object, was {type(value).__name__}")
    if _deeper(value, MOST_LEVELS):
        raise BadJson(_TOO_DEEP)
    return value


def decode_any(text: bytes | str) -> Any:
    """Read JSON of any shape, fractions as Decimal; raises BadJson."""
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise BadJson(str(error)) from None


_TOO_DEEP = f"nested deeper than {MOST_LEVELS} levels"


def _deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list | tuple):
        return False
    parts = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_deeper(part, levels - 1) for part in parts)


def _shortest(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _shortest(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_shortest(part) for part in value]
    if isinstance(value, float):
        number = Decimal(repr(value))
        return _short(number) if number.is_finite() else repr(value)
    if isinstance(value, Decimal):
        return _short(value) if value.is_finite() else str(value)
    return value


def _short(value: Decimal) -> Decimal:
    """The canonical number; one beyond all sense stays as it is, for whoever decides to refuse it."""
    sensible = abs(value.adjusted()) < _MOST_DIGITS and len(value.as_tuple().digits) <= _MOST_DIGITS
    return canonical(value) if sensible else value
