"""Limits, those removed too; the group of a sub-account; the day's results by their time."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"

STATEMENTS = (
    """
    CREATE TABLE IF NOT EXISTS pms.limits (
        scope text NOT NULL,
        name text NOT NULL,
        symbol text NOT NULL,
        value text,
        actor text NOT NULL,
        reason text NOT NULL,
        at bigint NOT NULL,
        request_id text NOT NULL,
        CONSTRAINT limits_pkey PRIMARY KEY (scope, name, symbol)
    )
    """,
    """ALTER TABLE pms.sub_accounts ADD COLUMN IF NOT EXISTS "group" text NOT NULL DEFAULT 'default'""",
    "CREATE INDEX IF NOT EXISTS ledger_entries_by_time ON pms.ledger_entries (at)",
)


def upgrade() -> None:
    """Only add: nothing is dropped, renamed or rewritten."""
    for statement in STATEMENTS:
        op.execute(statement)
