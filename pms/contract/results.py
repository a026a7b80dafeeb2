"""Results out: the one answer to a command, kept 30 s under `pms:result:{requestId}`."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError

from pms.contract.account import PositionView, Shape
from pms.contract.money import Number, decode_object


class Result(Shape):
    """What became of a command.

    Trap: `success: true` with state `placing`, `amending` or `unknown` means *admitted, outcome not yet
    proven*; the events tell the rest. It is never a reason to send again under another requestId.
    """

    success: bool
    request_id: str
    command: str
    sub_account_id: str | None = None
    symbol: str | None = None
    side: str | None = None
    quantity: Number | None = None
    order_id: str | None = Field(None, description="Our client order id.")
    exchange_order_id: str | None = None
    state: str | None = None
    position: PositionView | None = None
    error: str | None = None
    code: str | None = None
    field: str | None = None
    limit: str | None = None
    actual: str | None = None
    details: dict[str, Any] | None = Field(None, description="More of the answer, by command.")


def read_result(text: str | bytes) -> Result:
    """Read a result as it was given; raises BadJson or a validation error.

    Trap: pydantic's own JSON reader takes numbers through binary floats and loses what is beyond 17 digits.
    """
    return Result.model_validate(decode_object(text))


_quantity: TypeAdapter[Decimal] = TypeAdapter(Number)


def carried(fields: Mapping[str, object]) -> dict[str, Any]:
    """What a refusal can repeat of its command's fields.

    Trap: they may be anything, and a refusal that cannot be written leaves its sender without one. What an
    answer cannot carry is left out.
    """
    return {
        "sub_account_id": _word(fields.get("subAccountId")),
        "symbol": _word(fields.get("symbol")),
        "side": _word(fields.get("side")),
        "quantity": _number(fields.get("quantity")),
    }


def _number(value: object) -> Decimal | None:
    try:
        return _quantity.validate_python(value)
    except ValidationError:
        return None


def _word(value: object) -> str | None:
    """At a length that fits an answer."""
    return value[:64] if isinstance(value, str) else None
