"""A system whose parts reach Redis, PostgreSQL and the exchange through relays, two sides each by its own.

So one side can be cut off from one server while the other goes on. What dies is started again, as the
supervisor does.
"""

from __future__ import annotations

import sys
from pathlib import Path

from relay import Relay, SocketRelay, TcpRelay
from system import WORKERS, System, command_of, until

PARTS = ("streamer", *(f"worker-{role}" for role in WORKERS), "beat", "bridge")
SIDES = {"streamer": ("streamer",), "workers": tuple(f"worker-{role}" for role in WORKERS)}


class SoakSystem(System):
    """The whole system with a way of its own to each server for the streamer, and one for the workers."""

    relays: dict[tuple[str, str], Relay]

    def __init__(self, home: Path, runtime: Path) -> None:
        super().__init__(home, runtime)
        self._runtime = runtime
        self._ways: dict[str, dict[str, str]] = {}
        self._held = False
        self.relays = {}

    async def _start_venue(self) -> None:
        state = str(self.home / "venue")
        self._venue = [sys.executable, "-m", "pms.venue", "--state", state, "--liquidate", "off", "--port"]
        self.start("venue", command=[*self._venue, "0"])
        await until(self._venue_told, "the venue", seconds=40)
        line = next(line for line in self.log("venue").splitlines() if "venue ready" in line)
        self.venue_url = line.split()[-1]
        self._venue.append(self.venue_url.rsplit(":", 1)[1])
        for side in SIDES:
            await self._relay(side)

    async def _venue_told(self) -> bool:
        return "venue ready" in self.log("venue")

    async def _relay(self, side: str) -> None:
        """Lay one side's ways to the three servers."""
        directory = self._runtime / side
        directory.mkdir(mode=0o700)
        redis, postgres = directory / "redis.sock", directory / ".s.PGSQL.5432"
        venue = TcpRelay(self.venue_url)
        ways: dict[str, Relay] = {
            "redis": SocketRelay(self._runtime / "redis" / "redis.sock", redis),
            "postgres": SocketRelay(self._runtime / "pg" / ".s.PGSQL.5432", postgres),
            "venue": venue,
        }
        for server, relay in ways.items():
            await relay.mend()
            self.relays[side, server] = relay
        for part in SIDES[side]:
            self._ways[part] = {
                "PMS_REDIS_URL": self.redis_server.url.replace(str(self._runtime / "redis"), str(directory)),
                "PMS_DATABASE_URL": self.postgres.url.replace(str(self._runtime / "pg"), str(directory)),
                "PMS_BINANCE_REST_URL": venue.url,
                "PMS_BINANCE_WS_URL": venue.url.replace("http", "ws"),
            }
        self.environment["PMS_BINANCE_REST_URL"] = self.venue_url
        self.environment["PMS_BINANCE_WS_URL"] = self.venue_url.replace("http", "ws")

    def start(self, name: str, *, command: list[str] | None = None, **environment: str) -> None:
        if name == "venue" and command is None:
            command = self._venue
        if name == "watchdog":
            command = [sys.executable, "-m", "pms.stack.watchdog"]
        super().start(name, command=command or command_of(name), **self._ways.get(name, {}), **environment)

    def revive(self) -> None:
        """Start what has ended, the servers too."""
        super().revive()
        for server in (self.redis_server, self.postgres):
            if not server.pid:
                server.prepare()
                server.launch()

    def pid_of(self, name: str) -> int:
        servers = {"redis": self.redis_server, "postgres": self.postgres}
        return servers[name].pid if name in servers else self.processes[name].pid
