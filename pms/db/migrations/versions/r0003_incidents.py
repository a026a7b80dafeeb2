"""Incidents live: what they are about, their evidence, and who dealt with them when.

Those of older releases come out open: nobody ever said that they were dealt with.
"""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"

COLUMNS = """
ALTER TABLE pms.incidents
    ADD COLUMN IF NOT EXISTS subject text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS evidence text NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS state text NOT NULL DEFAULT 'open',
    ADD COLUMN IF NOT EXISTS times bigint NOT NULL DEFAULT 1,
    ADD COLUMN IF NOT EXISTS last_at bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS acked_by text,
    ADD COLUMN IF NOT EXISTS acked_at bigint,
    ADD COLUMN IF NOT EXISTS ack_reason text,
    ADD COLUMN IF NOT EXISTS resolved_by text,
    ADD COLUMN IF NOT EXISTS resolved_at bigint,
    ADD COLUMN IF NOT EXISTS resolution text,
    DROP CONSTRAINT IF EXISTS incidents_state,
    ADD CONSTRAINT incidents_state CHECK (state IN ('open', 'acknowledged', 'resolved'));
ALTER TABLE pms.incidents
    ALTER COLUMN subject DROP DEFAULT,
    ALTER COLUMN evidence DROP DEFAULT,
    ALTER COLUMN state DROP DEFAULT,
    ALTER COLUMN times DROP DEFAULT,
    ALTER COLUMN last_at DROP DEFAULT;
CREATE INDEX IF NOT EXISTS incidents_unresolved ON pms.incidents (seq) WHERE state <> 'resolved';
"""


def upgrade() -> None:
    """Only add: nothing is dropped, renamed or rewritten."""
    op.execute(COLUMNS)
