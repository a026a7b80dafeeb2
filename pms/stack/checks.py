"""What `pms doctor` looks at: each finding says what is so and, if it is not good, what to do."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
import psycopg
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from pms.config import CHECKOUT, LIVE_PHRASE, ConfigError, Settings
from pms.db import migrate
from pms.db.address import libpq_address
from pms.db.errors import DatabaseError
from pms.stack import external, pulse, state
from pms.stack.errors import StackError
from pms.stack.places import Places
from pms.stack.ports import LOOPBACK
from pms.stack.servers import binaries, identity
from pms.stack.servers.postgres import data_version

LEAST_DISK_GB = 2
MOST_OFFSET_MS = 500
"""Half of what recvWindow leaves beyond a slow round trip; a place's recvWindow is 2 s."""


class Finding(msgspec.Struct, frozen=True):
    """One checked thing."""

    level: Literal["ok", "warn", "fail"]
    what: str
    todo: str = ""


Check = Callable[[Settings, Places], Iterator[Finding]]


def examine(settings: Settings, places: Places) -> Iterator[Finding]:
    """Every finding, cheapest first; a check that breaks is itself a finding."""
    for check in CHECKS:
        try:
            yield from check(settings, places)
        except (StackError, ConfigError, DatabaseError, OSError) as fault:
            yield Finding("fail", str(fault))


def check_python(settings: Settings, places: Places) -> Iterator[Finding]:
    version = ".".join(str(part) for part in sys.version_info[:3])
    yield Finding("ok", f"Python {version} in {sys.prefix}")
    if sys.prefix == sys.base_prefix:
        yield Finding("warn", "this is not a virtual environment", "use .venv/bin/pms; `make setup` makes it")


def check_places(settings: Settings, places: Places) -> Iterator[Finding]:
    yield Finding("ok", f"checkout {CHECKOUT}")
    yield Finding("ok", f"home {places.home}: data, logs, secrets")
    yield Finding("ok", f"sockets {places.runtime}")
    if not places.home.is_dir():
        yield Finding("warn", "the home is not there yet", "`pms up` makes it")
        return
    if not os.access(places.home, os.W_OK):
        yield Finding("fail", "the home belongs to another user", "set PMS_HOME to a directory of your own")
    free = shutil.disk_usage(places.home).free / 1e9
    todo = "make room: Redis and PostgreSQL stop when the disk is full" if free < LEAST_DISK_GB else ""
    yield Finding("fail" if todo else "ok", f"{free:.1f} GB of disk are free", todo)
    if places.secrets.exists() and places.secrets.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield Finding("fail", f"{places.secrets} can be read by others", f"chmod 600 {places.secrets}")


def check_servers(settings: Settings, places: Places) -> Iterator[Finding]:
    if settings.redis_url and settings.database_url and not _running(places):
        return
    found = binaries.installed()
    if found is None:
        yield Finding("fail", "the servers' binaries are not installed", "make setup")
        return
    for program in (found.redis_server, found.postgres_program("postgres")):
        said = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=False)
        words = said.stdout.strip() or said.stderr.strip()
        level: Literal["ok", "fail"] = "ok" if said.returncode == 0 else "fail"
        todo = (
            ""
            if level == "ok"
            else "this machine's C library may be too old: set PMS_REDIS_URL and PMS_DATABASE_URL"
        )
        yield Finding(level, f"{words} ({program})", todo)
    version = data_version(places.postgres_data) if _enterable(places.postgres_data.parent) else None
    if version is None:
        yield Finding("ok", f"no database yet; it will be {places.postgres_data}")
    elif version == binaries.POSTGRES_MAJOR:
        yield Finding("ok", f"database of PostgreSQL {version} in {places.postgres_data}")
    else:
        yield Finding(
            "fail",
            f"{places.postgres_data} was made by PostgreSQL {version}",
            "load a dump of it, or begin anew with `pms reset`",
        )


def check_system(settings: Settings, places: Places) -> Iterator[Finding]:
    """What root's PostgreSQL keeps outside the home."""
    if not places.as_root:
        return
    user = identity.existing_identity()
    yield Finding(
        "ok", f"PostgreSQL runs as the user {user.name}" if user else "the user pms is made at first start"
    )
    if places.system_dir.exists():
        yield Finding("ok", f"{places.system_dir}: PostgreSQL and its data; `pms uninstall` removes it")
    for note in sorted((places.system_dir / "data").glob("*/home")):
        home = Path(note.read_text().strip())
        if not home.is_dir():
            yield Finding("warn", f"{note.parent} belongs to {home}, which is gone", f"rm -r {note.parent}")


def check_stack(settings: Settings, places: Places) -> Iterator[Finding]:
    found = state.read(places.state)
    if found is None or not found.running():
        if found is not None:
            yield Finding("warn", "the last run ended without stopping", "`pms up` cleans up after it")
        yield Finding("warn", "the system does not run", "pms up")
        yield from _ports(settings)
        return
    bad = [part for part in found.parts if part.state not in ("ready", "external")]
    for part in bad:
        yield Finding("fail", f"{part.name} is {part.state}: {part.note}", f"pms logs {part.name}")
    restarted = [f"{part.name} ({part.restarts})" for part in found.parts if part.restarts]
    if restarted:
        yield Finding(
            "warn", f"restarted since the start: {', '.join(restarted)}", "`pms logs NAME` tells why"
        )
    if not bad:
        yield Finding(
            "ok", f"all {len(found.parts)} parts are up, supervised by process {found.supervisor.pid}"
        )


def _ports(settings: Settings) -> Iterator[Finding]:
    wanted = [("PMS_FLOWER_PORT", settings.flower_port)]
    if settings.binance_rest_url is None:
        wanted.append(("PMS_VENUE_PORT", settings.venue_port))
    for variable, port in wanted:
        with socket.socket() as probe:
            taken = port != 0 and probe.connect_ex((LOOPBACK, port)) == 0
        todo = f"set {variable} to a free port, or to 0" if taken else ""
        yield Finding("fail" if taken else "ok", f"port {port} is {'taken' if taken else 'free'}", todo)


def check_redis(settings: Settings, places: Places) -> Iterator[Finding]:
    if settings.redis_url is None:
        return
    version = external.check_redis(settings.redis_url)
    client: Any = Redis.from_url(
        settings.redis_url, socket_timeout=2, retry=Retry(NoBackoff(), 0), decode_responses=True
    )
    try:
        with client:
            began = time.perf_counter()
            client.ping()
            took = (time.perf_counter() - began) * 1000
            info = client.info()
    except (RedisError, OSError) as error:
        raise StackError(f"Redis stopped answering: {error}") from None
    yield Finding("ok", f"Redis {version} answers in {took:.2f} ms")
    durable = info["aof_enabled"] == 1 and info["aof_last_write_status"] == "ok"
    todo = "" if durable else "set appendonly yes, and see whether its disk is full"
    yield Finding(
        "ok" if durable else "fail", f"append-only file {'on' if durable else 'off or failing'}", todo
    )
    policy, most, used = info["maxmemory_policy"], info["maxmemory"], info["used_memory"]
    todo = "" if policy == "noeviction" else "set maxmemory-policy noeviction: it may drop queues"
    yield Finding("ok" if not todo else "fail", f"eviction policy {policy}", todo)
    if most == 0:
        yield Finding(
            "warn", "Redis has no memory limit", "set maxmemory, so that admission can close in time"
        )
    else:
        share = 100 * used // most
        todo = "commands are refused above 50 %: raise PMS_REDIS_MAXMEMORY_MB" if share >= 50 else ""
        yield Finding("warn" if todo else "ok", f"{share} % of {most >> 20} MiB used", todo)


def check_trading(settings: Settings, places: Places) -> Iterator[Finding]:
    """What a running system says of itself: whether it admits commands, what is halted, what is open."""
    if settings.redis_url is None or not _running(places):
        return
    seen = pulse.take(settings.redis_url, [])
    if seen.health is None:
        yield Finding("fail", "no streamer leads: commands are decided by nobody", "pms logs streamer")
    elif seen.health.get("admission"):
        yield Finding("ok", "commands are admitted")
    else:
        yield Finding("fail", f"commands are refused: {seen.health.get('reason')}", "pms status")
    halts = seen.health.get("halts", []) if seen.health else []
    halted = [halt["subAccountId"] or "all trading" for halt in halts]
    if halted or seen.halt:
        what = ", ".join(halted) or "all trading"
        yield Finding("warn", f"halted: {what}", "`pms status` shows why, `pms resume --reason …` lifts it")
    if seen.open_incidents:
        count = seen.open_incidents
        what = "1 incident that nobody has" if count == 1 else f"{count} incidents that nobody has"
        yield Finding("warn", f"{what} acknowledged", "pms incidents")


def check_postgres(settings: Settings, places: Places) -> Iterator[Finding]:
    if settings.database_url is None:
        return
    major = external.check_postgres(settings.database_url)
    revision = migrate.check(settings.database_url)
    yield Finding("ok", f"PostgreSQL {major} answers; migrations at {revision}")
    try:
        with psycopg.connect(libpq_address(settings.database_url), connect_timeout=2) as connection:
            row = connection.execute("SHOW fsync").fetchone()
    except psycopg.Error as error:
        raise StackError(f"PostgreSQL stopped answering: {error}") from None
    if row != ("on",):
        yield Finding("fail", "PostgreSQL runs with fsync off", "set fsync = on: a crash loses the ledger")


def check_exchange(settings: Settings, places: Places) -> Iterator[Finding]:
    url = settings.binance_rest_url
    if url is None:
        return
    before = time.time()
    theirs = external.exchange_time(url)
    after = time.time()
    offset = theirs - (before + after) * 500
    todo = "set this machine's clock (systemd-timesyncd or chrony)" if abs(offset) > MOST_OFFSET_MS else ""
    took = (after - before) * 1000
    what = f"exchange {url} answers in {took:.0f} ms, its clock is {offset:+.0f} ms from ours"
    yield Finding("warn" if todo else "ok", what, todo)
    if _running(places) and not (settings.binance_api_key and settings.binance_api_secret):
        yield Finding(
            "warn",
            "this terminal has no key of the exchange: `pms panic`, `audit` and `verify` need it",
            "export PMS_BINANCE_API_KEY and PMS_BINANCE_API_SECRET",
        )
    else:
        external.require_exchange_settings(settings)
    if not settings.orders_allowed:
        yield Finding(
            "warn", "every order is refused: real money", f"set PMS_LIVE={LIVE_PHRASE} if you mean it"
        )


def _running(places: Places) -> bool:
    found = state.read(places.state)
    return found is not None and found.running()


def _enterable(directory: Path) -> bool:
    return directory.is_dir() and os.access(directory, os.X_OK)


CHECKS: tuple[Check, ...] = (
    check_python,
    check_places,
    check_servers,
    check_system,
    check_stack,
    check_redis,
    check_trading,
    check_postgres,
    check_exchange,
)
