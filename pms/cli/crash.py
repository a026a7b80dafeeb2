"""`pms crash`: let the prices of our own venue fall, or rise, on demand; no other exchange can."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from pms.cli.output import Column, number, print_list
from pms.cli.session import Failed
from pms.cli.venue_face import ask, known
from pms.config import load_settings

ADDRESS = "/venue/admin/crash"
COLUMNS = (
    Column("symbol", "symbol"),
    Column("state", "state"),
    number("percent", "percent"),
    number("seconds", "seconds"),
    number("gaps", "gaps"),
    number("thin", "thin"),
    number("seed", "seed"),
    number("step", "step"),
    number("steps", "of"),
    number("from", "from"),
    number("mark", "now"),
    number("to", "to"),
)


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("moves", metavar="[PERCENT | SYMBOL=PERCENT]...", nargs=-1)
@click.option("--seconds", default="60", show_default=True, help="How long it takes.")
@click.option("--gaps", default=0, show_default=True, help="Jumps on the way, without quote or print.")
@click.option("--thin", default="1", show_default=True, help="By how much less is quoted meanwhile.")
@click.option("--seed", default=1, show_default=True, help="The same seed draws the same path.")
@click.option("--stop", is_flag=True, help="End all crashes where they are.")
@click.option("--json", "as_json", is_flag=True, help="The crashes as a JSON array.")
def crash(
    moves: tuple[str, ...], *, seconds: str, gaps: int, thin: str, seed: int, stop: bool, as_json: bool
) -> None:
    """Crash the venue's made-up markets: `pms crash -35`, or `pms crash BTCUSDT=-35 ETHUSDT=20`.

    Without a percent it shows the crashes so far. The prices stay where a crash ends.
    """
    settings = load_settings()
    body = _terms(moves, seconds=seconds, gaps=gaps, thin=thin, seed=seed) if moves else None
    if stop and body is not None:
        raise Failed("--stop ends every crash; it takes no percent")
    method = "DELETE" if stop else "GET" if body is None else "POST"
    base = known(settings, why_not="nobody crashes that one")
    crashes = asyncio.run(ask(base, method, ADDRESS, body=body))["crashes"]
    print_list(crashes, COLUMNS, form="json" if as_json else None, empty="no market has crashed")


def _terms(moves: tuple[str, ...], *, seconds: str, gaps: int, thin: str, seed: int) -> dict[str, Any]:
    """One percent for all, or one for each symbol named; the venue judges the numbers."""
    how: dict[str, Any] = {"seconds": seconds, "gaps": gaps, "thin": thin, "seed": seed}
    if len(moves) == 1 and "=" not in moves[0]:
        return {"percent": moves[0], **how}
    named = [move.partition("=") for move in moves]
    if not all(equals for _, equals, _ in named):
        raise Failed("give one percent for all symbols, or SYMBOL=PERCENT for each")
    return {"symbols": {symbol.upper(): percent for symbol, _, percent in named}, **how}
