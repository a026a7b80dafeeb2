"""An order's amendment in flight, and since when its terms are what they are."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"

COLUMNS = """
ALTER TABLE pms.orders
    ADD COLUMN IF NOT EXISTS amends integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS amend_quantity numeric,
    ADD COLUMN IF NOT EXISTS amend_price numeric,
    ADD COLUMN IF NOT EXISTS amend_request_id text,
    ADD COLUMN IF NOT EXISTS amend_epoch text,
    ADD COLUMN IF NOT EXISTS amend_deadline bigint,
    ADD COLUMN IF NOT EXISTS amend_asked_at bigint,
    ADD COLUMN IF NOT EXISTS terms_at bigint NOT NULL DEFAULT 0
"""


def upgrade() -> None:
    """Only add: nothing is dropped, renamed or rewritten."""
    op.execute(COLUMNS)
