"""A lost answer: the line says how that very command is repeated, and names no option that it lacks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import click
import pytest
from click.testing import CliRunner

from pms.cli import accounts, algo, funds, halt, limits, position_mode, session, trade
from pms.config import Settings


class Submitted(NamedTuple):
    kind: str = "new"
    result: None = None


class Silent:
    """Requests that nobody answers, but those that are named."""

    def __init__(self, answered: set[str]) -> None:
        self.answered, self.ids, self._last = answered, [], ""

    async def submit(self, command: str, fields: dict[str, Any], *, door: str) -> Submitted:
        self.ids.append(fields["requestId"])
        self._last = command
        return Submitted()

    async def result(self, _request_id: str, *, timeout_s: float) -> bytes | None:
        return b'{"success":true}' if self._last in self.answered else None


def said(
    monkeypatch: pytest.MonkeyPatch, command: click.Command, *words: str, answered: set[str] | None = None
) -> tuple[str, Silent]:
    requests = Silent(answered or set())
    monkeypatch.setattr(session, "Requests", lambda *_, **__: requests)

    def run(work: Callable[[session.Session], Awaitable[Any]]) -> Any:
        return asyncio.run(work(session.Session(Settings(), None, None)))  # type: ignore[arg-type]

    for module in (accounts, algo, funds, halt, limits, position_mode, trade):
        monkeypatch.setattr(module, "run", run)
    shown = CliRunner().invoke(command, words)
    assert shown.exit_code == 3, shown.output
    assert "nobody answered" in shown.stderr
    return shown.stderr, requests


def test_a_command_with_the_option_is_repeated_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    told, requests = said(monkeypatch, accounts.fund, "alice", "5")
    assert f"Repeat with --request-id {requests.ids[0]}, never without" in told


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (trade.cancel, ("--all",)),
        (trade.close, ("--all",)),
        (accounts.freeze, ("alice",)),
        (accounts.create, ("alice",)),
    ],
)
def test_a_command_without_the_option_may_be_typed_again(
    monkeypatch: pytest.MonkeyPatch, command: click.Command, words: tuple[str, ...]
) -> None:
    told, _ = said(monkeypatch, command, *words)
    assert "--request-id" not in told
    assert "may be typed again" in told


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (algo.algo, ("cancel", "0" * 36)),
        (algo.algo, ("pause", "0" * 36)),
        (algo.algo, ("resume", "0" * 36)),
        (halt.resume, ("--reason", "over")),
        (limits.limits, ("set", "*", "orders.open", "5", "--reason", "r")),
        (limits.limits, ("unset", "*", "orders.open", "--reason", "r")),
        (limits.limits, ("group", "alice", "g", "--reason", "r")),
    ],
)
def test_what_means_another_thing_when_it_is_typed_again_takes_its_request_id(
    monkeypatch: pytest.MonkeyPatch, command: click.Command, words: tuple[str, ...]
) -> None:
    told, requests = said(monkeypatch, command, *words)
    assert f"Repeat with --request-id {requests.ids[0]}, never without" in told
    _, again = said(monkeypatch, command, *words, "--request-id", requests.ids[0])
    assert again.ids == [requests.ids[0]]


def test_the_money_of_a_new_account_is_repeated_by_its_own_command(monkeypatch: pytest.MonkeyPatch) -> None:
    told, requests = said(
        monkeypatch, accounts.create, "alice", "--fund", "5", answered={"pms.create_account"}
    )
    assert f"`pms accounts fund alice 5 --request-id {requests.ids[1]}`" in told
