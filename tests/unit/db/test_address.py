"""Addresses: what libpq takes, SQLAlchemy gets; a password is never told."""

from __future__ import annotations

import pytest

from pms.db.address import shown, sqlalchemy_url
from pms.db.engine import connection_url
from pms.db.errors import BadAddress


def test_a_socket_directory_becomes_the_host() -> None:
    url = sqlalchemy_url("postgresql://postgres@/pms?host=/run/pms/pg")
    assert url.drivername == "postgresql+psycopg"
    assert (url.username, url.database, url.query["host"]) == ("postgres", "pms", "/run/pms/pg")


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_every_usual_spelling_is_taken(scheme: str) -> None:
    url = sqlalchemy_url(f"{scheme}://u:p%40ss%2F@db.example:6432/pms?sslmode=require")
    assert (url.username, url.password, url.database) == ("u", "p@ss/", "pms")
    assert dict(url.query) == {"host": "db.example", "port": "6432", "sslmode": "require"}


def test_several_hosts_stay_several() -> None:
    url = sqlalchemy_url("postgresql://a:1,b:2/pms")
    assert (url.query["host"], url.query["port"]) == ("a,b", "1,2")


def test_the_address_overrides_our_limits_and_joins_its_options() -> None:
    url = connection_url(
        "postgresql:///pms?application_name=mine&options=-c%20statement_timeout%3D1",
        name="pms fold",
        statement_timeout_ms=10_000,
    )
    assert url.query["application_name"] == "mine"
    options = url.query["options"]
    assert isinstance(options, str)
    assert options.startswith("-c statement_timeout=10000")
    assert options.endswith("-c statement_timeout=1")


@pytest.mark.parametrize(
    "address",
    [
        "mysql://u:hunter2@h/db",
        "host=h password=hunter2",
        "postgresql://u:hunter2%zz@h/db",
        "postgresql://u:me@hunter2@h/db",
        "postgresql://u:x@h:hunter2/db",
        "postgresql://u:55/hunter2@h/db",
        "postgresql://u:x@h/db?hunter2=1",
    ],
)
def test_a_bad_address_is_refused_without_quoting_it(address: str) -> None:
    with pytest.raises(BadAddress) as refused:
        sqlalchemy_url(address)
    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
    assert "hunter2" not in shown(address)


def test_people_see_where_but_no_password() -> None:
    assert shown("postgresql://u:hunter2@h:1/db?sslpassword=hunter2") == "u@h:1/db"
    assert shown("postgresql://u@/db?host=/s") == "u@/s/db"
