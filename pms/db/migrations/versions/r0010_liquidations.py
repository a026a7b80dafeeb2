"""Liquidations: each step with its numbers, each account's tier, and what the house has yet to unwind."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0007"

TIER = "ALTER TABLE pms.sub_accounts ADD COLUMN IF NOT EXISTS tier bigint NOT NULL DEFAULT 0"

LIQUIDATIONS = """
CREATE TABLE IF NOT EXISTS pms.liquidations (
    seq bigint NOT NULL,
    line integer NOT NULL,
    sub_account_id text NOT NULL,
    action text NOT NULL,
    tier bigint NOT NULL,
    symbol text,
    quantity numeric,
    price numeric,
    realized numeric,
    ratio numeric,
    equity numeric NOT NULL,
    maintenance numeric NOT NULL,
    tops text NOT NULL,
    at bigint NOT NULL,
    CONSTRAINT liquidations_pkey PRIMARY KEY (seq, line),
    CONSTRAINT liquidations_action CHECK (action IN ('WARN', 'CANCEL', 'DELEVERAGE', 'TAKEOVER', 'REARM'))
)
"""

BY_ACCOUNT = "CREATE INDEX IF NOT EXISTS liquidations_by_account ON pms.liquidations (sub_account_id, seq)"

UNWINDS = """
CREATE TABLE IF NOT EXISTS pms.unwinds (
    symbol text NOT NULL,
    quantity numeric NOT NULL,
    updated_at bigint NOT NULL,
    CONSTRAINT unwinds_pkey PRIMARY KEY (symbol),
    CONSTRAINT unwinds_quantity CHECK (quantity > '-Infinity' AND quantity < 'Infinity')
)
"""


def upgrade() -> None:
    """Only add: nothing is dropped, renamed or rewritten."""
    for step in (TIER, LIQUIDATIONS, BY_ACCOUNT, UNWINDS):
        op.execute(step)
