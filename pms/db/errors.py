"""What can be wrong with the database, each told in one line without a secret."""

from __future__ import annotations

from sqlalchemy.exc import OperationalError


class DatabaseError(Exception):
    """Base of what an operator has to put right."""


class BadAddress(DatabaseError):
    """The address is not one of PostgreSQL; the text names the fault and quotes none of it."""


class Unreachable(DatabaseError):
    """No connection could be made, it was lost, or the server was too slow."""

    def __init__(self, error: OperationalError) -> None:
        # libpq names host, port and user in its first line, and never the password.
        lines = [line.strip() for line in str(error.orig).splitlines() if line.strip()]
        super().__init__(f"PostgreSQL: {lines[0] if lines else 'no reason given'}")


class ServerTooOld(DatabaseError):
    """The server is older than what the schema needs."""


class SchemaBehind(DatabaseError):
    """The database has not been migrated to what this code needs."""

    def __init__(self, *, database: str | None, code: str) -> None:
        super().__init__(
            f"the database is at schema {database or 'none'}, this code needs {code}:"
            " `pms up` brings it there, `pms drain` while the system runs"
        )
        self.database = database
        self.code = code


class SchemaTooNew(DatabaseError):
    """The database was migrated by a newer release; older code must not touch it."""

    def __init__(self, *, database: str, code: str) -> None:
        super().__init__(
            f"the database is at schema {database}, which this code does not know (it knows up to {code}):"
            " run the release that migrated it, or a newer one"
        )
        self.database = database
        self.code = code
