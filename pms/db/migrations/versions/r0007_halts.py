"""The halts, those lifted too."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0005"

TABLE = """
CREATE TABLE IF NOT EXISTS pms.halts (
    scope text NOT NULL,
    mode text NOT NULL,
    reason text NOT NULL,
    actor text NOT NULL,
    since bigint NOT NULL,
    request_id text NOT NULL,
    CONSTRAINT halts_pkey PRIMARY KEY (scope),
    CONSTRAINT halts_mode CHECK (mode IN ('HALTED', 'REDUCE_ONLY', 'RESUMED'))
)
"""


def upgrade() -> None:
    """Only add: nothing is dropped, renamed or rewritten."""
    op.execute(TABLE)
