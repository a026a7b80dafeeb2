"""`python -m pms.stack.watchdog`: ends what hangs, so that whoever supervises it starts it again.

A process of its own, outside all others: it reads only Redis, decides nothing about trading, and ends a
process only by its id and start time together.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from typing import Any
from uuid import uuid4

import psutil
import structlog
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from pms.bus.heartbeat import start_heartbeat
from pms.bus.inbox import Noticed, text_of
from pms.bus.process_id import ProcessId
from pms.bus.wake import wake_up
from pms.config import ConfigError, load_settings
from pms.contract import names
from pms.log import configure
from pms.stack.processes import ROLES
from pms.stack.vigil import BEAT, STREAMER, Beat, Look, Verdict, Vigil

log = structlog.get_logger()
NAME = "watchdog"
LOOK_EVERY_S = 1.0
CANARY_EVERY_S = 5.0
QUEUES = {f"worker-{role}": queues for role, queues in ROLES.items()}
WATCHED = (STREAMER, *QUEUES, BEAT, "bridge")


class Watchdog:
    """Looks, judges, ends; `redis` must decode replies."""

    def __init__(self, redis: Any, *, host: str) -> None:
        self._redis = redis
        self._host = host
        self._vigil = Vigil(QUEUES, names.INBOX)
        self._canary_due = 0.0

    def run(self, stop: threading.Event) -> None:
        """Watch until told to stop."""
        while not stop.is_set():
            try:
                self.look(now=time.monotonic())
            except (RedisError, OSError) as error:
                log.warning("cannot_look", error=str(error))
                self._vigil.blind()
            except Exception:
                log.exception("look_failed")
                self._vigil.blind()
            stop.wait(LOOK_EVERY_S)

    def look(self, *, now: float) -> None:
        """One look and what follows from it."""
        seen = self._seen()
        if now >= self._canary_due:
            self._canary_due = now + CANARY_EVERY_S
            self._send_canaries(seen)
        for verdict in self._vigil.judge(seen, now=now):
            self._carry_out(verdict, now=now)

    def _seen(self) -> Look:
        queues = [queue for role in QUEUES.values() for queue in role]
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.info("server")
            pipe.mget([names.ready_key(part) for part in WATCHED])
            for queue in (names.INBOX, *queues):
                pipe.llen(queue)
            server, beats, *lengths = pipe.execute()
        read = {part: _beat(text) for part, text in zip(WATCHED, beats, strict=True)}
        return Look(
            run_id=server["run_id"],
            beats={part: beat for part, beat in read.items() if beat is not None},
            waiting=dict(zip((names.INBOX, *queues), lengths, strict=True)),
        )

    def _send_canaries(self, seen: Look) -> None:
        """Put something to take where nothing waits; a queue that holds something needs no canary."""
        for part, queues in QUEUES.items():
            for queue in queues:
                if part in seen.beats and not seen.waiting[queue]:
                    message = wake_up(names.Task.CANARY, queue=queue, task_id=str(uuid4()), new_tag=_tag)
                    self._redis.lpush(queue, message)

    def _carry_out(self, verdict: Verdict, *, now: float) -> None:
        told = {"part": verdict.part, "pid": verdict.process.pid, "reason": verdict.reason}
        if verdict.hopeless:
            log.error("ending_it_does_not_help", **told)
            self._tell(verdict, "was ended often and still hangs; it is left alone")
        elif verdict.host != self._host:
            log.error("hangs_on_another_machine", host=verdict.host, **told)
            self._tell(verdict, f"hangs on {verdict.host}, where nobody here can end it")
        elif end(verdict.process):
            self._vigil.ended(verdict.part, now=now)
            log.error("ended_what_hung", **told)
            self._tell(verdict, "was ended, to be started again")
        elif _is_there(verdict.process.pid):
            log.error("not_ended", meaning="a process of that number lives and began otherwise", **told)

    def _tell(self, verdict: Verdict, what: str) -> None:
        """Leave word for operators, and for the streamer to journal when it is back."""
        detail = f"{verdict.part} {what}: {verdict.reason}"
        incident = {"part": verdict.part, "pid": verdict.process.pid, "detail": detail, "at": time.time()}
        try:
            self._redis.set(names.hang_key(verdict.part), json.dumps(incident), ex=names.REQUEST_TTL_S)
            noticed = Noticed("process_hung", "critical", verdict.part, detail)
            self._redis.rpush(names.INBOX, text_of(noticed))
        except (RedisError, OSError) as error:
            log.warning("incident_not_left", error=str(error))


def end(process: ProcessId) -> bool:
    """KILL a process if it is still that very one; False if it is gone.

    By a descriptor, so that between the look and the signal its number cannot become another's.
    """
    with suppress(ProcessLookupError, psutil.NoSuchProcess):
        descriptor = os.pidfd_open(process.pid)
        try:
            if process.living() is not None:
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                return True
        finally:
            os.close(descriptor)
    return False


def _is_there(pid: int) -> bool:
    """Whether a process of that number runs, whichever it is."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _beat(text: str | None) -> Beat | None:
    try:
        told = json.loads(text or "")
        return Beat(ProcessId(told["pid"], told["created"]), told["host"], told["beat"], told)
    except (ValueError, KeyError, TypeError):
        return None


def _tag() -> str:
    return str(uuid4())


def main() -> int:
    """Watch until TERM; 2 when the configuration is wrong."""
    try:
        settings = load_settings()
        if not settings.redis_url:
            raise ConfigError("PMS_REDIS_URL is not set and no running stack was found")
    except ConfigError as error:
        sys.stderr.write(f"watchdog: {error}\n")
        return 2
    configure(NAME, level=settings.log_level, as_json=settings.log_json)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    start_heartbeat(settings.redis_url, NAME, os.getpid())
    redis = Redis.from_url(
        settings.redis_url,
        socket_timeout=2,
        socket_connect_timeout=1,
        retry=Retry(NoBackoff(), 0),
        client_name=NAME,
        decode_responses=True,
    )
    Watchdog(redis, host=socket.gethostname()).run(stop)
    return 0


if __name__ == "__main__":
    sys.exit(main())
