"""Which parts are started: what is external has nothing embedded in its place; each fault is one line."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pms.config import LIVE_PHRASE, ConfigError, Settings, load_settings
from pms.stack import belonging, external
from pms.stack.checks import examine
from pms.stack.errors import StackError
from pms.stack.places import Places
from pms.stack.plan import Plan, make_plan
from pms.stack.ports import claim
from pms.stack.removal import remove_data
from pms.stack.secrets import write_private


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PMS_HOME", str(tmp_path))
    monkeypatch.setenv("PMS_VENUE_PORT", "0")
    monkeypatch.setenv("PMS_FLOWER_PORT", "0")


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def plan() -> Plan:
    settings = load_settings(of_running_stack=False)
    return make_plan(settings, Places.of(settings))


def names(found: Plan) -> set[str]:
    return {part.name for part in found.parts}


def test_with_nothing_external_every_part_is_ours() -> None:
    found = plan()
    assert names(found) == {
        *("redis", "postgres", "venue", "streamer", "beat", "bridge", "watchdog", "flower"),
        *(f"worker-{role}" for role in ("orders", "urgent", "ledger", "schedule", "recon")),
    }
    assert found.external == ()
    assert found.addresses["PMS_BINANCE_REST_URL"].startswith("http://127.0.0.1:")


def test_no_secret_stands_on_a_command_line() -> None:
    found = plan()
    secrets = (found.secrets.api_secret, found.secrets.flower_password)
    for part in found.parts:
        command = " ".join(getattr(part, "command", ()))
        assert not any(secret.get_secret_value() in command for secret in secrets)


def test_an_external_redis_and_database_are_used_and_none_of_ours_starts(
    monkeypatch: pytest.MonkeyPatch, redis_url: str, database_url: str
) -> None:
    monkeypatch.setenv("PMS_REDIS_URL", redis_url)
    monkeypatch.setenv("PMS_DATABASE_URL", database_url)
    found = plan()
    assert not names(found) & {"redis", "postgres"}
    assert [(part.name, part.state) for part in found.external] == [
        ("redis", "external"),
        ("postgres", "external"),
    ]
    assert found.addresses["PMS_REDIS_URL"] == redis_url


def test_another_terminal_is_told_what_is_so_but_not_the_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(external, "exchange_time", lambda _: 0)
    for name, value in (
        ("PMS_BINANCE_REST_URL", "https://exchange.example"),
        ("PMS_BINANCE_WS_URL", "wss://exchange.example"),
        ("PMS_BINANCE_API_KEY", "visible"),
        ("PMS_BINANCE_API_SECRET", "hush"),
        ("PMS_LIVE", LIVE_PHRASE),
        ("PMS_SYMBOLS", "SOLUSDT"),
        ("PMS_DEAD_MAN_S", "30"),
    ):
        monkeypatch.setenv(name, value)
    left = plan().for_other_terminals()
    assert not {"visible", "hush"} & set(left.values())
    for name in left:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("PMS_BINANCE_API_KEY")
    monkeypatch.delenv("PMS_BINANCE_API_SECRET")
    (tmp_path / "run").mkdir()
    write_private(tmp_path / "run" / "stack.env", left)
    there = load_settings()
    assert there.real_money
    assert there.orders_allowed
    assert (there.symbol_list, there.dead_man_s) == (["SOLUSDT"], 30)
    assert there.binance_api_key is None


@pytest.mark.parametrize(
    ("variable", "address", "said"),
    [
        (
            "PMS_REDIS_URL",
            "redis://:hush@127.0.0.1:{port}/0",
            "PMS_REDIS_URL redis://127.0.0.1:.* does not answer",
        ),
        (
            "PMS_DATABASE_URL",
            "postgresql://u:hush@127.0.0.1:{port}/d",
            "PMS_DATABASE_URL u@127.0.0.1:.* not answer",
        ),
        (
            "PMS_DATABASE_URL",
            "postgresql+psycopg://u:hush@127.0.0.1:{port}/d",
            "PMS_DATABASE_URL u@127.0.0.1:.* not answer: connection",
        ),
        (
            "PMS_DATABASE_URL",
            "postgresql://u:s%zzhush@127.0.0.1:{port}/d",
            "PMS_DATABASE_URL: .* cannot be read",
        ),
        ("PMS_DATABASE_URL", "postgresql://u:5/hush@127.0.0.1:{port}/d", "PMS_DATABASE_URL: .* %40"),
        ("PMS_REDIS_URL", "redis://:s3/hush@127.0.0.1:{port}/0", "PMS_REDIS_URL cannot be read"),
        ("PMS_REDIS_URL", "redis://:3/hush@127.0.0.1:{port}/0", "PMS_REDIS_URL cannot be read"),
        ("PMS_REDIS_URL", "redis://:s[hush@127.0.0.1:{port}/0", "PMS_REDIS_URL cannot be read"),
        ("PMS_REDIS_URL", "unix://:s/hush@/run/{port}.sock", "PMS_REDIS_URL cannot be read"),
        ("PMS_REDIS_URL", "redis://:hush@127.0.0.1:{port}/0?nooption=1", "PMS_REDIS_URL .*'nooption'"),
        ("PMS_BINANCE_REST_URL", "http://127.0.0.1:{port}", "PMS_BINANCE_REST_URL .* does not answer"),
    ],
)
def test_an_unreachable_part_is_one_line_with_its_variable_and_no_secret(
    monkeypatch: pytest.MonkeyPatch, variable: str, address: str, said: str
) -> None:
    monkeypatch.setenv(variable, address.format(port=claim("none", 0)))
    if variable == "PMS_BINANCE_REST_URL":
        for name, value in (("WS_URL", "ws://127.0.0.1:9"), ("API_KEY", "k"), ("API_SECRET", "hush")):
            monkeypatch.setenv(f"PMS_BINANCE_{name}", value)
    with pytest.raises(StackError, match=said) as caught:
        plan()
    assert "hush" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_exchange_without_its_key_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PMS_BINANCE_REST_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("PMS_BINANCE_WS_URL", "ws://127.0.0.1:9")
    with pytest.raises(ConfigError, match="PMS_BINANCE_API_KEY is not set"):
        plan()


@pytest.mark.parametrize("variable", ["WS_URL", "API_KEY", "API_SECRET"])
def test_what_belongs_to_an_exchange_that_is_not_named_is_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """Our own would be started with a real one's key, and the key be written to disk."""
    monkeypatch.setenv(f"PMS_BINANCE_{variable}", "ws://hush")
    with pytest.raises(
        ConfigError, match=f"PMS_BINANCE_{variable} is set, and PMS_BINANCE_REST_URL is not"
    ) as it:
        plan()
    assert "hush" not in str(it.value)


def real(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setattr(external, "exchange_time", lambda _: 0)
    for name, value in (
        ("REST_URL", f"https://{host}"),
        ("WS_URL", f"wss://{host}"),
        ("API_KEY", "k"),
        ("API_SECRET", "hush"),
    ):
        monkeypatch.setenv(f"PMS_BINANCE_{name}", value)


def test_books_are_of_one_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    """A forgotten variable must not write made-up trades into real books, nor real ones into play money's."""
    ours = plan()
    belonging.note(ours.settings, ours.places)
    plan()
    real(monkeypatch, "fapi.example:443")
    with pytest.raises(StackError, match=r"of fapi\.example, and the books in .* are of our own exchange"):
        plan()
    ours.places.exchange.unlink()
    belonging.note(load_settings(of_running_stack=False), ours.places)
    plan()
    monkeypatch.setenv("PMS_BINANCE_REST_URL", "https://testnet.example")
    with pytest.raises(StackError, match=r"of testnet\.example, and the books in .* are of fapi\.example"):
        plan()
    for name in ("REST_URL", "WS_URL", "API_KEY", "API_SECRET"):
        monkeypatch.delenv(f"PMS_BINANCE_{name}")
    with pytest.raises(StackError, match=r"REST_URL is not set, and the books in .* are of fapi\.example"):
        plan()
    remove_data(ours.places)
    plan()


@pytest.mark.parametrize("variable", ["PMS_VENUE_PORT", "PMS_FLOWER_PORT"])
def test_a_taken_port_is_one_line_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, taken_port: int
) -> None:
    monkeypatch.setenv(variable, str(taken_port))
    with pytest.raises(StackError, match=f"port {taken_port} .* taken .* set {variable}"):
        plan()


def test_the_doctor_says_what_is_wrong_and_what_to_do(
    redis_url: str, database_url: str, tmp_path: Path
) -> None:
    settings = Settings(redis_url=redis_url, database_url=database_url, home=tmp_path)
    findings = list(examine(settings, Places.of(settings)))
    by_text = {finding.what: finding for finding in findings}
    assert any(text.startswith("PostgreSQL 18 answers; migrations at") for text in by_text)
    # The tests' own database trades safety for speed, and the doctor sees it.
    assert "fsync = on" in by_text["PostgreSQL runs with fsync off"].todo
    assert by_text["append-only file on"].level == "ok"
    assert by_text["the system does not run"].todo == "pms up"


def test_the_doctor_outlives_what_it_examines(tmp_path: Path) -> None:
    settings = Settings(redis_url=f"redis://127.0.0.1:{claim('none', 0)}", home=tmp_path)
    findings = list(examine(settings, Places.of(settings)))
    assert any(finding.level == "fail" and "PMS_REDIS_URL" in finding.what for finding in findings)
    assert any(finding.what.startswith("port ") for finding in findings), "it went on after that"
