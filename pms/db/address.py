"""Addresses of PostgreSQL: from what libpq takes to what SQLAlchemy takes.

libpq's own parser reads them, so `postgresql://user@/name?host=/socket/dir`, several hosts and
`sslmode` mean here what they mean to psql.
"""

from __future__ import annotations

from collections.abc import Mapping

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import URL

from pms.db.errors import BadAddress

_DRIVER = "postgresql+psycopg"
_SCHEMES = ("postgresql", "postgres", _DRIVER)


def sqlalchemy_url(address: str, defaults: Mapping[str, str] | None = None) -> URL:
    """Turn a libpq address into SQLAlchemy's; `defaults` are libpq parameters that it may override.

    Raises BadAddress. Trap: `options` are joined, the address's behind ours, so that the last wins.
    """
    given = _parameters(address)
    merged = {**(defaults or {}), **given}
    if defaults and "options" in defaults and "options" in given:
        merged["options"] = f"{defaults['options']} {given['options']}"
    return URL.create(
        _DRIVER,
        username=merged.pop("user", None),
        password=merged.pop("password", None),
        database=merged.pop("dbname", None),
        query=merged,
    )


def libpq_address(address: str) -> str:
    """The same address for psycopg itself, which does not know SQLAlchemy's spelling. Raises BadAddress.

    Trap: what psycopg says of an address that it cannot read quotes the password; so it gets none.
    """
    return make_conninfo(**_parameters(address))


def shown(address: str) -> str:
    """Write an address for people: user, host, port and database, never a password."""
    try:
        given = _parameters(address)
    except BadAddress:
        return "(an address that cannot be read)"
    user = f"{given['user']}@" if "user" in given else ""
    host = given.get("host", "local socket")
    port = f":{given['port']}" if "port" in given else ""
    return f"{user}{host}{port}/{given.get('dbname', '')}"


def _parameters(address: str) -> dict[str, str]:
    scheme, separator, rest = address.partition("://")
    if not separator or scheme not in _SCHEMES:
        raise BadAddress("the database address must begin with postgresql://")
    try:
        parsed = conninfo_to_dict(f"postgresql://{rest}")
    except psycopg.Error:
        # libpq quotes the piece that it stumbled over, which may be part of the password.
        raise BadAddress(
            "the database address cannot be read: a character of user, password or name may need"
            " percent-encoding (% is %25, @ is %40, / is %2F), or an option behind ? is unknown"
        ) from None
    given = {name: str(value) for name, value in parsed.items() if value is not None}
    if "@" in given.get("host", "") or "@" in rest.partition("?")[0].partition("/")[2]:
        raise BadAddress(
            "the database address holds an @ too many: in the password it is written %40, / is %2F"
        )
    if not all(port.isdigit() for port in given.get("port", "").split(",") if port):
        raise BadAddress("the database address holds a port that is not a number")
    return given
