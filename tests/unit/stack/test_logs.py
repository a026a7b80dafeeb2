"""Logs: followed without a line lost or cut in two, and never larger than their limit allows."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pms.stack.logs import KEPT, Tail, cut, last_lines


@given(pieces=st.lists(st.text("ab\né", max_size=12), max_size=12))
def test_a_follower_sees_each_whole_line_once(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[str]
) -> None:
    path = tmp_path_factory.mktemp("log") / "part.log"
    tail, seen = Tail.from_end(path), []
    for piece in pieces:
        with path.open("ab") as file:
            file.write(piece.encode())
        seen += list(tail.lines())
    assert seen == "".join(pieces).split("\n")[:-1]


def test_a_follower_goes_on_after_a_cut(tmp_path: Path) -> None:
    path = tmp_path / "part.log"
    with path.open("ab", buffering=0) as writer:
        tail = Tail.from_end(path)
        writer.write(b"one two three\n")
        assert list(tail.lines()) == ["one two three"]
        assert cut(path, most_bytes=5)
        writer.write(b"four\n")
        assert list(tail.lines()) == ["four"]
    assert path.read_bytes() == b"four\n", "the writer appends: no hole before its line"


def test_old_logs_are_kept_to_a_number(tmp_path: Path) -> None:
    path = tmp_path / "part.log"
    for turn in range(KEPT + 3):
        path.write_text(f"turn {turn}\n")
        assert cut(path, most_bytes=0)
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "part.log",
        *(f"part.log.{number}" for number in range(1, KEPT + 1)),
    ]
    assert (tmp_path / "part.log.1").read_text() == f"turn {KEPT + 2}\n"


def test_a_small_log_stays(tmp_path: Path) -> None:
    path = tmp_path / "part.log"
    assert not cut(path)
    path.write_text("a\nb\n")
    assert not cut(path)
    assert last_lines(path, 1) == ["b"]
    assert last_lines(tmp_path / "none.log", 5) == []


def test_a_follower_goes_on_behind_a_removed_log(tmp_path: Path) -> None:
    path = tmp_path / "part.log"
    tail = Tail.from_end(path)
    path.write_text("one\ntwo and a half")
    assert list(tail.lines()) == ["one"]
    path.unlink()
    assert list(tail.lines()) == []
    assert list(tail.lines()) == []
    path.write_text("a longer line than all before\n")
    assert list(tail.lines()) == ["a longer line than all before"]


def test_a_log_is_emptied_even_where_no_copy_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes()[:2])
        raise OSError(28, "No space left on device")

    path = tmp_path / "part.log"
    path.write_text("one two three\n")
    monkeypatch.setattr(shutil, "copyfile", half)
    assert cut(path, most_bytes=5)
    assert [each.name for each in tmp_path.iterdir()] == ["part.log"]
    assert path.read_text() == ""
