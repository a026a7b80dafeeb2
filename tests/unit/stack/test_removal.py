"""What is taken away: what we made, and what of a home stays is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pms.stack import removal
from pms.stack.errors import StackError
from pms.stack.places import Places


@pytest.fixture
def places(tmp_path: Path) -> Places:
    home = tmp_path / "home"
    for name in ("archive", "logs", "run"):
        (home / name).mkdir(parents=True)
        (home / name / "a file").write_text("x")
    return Places(home, tmp_path / "system", as_root=False)


def test_an_empty_home_goes(places: Places) -> None:
    assert removal.remove_home(places) == []
    assert not places.home.exists()


def test_what_only_its_owner_may_part_with_stays_and_is_told(places: Places) -> None:
    (places.home / "backups").mkdir()
    assert removal.remove_home(places) == [places.home / "backups"]
    assert not places.logs.exists()


def test_of_a_file_system_of_its_own_the_content_goes(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = places.home / "archive"
    (archive / "lost+found").mkdir()
    monkeypatch.setattr(Path, "is_mount", lambda path: path == archive)
    removal.remove_data(places)
    assert [path.name for path in archive.iterdir()] == ["lost+found"]


def test_only_our_own_locks_go(places: Places) -> None:
    for name in ("redis", "postgres", "servers", "poetry"):
        (places.home / f"{name}.lock").write_text("x")
    removal.remove_data(places)
    assert {path.name for path in places.home.glob("*.lock")} == {"poetry.lock", "servers.lock"}


def test_what_cannot_be_deleted_is_one_line(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(path: Path, *_: object, **__: object) -> None:
        raise OSError(16, os.strerror(16), str(path))

    monkeypatch.setattr(removal.shutil, "rmtree", busy)
    with pytest.raises(StackError, match=r"archive cannot be deleted: Device or resource busy"):
        removal.remove_data(places)
