"""`pms logs`: the end of the parts' logs, and what follows."""

from __future__ import annotations

import time
from contextlib import suppress

import click

from pms.cli.session import Failed
from pms.config import load_settings
from pms.stack.logs import Tail, last_lines
from pms.stack.places import Places
from pms.stack.screen import Screen

LOOK_EVERY_S = 0.2


@click.command()
@click.argument("name", required=False)
@click.option("--follow", "-f", is_flag=True, help="Go on with what is written, until Ctrl-C.")
@click.option(
    "--lines", "-n", type=click.IntRange(min=0), default=20, show_default=True, help="Of each part."
)
def logs(name: str | None, follow: bool, lines: int) -> None:
    """Show the logs of one part, or of all."""
    places = Places.of(load_settings())
    names = sorted(path.stem for path in places.logs.glob("*.log")) if places.logs.is_dir() else []
    if name is not None and name not in names:
        known = f"there are {', '.join(names)}" if names else f"there are none in {places.logs} yet"
        raise Failed(f"there is no log of {name}: {known}")
    screen = Screen()
    chosen = [name] if name else names
    tails = {each: Tail.from_end(places.log_of(each)) for each in chosen}
    for each in chosen:
        for line in last_lines(places.log_of(each), lines) if lines else []:
            screen.log(each, line)
    with suppress(KeyboardInterrupt):
        while follow:
            for each, tail in tails.items():
                for line in tail.lines():
                    screen.log(each, line)
            time.sleep(LOOK_EVERY_S)
