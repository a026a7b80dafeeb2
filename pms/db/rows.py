"""Rows of a result as typed structs: each field is a column of the same name."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from sqlalchemy import Executable, FromClause, Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

T = TypeVar("T", bound=msgspec.Struct)


def select_as(row: type[msgspec.Struct], source: FromClause) -> Select[Any]:
    """Select what a struct needs, in the order of its fields."""
    return select(*(source.c[name] for name in row.__struct_fields__))


async def fetch(connection: AsyncConnection, statement: Executable, row: type[T]) -> list[T]:
    """Run a `select_as` of the same struct."""
    names = row.__struct_fields__
    found = await connection.execute(statement)
    return [row(**dict(zip(names, values, strict=True))) for values in found]
