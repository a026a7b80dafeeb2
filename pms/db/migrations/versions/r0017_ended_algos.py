"""Which algos have ended of late: asked for with every snapshot, however many there ever were."""

from __future__ import annotations

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Only add: nothing is dropped, renamed or rewritten."""
    op.execute("CREATE INDEX IF NOT EXISTS algos_ended ON pms.algos (ended_at) WHERE ended_at IS NOT NULL")
