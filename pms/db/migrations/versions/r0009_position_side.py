"""The leverage that a command has set outlives its position."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0007"

COLUMNS = "ALTER TABLE pms.positions ADD COLUMN IF NOT EXISTS leverage_set boolean NOT NULL DEFAULT false"


def upgrade() -> None:
    """Only add: nothing is dropped, renamed or rewritten."""
    op.execute(COLUMNS)
