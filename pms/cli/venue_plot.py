"""`pms venue plot`: what a scenario's made-up market does, as a drawing; no venue is needed."""

from __future__ import annotations

from pathlib import Path

import click

from pms.cli.market_chart import draw
from pms.cli.session import Failed
from pms.venue.background.rehearsal import Rehearsal
from pms.venue.background.scenario import SCENARIOS, STEP_S
from pms.venue.symbols import SHIPPED, SymbolTable

AFTERWARDS_S = 60.0
ENDLESS_S = 600.0
"""How much is drawn of a scenario without phases."""


@click.command()
@click.option("--scenario", type=click.Choice(list(SCENARIOS)), default="crash", show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--symbol", type=str.upper, default="BTCUSDT", show_default=True)
@click.option(
    "--seconds",
    type=click.FloatRange(10, 7200),
    help="How much of it.  [default: its phases and a minute more]",
)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The SVG to write."
)
def plot(scenario: str, seed: int, symbol: str, seconds: float | None, out: Path) -> None:
    """Draw price, volume, spread and depth of a scenario.

    A venue of the same seed goes through exactly this, until somebody trades in it.
    """
    listed = SymbolTable.load(SHIPPED).by_name
    if symbol not in listed:
        raise Failed(f"--symbol must be one of {', '.join(listed)}; was {symbol}")
    chosen = SCENARIOS[scenario]
    long = seconds or (chosen.seconds + AFTERWARDS_S if chosen.seconds else ENDLESS_S)
    rehearsal = Rehearsal(listed[symbol], seed=seed, scenario=chosen)
    moments = [rehearsal.step() for _ in range(round(long / STEP_S))]
    title = f"{symbol}, made up: scenario {scenario}, seed {seed}"
    try:
        out.write_text(draw(listed[symbol], moments, title=title), encoding="utf-8")
    except OSError as error:
        raise Failed(f"{out} cannot be written: {error.strerror}") from None
    click.echo(f"{out}: {scenario}, {long:g} s of {symbol}")
