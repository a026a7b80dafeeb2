"""How a benchmark fills its fifty seconds, and how it tells what it found."""

from __future__ import annotations

from benchmarks.samples import turns
from pms.cli.bench import table


def test_turns_are_as_many_as_wanted_while_there_is_time() -> None:
    instants = iter([0, 5, 5, 10, 10, 15])
    assert list(turns(3, lambda: next(instants), within_s=16)) == [1, 2, 3]


def test_no_turn_begins_that_would_end_too_late_if_it_took_as_long_as_the_longest() -> None:
    instants = iter([0, 5, 5, 6, 6])
    assert list(turns(3, lambda: next(instants), within_s=10)) == [1, 2]


def test_one_turn_is_always_taken() -> None:
    instants = iter([60, 65, 65])
    assert list(turns(3, lambda: next(instants), within_s=46)) == [1]


def test_the_table_gives_every_peer_a_row() -> None:
    figures = {"rate": 30000, "peers": {"ccxt": {"version": "4", "rate": None, "reason": "not installed"}}}
    assert table(figures) == [
        ("rate", "30000"),
        ("peers.ccxt", "version 4, rate None, reason not installed"),
    ]
