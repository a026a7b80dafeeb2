"""Start Flower on loopback, read-only, behind a password: `python -m pms.tasks.flower`.

Trap: without basic auth Flower's page is open to whoever reaches the port.
"""

from __future__ import annotations

import os
import sys

from pms.config import ConfigError, load_settings
from pms.tasks.app import app

USER = "pms"


def main() -> None:
    """Run Flower until it is told to stop."""
    settings = load_settings()
    if settings.redis_url is None or settings.flower_password is None:
        raise ConfigError("PMS_REDIS_URL and PMS_FLOWER_PASSWORD must be set: is `pms up` running?")
    # By environment, for what stands on a command line is everyone's to read.
    os.environ["FLOWER_BASIC_AUTH"] = f"{USER}:{settings.flower_password.get_secret_value()}"
    try:
        app.start(
            [
                "flower",
                "--address=127.0.0.1",
                f"--port={settings.flower_port}",
                "--read-only",
                "--persistent=False",
            ]
        )
    finally:
        # It keeps no state, and the interpreter would wait for its inspecting threads on the way out.
        sys.stderr.flush()
        os._exit(0)


if __name__ == "__main__":
    try:
        main()
    except ConfigError as fault:
        sys.exit(f"pms flower: {fault}")
