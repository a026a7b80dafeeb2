"""Start one worker role: `python -m pms.tasks.worker orders`."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

from celery.platforms import SecurityWarning
from celery.signals import setup_logging, worker_ready, worker_shutdown

from pms.bus.heartbeat import start_heartbeat
from pms.config import ConfigError, load_settings
from pms.log import configure
from pms.tasks.consumption import Consumption
from pms.tasks.exact_json import register_exact_json
from pms.tasks.runtime import runtime
from pms.tasks.waiting import waiting


def main(role: str) -> None:
    """Run a worker of a role until it is told to stop."""
    settings = load_settings()
    if settings.redis_url is None:
        raise ConfigError("PMS_REDIS_URL is not set: is `pms up` running?")
    url = settings.redis_url
    # Its settings are read when it is imported: by now it is known that they can be.
    import celeryconfig
    from pms.tasks.app import app
    from pms.tasks.ledger import fold_the_rest

    if role not in celeryconfig.ROLE_QUEUES:
        raise ConfigError(
            f"there is no worker role {role}; the roles are {', '.join(celeryconfig.ROLE_QUEUES)}"
        )
    # Celery warns every root; here that is a choice of whoever runs `make up`.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    app.conf.update(celeryconfig.for_role(role))
    name = f"worker-{role}"
    consumption = Consumption()
    consumption.count()

    @setup_logging.connect(weak=False)
    def _logging(**_: Any) -> None:
        configure(name, level=settings.log_level, as_json=settings.log_json)

    @worker_ready.connect(weak=False)
    def _ready(**_: Any) -> None:
        runtime()
        start_heartbeat(url, name, os.getpid(), more=consumption.progress)

    @worker_shutdown.connect(weak=False)
    def _stopped(**_: Any) -> None:
        if role == "ledger":
            fold_the_rest()
        runtime().close()

    if role in celeryconfig.ON_THE_ORDER_PATH:
        register_exact_json()
        waiting.watch(url, celeryconfig.ROLE_QUEUES[role])
    app.worker_main(
        [
            "worker",
            "--pool=threads",
            f"--queues={','.join(celeryconfig.ROLE_QUEUES[role])}",
            f"--hostname={role}@%h",
            "--without-gossip",
            "--without-mingle",
            f"--loglevel={settings.log_level}",
        ]
    )


if __name__ == "__main__":
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else "")
    except ConfigError as fault:
        sys.exit(f"pms worker: {fault}")
