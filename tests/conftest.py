"""Real servers for every test that wants one, started once a run; and no silent skips in CI."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from pms.db.migrate import upgrade
from pms.stack.servers.postgres import EmbeddedPostgres
from pms.stack.servers.redis import EmbeddedRedis

ALLOWED_SKIPS = ("no ../shared", "no node")
_numbers = itertools.count(1)


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

    def __init__(self) -> None:
        self.refused: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._judge(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._judge(report)

    def _judge(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            reason = _reason(report)
            if not reason.lower().startswith(ALLOWED_SKIPS):
                self.refused.append(f"{report.nodeid}: {reason}")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.refused and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for line in self.refused:
            terminalreporter.write_line(f"SKIP NOT ALLOWED IN CI  {line}", red=True)


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get("CI"):
        config.pluginmanager.register(SkipPolicy())
