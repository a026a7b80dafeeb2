"""Whose field a refusal names, where a command has several legs: `legs[2].quantity`."""

from __future__ import annotations

from typing import Any

from pms.contract.basket import Basket
from pms.contract.codes import Refusal

_RENAMED = {"quantity": "total_size", "price": "limit_price"}
"""What a TWAP calls what an order has."""


def of_leg(terms: Basket, number: int, refusal: Refusal) -> Refusal:
    """A refusal that names the field of the leg; one of the whole account's stays what it is."""
    fields = type(terms.legs[number]).model_fields
    names = {refusal.field, _alias(fields, _RENAMED.get(refusal.field or "", ""))}
    named = next((field.alias for field in fields.values() if field.alias in names), None)
    if named is None and refusal.field is not None and refusal.field in _of_all(terms):
        return refusal
    return Refusal(
        refusal.code,
        f"legs[{number}]: {refusal.error}",
        field=f"legs[{number}].{named}" if named else f"legs[{number}]",
        limit=refusal.limit,
        actual=refusal.actual,
    )


def _alias(fields: dict[str, Any], name: str) -> str | None:
    return fields[name].alias if name in fields else None


def _of_all(terms: Basket) -> set[str | None]:
    return {field.alias for field in type(terms).model_fields.values()}
