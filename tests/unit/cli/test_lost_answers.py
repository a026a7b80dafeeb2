"""A lost answer: the line says how that very command is repeated, and names no option that it lacks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import click
import pytest
from click.testing import CliRunner
from redis.exceptions import ConnectionError, TimeoutError

from pms.cli import accounts, algo, funds, halt, limits, panic, position_mode, session, trade
from pms.cli.output import print_results
from pms.config import Settings


class Submitted(NamedTuple):
    kind: str = "new"
    result: None = None


class Alive:
    """A Redis that is there."""

    async def ping(self) -> bool:
        return True


class Cut:
    """Requests whose line is lost behind the submission, or in it."""

    def __init__(self, at: str) -> None:
        self._at = at
        self.ids: list[str] = []

    async def submit(self, command: str, fields: dict[str, Any], *, door: str) -> Submitted:
        self.ids.append(fields["requestId"])
        if self._at == "submit":
            raise TimeoutError("Timeout reading from socket")
        return Submitted()

    async def result(self, _request_id: str, *, timeout_s: float) -> bytes | None:
        raise ConnectionError("Connection closed by server.")


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
        return asyncio.run(work(session.Session(Settings(), Alive(), None)))  # type: ignore[arg-type]

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


@pytest.mark.parametrize("at", ["submit", "result"])
def test_a_line_that_is_lost_with_the_command_on_its_way_names_the_id(
    monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """Typed again without it the money would move twice."""
    requests = Cut(at)
    monkeypatch.setattr(session, "Requests", lambda *_, **__: requests)
    with pytest.raises(session.Undecided, match=r"the line to Redis was lost") as raised:
        asyncio.run(session.Session(Settings(), Alive(), None).send("pms.deposit", {}))  # type: ignore[arg-type]
    assert requests.ids[0] in raised.value.message
    assert raised.value.exit_code == 3


def test_where_redis_is_not_there_nothing_is_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    class Away(Alive):
        async def ping(self) -> bool:
            raise ConnectionError("Connection refused")

    requests = Cut("submit")
    monkeypatch.setattr(session, "Requests", lambda *_, **__: requests)
    with pytest.raises(ConnectionError):
        asyncio.run(session.Session(Settings(), Away(), None).send("pms.deposit", {}))  # type: ignore[arg-type]
    assert requests.ids == []


@pytest.mark.parametrize("address", ["tcp://:secret@x", "redis://:secret@h:99x/0"])
def test_an_address_that_is_none_is_told_without_its_password(address: str) -> None:
    with pytest.raises(session.Failed, match="PMS_REDIS_URL is no address") as raised:
        session.redis_of(Settings(redis_url=address), name="test")
    assert "secret" not in raised.value.message


@pytest.mark.parametrize("address", ["tcp://:secret@x", "redis://:secret@h:99x/0", None])
def test_panic_goes_on_without_a_redis(capsys: pytest.CaptureFixture[str], address: str | None) -> None:
    assert panic._redis(Settings(redis_url=address)) is None
    told = capsys.readouterr().err
    assert "secret" not in told
    assert ("trading is not halted" in told) is (address is not None)


def test_of_several_answers_all_are_shown_also_behind_a_refused_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answers = [{"success": False, "code": "X", "error": "no"}, {"success": True, "orderId": "second"}]
    with pytest.raises(click.exceptions.Exit):
        print_results(answers, as_json=False)
    told = capsys.readouterr()
    assert "second" in told.out
    assert "no" in told.err
