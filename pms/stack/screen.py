"""What `pms up` shows: progress, one table, then everybody's logs, a colour for each part."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from contextlib import suppress

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pms.config import LIVE_PHRASE, Settings
from pms.stack import state
from pms.stack.unhindered import unhindered

WIDTH = 80
COLOURS = (
    *("cyan", "green", "magenta", "yellow", "blue", "bright_cyan", "bright_green"),
    *("bright_magenta", "bright_yellow", "bright_blue", "orange3", "turquoise2", "orchid"),
)
_STATE_COLOURS = {"ready": "green", "external": "green", "failed": "red", "restarting": "yellow"}


class Screen:
    """The terminal; once it is gone, as when its window was closed, nothing is shown and nothing fails.

    Nobody ever waits for it: while it stands still lines are left out.
    """

    def __init__(self) -> None:
        self._console = Console(file=unhindered(sys.stdout), highlight=False, markup=False, emoji=False)
        self._colours: dict[str, str] = {}

    def say(self, text: str, style: str = "") -> None:
        """One line."""
        self._safely(lambda: self._console.print(Text(text, style=style), soft_wrap=True))

    def step(self, name: str, done: str, seconds: float) -> None:
        """One part that came up."""
        self.say(f"  ✓ {name:<16} {done} ({seconds:.1f} s)")

    def log(self, name: str, line: str) -> None:
        """One line of a part's log; an unreadable control character does not reach the terminal."""
        colour = self._colours.setdefault(name, COLOURS[len(self._colours) % len(COLOURS)])
        text = Text(f"{name:<15}│ ", style=colour)
        text.append(Text.from_ansi(line).plain, style="default")
        self._safely(lambda: self._console.print(text, soft_wrap=True))

    def table(self, parts: Iterable[state.Part]) -> None:
        """Part, address, state."""
        table = Table(box=None, pad_edge=False, header_style="bold", width=WIDTH)
        table.add_column("part", no_wrap=True, width=15)
        table.add_column("address", no_wrap=True, overflow="ellipsis", ratio=1)
        table.add_column("state", no_wrap=True, width=10)
        for part in parts:
            table.add_row(part.name, part.address, Text(part.state, style=_STATE_COLOURS.get(part.state, "")))
        self._safely(lambda: self._console.print(table))

    def live(self, settings: Settings) -> None:
        """The red line that real money must not be without."""
        if line := live_line(settings):
            self.say(line, style="bold white on red")

    def _safely(self, show: Callable[[], None]) -> None:
        with suppress(OSError, ValueError):
            show()


def live_line(settings: Settings) -> str | None:
    """What to say when the exchange is not on this machine; None on loopback."""
    if not settings.real_money:
        return None
    if settings.orders_allowed:
        return f"LIVE  {settings.binance_rest_url}: orders move real money"
    return f"LIVE  {settings.binance_rest_url}: every order is refused until PMS_LIVE={LIVE_PHRASE}"
