"""Read-only views for the gateway's own ORM.

Simple views of PostgreSQL can be written through; a trigger refuses that, so that nobody changes
the ledger by way of an ORM's `save()`.
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"

# Rounds half to even, as the engine does: doubling what was rounded at half.
_ENTRY_PRICE = """
    CASE
        WHEN abs(cost / quantity - trunc(cost / quantity, 8)) = 0.000000005
        THEN round(cost / quantity / 2, 8) * 2
        ELSE round(cost / quantity, 8)
    END
"""

VIEWS = {
    "pms_accounts": """
        SELECT id, label, status, balance, created_at FROM pms.sub_accounts
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
            updated_at
        FROM pms.positions
        WHERE quantity <> 0
    """,
    "pms_orders": """
        SELECT
            client_order_id, exchange_order_id, sub_account_id, symbol, side, type, quantity, price,
            time_in_force, reduce_only, leverage, state, reason, filled_qty,
            CASE WHEN filled_qty > 0 THEN filled_quote / filled_qty END AS avg_fill_price,
            state NOT IN ('filled', 'cancelled', 'expired', 'rejected', 'void') AS is_open,
            cancel_wanted, origin, parent_id, request_id, admitted_at, updated_at
        FROM pms.orders
    """,
    "pms_fills": """
        SELECT
            symbol, exchange_order_id, trade_id, client_order_id, sub_account_id, side, price, quantity,
            price * quantity AS notional, commission, commission_asset, realized_pnl, maker, venue_time
        FROM pms.fills
    """,
    "pms_ledger": """
        SELECT seq, line, sub_account_id, asset, amount, reason, reference, at FROM pms.ledger_entries
    """,
    "pms_balances": """
        SELECT
            coalesce(a.id, l.sub_account_id) AS sub_account_id,
            a.balance,
            coalesce(l.total, 0) AS ledger_sum,
            coalesce(a.balance, 0) - coalesce(l.total, 0) AS drift,
            coalesce(l.lines, 0) AS lines,
            a.id IS NOT NULL AND a.balance = coalesce(l.total, 0) AS agrees
        FROM pms.sub_accounts a
        FULL JOIN (
            SELECT sub_account_id, sum(amount) AS total, count(*) AS lines
            FROM pms.ledger_entries
            GROUP BY sub_account_id
        ) l ON l.sub_account_id = a.id
    """,
}

REFUSE = """
    CREATE FUNCTION pms.refuse_write() RETURNS trigger LANGUAGE plpgsql AS $body$
    BEGIN
        RAISE EXCEPTION 'view % is read-only: send a command instead', TG_TABLE_NAME
            USING ERRCODE = 'read_only_sql_transaction';
    END
    $body$
"""


def upgrade() -> None:
    """Only add: nothing is dropped, renamed or rewritten."""
    op.execute(REFUSE)
    for name, query in VIEWS.items():
        op.execute(f"CREATE VIEW public.{name} AS {query}")
        op.execute(
            f"CREATE TRIGGER read_only INSTEAD OF INSERT OR UPDATE OR DELETE ON public.{name}"
            " FOR EACH ROW EXECUTE FUNCTION pms.refuse_write()"
        )
