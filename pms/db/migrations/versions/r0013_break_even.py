"""What a position has paid in fees, and the price at which it breaks even.

Of a position that is open while this runs the fees were not counted: it breaks even as if it had paid none.
"""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"

FEES = (
    "ALTER TABLE pms.positions ADD COLUMN IF NOT EXISTS fees numeric NOT NULL DEFAULT 0"
    " CONSTRAINT positions_fees CHECK (fees > '-Infinity' AND fees < 'Infinity')"
)


def _to_eight(price: str) -> str:
    """Rounds half to even, as the engine does: doubling what was rounded at half."""
    return f"""
        CASE
            WHEN abs({price} - trunc({price}, 8)) = 0.000000005 THEN round({price} / 2, 8) * 2
            ELSE round({price}, 8)
        END
    """


# As before, with two columns more at the end: a view can grow, and keeps its trigger and grants.
POSITIONS = f"""
    CREATE OR REPLACE VIEW public.pms_positions AS
    SELECT
        id,
        sub_account_id,
        symbol,
        CASE WHEN quantity > 0 THEN 'LONG' ELSE 'SHORT' END AS side,
        abs(quantity) AS quantity,
        {_to_eight("(cost / quantity)")} AS entry_price,
        abs(cost) AS notional,
        leverage,
        realized_pnl,
        opened_seq,
        updated_at,
        position_side,
        fees,
        {_to_eight("((cost - realized_pnl + fees) / quantity)")} AS break_even_price
    FROM pms.positions
    WHERE quantity <> 0
"""


def upgrade() -> None:
    """Only add: nothing is dropped, renamed or rewritten."""
    op.execute(FEES)
    op.execute(POSITIONS)
