"""Unwinding: since when and how far the house closes what it took over, and how its orders fared.

What is there began before anybody noted it: at 0, so long ago that it is closed at once.
"""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"

COLUMNS = (
    "began_at bigint NOT NULL DEFAULT 0",
    "began_price numeric",
    "closed numeric NOT NULL DEFAULT 0",
    "last_order text",
    "refused bigint NOT NULL DEFAULT 0",
    "refused_at bigint NOT NULL DEFAULT 0",
    "order_most numeric",
)


def upgrade() -> None:
    """Only add: nothing is dropped, renamed or rewritten."""
    for column in COLUMNS:
        op.execute(f"ALTER TABLE pms.unwinds ADD COLUMN IF NOT EXISTS {column}")
