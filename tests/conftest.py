"""Real servers for every test that wants one, started once a run; and no silent skips in CI."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from redis import Redis
from xdist.scheduler import LoadScopeScheduling

from pms.db.migrate import upgrade
from pms.stack.servers.postgres import EmbeddedPostgres
from pms.stack.servers.redis import EmbeddedRedis

# Parts are started hundreds of times; each would compile all of the product anew, for longer than it starts.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

ALLOWED_SKIPS = ("no ../shared", "no node")
_numbers = itertools.count(1)
Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


@pytest.fixture(scope="session")
def servers_dir() -> Iterator[Path]:
    """A short directory for the servers' data and sockets, one that PostgreSQL's user can enter."""
    path = Path(tempfile.mkdtemp(prefix="pms-test-", dir="/tmp"))
    if os.geteuid() == 0:
        path.chmod(0o711)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def redis_server(servers_dir: Path) -> Iterator[EmbeddedRedis]:
    """One Redis for the run."""
    server = EmbeddedRedis(
        data_dir=servers_dir / "redis", runtime_dir=servers_dir / "r", appendfsync="everysec"
    )
    with server:
        yield server


@pytest.fixture
def redis_url(redis_server: EmbeddedRedis) -> str:
    """An empty Redis."""
    client = Redis.from_url(redis_server.url)
    client.flushall()
    client.close()
    return redis_server.url


@pytest.fixture(scope="session")
def postgres_server(servers_dir: Path) -> Iterator[EmbeddedPostgres]:
    """One PostgreSQL for the run, with a migrated database to copy."""
    server = EmbeddedPostgres(
        data_dir=servers_dir / "postgres", runtime_dir=servers_dir / "p", settings={"fsync": "off"}
    )
    with server:
        upgrade(server.create_database("migrated"))
        yield server


@pytest.fixture
def database_url(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    """A migrated database of this test's own."""
    name = f"test_{next(_numbers)}"
    yield postgres_server.create_database(name, template="migrated")
    postgres_server.drop_database(name)


@pytest.fixture
def blank_database_url(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    """A database of this test's own without any table."""
    name = f"test_{next(_numbers)}"
    yield postgres_server.create_database(name)
    postgres_server.drop_database(name)


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")


class SkipPolicy:
    """In CI a skip is a failure unless what is absent may be absent."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        return _judged((yield))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_make_collect_report(
        self,
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        return _judged((yield))


def _judged(report: Report) -> Report:
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = _reason(report)
        if not reason.lower().startswith(ALLOWED_SKIPS):
            report.outcome = "failed"
            report.longrepr = f"SKIP NOT ALLOWED IN CI  {report.nodeid}: {reason}"
    return report


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak-seconds", type=float, default=60, help="How long the soak goes on.")
    parser.addoption("--soak-seed", type=int, help="The soak's seed; a random one otherwise.")
    parser.addoption("--soak-only", default="", help="Only faults that begin so, as `kill` or `cut workers`.")
    parser.addoption("--crash-seconds", type=int, default=12, help="How long each crash takes to its bottom.")
    parser.addoption("--outage-seconds", type=float, default=5, help="How long the exchange is away.")
    parser.addoption(
        "--conformance-seconds", type=float, default=2, help="How long a client follows a moving book."
    )
    parser.addoption("--fuzz-requests", type=int, default=12_000, help="How many malformed requests.")
    parser.addoption("--fuzz-seed", type=int, default=1, help="Which ones.")
    parser.addoption("--record", action="store_true", help="Keep what the clients sent, as tapes.")
    parser.addoption("--killed-all", action="store_true", help="Every algo in every middle, every death.")
    parser.addoption(
        "--killed-only",
        default="",
        help="With --killed-all: these deaths, middles or kinds: `redis,in flight`.",
    )
    parser.addoption("--soak-keep", action="store_true", help="Keep the soak's directories with all logs.")


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get("CI"):
        config.pluginmanager.register(SkipPolicy())


LONGEST = (
    "test_crash.py",
    "test_up.py",
    "test_staying_alive.py",
    "test_exactly_once.py",
    "test_soak.py",
    "test_algos.py",
    "test_algos_killed.py",
    "test_algos_replay.py",
    "test_real_input.py",
    "test_foreign_truth.py",
    "test_reconciliation.py",
    "test_outages.py",
    "test_restart.py",
)
"""Files on whole systems that take longest: they begin first, so that none is left over at the end."""


def _lane(nodeid: str) -> str:
    """A file on a whole system is a lane of its own; all else is one."""
    folder, _, name = nodeid.split("::", maxsplit=1)[0].rpartition("/")
    return name if folder == "tests/stack" else "parts"


def _turn(item: pytest.Item) -> int:
    lane = _lane(item.nodeid)
    if lane == "parts":
        return 0
    return 1 + (LONGEST.index(lane) if lane in LONGEST else len(LONGEST))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_turn)


class Lanes(LoadScopeScheduling):
    """Two whole systems at a time, for they wait more than they work, and beside them everything else.

    Whoever is through takes the next system.
    """

    def _split_scope(self, nodeid: str) -> str:
        return _lane(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Lanes:
    return Lanes(config, log)
