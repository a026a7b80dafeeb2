"""`pms up --detach` and `pms down` beside a system that starts, stops or takes long."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from pms.bus.process_id import ProcessId
from pms.cli import up
from pms.cli.backup import backup
from pms.cli.session import Failed, Undecided
from pms.cli.status import status
from pms.config import Settings
from pms.stack import state
from pms.stack.logs import Tail
from pms.stack.places import Places

SLEEPS = (sys.executable, "-c", "import time; time.sleep(60)")


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    monkeypatch.setenv("PMS_HOME", str(tmp_path))
    for name in ("run", "logs"):
        (tmp_path / name).mkdir()
    return Places.of(Settings(home=tmp_path))


@pytest.fixture
def supervisor() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(SLEEPS) as process:
        yield process
        process.kill()


def runs(places: Places, process: subprocess.Popen[bytes], phase: state.Phase) -> None:
    who = ProcessId.of(process.pid)
    state.write(places.state, state.Stack(who, time.time(), "1", "id", live=False, phase=phase, parts=[]))


def test_a_system_that_has_no_redis_yet_can_be_stopped(
    places: Places, supervisor: subprocess.Popen[bytes]
) -> None:
    runs(places, supervisor, "starting")
    told = CliRunner().invoke(up.down, [])
    assert (told.exit_code, told.output) == (0, "stopped\n")
    assert supervisor.poll() is not None


def test_whose_orders_cannot_be_kept_is_not_stopped(
    places: Places, supervisor: subprocess.Popen[bytes]
) -> None:
    runs(places, supervisor, "starting")
    told = CliRunner().invoke(up.down, ["--keep-orders"])
    assert told.exit_code == 1
    assert "the orders cannot be kept: Redis has no address: the system is starting" in told.output
    assert supervisor.poll() is None


def test_status_tells_of_a_system_that_has_no_redis_yet(
    places: Places, supervisor: subprocess.Popen[bytes]
) -> None:
    runs(places, supervisor, "starting")
    told = CliRunner().invoke(status, [])
    assert told.exit_code == 1
    assert "Redis has no address" in told.output
    assert told.exception is None or isinstance(told.exception, SystemExit)


def test_a_second_start_is_refused_until_the_first_is_ready(
    places: Places, supervisor: subprocess.Popen[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    runs(places, supervisor, "starting")
    with pytest.raises(Failed, match="starting already"):
        up._is_up(places)
    runs(places, supervisor, "ready")
    assert up._is_up(places)
    assert "already running" in capsys.readouterr().out


def test_the_end_of_one_that_stops_is_waited_for(
    places: Places, supervisor: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs(places, supervisor, "stopping")
    monkeypatch.setattr(up, "DOWN_WITHIN_S", 0.1)
    with pytest.raises(Failed, match="does not end"):
        up._is_up(places)
    supervisor.terminate()
    monkeypatch.setattr(up, "DOWN_WITHIN_S", 30.0)
    assert not up._is_up(places)


def test_one_that_takes_long_goes_on_starting(
    places: Places, supervisor: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for room at the exchange, or reads a long journal: begun anew it would do all of it again."""
    monkeypatch.setattr(up, "UP_WITHIN_S", 0.1)
    with pytest.raises(Undecided, match="goes on starting") as told:
        up._await_ready(supervisor, places, Tail.from_end(places.log_of("up")))
    assert told.value.exit_code == 3
    assert supervisor.poll() is None


def test_where_no_system_ran_there_is_nothing_to_back_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PMS_HOME", str(tmp_path / "misspelt"))
    told = CliRunner().invoke(backup, [])
    assert told.exit_code == 1
    assert "there is nothing to back up: no system has run in" in told.output
    assert not (tmp_path / "misspelt").exists()
