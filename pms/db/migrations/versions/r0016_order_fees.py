"""What each order paid and made: an algo that is started again finds both with its orders.

Of orders from before it is not known; their fills have it.
"""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Only add: nothing is dropped, renamed or rewritten."""
    for name in ("fees", "maker_qty"):
        op.execute(
            f"ALTER TABLE pms.orders ADD COLUMN IF NOT EXISTS {name} numeric NOT NULL DEFAULT 0"
            f" CONSTRAINT orders_{name} CHECK ({name} > '-Infinity' AND {name} < 'Infinity')"
        )
