"""What each slot of an algo paid, made and moved: a basket tells it by leg.

Of slots from before it is not known; their algo has the sums.
"""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"


def _number(name: str) -> str:
    return (
        f"ALTER TABLE pms.algo_slots ADD COLUMN IF NOT EXISTS {name} numeric NOT NULL DEFAULT 0"
        f" CONSTRAINT algo_slots_{name} CHECK ({name} > '-Infinity' AND {name} < 'Infinity')"
    )


REPRICES = "ALTER TABLE pms.algo_slots ADD COLUMN IF NOT EXISTS reprices bigint NOT NULL DEFAULT 0"


def upgrade() -> None:
    """Only add: nothing is dropped, renamed or rewritten."""
    for step in (_number("fees"), _number("maker_qty"), REPRICES):
        op.execute(step)
