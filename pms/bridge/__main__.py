"""The bridge process: one ferry for each command list."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from uuid import uuid4

import uvloop

from pms.bridge.ferry import Ferry
from pms.bus.connection import connect
from pms.bus.heartbeat import beat_forever
from pms.config import ConfigError, Settings, load_settings
from pms.contract import names
from pms.log import configure

NAME = "bridge"


async def serve(settings: Settings) -> None:
    """Serve every list until SIGTERM; what was taken is finished first."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    redis = connect(settings.redis_url or "", name=NAME)
    beating = asyncio.create_task(beat_forever(redis, NAME, os.getpid()))
    try:
        async with asyncio.TaskGroup() as group:
            for command_list, task in names.COMMAND_LISTS.items():
                group.create_task(
                    Ferry(redis, command_list, task, new_id=lambda: str(uuid4())).run(stop),
                    name=command_list,
                )
    finally:
        beating.cancel()
        await redis.aclose()


def main() -> int:
    """Run the bridge; 2 when the configuration is wrong."""
    try:
        settings = load_settings()
        if not settings.redis_url:
            raise ConfigError("PMS_REDIS_URL is not set and no running stack was found")
    except ConfigError as error:
        sys.stderr.write(f"bridge: {error}\n")
        return 2
    configure(NAME, level=settings.log_level, as_json=settings.log_json)
    uvloop.run(serve(settings))
    return 0


if __name__ == "__main__":
    sys.exit(main())
