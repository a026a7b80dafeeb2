"""Where everything of one system lies, all derived from its home.

The sockets lie elsewhere, in a short directory, for a socket's path has 107 bytes at most. Not in
`$XDG_RUNTIME_DIR`: that one is removed at log-out, under the feet of a system left running.
"""

from __future__ import annotations

import hashlib
import os
import pwd
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pms.config import Settings
from pms.stack.errors import StackError
from pms.stack.private import make_private
from pms.stack.servers.identity import make_system_dir, server_identity


@dataclass(frozen=True, slots=True)
class Places:
    """The paths of one system."""

    home: Path
    system_dir: Path
    as_root: bool

    @classmethod
    def of(cls, settings: Settings) -> Places:
        """The places of the configured home."""
        return cls(settings.home.resolve(), settings.system_dir, os.geteuid() == 0)

    @property
    def mark(self) -> str:
        """A short name for this home, wherever it lies."""
        return hashlib.sha256(bytes(self.home)).hexdigest()[:8]

    @property
    def redis_data(self) -> Path:
        return self.home / "redis"

    @property
    def postgres_data(self) -> Path:
        """PostgreSQL's data: in the home, or, started by root, where its own user can reach them."""
        return self.system_home / "postgres" if self.as_root else self.home / "postgres"

    @property
    def system_home(self) -> Path:
        """What root's PostgreSQL keeps for this home."""
        return self.system_dir / "data" / self.mark

    @property
    def runtime(self) -> Path:
        """Redis' socket."""
        base = "/run/pms" if self.as_root else f"/tmp/pms-{os.geteuid()}"
        return Path(f"{base}/{self.mark}" if self.as_root else f"{base}-{self.mark}")

    @property
    def postgres_runtime(self) -> Path:
        """PostgreSQL's socket; a directory of its own, for it may belong to another user."""
        return self.runtime.with_name(self.runtime.name + "-pg")

    @property
    def venue_state(self) -> Path:
        return self.home / "venue"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def run(self) -> Path:
        return self.home / "run"

    @property
    def secrets(self) -> Path:
        """Keys and passwords that we made, 0600."""
        return self.home / "secrets.env"

    @property
    def exchange(self) -> Path:
        """Names the exchange of which the books here are."""
        return self.home / "exchange"

    @property
    def addresses(self) -> Path:
        """What other commands read to find the running system, 0600."""
        return self.run / "stack.env"

    @property
    def state(self) -> Path:
        """What the supervisor last wrote about itself and its children."""
        return self.run / "state.json"

    def log_of(self, part: str) -> Path:
        return self.logs / f"{part}.log"

    def make(self) -> None:
        """Make every directory; those that exist keep their permissions. Raises StackError."""
        try:
            for directory in (self.home, self.logs, self.run):
                if not directory.exists():
                    directory.mkdir(parents=True, mode=0o700)
            if self.as_root and not self.runtime.parent.exists():
                _make_open(self.runtime.parent)
        except OSError as error:
            raise StackError(
                f"PMS_HOME {self.home}: cannot make {error.filename}: {error.strerror};"
                " set PMS_HOME to a directory of your own"
            ) from None
        if not os.access(self.home, os.W_OK | os.X_OK):
            raise StackError(
                f"PMS_HOME {self.home} belongs to another user: set PMS_HOME to a directory of your own"
            )
        self._refuse_another_s()
        make_private(self.runtime)

    def _refuse_another_s(self) -> None:
        """Raise StackError where another user ran this home: root's PostgreSQL would be another one."""
        for ours in (self.redis_data, self.home / "archive", self.secrets):
            if ours.exists() and (owner := ours.stat().st_uid) != os.geteuid():
                raise StackError(
                    f"PMS_HOME {self.home} is run by {_named(owner)}: do this as that user,"
                    " or set PMS_HOME to a directory of your own"
                )

    def make_for_postgres(self) -> None:
        """Make what root's PostgreSQL needs outside the home. Raises StackError."""
        if not self.as_root:
            return
        identity = server_identity(self.system_dir)
        make_system_dir(self.system_dir)
        if not self.system_home.parent.exists():
            _make_open(self.system_home.parent)
        make_private(self.system_home, identity)
        (self.system_home / "home").write_text(f"{self.home}\n")


def _named(uid: int) -> str:
    with suppress(KeyError):
        return f"user {pwd.getpwuid(uid).pw_name}"
    return f"user {uid}"


def _make_open(directory: Path) -> None:
    """A directory of ours that others may pass through, whatever the umask."""
    directory.mkdir(mode=0o755)
    directory.chmod(0o755)
