"""The floor of the command path: a bare uvloop BLPOP consumer that posts the order it is told."""

from __future__ import annotations

import asyncio
from typing import Any

import uvloop

from benchmarks.poster import Poster

LIST = "bench:floor"


async def main() -> None:
    poster = Poster()
    redis: Any = poster.redis
    running: set[asyncio.Task[None]] = set()
    while True:
        found = await redis.blpop([LIST], timeout=1)
        if found is not None:
            task = asyncio.create_task(poster.post(found[1]))
            running.add(task)
            task.add_done_callback(running.discard)


if __name__ == "__main__":
    uvloop.run(main())
