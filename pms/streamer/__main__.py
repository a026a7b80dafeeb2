"""`python -m pms.streamer [--standby]`: run the streamer until it is told to stop."""

from __future__ import annotations

import sys

import uvloop
from redis.exceptions import RedisError

from pms.binance.errors import ExchangeError
from pms.config import ConfigError, load_settings
from pms.db.errors import DatabaseError
from pms.log import configure
from pms.streamer.lives import serve
from pms.streamer.start import CannotStart


def main(*, standby: bool = False) -> None:
    """Run; a fault that an operator can put right is one line, not a traceback."""
    try:
        settings = load_settings()
        configure(
            "streamer-standby" if standby else "streamer", level=settings.log_level, as_json=settings.log_json
        )
        uvloop.run(serve(settings, standby=standby))
    except (ConfigError, CannotStart, DatabaseError, ExchangeError, RedisError, OSError) as fault:
        sys.exit(f"pms streamer: {fault}")


if __name__ == "__main__":
    main(standby="--standby" in sys.argv[1:])
