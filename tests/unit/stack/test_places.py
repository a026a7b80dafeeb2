"""Paths: short sockets from anywhere, one home for every command, private files."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from dotenv import dotenv_values
from hypothesis import given
from hypothesis import strategies as st

from pms.config import CHECKOUT, ConfigError, Settings, default_home, load_settings
from pms.stack.errors import StackError
from pms.stack.places import Places
from pms.stack.secrets import load_or_make, write_private
from pms.stack.servers.embedded import SOCKET_PATH_LIMIT, checked_socket


@pytest.mark.parametrize("as_root", [True, False])
@given(name=st.text("abcdefgh/_-é", min_size=1, max_size=300))
def test_sockets_are_short_however_deep_the_home_lies(as_root: bool, name: str) -> None:
    places = Places(Path("/") / name.strip("/"), Path("/var/lib/pms"), as_root)
    for socket in (places.runtime / "redis.sock", places.postgres_runtime / ".s.PGSQL.5432.lock"):
        assert len(bytes(checked_socket(socket))) <= SOCKET_PATH_LIMIT


def test_two_homes_share_nothing() -> None:
    one, two = (Places(Path(home), Path("/var/lib/pms"), as_root=True) for home in ("/a", "/b"))
    assert one.runtime != two.runtime
    assert one.postgres_data != two.postgres_data


@pytest.mark.parametrize("theirs", ["redis", "archive", "secrets.env"])
def test_a_home_that_another_user_runs_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, theirs: str
) -> None:
    """Root would look for the ledger elsewhere, and leave files that its owner cannot write."""
    (tmp_path / theirs).mkdir()
    uid = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: uid + 1)
    monkeypatch.setattr(os, "access", lambda *_: True)
    with pytest.raises(StackError, match=r"is run by user .*: do this as that user"):
        Places(tmp_path, Path("/var/lib/pms"), as_root=False).make()


def test_the_home_is_the_checkouts_wherever_the_command_is_typed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_home() == CHECKOUT / ".pms"


def test_a_relative_home_becomes_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PMS_HOME", "here")
    assert load_settings().home == tmp_path / "here"


def test_a_misspelt_variable_is_named_with_the_one_that_was_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PMS_REDIS_ULR", "redis://x")
    with pytest.raises(ConfigError, match=r"PMS_REDIS_ULR is not a variable.*PMS_REDIS_URL"):
        load_settings()


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("PMS_VENUE_PORT", "99999", "PMS_VENUE_PORT .*65535"),
        ("PMS_APPENDFSYNC", "no", "PMS_APPENDFSYNC .*'always' or 'everysec'"),
        ("PMS_REDIS_URL", "localhost:6379", "PMS_REDIS_URL is not an address"),
        ("PMS_LOG_LEVEL", "chatty", "PMS_LOG_LEVEL .*'DEBUG'"),
    ],
)
def test_a_wrong_value_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError, match=said):
        load_settings()


def test_every_variable_is_described() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_secrets_are_made_once_and_only_the_owner_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "secrets.env"
    first, again = load_or_make(path), load_or_make(path)
    assert (first.new, again.new) == (True, False)
    assert first.api_secret == again.api_secret
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert first.api_secret.get_secret_value() not in repr(first)
    path.chmod(0o644)
    with pytest.raises(StackError, match=f"chmod 600 {path}"):
        load_or_make(path)


@given(value=st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=40))
def test_what_is_written_is_what_is_read_back(tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    path = tmp_path_factory.mktemp("env") / "stack.env"
    write_private(path, {"PMS_REDIS_URL": value})
    assert dotenv_values(path, interpolate=False) == {"PMS_REDIS_URL": value}


def test_a_second_terminal_reads_what_was_written_and_not_what_it_could_stand_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "postgresql://u:pa${HOME}ss@h/db"
    (tmp_path / "run").mkdir()
    write_private(
        tmp_path / "run" / "stack.env",
        {"PMS_DATABASE_URL": address, "PMS_REDIS_URL": "redis://there/0", "PMS_DEAD_MAN_S": "77"},
    )
    monkeypatch.setenv("PMS_HOME", str(tmp_path))
    monkeypatch.delenv("PMS_DATABASE_URL", raising=False)
    monkeypatch.delenv("PMS_DEAD_MAN_S", raising=False)
    monkeypatch.setenv("pms_redis_url", "redis://here/0")
    found = load_settings()
    assert (found.database_url, found.dead_man_s) == (address, 77)
    assert found.redis_url == "redis://here/0", "the environment comes first, however it is spelt"
