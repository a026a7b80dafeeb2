"""What a start says on stderr while it reads."""

from __future__ import annotations

from io import StringIO

from pms.venue.store.progress import MIB, Progress


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def said(stream: StringIO, steps: int) -> str:
    """Ten MiB, one a step of half a second."""
    now = [0.0]
    progress = Progress(stream, lambda: now[0])
    progress.begin(10 * MIB)
    for _ in range(steps):
        now[0] += 0.5
        progress.step(MIB)
    progress.end()
    return stream.getvalue()


def test_a_log_gets_a_line_every_few_seconds_and_the_end() -> None:
    lines = said(StringIO(), 10).splitlines()
    assert lines == [
        "venue reads its journal: 6 of 10 MiB, 60 %, 3 s",
        "venue reads its journal: 10 of 10 MiB, 100 %, 5 s",
    ]


def test_a_terminal_has_one_line_that_is_rewritten() -> None:
    text = said(Terminal(), 4)
    assert text.count("\n") == 1
    assert text.endswith("40 %, 2 s\x1b[K\n")
    assert [part[25:34] for part in text.split("\r")[1:]] == ["1 of 10 M", "2 of 10 M", "3 of 10 M"] + 2 * [
        "4 of 10 M"
    ]


def test_a_short_start_says_nothing() -> None:
    assert said(StringIO(), 5) == ""
