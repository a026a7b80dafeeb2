"""How lists and results are printed: a table for people, JSON or CSV for scripts."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal, TypeVar

import click
import msgspec
from pydantic.alias_generators import to_camel
from rich.console import Console
from rich.table import Table

from pms.contract.codes import Refusal
from pms.contract.money import encode, plain

Form = Literal["table", "json", "csv"]
Row = Mapping[str, Any]
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table; `name` is the row's field, `text` how its value is written.

    A `long` one gives way where the terminal is narrow.
    """

    name: str
    title: str
    text: Callable[[Any], str] = lambda value: "" if value is None else str(value)
    right: bool = False
    long: bool = False


def number(name: str, title: str) -> Column:
    """A column of exact decimals."""
    return Column(name, title, text=lambda v: "" if v is None else plain(Decimal(v)), right=True)


def instant(name: str, title: str) -> Column:
    """A column of times, milliseconds in the row, UTC seconds on the screen."""
    return Column(name, title, text=clock)


def clock(ms: int) -> str:
    """A time of day for people; the date only where it is not today's."""
    at = datetime.fromtimestamp(ms / 1000, tz=UTC)
    today = datetime.now(tz=UTC).date()
    return f"{at:%H:%M:%S}" if at.date() == today else f"{at:%m-%d %H:%M}"


def row_of(struct: msgspec.Struct) -> dict[str, Any]:
    """A journal row under the contract's camelCase names."""
    return {to_camel(name): value for name, value in msgspec.structs.asdict(struct).items()}


def listing(function: F) -> F:
    """Add `--json` and `--csv`; the function gets `form`."""
    for flag, value, text in (("--csv", "csv", "One CSV line a row."), ("--json", "json", "A JSON array.")):
        function = click.option(flag, "form", flag_value=value, help=text)(function)
    return function


def print_list(rows: Sequence[Row], columns: Sequence[Column], *, form: Form | None, empty: str) -> None:
    """Print rows; scripts get every field, people the columns that fit."""
    if form == "json":
        click.echo(b"[" + b",\n ".join(encode(dict(row)) for row in rows) + b"]")
    elif form == "csv":
        _print_csv(rows, columns)
    elif not rows:
        click.echo(empty, err=True)
    else:
        table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
        for column in columns:
            table.add_column(
                column.title,
                justify="right" if column.right else "left",
                no_wrap=not column.long,
                overflow="ellipsis",
            )
        for row in rows:
            table.add_row(*(column.text(row.get(column.name)) for column in columns))
        console().print(table)


def console() -> Console:
    """The terminal, or plain text of the usual width into a pipe or file."""
    return Console(file=sys.stdout, highlight=False, soft_wrap=False, markup=False)


def print_result(result: Row, *, as_json: bool) -> None:
    """Print the answer to a command; exits with 1 when it was refused."""
    print_results([result], as_json=as_json)


def print_results(results: Sequence[Row], *, as_json: bool) -> None:
    """Print all answers, the refused ones as well; exits with 1 where one was refused."""
    for result in results:
        if as_json:
            click.echo(encode(dict(result)))
        elif result.get("success"):
            click.echo(accepted(result))
        else:
            click.secho(refused(result), fg="red", err=True)
    if not all(result.get("success") for result in results):
        raise click.exceptions.Exit(1)


def accepted(result: Row) -> str:
    """One line of what a command did."""
    details = result.get("details") or {}
    cancelling = details.get("cancelling")
    state = result.get("state") or "done"
    if cancelling is not None:
        state = f"cancelling {len(cancelling)} order{'' if len(cancelling) == 1 else 's'}"
    open_ended = state in {"placing", "amending", "unknown", "halting"}
    parts = [click.style(str(state), fg="yellow" if open_ended else "green")]
    if result.get("side"):
        quantity = result.get("quantity")
        parts.append(
            " ".join(
                str(p) for p in (result["side"], _plain(quantity), result.get("symbol")) if p is not None
            )
        )
    if result.get("orderId"):
        parts.append(f"order {result['orderId']}")
    parts += [
        f"{name} {_plain(value)}" for name, value in details.items() if not isinstance(value, dict | list)
    ]
    if open_ended:
        parts.append("(outcome not yet proven: `pms watch` tells)")
    return "  ".join(parts)


def refusal_told(refusal: Refusal) -> dict[str, Any]:
    """A refusal in the shape of a result, where no engine was asked."""
    return {
        "success": False,
        "code": refusal.code.value,
        "error": refusal.error,
        "field": refusal.field,
        "limit": refusal.limit,
        "actual": refusal.actual,
    }


def refused(result: Row) -> str:
    """One line of why a command was refused: code, text, field, limit and actual value."""
    named = [
        f"{name} {result[name]}" for name in ("field", "limit", "actual") if result.get(name) is not None
    ]
    return f"refused {result.get('code')}: {result.get('error')}" + (
        f" ({', '.join(named)})" if named else ""
    )


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return plain(value) if isinstance(value, Decimal) else value


def _print_csv(rows: Sequence[Row], columns: Sequence[Column]) -> None:
    names = list(rows[0]) if rows else [column.name for column in columns]
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow("" if row[name] is None else _plain(row[name]) for name in names)
