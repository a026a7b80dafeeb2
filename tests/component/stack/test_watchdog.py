"""The watchdog on real processes: it ends the very one that hangs, says why, and no other."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from psutil import _pslinux
from redis import Redis
from structlog.testing import capture_logs

from pms.bus.process_id import ProcessId
from pms.contract import names
from pms.stack.vigil import SILENT_S
from pms.stack.watchdog import Watchdog, end

HERE = socket.gethostname()
BEATING = """
import os, sys, threading
from pms.bus import heartbeat
heartbeat.EVERY_S = 0.02
heartbeat.start_heartbeat(sys.argv[1], sys.argv[2], os.getpid()).wait()
"""


@pytest.fixture
def redis(redis_url: str) -> Iterator[Any]:
    with Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


@pytest.fixture
def bridge(redis_url: str, redis: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process that beats as the bridge does."""
    process = subprocess.Popen(
        [sys.executable, "-c", BEATING, redis_url, "bridge"], cwd=Path(__file__).parents[3]
    )
    wait_for(lambda: redis.exists(names.ready_key("bridge")))
    yield process
    process.kill()
    process.wait()


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def stopped(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGSTOP)
    wait_for(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)


def test_a_process_that_stands_still_is_ended_and_the_reason_left_for_the_journal(
    redis: Any, bridge: subprocess.Popen[bytes]
) -> None:
    dog = Watchdog(redis, host=HERE)
    stopped(bridge)
    for second in range(int(SILENT_S) + 2):
        dog.look(now=float(second))
    assert bridge.wait(timeout=10) == -signal.SIGKILL
    told = json.loads(redis.get(names.hang_key("bridge")))
    assert (told["part"], told["pid"]) == ("bridge", bridge.pid)
    alarm = json.loads(redis.lpop(names.INBOX))
    assert (alarm["kind"], alarm["incident"], alarm["severity"]) == ("noticed", "process_hung", "critical")
    assert "bridge was ended" in alarm["detail"]


def test_one_that_beats_is_left_alone_however_long_we_look(
    redis: Any, bridge: subprocess.Popen[bytes]
) -> None:
    dog = Watchdog(redis, host=HERE)
    for second in range(0, 200, 4):
        before = redis.get(names.ready_key("bridge"))
        dog.look(now=float(second))
        if second % 16 == 0:
            wait_for(lambda before=before: redis.get(names.ready_key("bridge")) != before)
    assert bridge.poll() is None
    assert redis.get(names.hang_key("bridge")) is None


def test_on_another_machine_nothing_is_ended(redis: Any, bridge: subprocess.Popen[bytes]) -> None:
    dog = Watchdog(redis, host="elsewhere")
    stopped(bridge)
    for second in range(int(SILENT_S) + 2):
        dog.look(now=float(second))
    assert bridge.poll() is None
    assert "nobody here can end it" in redis.get(names.hang_key("bridge"))


def test_a_number_that_is_another_process_now_is_not_ended(bridge: subprocess.Popen[bytes]) -> None:
    true = ProcessId.of(bridge.pid)
    assert not end(ProcessId(true.pid, f"{true.created}0"))
    assert bridge.poll() is None
    assert end(true)
    bridge.wait(timeout=10)
    assert not end(true)


def test_an_empty_queue_of_a_living_worker_gets_a_canary(redis: Any) -> None:
    beat = {"pid": os.getpid(), "created": 1.0, "host": "h", "beat": 1}
    redis.set(names.ready_key("worker-ledger"), json.dumps(beat))
    dog = Watchdog(redis, host=HERE)
    dog.look(now=0.0)
    dog.look(now=9.0)
    (message,) = redis.lrange(names.Queue.LEDGER, 0, -1)
    assert json.loads(message)["headers"]["task"] == names.Task.CANARY
    assert redis.llen(names.Queue.ORDERS) == 0, "nobody serves it, so nobody would take it"


@pytest.mark.parametrize("step", [-1, 1, 3600])
def test_a_step_of_the_wall_clock_makes_no_process_another(
    redis: Any, bridge: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    known, booted = ProcessId.of(bridge.pid), _pslinux.boot_time()
    monkeypatch.setattr(_pslinux, "boot_time", lambda: booted + step)
    assert known.living() is not None
    assert ProcessId.of(bridge.pid) == known
    dog = Watchdog(redis, host=HERE)
    stopped(bridge)
    for second in range(int(SILENT_S) + 2):
        dog.look(now=float(second))
    assert bridge.wait(timeout=10) == -signal.SIGKILL


def test_an_end_that_could_not_be_made_is_said(redis: Any) -> None:
    beat = {"pid": os.getpid(), "created": 1.0, "host": HERE, "beat": 1}
    redis.set(names.ready_key("bridge"), json.dumps(beat))
    dog = Watchdog(redis, host=HERE)
    with capture_logs() as said:
        for second in range(int(SILENT_S) + 2):
            dog.look(now=float(second))
    (line,) = [line for line in said if line["event"] == "not_ended"]
    assert (line["log_level"], line["pid"]) == ("error", os.getpid())


def test_a_process_that_an_earlier_release_wrote_down_by_wall_clock_is_found() -> None:
    written = psutil.Process().create_time()
    assert ProcessId(os.getpid(), written).living() is not None
    assert ProcessId(os.getpid(), written - 100).living() is None
