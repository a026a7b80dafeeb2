"""`pms bench`: measure one path beside its floor; progress on stderr, one JSON object on stdout."""

from __future__ import annotations

import asyncio
import json
from importlib import import_module
from typing import Any

import click

NAMES = ("command", "fill", "ticks", "start", "risk", "admission", "algos", "matching")
LONGEST_S = 50
LONGEST_OF_S = {"matching": 240}
"""Half a million commands for each of five engines, and a million orders at rest, need their time."""


@click.command()
@click.argument("name", type=click.Choice(NAMES))
@click.option("--json", "as_json", is_flag=True, help="One JSON object, nothing else, on stdout.")
def bench(name: str, as_json: bool) -> None:
    """Measure one path beside its floor: command, fill, ticks, start, risk, admission,
    algos or matching.

    It brings up what it needs on free addresses and stops it again; it ends within 50 seconds,
    matching within four minutes.
    """
    import uvloop

    work = import_module(f"benchmarks.{name}").run()
    figures = uvloop.run(_bounded(work, LONGEST_OF_S.get(name, LONGEST_S)))
    if as_json:
        click.echo(json.dumps(figures))
        return
    chart = figures.pop("chart", [])
    for field, value in table(figures):
        click.echo(f"{field:<26} {value}")
    for line in chart:
        click.echo(line)


def table(figures: dict[str, Any]) -> list[tuple[str, str]]:
    """One row a figure; what has parts of its own, as `peers` has, one row a part."""
    rows = []
    for field, value in figures.items():
        parts = value if isinstance(value, dict) else {"": value}
        rows += [(f"{field}.{name}" if name else field, _told(part)) for name, part in parts.items()]
    return rows


def _told(part: Any) -> str:
    return (
        ", ".join(f"{name} {value}" for name, value in part.items()) if isinstance(part, dict) else str(part)
    )


async def _bounded(work: Any, longest_s: float) -> dict[str, Any]:
    try:
        async with asyncio.timeout(longest_s):
            return dict(await work)
    except TimeoutError:
        raise click.ClickException(f"not done within {longest_s} s: this machine is too busy") from None
