"""A process that dies on any line of a cut leaves a directory that starts to the same state."""

from __future__ import annotations

import gzip
import inspect
import os
import pickle
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from decimal import Decimal as D
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

import msgspec
import pytest
from test_venue_store import BTC, Kept, bare
from venue_world import NAMES, START, act

from pms.venue.errors import VenueError
from pms.venue.exchange import Exchange
from pms.venue.history import KEPT_MS
from pms.venue.journal import JournalError
from pms.venue.matching import BUY, SELL, PriceMatch, SelfTrade
from pms.venue.state import LONG
from pms.venue.store import history_file
from pms.venue.store.compaction import compact
from pms.venue.store.files import StateDirectory

TRACED = ("journal.py", "store/files.py", "store/snapshot.py", "store/compaction.py", "store/history_file.py")
LATER = 10 * KEPT_MS
Point = tuple[str, int, int]


@pytest.fixture(autouse=True, scope="module")
def nothing_is_synced() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        patch.setattr(os, "fdatasync", lambda _: None)
        patch.setattr(history_file, "DURABLE", "OFF")
        yield


def trade(world: Kept, random: Random, steps: int) -> None:
    for number in range(steps):
        step: tuple[Any, ...] = ("cancel", random.choice(NAMES), random.randrange(3))
        if random.random() < 0.7:
            side, price = random.choice((BUY, SELL)), START + random.randint(-4, 4)
            lots = random.randint(2, 9)
            step = ("place", random.choice(NAMES), side, price, lots, "GTC", False)
            step += (SelfTrade.NONE, PriceMatch.NONE, LONG)
        with suppress(VenueError):
            act(world, number, step)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with two snapshots, three closed segments that are needed, and a tail."""
    root = tmp_path_factory.mktemp("template") / "state"
    world, random = Kept(root), Random(7)
    for name in NAMES:
        world.exchange.open_account(name, D(1_000_000))
    for compacted in (True, True, False):
        trade(world, random, 12)
        world.cut() if compacted else world.journal.cut()
    trade(world, random, 12)
    world.journal.close()
    here = StateDirectory(root)
    assert (here.snapshots(), here.segments()) == ([1, 2], [2, 3])
    return root


def seen(exchange: Exchange) -> bytes:
    """Everything that trading and queries find."""
    found: list[Any] = [bare(exchange)]
    for name in NAMES:
        account = exchange.accounts[name]
        orders = account.orders_from(BTC, 0, 10_000)
        by_name = [account.find(BTC, order_id=None, client_order_id=each.client_order_id) for each in orders]
        trades = account.trades_from(BTC, 0, 10_000, order_id=None)
        found += [orders, by_name, trades, account.incomes_between(0, 1 << 60, limit=10_000)]
    return msgspec.json.encode(found)


def started(root: Path) -> bytes:
    world = Kept(root)
    state = seen(world.exchange)
    world.journal.close()
    return state


def cut_and_compact(root: Path, now: int) -> None:
    world = Kept(root)
    world.journal.cut()
    compact(StateDirectory(root), now=now)
    world.journal.close()


def in_a_child(work: Callable[[], None], stop: Point | None = None) -> list[Point]:
    """Do it in a process that is traced, and dies without a word before the line that it is to stop at."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        counts: dict[tuple[str, int], int] = {}
        points: list[Point] = []

        def lines(frame: FrameType, event: str, _: object) -> Any:
            if event == "line":
                where = Path(frame.f_code.co_filename).name, frame.f_lineno
                counts[where] = counts.get(where, 0) + 1
                point = (*where, counts[where])
                if point == stop:
                    os._exit(9)
                points.append(point)
            return lines

        def calls(frame: FrameType, event: str, _: object) -> Any:
            return lines if frame.f_code.co_filename.endswith(TRACED) else None

        os.close(reading)
        sys.settrace(calls)
        try:
            work()
            sys.settrace(None)
            with os.fdopen(writing, "wb") as pipe:
                pickle.dump(points, pipe)
        except BaseException:
            os._exit(1)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code == (9 if stop is not None else 0)
    return pickle.loads(told) if told else []


def chosen(points: list[Point]) -> list[Point]:
    """Each line once: when it comes first, or, of every second one, when it comes last."""
    last = {(file, line): (file, line, count) for file, line, count in points}
    return [last[each[:2]] if each[1] % 2 else each for each in points if each[2] == 1]


def test_whichever_line_is_the_last_the_next_start_finds_everything(template: Path, tmp_path: Path) -> None:
    expected = started(Path(shutil.copytree(template, tmp_path / "untouched")))
    whole = Path(shutil.copytree(template, tmp_path / "whole"))
    points = chosen(in_a_child(lambda: cut_and_compact(whole, 0)))
    assert started(whole) == expected
    assert StateDirectory(whole).snapshots() == [2, 4]
    # The whole way: the cut, every row entered, the snapshot written and named, the old files gone
    assert len(points) > 80
    for number, point in enumerate(points):
        root = Path(shutil.copytree(template, tmp_path / str(number)))
        in_a_child(lambda root=root: cut_and_compact(root, 0), point)  # type: ignore[misc]
        assert started(root) == expected, point
        cut_and_compact(root, 0)
        assert started(root) == expected, point
        assert len(StateDirectory(root).snapshots()) == 2, point
        shutil.rmtree(root)


def test_what_leaves_for_the_archive_leaves_once(template: Path, tmp_path: Path) -> None:
    whole = Path(shutil.copytree(template, tmp_path / "whole"))
    points = chosen(in_a_child(lambda: cut_and_compact(whole, LATER)))
    rows = archived(whole)
    assert len(rows) > 20
    begins = inspect.getsourcelines(history_file.HistoryFile.leave)[1]
    leaving = [each for each in points if each[0] == "history_file.py" and each[1] > begins]
    for number, point in enumerate(leaving):
        root = Path(shutil.copytree(template, tmp_path / str(number)))
        in_a_child(lambda root=root: cut_and_compact(root, LATER), point)  # type: ignore[misc]
        cut_and_compact(root, LATER)
        assert archived(root) == rows, point
        shutil.rmtree(root)


def test_what_has_left_does_not_come_back_behind_a_damaged_snapshot(template: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(template, tmp_path / "state"))
    cut_and_compact(root, LATER)
    rows, expected = archived(root), started(root)
    assert len(rows) > 20
    for number in (4, 5):
        damage(StateDirectory(root).snapshot(number))
        cut_and_compact(root, LATER)
        assert archived(root) == rows
        assert started(root) == expected


def archived(root: Path) -> list[bytes]:
    files = StateDirectory(root).archive.glob("*.jsonl.gz")
    return sorted(line for path in files for line in gzip.decompress(path.read_bytes()).splitlines())


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_damaged_snapshot_gives_way_to_the_one_before(template: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(template, tmp_path / "state"))
    expected = started(root)
    here = StateDirectory(root)
    damage(here.snapshot(2))
    assert started(root) == expected
    cut_and_compact(root, 0)
    assert started(root) == expected


@pytest.mark.parametrize("gone", ["both", "segment"])
def test_without_a_way_around_the_damage_the_start_says_what_is_missing(
    template: Path, tmp_path: Path, gone: str
) -> None:
    root = Path(shutil.copytree(template, tmp_path / "state"))
    here = StateDirectory(root)
    damage(here.snapshot(2))
    if gone == "both":
        damage(here.snapshot(1))
        missing = here.segment(1)
    else:
        here.segment(2).unlink()
        missing = here.segment(2)
    with pytest.raises(JournalError, match=rf"{missing} is missing.*{here.snapshot(2)} line \d+"):
        Kept(root)


def test_a_damaged_segment_is_named_with_its_line(template: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(template, tmp_path / "state"))
    path = StateDirectory(root).segment(3)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b"[{}]\n", *lines[2:]]))
    with pytest.raises(JournalError, match=rf"{path} line 3 is damaged"):
        Kept(root)
    path.write_bytes(b"".join(lines)[:-4])
    with pytest.raises(JournalError, match=rf"{path} line {len(lines)} is cut short"):
        Kept(root)


def test_a_snapshot_whose_history_is_gone_is_not_started_from(template: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(template, tmp_path / "state"))
    StateDirectory(root).history.unlink()
    with pytest.raises(JournalError, match=r"venue\.history has no rows of segment 2"):
        Kept(root)


def test_a_history_that_is_ahead_of_the_journal_is_of_another_one(template: Path, tmp_path: Path) -> None:
    """A journal begun anew beside it would forget what it compacts, as if it had been entered before."""
    root = Path(shutil.copytree(template, tmp_path / "state"))
    for path in root.iterdir():
        if path != StateDirectory(root).history:
            path.unlink()
    with pytest.raises(
        JournalError, match=r"venue\.history has rows of segment 2, and the journal ends with 0"
    ):
        Kept(root)
