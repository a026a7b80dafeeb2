"""The other floor: a Celery worker as the orders role runs it, whose task only posts the order."""

from __future__ import annotations

import asyncio
import threading

import uvloop
from celery import Celery
from celery.signals import worker_ready
from kombu.entity import Exchange, Queue

import celeryconfig
from benchmarks.poster import Poster

QUEUE, TASK = "bench", "bench.post"
app = Celery("bench")
app.config_from_object("celeryconfig")
app.conf.update(celeryconfig.for_role("orders"))
app.conf.task_queues = [Queue(QUEUE, Exchange(QUEUE, type="direct"), routing_key=QUEUE)]
_loop = uvloop.new_event_loop()
_posters: list[Poster] = []


async def _open() -> None:
    _posters.append(Poster())


@worker_ready.connect(weak=False)
def _ready(**_: object) -> None:
    threading.Thread(target=_loop.run_forever, daemon=True).start()
    asyncio.run_coroutine_threadsafe(_open(), _loop).result(10)


@app.task(name=TASK, ignore_result=True)
def post(message: str) -> None:
    """Post one order."""
    asyncio.run_coroutine_threadsafe(_posters[0].post(message.encode()), _loop).result()


if __name__ == "__main__":
    app.worker_main(
        [
            "worker",
            "--pool=threads",
            f"--queues={QUEUE}",
            "--without-gossip",
            "--without-mingle",
            "--loglevel=ERROR",
        ]
    )
