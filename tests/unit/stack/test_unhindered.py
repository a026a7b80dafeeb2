"""Whoever supervises never waits for a terminal."""

from __future__ import annotations

import os
import pty
import sys
import termios
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from pms.stack.screen import Screen
from pms.stack.unhindered import unhindered

MANY = 4_000
"""Lines; more than any terminal or pipe takes unread."""


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    yield ours, theirs
    os.close(ours)
    os.close(theirs)


def drained(descriptor: int) -> str:
    os.set_blocking(descriptor, False)
    found = b""
    try:
        while chunk := os.read(descriptor, 65_536):
            found += chunk
    except BlockingIOError:
        pass
    return found.decode()


def test_a_terminal_that_nobody_reads_stops_nobody(
    terminal: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = terminal
    with os.fdopen(os.dup(theirs), "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        screen = Screen()
        for number in range(MANY):
            screen.say(f"line {number} of many, and some more words in it")
        assert "line 0 of many" in drained(ours)
        screen.say("the last one")
    said = drained(ours)
    assert "lines left out: the terminal stood still)" in said
    assert said.endswith("the last one\n")


def test_a_paused_terminal_stops_nobody(terminal: tuple[int, int]) -> None:
    ours, theirs = terminal
    with os.fdopen(os.dup(theirs), "w") as stream:
        screen = unhindered(stream)
        termios.tcflow(theirs, termios.TCOOFF)
        assert screen.write("while it is paused\n") == 19
        termios.tcflow(theirs, termios.TCOON)
        screen.write("again\n")
    assert drained(ours) == "\n(1 line left out: the terminal stood still)\nagain\n"


def test_a_pager_that_nobody_turns_stops_nobody() -> None:
    ours, theirs = os.pipe()
    with os.fdopen(theirs, "w") as stream:
        screen = unhindered(stream)
        for number in range(MANY):
            screen.write(f"line {number} of many, and some more words in it\n")
        assert drained(ours).startswith("line 0 of many")
    os.close(ours)


def test_a_file_takes_everything(tmp_path: Path) -> None:
    with (tmp_path / "up.log").open("a") as stream:
        assert unhindered(stream) is stream
