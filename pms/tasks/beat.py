"""Start the one clock of periodic tasks: `python -m pms.tasks.beat`. Two of them would double each."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from celery.signals import after_task_publish, beat_init, setup_logging

from pms.bus.heartbeat import start_heartbeat
from pms.config import ConfigError, load_settings
from pms.log import configure
from pms.tasks.app import app


def forget_schedule(schedule: Path) -> None:
    """Delete what an earlier life kept of its last runs, which are by wall clock.

    Behind a clock that went back they lie ahead, and nothing would be due before it is there again. All
    intervals are short, so that to begin anew costs one early run of each.
    """
    for path in schedule.parent.glob(f"{schedule.name}*"):
        path.unlink(missing_ok=True)


def main() -> None:
    """Run beat until it is told to stop."""
    settings = load_settings()
    if settings.redis_url is None:
        raise ConfigError("PMS_REDIS_URL is not set: is `pms up` running?")
    url = settings.redis_url
    settings.run_dir.mkdir(parents=True, exist_ok=True)

    @setup_logging.connect(weak=False)
    def _logging(**_: Any) -> None:
        configure("beat", level=settings.log_level, as_json=settings.log_json)

    sent = {"sent": 0}

    @after_task_publish.connect(weak=False)
    def _sent(**_: Any) -> None:
        sent["sent"] += 1

    @beat_init.connect(weak=False)
    def _ready(**_: Any) -> None:
        start_heartbeat(url, "beat", os.getpid(), more=sent.copy)

    forget_schedule(Path(app.conf.beat_schedule_filename))
    app.start(["beat", "--pidfile=", f"--loglevel={settings.log_level}"])


if __name__ == "__main__":
    try:
        main()
    except ConfigError as fault:
        sys.exit(f"pms beat: {fault}")
