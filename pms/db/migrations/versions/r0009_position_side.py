"""Hedge mode: the position side in the keys; leverage that a command has set; orders for less than the least.

What is there is of the one position that an account had in a symbol: BOTH.
"""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"

SIDED = ("orders", "fills", "positions", "fundings", "moves")
KEYS = {
    "positions": "sub_account_id, symbol, position_side",
    "fundings": "symbol, at, sub_account_id, position_side",
}
SETTINGS = (
    "ALTER TABLE pms.positions ADD COLUMN IF NOT EXISTS leverage_set boolean NOT NULL DEFAULT false",
    "ALTER TABLE pms.orders ADD COLUMN IF NOT EXISTS venue_reduce_only boolean NOT NULL DEFAULT false",
    "ALTER TABLE pms.sub_accounts ADD COLUMN IF NOT EXISTS hedge boolean NOT NULL DEFAULT false",
)

# As before, with one column more at the end: a view can grow, and keeps its trigger and grants.
_ENTRY_PRICE = """
    CASE
        WHEN abs(cost / quantity - trunc(cost / quantity, 8)) = 0.000000005
        THEN round(cost / quantity / 2, 8) * 2
        ELSE round(cost / quantity, 8)
    END
"""
VIEWS = {
    "pms_accounts": """
        SELECT id, label, status, balance, created_at, hedge FROM pms.sub_accounts
    """,
    "pms_positions": f"""
        SELECT
            id,
            sub_account_id,
            symbol,
            CASE WHEN quantity > 0 THEN 'LONG' ELSE 'SHORT' END AS side,
            abs(quantity) AS quantity,
            {_ENTRY_PRICE} AS entry_price,
            abs(cost) AS notional,
            leverage,
            realized_pnl,
            opened_seq,
            updated_at,
            position_side
        FROM pms.positions
        WHERE quantity <> 0
    """,
    "pms_orders": """
        SELECT
            client_order_id, exchange_order_id, sub_account_id, symbol, side, type, quantity, price,
            time_in_force, reduce_only, leverage, state, reason, filled_qty,
            CASE WHEN filled_qty > 0 THEN filled_quote / filled_qty END AS avg_fill_price,
            state NOT IN ('filled', 'cancelled', 'expired', 'rejected', 'void') AS is_open,
            cancel_wanted, origin, parent_id, request_id, admitted_at, updated_at, position_side
        FROM pms.orders
    """,
    "pms_fills": """
        SELECT
            symbol, exchange_order_id, trade_id, client_order_id, sub_account_id, side, price, quantity,
            price * quantity AS notional, commission, commission_asset, realized_pnl, maker, venue_time,
            position_side
        FROM pms.fills
    """,
    "pms_fundings": """
        SELECT symbol, at, sub_account_id, rate, mark, quantity, amount, position_side FROM pms.fundings
    """,
}


def upgrade() -> None:
    """Only add: a key grows by a column that is the same in every row there is."""
    for table in SIDED:
        op.execute(
            f"ALTER TABLE pms.{table} ADD COLUMN IF NOT EXISTS position_side text NOT NULL DEFAULT 'BOTH'"
        )
    for table, key in KEYS.items():
        op.execute(
            f"ALTER TABLE pms.{table} DROP CONSTRAINT {table}_pkey,"
            f" ADD CONSTRAINT {table}_pkey PRIMARY KEY ({key})"
        )
    for statement in SETTINGS:
        op.execute(statement)
    for name, query in VIEWS.items():
        op.execute(f"CREATE OR REPLACE VIEW public.{name} AS {query}")
