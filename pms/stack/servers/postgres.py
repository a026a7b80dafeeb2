"""Embedded PostgreSQL 18: a Unix socket in a private directory, never TCP, never as root.

Whoever can enter the socket's directory is let in without a password (`trust`); the directory is
its owner's alone, and root may enter any.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

import psycopg
from psycopg import sql

from pms.stack.errors import StackError
from pms.stack.private import make_private
from pms.stack.servers import binaries
from pms.stack.servers.embedded import EmbeddedServer, checked_socket
from pms.stack.servers.identity import Identity, make_system_dir, server_identity
from pms.stack.spawn import spawn

SYSTEM_DIR = Path("/var/lib/pms")
USER = "pms"
_ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin:/bin"}
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "huge_pages": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}


class EmbeddedPostgres(EmbeddedServer):
    """One PostgreSQL server with one database, `pms`.

    Started by root it runs as the user `pms`, from a copy of the binaries under `system_dir`, for
    the checkout may lie where only root can read. `settings` are postgresql.conf's and win over ours.
    """

    name: ClassVar[str] = "postgres"
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT  # "fast": does not wait for clients to leave

    def __init__(
        self,
        *,
        data_dir: Path,
        runtime_dir: Path,
        log: Path | None = None,
        system_dir: Path = SYSTEM_DIR,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(data_dir=data_dir, runtime_dir=runtime_dir, log=log)
        checked_socket(runtime_dir / ".s.PGSQL.5432")
        self._system_dir = system_dir
        self._settings = {**_SETTINGS, **(settings or {})}
        self._identity: Identity | None = None
        self._binaries: binaries.Binaries | None = None

    @property
    def url(self) -> str:
        return self.database_url("pms")

    def database_url(self, database: str) -> str:
        """The address of one of its databases."""
        return f"postgresql://{USER}@/{database}?host={quote(str(self.runtime_dir), safe='/')}"

    def prepare(self) -> None:
        self._identity = server_identity(self._system_dir)
        self._binaries = self._install()
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        self._refuse_unreachable(self.data_dir.parent)
        make_private(self.runtime_dir, self._identity)
        found = data_version(self.data_dir)
        if found is None:
            self._create_cluster()
        elif found != binaries.POSTGRES_MAJOR:
            raise StackError(
                f"{self.data_dir} was made by PostgreSQL {found}, this release runs"
                f" {binaries.POSTGRES_MAJOR}: dump it with the release that made it (`pg_dump`) and load"
                " the dump here, or begin anew with `pms reset`"
            )

    def _install(self) -> binaries.Binaries:
        found = binaries.install()
        if self._identity is None:
            return found
        make_system_dir(self._system_dir)
        return found.copy_postgres(self._system_dir / "servers")

    def _refuse_unreachable(self, directory: Path) -> None:
        if self._identity is None:
            return
        for folder in (directory, *directory.parents):
            found = folder.stat()
            mine = found.st_uid == self._identity.uid
            if not found.st_mode & (0o100 if mine else 0o001):
                raise StackError(
                    f"the user {self._identity.name} cannot enter {folder}, where its data would lie"
                )

    def _create_cluster(self) -> None:
        """Make an empty cluster beside its place, then move it in: half of one is never found."""
        draft = self.data_dir.with_name(self.data_dir.name + ".new")
        shutil.rmtree(draft, ignore_errors=True)
        make_private(draft, self._identity)
        command = [
            str(self._program("initdb")),
            *("--pgdata", str(draft), "--username", USER, "--encoding", "UTF8"),
            *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--locale", "C"),
            *("--auth-local", "trust", "--auth-host", "reject", "--no-instructions"),
        ]
        done = subprocess.run(  # type: ignore[call-overload]
            command, env=_ENVIRONMENT, cwd="/", capture_output=True, text=True, check=False, **self._as_user()
        )
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or ["it said nothing"]
            raise StackError(f"initdb failed: {lines[-1]}")
        draft.rename(self.data_dir)

    def _as_user(self) -> dict[str, object]:
        if self._identity is None:
            return {}
        return {"user": self._identity.uid, "group": self._identity.gid, "extra_groups": []}

    def _program(self, name: str) -> Path:
        assert self._binaries is not None, "prepared first"
        return self._binaries.postgres_program(name)

    def _spawn(self, lock: int) -> subprocess.Popen[bytes]:
        command = [str(self._program("postgres")), "-D", str(self.data_dir)]
        for name, value in {**self._settings, "unix_socket_directories": str(self.runtime_dir)}.items():
            command += ["-c", f"{name}={value}"]
        return spawn(
            command,
            environment=_ENVIRONMENT,
            log=self.log,
            on_parent_death=signal.SIGINT,
            identity=self._identity,
            keep_open=[lock],
            directory=Path("/"),
        )

    def answers(self) -> bool:
        try:
            with psycopg.connect(self.database_url("postgres"), connect_timeout=2) as connection:
                connection.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True

    def on_ready(self) -> None:
        self.create_database("pms")

    def create_database(self, name: str, *, template: str | None = None) -> str:
        """Make a database if it is not there and return its address."""
        with psycopg.connect(self.database_url("postgres"), autocommit=True) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
            if known is None:
                statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
                if template is not None:
                    statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
                connection.execute(statement)
        return self.database_url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever is still connected to it."""
        with psycopg.connect(self.database_url("postgres"), autocommit=True) as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )


def data_version(data_dir: Path) -> str | None:
    """The major version that made a data directory; None if there is none."""
    version = data_dir / "PG_VERSION"
    return version.read_text().strip() if os.path.exists(version) else None
