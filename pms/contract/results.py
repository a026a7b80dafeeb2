"""Results out: the one answer to a command, kept 30 s under `pms:result:{requestId}`."""

from __future__ import annotations

from typing import Any

from pydantic import Field

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
