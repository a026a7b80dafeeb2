"""The table of processes: what each is called, how it starts, how it shows that it is ready.

Groups start in order and stop in reverse. What stands before `LEDGER` must be ready, and the database
migrated, before anything behind it starts. The ledger ends behind the engine: what that journals as it ends
would be in Redis alone, and a backup of a system at rest would lack it.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import psycopg
from pydantic import SecretStr
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from pms.contract.names import Queue, ready_key
from pms.stack.places import Places
from pms.stack.ports import LOOPBACK
from pms.stack.servers.embedded import EmbeddedServer
from pms.stack.spawn import spawn

SERVERS, EXCHANGE, LEDGER, ENGINE, WORKERS, DOORS = range(6)
"""Groups, in the order of their start."""

ROLES = {
    "orders": (Queue.COMMANDS, Queue.ORDERS),
    "urgent": (Queue.URGENT,),
    "ledger": (Queue.LEDGER,),
    "schedule": (Queue.SCHEDULE,),
    "recon": (Queue.RECON,),
}
VENUE_BALANCE = "100000"


class Runnable(Protocol):
    """What the supervisor needs to know of a part that it runs."""

    @property
    def name(self) -> str: ...
    @property
    def group(self) -> int: ...
    @property
    def address(self) -> str: ...
    @property
    def log(self) -> Path: ...
    @property
    def stop_signal(self) -> signal.Signals: ...

    def launch(self) -> subprocess.Popen[bytes]:
        """Start it and return at once."""
        ...

    def ready(self, pid: int) -> bool:
        """Whether this very process serves."""
        ...

    def waits(self, pid: int) -> object:
        """What differs from look to look while it rightly waits before it serves; None: nothing tells."""
        ...


@dataclass(slots=True)
class ServerPart:
    """An embedded server as a part."""

    server: EmbeddedServer
    address: str
    prepare: Callable[[], None] = lambda: None
    group: int = SERVERS
    _settled: bool = False

    @property
    def name(self) -> str:
        return self.server.name

    @property
    def log(self) -> Path:
        return self.server.log

    @property
    def stop_signal(self) -> signal.Signals:
        return self.server.stop_signal

    def launch(self) -> subprocess.Popen[bytes]:
        self.prepare()
        self.server.prepare()
        return self.server.launch()

    def ready(self, pid: int) -> bool:
        if not self.server.answers():
            return False
        if not self._settled:
            try:
                self.server.on_ready()
            except psycopg.Error:  # it answered and went away again; the next look tells
                return False
            self._settled = True
        return True

    def waits(self, pid: int) -> object:
        del pid
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessPart:
    """One of our own processes as a part."""

    name: str
    group: int
    address: str
    log: Path
    command: tuple[str, ...]
    environment: Mapping[str, str]
    probe: Callable[[int], bool]
    waiting: Callable[[int], object] = lambda _pid: None
    stop_signal: signal.Signals = signal.SIGTERM

    def launch(self) -> subprocess.Popen[bytes]:
        # KILL, when we die ourselves: every process of ours is safe under it, and with Redis gone
        # an orderly end could wait for ever.
        return spawn(self.command, environment=self.environment, log=self.log, on_parent_death=signal.SIGKILL)

    def ready(self, pid: int) -> bool:
        return self.probe(pid)

    def waits(self, pid: int) -> object:
        return self.waiting(pid)


@dataclass(slots=True)
class Heartbeats:
    """Reads `pms:ready:{name}`, which names the process that wrote it."""

    url: str
    _client: Redis | None = field(default=None, repr=False)

    def of(self, name: str) -> Callable[[int], bool]:
        """A probe: whether the process with this id has beaten lately, and does not recover any more."""

        def ready(pid: int) -> bool:
            beat = self._beat(name)
            return beat is not None and beat.get("pid") == pid and not beat.get("recovering")

        return ready

    def going_on(self, name: str) -> Callable[[int], object]:
        """What changes as long as the process with this id recovers and does not hang: how often it has found
        no room at the exchange, and how much of the journal it has taken in."""

        def recovering(pid: int) -> object:
            beat = self._beat(name)
            if beat is None or beat.get("pid") != pid or not beat.get("recovering"):
                return None
            return beat.get("turnedAway"), beat.get("loaded")

        return recovering

    def _beat(self, name: str) -> dict[str, Any] | None:
        """The last heartbeat under a name; None if nobody beats, or Redis does not answer."""
        if self._client is None:
            self._client = Redis.from_url(
                self.url, socket_timeout=1, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0)
            )
        try:
            found = self._client.get(ready_key(name))
            return dict(json.loads(found)) if isinstance(found, bytes | str) else None
        except (RedisError, OSError, ValueError):
            return None


def venue(places: Places, *, port: int, environment: Mapping[str, str], account: str) -> ProcessPart:
    """Our own exchange; the account's secret goes by the environment, for command lines are public."""
    return ProcessPart(
        name="venue",
        group=EXCHANGE,
        address=f"http://{LOOPBACK}:{port}",
        log=places.log_of("venue"),
        command=(
            *(sys.executable, "-m", "pms.cli.main", "venue"),
            *("--port", str(port), "--state", str(places.venue_state)),
        ),
        environment={**environment, "PMS_VENUE_ACCOUNTS": account},
        probe=lambda _pid: http_answers(port, "/fapi/v1/ping"),
    )


def engine(
    places: Places,
    *,
    environment: Mapping[str, str],
    redis_url: str,
    flower_port: int,
    flower_password: SecretStr,
) -> Iterable[ProcessPart]:
    """Streamer, workers, beat, bridge, watchdog and Flower."""
    heartbeats = Heartbeats(redis_url)

    def beating(name: str, group: int, address: str, *arguments: str) -> ProcessPart:
        return ProcessPart(
            name=name,
            group=group,
            address=address,
            log=places.log_of(name),
            command=(sys.executable, "-m", *arguments),
            environment=environment,
            probe=heartbeats.of(name),
            waiting=heartbeats.going_on(name),
        )

    yield beating("streamer", ENGINE, "the exchange's streams, inbox pms:inbox", "pms.streamer")
    for role, queues in ROLES.items():
        address = f"queue{'s' if len(queues) > 1 else ''} {', '.join(queues)}"
        group = LEDGER if role == "ledger" else WORKERS
        yield beating(f"worker-{role}", group, address, "pms.tasks.worker", role)
    yield beating("beat", DOORS, "the clock of periodic tasks", "pms.tasks.beat")
    yield beating("bridge", DOORS, "lists pms:cmd:*", "pms.bridge")
    yield beating("watchdog", DOORS, "ends what hangs", "pms.stack.watchdog")
    yield ProcessPart(
        name="flower",
        group=DOORS,
        address=f"http://{LOOPBACK}:{flower_port}",
        log=places.log_of("flower"),
        command=(sys.executable, "-m", "pms.tasks.flower"),
        environment={**environment, "PMS_FLOWER_PASSWORD": flower_password.get_secret_value()},
        probe=lambda _pid: http_answers(flower_port, "/healthcheck"),
        stop_signal=signal.SIGKILL,  # it holds nothing, and on TERM it waits for its own threads
    )


def http_answers(port: int, path: str) -> bool:
    """Whether something on loopback answers 200."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=1)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def base_environment(places: Places) -> dict[str, str]:
    """What every process of ours inherits: our own environment, and the one home."""
    return {**os.environ, "PMS_HOME": str(places.home), "PYTHONUNBUFFERED": "1"}
