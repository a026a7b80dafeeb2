"""Decimals on the command line, exactly as typed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import click


class Amount(click.ParamType[Decimal]):
    """A finite decimal; refuses anything else before a command is made of it."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        try:
            number = Decimal(str(value))
        except ArithmeticError:
            number = Decimal("NaN")
        if not number.is_finite():
            self.fail(f"{value!r} is not a number", param, ctx)
        return number


AMOUNT = Amount()
