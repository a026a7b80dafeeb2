"""Whom PostgreSQL runs as: a user of its own for root, ourselves otherwise, and never a person."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from pathlib import Path

import pytest

from pms.stack.errors import StackError
from pms.stack.servers import identity


def entry(shell: str) -> pwd.struct_passwd:
    return pwd.struct_passwd(("pms", "x", 999, 998, "", "/", shell))


def nobody_known(_key: object) -> pwd.struct_passwd:
    raise KeyError


def known(shell: str) -> Callable[[object], pwd.struct_passwd]:
    return lambda _key: entry(shell)


def test_an_ordinary_user_runs_it_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(pwd, "getpwuid", known("/bin/bash"))
    assert identity.server_identity(Path("/nowhere")) is None


def test_a_bare_user_id_is_one_line_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    monkeypatch.setattr(pwd, "getpwuid", nobody_known)
    with pytest.raises(StackError, match=r"4242 has no name.*useradd --uid 4242.*PMS_DATABASE_URL"):
        identity.server_identity(Path("/nowhere"))


def test_root_takes_the_dedicated_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(pwd, "getpwnam", known("/usr/sbin/nologin"))
    assert identity.server_identity(Path("/nowhere")) == identity.Identity("pms", 999, 998)


def test_a_person_of_that_name_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(pwd, "getpwnam", known("/bin/bash"))
    with pytest.raises(StackError, match="the user pms can log in"):
        identity.server_identity(Path("/nowhere"))


def test_only_what_we_marked_is_ours_to_remove(tmp_path: Path) -> None:
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    theirs.mkdir()
    for directory in (theirs, ours):
        identity.make_system_dir(directory)
    assert not identity.made_by_us(theirs)
    assert identity.made_by_us(ours)
    assert not identity.user_made_by_us(ours), "a user that was there before stays"
