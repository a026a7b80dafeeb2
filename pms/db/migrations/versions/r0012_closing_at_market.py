"""Liquidation at market: which accounts are being closed, and the steps that such a liquidation has more."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0010"

CLOSING = "ALTER TABLE pms.sub_accounts ADD COLUMN IF NOT EXISTS closing bigint NOT NULL DEFAULT 0"

# Wider than before: whatever is there fits.
ACTIONS = """
ALTER TABLE pms.liquidations
    DROP CONSTRAINT IF EXISTS liquidations_action,
    ADD CONSTRAINT liquidations_action CHECK (
        action IN ('WARN', 'CANCEL', 'DELEVERAGE', 'TAKEOVER', 'REARM', 'CLOSE', 'CLOSED')
    )
"""


def upgrade() -> None:
    """Only add: nothing is dropped, renamed or rewritten."""
    for step in (CLOSING, ACTIONS):
        op.execute(step)
