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
from redis import Redis

from pms.contract import names
from pms.stack.state import ProcessId
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
    assert not end(ProcessId(true.pid, true.created - 100))
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
