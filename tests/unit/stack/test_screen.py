"""What the terminal gets: 80 columns, the LIVE line, no escape codes where none are wanted."""

from __future__ import annotations

import io
import sys

import pytest

from pms.config import Settings
from pms.stack import state
from pms.stack.screen import Screen, live_line

PARTS = [
    state.Part("redis", "/run/pms/0a1b2c3d/redis.sock", "ready"),
    state.Part("postgres", "/very/" + "long/" * 30 + "address", "external"),
    state.Part("worker-schedule", "queue schedule", "restarting"),
]


def test_the_table_fits_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().table(PARTS)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(PARTS)
    assert max(map(len, lines)) <= 80


def test_no_colour_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def shown() -> str:
        monkeypatch.setattr(sys, "stdout", terminal := Terminal())
        Screen().log("redis", "ready")
        return terminal.getvalue()

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" in shown()
    monkeypatch.setenv("NO_COLOR", "1")
    assert "redis          │ ready\n" in shown()


def test_a_log_line_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().log("venue", "\x1b[2J\x1b]0;title\x07[bold]plain[/bold]")
    assert "\x1b" not in (said := capsys.readouterr().out)
    assert "[bold]plain[/bold]" in said


def test_a_terminal_that_went_away_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(sys, "stdout", Gone())
    screen = Screen()
    screen.say("stopping")
    screen.table(PARTS)


@pytest.mark.parametrize(
    ("url", "live", "said"),
    [
        ("http://127.0.0.1:9001", "", None),
        ("https://fapi.binance.com", "", "every order is refused until PMS_LIVE=yes-real-money"),
        ("https://fapi.binance.com", "yes-real-money", "orders move real money"),
    ],
)
def test_real_money_is_said_aloud(url: str, live: str, said: str | None) -> None:
    line = live_line(Settings(binance_rest_url=url, live=live))
    assert line is None if said is None else line is not None and said in line
