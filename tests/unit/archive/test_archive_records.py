"""Whatever happens to the archive's files, what is read from them is a beginning of what was written."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pms.archive.errors import ArchiveError, Broken, Busy, Damaged, OtherFormat, Unwritable
from pms.archive.reader import Reader
from pms.archive.records import HEADER, Record, decode, encode, scan
from pms.archive.segments import pack, segments
from pms.archive.writer import DAY_MS, Writer
from pms.stack.backup import _copy

quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def record(seq: int, prev: int | None = None, *, at: int = 1, text: str = "x") -> Record:
    prev = seq - 1 if prev is None else prev
    return Record(seq, prev, f'{{"v":1,"seq":{seq},"prev":{prev},"at":{at},"kind":"{text}"}}'.encode())


def chain(count: int, **more: Any) -> list[Record]:
    return [record(seq, **more) for seq in range(1, count + 1)]


def write(directory: Path, records: list[Record], *, segment_bytes: int = 2**20) -> Writer:
    writer = Writer(directory, segment_bytes=segment_bytes)
    with writer.held():
        writer.append(records)
    return writer


def everything(directory: Path) -> list[Record]:
    return Reader(directory).read(-1, count=10**9)


def content(records: list[Record]) -> bytes:
    return HEADER + b"".join(encode(each) for each in records)


def test_a_record_comes_back_as_it_was_written() -> None:
    kept = record(1_900_000_000_000_001, 7, text="ü")
    line = encode(kept)
    assert line.count(b"\n") == 1
    assert decode(line[:-1]) == kept


@quick
@given(st.data())
def test_no_altered_record_is_taken_for_one(data: st.DataObject) -> None:
    line = encode(record(12))[:-1]
    place = data.draw(st.integers(0, len(line) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda b: b != line[place]))
    assert decode(line[:place] + bytes([byte]) + line[place + 1 :]) is None


@quick
@given(st.data())
def test_a_cut_or_altered_file_is_read_up_to_the_fault_and_never_beyond(data: st.DataObject) -> None:
    records = chain(data.draw(st.integers(1, 8)), text="some words")
    whole = content(records)
    place = data.draw(st.integers(len(HEADER), len(whole) - 1))
    if data.draw(st.booleans()):
        torn = whole[:place]
    else:
        byte = data.draw(st.integers(0, 255).filter(lambda b: b != whole[place]))
        torn = whole[:place] + bytes([byte]) + whole[place + 1 :]
    read = [each for each, _ in scan(torn, at=len(HEADER), after=None)]
    untouched = sum(len(content(records[:n])) <= place for n in range(1, len(records) + 1))
    assert read == records[:untouched]


@quick
@given(st.data())
def test_a_line_taken_out_or_doubled_ends_the_chain(data: st.DataObject) -> None:
    records = chain(6)
    gone = data.draw(st.integers(1, 5))
    without = [*records[:gone], *records[gone + 1 :]]
    twice = [*records[:gone], records[gone - 1], *records[gone:]]
    for bad in (without, twice):
        read = [each for each, _ in scan(content(bad), at=len(HEADER), after=None)]
        assert read == records[:gone]


@quick
@given(
    parts=st.lists(st.integers(1, 9), max_size=12),
    segment_bytes=st.integers(100, 2000),
    step=st.integers(1, 7),
    packed=st.integers(0, 5),
)
def test_what_was_appended_is_read_in_any_steps_whatever_the_files(
    tmp_path_factory: pytest.TempPathFactory, parts: list[int], segment_bytes: int, step: int, packed: int
) -> None:
    directory = tmp_path_factory.mktemp("archive")
    records = chain(sum(parts))
    writer, reader, followed = Writer(directory, segment_bytes=segment_bytes), Reader(directory), 0
    for part in parts:
        with writer.held():
            assert writer.append(records[followed : followed + part]) == followed + part
        new = reader.read(followed, count=1000)
        assert new == records[followed : followed + part]
        followed += part
    for segment in segments(directory)[:-1][:packed]:
        pack(segment)
    read: list[Record] = []
    steps = Reader(directory)
    while more := steps.read(read[-1].seq if read else 0, count=step):
        read += more
    assert read == records
    assert (Reader(directory).begin(), Reader(directory).end()) == (
        (0, len(records)) if records else (None, None)
    )
    again = Writer(directory, segment_bytes=segment_bytes)
    with again.held():
        assert again.append(records[-3:]) == (len(records) or None)
    assert everything(directory) == records


@quick
@given(st.data())
def test_a_torn_end_is_cut_kept_beside_and_written_again(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    directory = tmp_path_factory.mktemp("archive")
    records = chain(9)
    write(directory, records, segment_bytes=data.draw(st.sampled_from((150, 10_000))))
    newest = segments(directory)[-1]
    whole = newest.path.read_bytes()
    newest.path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    writer = Writer(directory, segment_bytes=10_000)
    with writer.held():
        end = writer.end()
        assert end is None or end < 9
        assert everything(directory) == records[: end or 0]
        writer.append(records)
    assert everything(directory) == records


def test_a_crash_between_two_calls_of_another_process_is_seen(tmp_path: Path) -> None:
    first = write(tmp_path, chain(3), segment_bytes=200)
    second = write(tmp_path, chain(20), segment_bytes=200)
    with first.held():
        assert first.append(chain(22)) == 22
    with second.held():
        assert second.append(chain(23)) == 23
    assert everything(tmp_path) == chain(23)


def test_one_process_writes_at_a_time(tmp_path: Path) -> None:
    one, other = Writer(tmp_path), Writer(tmp_path)
    with one.held():
        with pytest.raises(Busy), other.held():
            pass
        one.append(chain(1))
    with other.held():
        assert other.end() == 1


def test_what_does_not_follow_is_refused(tmp_path: Path) -> None:
    writer = write(tmp_path, chain(3))
    with writer.held():
        with pytest.raises(Broken, match="its end was lost") as lost:
            writer.append([record(9, 8)])
        assert (lost.value.ended, lost.value.found) == (3, 8)
        with pytest.raises(Broken, match="Redis forgot"):
            writer.append([record(9, 2)])
        with pytest.raises(Broken):
            writer.append([record(4), record(6)])
        assert writer.append([record(9, 3)]) == 9
    assert everything(tmp_path) == [*chain(3), record(9, 3)]


def test_a_new_day_begins_a_new_file(tmp_path: Path) -> None:
    days = [record(1), record(2, at=DAY_MS), record(3, at=DAY_MS - 1), record(4, at=3 * DAY_MS)]
    write(tmp_path, days)
    assert [segment.first for segment in segments(tmp_path)] == [1, 2, 4]
    assert everything(tmp_path) == days


@pytest.mark.parametrize("packed", [False, True])
def test_damage_within_is_told_never_read_over(tmp_path: Path, packed: bool) -> None:
    write(tmp_path, chain(30), segment_bytes=400)
    middle = segments(tmp_path)[1]
    path = pack(middle) if packed else middle.path
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 4
    path.write_bytes(raw)
    with pytest.raises(Damaged, match=path.name):
        everything(tmp_path)
    with pytest.raises(Damaged):
        Reader(tmp_path).read(middle.first, count=100)


def test_damage_before_the_end_of_the_newest_file_is_told_too(tmp_path: Path) -> None:
    write(tmp_path, chain(9))
    path = segments(tmp_path)[-1].path
    raw = bytearray(path.read_bytes())
    raw[len(content(chain(4))) + 20] ^= 4
    path.write_bytes(raw)
    with pytest.raises(Damaged, match="behind entry 4"):
        everything(tmp_path)


def test_damage_within_the_file_being_written_is_neither_cut_nor_left_out_of_a_backup(tmp_path: Path) -> None:
    archive, backup = tmp_path / "archive", tmp_path / "backup"
    write(archive, chain(10))
    backup.mkdir()
    (newest,) = segments(archive)
    raw = bytearray(newest.path.read_bytes())
    raw[len(content(chain(3))) + 20] ^= 4
    newest.path.write_bytes(raw)
    writer = Writer(archive)
    with writer.held(), pytest.raises(Damaged, match="behind entry 3"):
        writer.end()
    with writer.held(), pytest.raises(Damaged, match="behind entry 3"):
        writer.append([record(11)])
    with pytest.raises(Damaged, match="behind entry 3"):
        _copy(archive, newest, backup)
    assert newest.path.read_bytes() == raw
    assert not [*archive.glob("*.cut-*"), *backup.iterdir()]


def test_a_first_record_that_is_damaged_does_not_cost_the_file(tmp_path: Path) -> None:
    write(tmp_path, chain(3))
    (newest,) = segments(tmp_path)
    raw = bytearray(newest.path.read_bytes())
    raw[len(HEADER) + 20] ^= 4
    newest.path.write_bytes(raw)
    writer = Writer(tmp_path)
    with writer.held(), pytest.raises(Damaged, match="behind entry 0"):
        writer.end()
    assert newest.path.read_bytes() == raw


def test_a_file_that_is_missing_is_told(tmp_path: Path) -> None:
    write(tmp_path, chain(30), segment_bytes=400)
    segments(tmp_path)[1].path.unlink()
    with pytest.raises(Damaged):
        everything(tmp_path)


def test_packing_that_was_interrupted_loses_nothing(tmp_path: Path) -> None:
    write(tmp_path, chain(30), segment_bytes=400)
    segment = segments(tmp_path)[0]
    plain = segment.path.read_bytes()
    packed = pack(segment)
    assert gzip.decompress(packed.read_bytes()) == plain
    segment.path.write_bytes(plain)  # killed between renaming and deleting
    assert everything(tmp_path) == chain(30)


def test_a_newer_format_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "0000000000000001.log").write_bytes(b"pms-archive 2\nwhatever\n")
    with pytest.raises(OtherFormat, match="format 2"):
        everything(tmp_path)
    writer = Writer(tmp_path)
    with writer.held(), pytest.raises(OtherFormat):
        writer.append(chain(1))
    assert (tmp_path / "0000000000000001.log").read_bytes().endswith(b"whatever\n")


def test_a_disk_that_fails_leaves_what_was_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = write(tmp_path, chain(3))
    real = os.fsync

    def fails(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pms.archive.writer.os.fsync", fails)
    with writer.held(), pytest.raises(Unwritable, match="No space left"):
        writer.append(chain(6))
    monkeypatch.setattr("pms.archive.writer.os.fsync", real)
    assert everything(tmp_path) == chain(3)
    with writer.held():
        assert writer.append(chain(6)) == 6
    assert everything(tmp_path) == chain(6)


def test_every_fault_is_an_archive_error() -> None:
    assert all(issubclass(fault, ArchiveError) for fault in (Busy, Damaged, Broken, Unwritable, OtherFormat))
