"""Migrations: run by themselves, twice and at once; a newer database is refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import NullPool, create_engine, text

from pms.db import migrate
from pms.db.address import sqlalchemy_url
from pms.db.errors import SchemaBehind, SchemaTooNew, Unreachable
from pms.db.migrations.versions.r0001_tables import TABLES
from pms.db.models import SCHEMA, metadata


def run(address: str, *statements: str) -> None:
    engine = create_engine(sqlalchemy_url(address), poolclass=NullPool)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def test_a_second_run_changes_nothing(blank_database_url: str) -> None:
    with pytest.raises(SchemaBehind, match="schema none"):
        migrate.check(blank_database_url)
    assert migrate.upgrade(blank_database_url) == migrate.head()
    run(blank_database_url, "INSERT INTO pms.cursors VALUES ('BTCUSDT', 7, 1)")
    assert migrate.upgrade(blank_database_url) == migrate.head() == migrate.check(blank_database_url)
    run(blank_database_url, "DO $$ BEGIN ASSERT (SELECT count(*) FROM pms.cursors) = 1; END $$")


def test_processes_that_start_together_wait_for_each_other(blank_database_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(migrate.upgrade, [blank_database_url] * 4))
    assert found == [migrate.head()] * 4
    run(blank_database_url, "DO $$ BEGIN ASSERT (SELECT count(*) FROM pms.journal_cursor) = 1; END $$")


def test_a_database_of_a_newer_release_is_refused_and_left_alone(address: str) -> None:
    run(address, f"UPDATE {SCHEMA}.alembic_version SET version_num = '9999'")
    for attempt in (migrate.upgrade, migrate.check):
        with pytest.raises(SchemaTooNew, match=rf"9999.*{migrate.head()}") as refused:
            attempt(address)
        assert (refused.value.database, refused.value.code) == ("9999", migrate.head())
    run(address, f"DO $$ BEGIN ASSERT (SELECT version_num FROM {SCHEMA}.alembic_version) = '9999'; END $$")


def test_an_older_database_is_told_and_then_brought_up_with_its_rows(address: str) -> None:
    later = [table for table in metadata.tables if f"CREATE TABLE {table} " not in TABLES]
    run(
        address,
        "DO $$ DECLARE v text; BEGIN FOR v IN SELECT viewname FROM pg_views WHERE viewname LIKE 'pms\\_%'"
        " LOOP EXECUTE 'DROP VIEW public.' || v; END LOOP; END $$",
        "DROP FUNCTION pms.refuse_write",
        *(f"DROP TABLE {table}" for table in later),
        f"UPDATE {SCHEMA}.alembic_version SET version_num = '0001'",
        "INSERT INTO pms.cursors VALUES ('BTCUSDT', 7, 1)",
    )
    with pytest.raises(SchemaBehind, match=r"0001.*`pms up` brings it"):
        migrate.check(address)
    assert migrate.upgrade(address) == migrate.head() == migrate.check(address)
    run(address, "DO $$ BEGIN ASSERT (SELECT count(*) FROM pms.cursors) = 1; END $$")


CONSTRAINTS = """
    SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = CAST(:schema AS regnamespace)
"""
INDEXES = "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = :schema"
COLUMNS = """
    SELECT table_name, column_name, data_type, numeric_scale, is_nullable, column_default
    FROM information_schema.columns WHERE table_schema = :schema
"""


def test_the_steps_make_exactly_the_tables_that_the_code_describes(address: str) -> None:
    engine = create_engine(sqlalchemy_url(address), poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA described"))
        connection.execute(text("DROP TABLE pms.alembic_version"))
        metadata.create_all(connection.execution_options(schema_translate_map={SCHEMA: "described"}))
        for query in (CONSTRAINTS, INDEXES, COLUMNS):
            made, described = (
                {
                    tuple(str(value).replace(f"{schema}.", "") for value in row)
                    for row in connection.execute(text(query), {"schema": schema})
                }
                for schema in (SCHEMA, "described")
            )
            assert made == described
            assert made


def test_no_step_leads_down() -> None:
    for step in ScriptDirectory.from_config(migrate._config()).walk_revisions():
        assert not hasattr(step.module, "downgrade")


def test_an_unreachable_server_is_one_line_without_the_password() -> None:
    with pytest.raises(Unreachable) as refused:
        migrate.upgrade("postgresql://u:hunter2@127.0.0.1:1/db")
    told = str(refused.value)
    assert "127.0.0.1" in told
    assert "hunter2" not in told
    assert "\n" not in told
