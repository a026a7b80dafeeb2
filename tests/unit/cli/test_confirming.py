"""Who a command says it was: whoever types, also where the machine has no name for them."""

from __future__ import annotations

import getpass
import os
import socket

import pytest

from pms.cli.confirming import LONGEST, actor


def test_a_person_without_a_name_is_told_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert actor() == f"{os.getuid()}@{socket.gethostname()}"[:LONGEST]


def test_a_long_name_is_cut_to_what_a_command_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "u" * 200)
    assert len(actor()) == LONGEST == 80
