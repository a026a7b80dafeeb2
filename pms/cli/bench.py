"""`pms bench`: measure one path beside its floor; progress on stderr, one JSON object on stdout."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import Any

import click

from pms.contract.money import encode

NAMES = (
    *("command", "fill", "ticks", "start", "risk", "admission"),
    *("algos", "algos_live", "execution", "matching", "venue"),
)
LONGEST_S = 50
"""Unless a bench says itself how long it may take."""


@click.command()
@click.argument("name", type=click.Choice(NAMES))
@click.option("--json", "as_json", is_flag=True, help="One JSON object, nothing else, on stdout.")
def bench(name: str, as_json: bool) -> None:
    """Measure one path beside its floor: command, fill, ticks, start, risk, admission or algos.

    algos_live runs 200 algos on 20 symbols of a whole running system; execution lays each algo on recorded
    frames beside plain orders; matching runs half a million commands through five engines; venue trades and
    listens from outside. Each brings up what it needs on free addresses and stops it again. It ends within
    50 seconds, those four within five minutes.
    """
    import uvloop

    module = import_module(f"benchmarks.{name}")
    figures = uvloop.run(_bounded(module.run(), longest_s=getattr(module, "LONGEST_S", LONGEST_S)))
    if as_json:
        click.echo(encode(figures))
        return
    chart = figures.pop("chart", [])
    figures.pop("detail", None)
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


async def _bounded(work: Any, *, longest_s: int) -> dict[str, Any]:
    try:
        async with asyncio.timeout(longest_s):
            return dict(await work)
    except TimeoutError:
        raise click.ClickException(f"not done within {longest_s} s: this machine is too busy") from None
