"""The constants that the JS reference client repeats are those of the contract."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pms.bus.requests import DEFAULT_TTL_MS
from pms.contract import names
from pms.contract.commands import TTL_RANGE_MS

SOURCE = (Path(__file__).parents[3] / "gateway" / "pms.mjs").read_text()


@pytest.mark.parametrize(
    ("name", "queue"), [("URGENT", names.Queue.URGENT), ("ORDINARY", names.Queue.COMMANDS)]
)
def test_the_same_commands_wake_a_worker(name: str, queue: str) -> None:
    [listed] = re.findall(rf"{name} = new Set\(\[(.*?)\]\)", SOURCE, re.DOTALL)
    woken = {task for task, its in names.COMMAND_QUEUE.items() if its == queue}
    assert set(re.findall(r"'([^']+)'", listed)) == woken


def test_times_are_the_same() -> None:
    assert f"RECORD_KEPT_S = {names.REQUEST_TTL_S:_};" in SOURCE
    least, most = TTL_RANGE_MS
    assert f"TTL_MS = {{ default: {DEFAULT_TTL_MS:_}, least: {least}, most: {most:_} }};" in SOURCE


def test_the_events_that_are_kept_are_as_many() -> None:
    assert f"EVENTS_KEPT = {names.EVENTS_KEPT:_};" in SOURCE


def test_names_are_the_same() -> None:
    for name in (names.OPEN_REQUESTS, names.INBOX, names.EVENTS_STREAM, names.event_channel("*")):
        assert f"'{name}'" in SOURCE
    for key in (names.request_key("${requestId}"), names.result_key("${requestId}")):
        assert f"`{key}`" in SOURCE


def test_the_lock_names_no_registry() -> None:
    lock = (Path(__file__).parents[3] / "gateway" / "package-lock.json").read_text()
    assert '"resolved"' not in lock
