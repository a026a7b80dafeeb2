"""`pms venue book`: a symbol's order book as a ladder, asks above, bids below."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from pms.cli.output import console
from pms.cli.venue_face import address, ask, url_option
from pms.contract.money import plain

LIMITS = (5, 10, 20, 50, 100, 500, 1000)
"""How many levels the exchange can be asked for."""

WIDTH = 80
"""A wider terminal gets no wider bars: sizes are to be compared, not admired."""

EIGHTHS = " ▏▎▍▌▋▊▉"
GAP = 2
Level = tuple[Decimal, Decimal]


@click.command()
@click.argument("symbol", type=str.upper)
@click.option(
    "--depth", type=click.IntRange(1, 1000), default=10, show_default=True, help="Levels of each side."
)
@url_option
@click.option("--watch", is_flag=True, help="Go on until Ctrl-C.")
@click.option(
    "--every", type=click.FloatRange(min=0.1), default=0.5, show_default=True, help="Seconds, with --watch."
)
def book(symbol: str, depth: int, url: str | None, *, watch: bool, every: float) -> None:
    """Show SYMBOL's order book at our own exchange."""
    base, screen = address(url), console()
    with suppress(KeyboardInterrupt):
        asyncio.run(_show(base, symbol, depth, screen=screen, every=every if watch else None))


async def _show(base: str, symbol: str, depth: int, *, screen: Console, every: float | None) -> None:
    width = min(WIDTH, screen.width)

    async def look() -> Text:
        limit = next(each for each in LIMITS if each >= depth)
        query = {"symbol": symbol, "limit": str(limit)}
        answer = await ask(base, "GET", "/fapi/v1/depth", query=query)
        return ladder(symbol, answer, depth=depth, width=width)

    if every is None:
        screen.print(await look())
        return
    with Live(await look(), console=screen, auto_refresh=False) as live:
        while True:
            await asyncio.sleep(every)
            live.update(await look(), refresh=True)


def ladder(symbol: str, answer: dict[str, Any], *, depth: int, width: int) -> Text:
    """The book as lines that fit the width; prices and sizes padded as the exchange does."""
    bids, asks = answer["bids"][:depth], answer["asks"][:depth]
    levels = [*bids, *asks]
    totals = [_running(side) for side in (bids, asks)]
    columns = [
        max([len(title), *(len(text) for text in texts)])
        for title, texts in (
            ("price", [price for price, _ in levels]),
            ("quantity", [quantity for _, quantity in levels]),
            ("total", [f"{total:f}" for side in totals for total in side]),
        )
    ]
    room = width - sum(columns) - GAP * len(columns)
    most = max((Decimal(quantity) for _, quantity in levels), default=Decimal(1))

    def row(price: str, quantity: str, total: str, rest: str = "") -> str:
        cells = (text.rjust(wide) for text, wide in zip((price, quantity, total), columns, strict=True))
        return (" " * GAP).join((*cells, rest)).rstrip() + "\n"

    shown = Text(no_wrap=True)
    shown.append(row("price", "quantity", "total", symbol), style="bold")
    for (price, quantity), total in reversed(list(zip(asks, totals[1], strict=True))):
        shown.append(row(price, quantity, f"{total:f}", _bar(Decimal(quantity) / most, room)), style="red")
    shown.append(_between(bids, asks, width) + "\n", style="dim")
    for (price, quantity), total in zip(bids, totals[0], strict=True):
        shown.append(row(price, quantity, f"{total:f}", _bar(Decimal(quantity) / most, room)), style="green")
    shown.rstrip()
    return shown


def _running(side: Sequence[tuple[str, str]]) -> list[Decimal]:
    """What a market order would get down to each level."""
    total, found = Decimal(0), []
    for _, quantity in side:
        total += Decimal(quantity)
        found.append(total)
    return found


def _between(bids: Sequence[tuple[str, str]], asks: Sequence[tuple[str, str]], width: int) -> str:
    if not bids or not asks:
        empty = " and ".join(name for name, side in (("bids", bids), ("asks", asks)) if not side)
        return f"── no {empty} ".ljust(width, "─")
    bid, ask = Decimal(bids[0][0]), Decimal(asks[0][0])
    points = ((ask - bid) * 20_000 / (ask + bid)).quantize(Decimal("0.001"))
    return f"── spread {plain(ask - bid)} ({plain(points)} bp) ── mid {plain((bid + ask) / 2)} ".ljust(
        width, "─"
    )


def _bar(share: Decimal, room: int) -> str:
    """A bar in eighths of a cell; whatever is not nothing is seen."""
    whole, part = divmod(max(1, int(share * room * 8)), 8)
    return "█" * whole + EIGHTHS[part].strip()
