"""Embedded Redis: append-only file, no eviction, a Unix socket that only we can open."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import ClassVar, Literal

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from pms.stack.private import make_private
from pms.stack.servers import binaries
from pms.stack.servers.embedded import EmbeddedServer, checked_socket
from pms.stack.spawn import spawn


class EmbeddedRedis(EmbeddedServer):
    """One Redis server; `maxmemory` is what the engine's memory alarms are percentages of."""

    name: ClassVar[str] = "redis"
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(
        self,
        *,
        data_dir: Path,
        runtime_dir: Path,
        appendfsync: Literal["always", "everysec"] = "always",
        maxmemory_mb: int = 1024,
        log: Path | None = None,
    ) -> None:
        super().__init__(data_dir=data_dir, runtime_dir=runtime_dir, log=log)
        self._appendfsync = appendfsync
        self._maxmemory_mb = maxmemory_mb
        self._socket = checked_socket(runtime_dir / "redis.sock")

    @property
    def url(self) -> str:
        return f"unix://{self._socket}?db=0"

    def prepare(self) -> None:
        binaries.install()
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        for directory in (self.data_dir, self.runtime_dir):
            make_private(directory)

    def _spawn(self, lock: int) -> subprocess.Popen[bytes]:
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self.data_dir),
            "appendonly": "yes",
            "appendfsync": self._appendfsync,
            "save": "",
            "maxmemory": f"{self._maxmemory_mb}mb",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "always-show-logo": "no",
        }
        command = [str(binaries.install().redis_server)]
        for name, value in options.items():
            command += [f"--{name}", value]
        return spawn(
            command,
            environment={"LC_ALL": "C", "TZ": "UTC"},
            log=self.log,
            on_parent_death=signal.SIGTERM,
            keep_open=[lock],
            directory=self.data_dir,
        )

    def answers(self) -> bool:
        client = Redis.from_url(self.url, socket_timeout=1, retry=Retry(NoBackoff(), 0))
        try:
            return bool(client.ping())
        except (RedisError, OSError):
            return False
        finally:
            client.close()
