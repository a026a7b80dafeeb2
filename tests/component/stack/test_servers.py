"""The embedded servers themselves: private, durable, one to a directory, gone when their parent is."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import psycopg
import pytest
from redis import Redis

from pms.stack.errors import InUse, StackError
from pms.stack.private import make_private
from pms.stack.servers.embedded import checked_socket
from pms.stack.servers.postgres import EmbeddedPostgres
from pms.stack.servers.redis import EmbeddedRedis


@pytest.fixture
def place(servers_dir: Path, request: pytest.FixtureRequest) -> Path:
    path = servers_dir / f"t{abs(hash(request.node.name)) % 10**6}"
    path.mkdir(mode=0o711)
    return path


def redis_in(place: Path) -> EmbeddedRedis:
    return EmbeddedRedis(data_dir=place / "redis", runtime_dir=place / "r")


def postgres_in(place: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(data_dir=place / "postgres", runtime_dir=place / "p", settings={"fsync": "off"})


def test_redis_is_configured_as_the_journal_needs_it(redis_server: EmbeddedRedis) -> None:
    client = Redis.from_url(redis_server.url, decode_responses=True)
    assert client.config_get("appendonly") == {"appendonly": "yes"}
    assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert client.config_get("port") == {"port": "0"}
    assert client.config_get("save") == {"save": ""}
    assert int(client.config_get("maxmemory")["maxmemory"]) > 0
    assert stat.S_IMODE(redis_server.runtime_dir.stat().st_mode) == 0o700


def test_a_killed_redis_forgets_nothing(place: Path) -> None:
    server = redis_in(place)
    with server:
        Redis.from_url(server.url).set("k", "v")
        server.kill()
        assert server.pid == 0
    with server:
        assert Redis.from_url(server.url).get("k") == b"v"


def test_postgres_is_version_18_on_a_socket_only(postgres_server: EmbeddedPostgres) -> None:
    with psycopg.connect(postgres_server.url) as connection:
        assert connection.info.server_version // 10_000 == 18
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
        assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)
    for private in (postgres_server.data_dir, postgres_server.runtime_dir):
        assert stat.S_IMODE(private.stat().st_mode) == 0o700
    assert psutil.Process(postgres_server.pid).uids().real != 0


def test_a_killed_postgres_comes_back_with_its_data(place: Path) -> None:
    server = postgres_in(place)
    with server:
        with psycopg.connect(server.url) as connection:
            connection.execute("CREATE TABLE t AS SELECT 1 AS n")
        server.kill()
    with server, psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT n FROM t").fetchone() == (1,)


def test_there_are_never_two_servers_on_one_directory(place: Path) -> None:
    with redis_in(place) as first:
        with pytest.raises(InUse, match="already has a running server"):
            EmbeddedRedis(data_dir=first.data_dir, runtime_dir=place / "other").start()
        assert first.answers()


def test_a_directory_of_another_major_version_is_refused(place: Path) -> None:
    server = postgres_in(place)
    make_private(server.data_dir)
    (server.data_dir / "PG_VERSION").write_text("16\n")
    with pytest.raises(StackError, match=r"made by PostgreSQL 16.*pms reset"):
        server.start()


def test_a_directory_that_others_can_enter_is_refused(place: Path) -> None:
    open_to_all = place / "r"
    open_to_all.mkdir()
    open_to_all.chmod(0o755)
    with pytest.raises(StackError, match="open to other users"):
        redis_in(place).start()
    assert stat.S_IMODE(open_to_all.stat().st_mode) == 0o755


def test_a_link_in_place_of_the_socket_directory_is_refused(place: Path) -> None:
    (place / "r").symlink_to("/tmp")
    with pytest.raises(StackError, match="not a directory of user"):
        redis_in(place).start()


def test_a_socket_path_that_redis_would_truncate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="longer than 107 bytes"):
        checked_socket(tmp_path / ("x" * 100))


START_AND_DIE = """
import os, signal, sys
from pathlib import Path
from pms.stack.servers.postgres import EmbeddedPostgres
from pms.stack.servers.redis import EmbeddedRedis
place = Path(sys.argv[1])
redis = EmbeddedRedis(data_dir=place / "redis", runtime_dir=place / "r")
postgres = EmbeddedPostgres(data_dir=place / "postgres", runtime_dir=place / "p")
redis.start(), postgres.start()
print(redis.pid, postgres.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and that init has not yet buried does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_the_servers_of_a_killed_supervisor_end_and_the_next_takes_over(place: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", START_AND_DIE, str(place)], capture_output=True, text=True, check=False
    )
    pids = [int(word) for word in done.stdout.split()]
    assert len(pids) == 2, done.stderr
    # At once: whether they have ended already or not, the next start must get the directories.
    with redis_in(place) as redis, postgres_in(place) as postgres:
        assert redis.answers()
        assert postgres.answers()
        assert not any(alive(pid) for pid in pids)


def test_permissions_of_a_directory_we_did_not_make_stay_as_they_are(place: Path) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    server = postgres_in(closed)
    if os.geteuid() == 0:  # its user cannot enter, and nobody opens the door for it
        with pytest.raises(StackError, match="cannot enter"):
            server.start()
    else:
        with server:
            assert server.answers()
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
