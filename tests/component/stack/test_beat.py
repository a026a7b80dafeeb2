"""Beat as it runs: what an earlier life left behind does not hold it up, and it tells what it sends."""

from __future__ import annotations

import json
import os
import shelve
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import celery
from celery.beat import ScheduleEntry
from celery.schedules import schedule
from redis import Redis

from pms.contract import names

INTERVALS = {
    "fold": 2.0,
    "snapshot": 60.0,
    "sweep-requests": 1.0,
    "sweep-algos": 1.0,
    "reconcile": 30.0,
    "push-incidents": 2.0,
    "risk": 5.0,
    "keep-listen-key": 600.0,
}


def left_behind(path: Path) -> None:
    """The schedule of a life whose clock was an hour ahead of ours."""
    path.parent.mkdir(parents=True)
    ahead = datetime.now(UTC) + timedelta(hours=1)
    with shelve.open(str(path)) as store:
        store["entries"] = {
            name: ScheduleEntry(name, name, last_run_at=ahead, schedule=schedule(every), app=celery.Celery())
            for name, every in INTERVALS.items()
        }
        store["__version__"], store["tz"], store["utc_enabled"] = celery.__version__, "UTC", True


def test_last_runs_that_lie_ahead_hold_nothing_up(redis_url: str, tmp_path: Path) -> None:
    left_behind(tmp_path / "run" / "beat-schedule")
    environment = {**os.environ, "PMS_HOME": str(tmp_path), "PMS_REDIS_URL": redis_url}
    beat = subprocess.Popen(
        [sys.executable, "-m", "pms.tasks.beat"], cwd=Path(__file__).parents[3], env=environment
    )
    try:
        with Redis.from_url(redis_url, decode_responses=True) as redis:
            deadline = time.monotonic() + 20
            while not json.loads(str(redis.get(names.ready_key("beat")) or "{}")).get("sent"):
                assert beat.poll() is None
                assert time.monotonic() < deadline, "nothing was sent"
                time.sleep(0.05)
            assert redis.llen(names.Queue.SCHEDULE)
    finally:
        beat.kill()
        beat.wait()
