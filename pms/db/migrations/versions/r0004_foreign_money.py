"""Money without a trade, funding by sub-account, fees in other assets, and how far each is read."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"

TABLES = """
CREATE TABLE pms.assets (
    asset text NOT NULL,
    balance numeric NOT NULL,
    updated_at bigint NOT NULL,
    CONSTRAINT assets_pkey PRIMARY KEY (asset),
    CONSTRAINT assets_balance CHECK (balance > '-Infinity' AND balance < 'Infinity')
);

CREATE TABLE pms.incomes (
    kind text NOT NULL,
    tran_id bigint NOT NULL,
    asset text NOT NULL,
    symbol text NOT NULL,
    amount numeric NOT NULL,
    at bigint NOT NULL,
    CONSTRAINT incomes_pkey PRIMARY KEY (kind, tran_id, asset, symbol),
    CONSTRAINT incomes_amount CHECK (amount > '-Infinity' AND amount < 'Infinity')
);
CREATE INDEX incomes_by_time ON pms.incomes (at);

CREATE TABLE pms.fundings (
    symbol text NOT NULL,
    at bigint NOT NULL,
    sub_account_id text NOT NULL,
    rate numeric NOT NULL,
    mark numeric NOT NULL,
    quantity numeric NOT NULL,
    amount numeric NOT NULL,
    CONSTRAINT fundings_pkey PRIMARY KEY (symbol, at, sub_account_id),
    CONSTRAINT fundings_rate CHECK (rate > '-Infinity' AND rate < 'Infinity'),
    CONSTRAINT fundings_mark CHECK (mark > '-Infinity' AND mark < 'Infinity'),
    CONSTRAINT fundings_quantity CHECK (quantity > '-Infinity' AND quantity < 'Infinity'),
    CONSTRAINT fundings_amount CHECK (amount > '-Infinity' AND amount < 'Infinity')
);
CREATE INDEX fundings_by_account ON pms.fundings (sub_account_id, at);

CREATE TABLE pms.fees (
    symbol text NOT NULL,
    exchange_order_id bigint NOT NULL,
    trade_id bigint NOT NULL,
    sub_account_id text NOT NULL,
    asset text NOT NULL,
    commission numeric NOT NULL,
    price numeric,
    amount numeric,
    at bigint NOT NULL,
    CONSTRAINT fees_pkey PRIMARY KEY (symbol, exchange_order_id, trade_id),
    CONSTRAINT fees_commission CHECK (commission > '-Infinity' AND commission < 'Infinity'),
    CONSTRAINT fees_price CHECK (price > 0 AND price < 'Infinity'),
    CONSTRAINT fees_amount CHECK (amount > '-Infinity' AND amount < 'Infinity')
);
CREATE INDEX fees_unpaid ON pms.fees (asset) WHERE price IS NULL;

CREATE TABLE pms.moves (
    seq bigint NOT NULL,
    line integer NOT NULL,
    sub_account_id text NOT NULL,
    symbol text NOT NULL,
    quantity numeric NOT NULL,
    at bigint NOT NULL,
    CONSTRAINT moves_pkey PRIMARY KEY (seq, line),
    CONSTRAINT moves_quantity CHECK (quantity > '-Infinity' AND quantity < 'Infinity')
);
CREATE INDEX moves_by_symbol ON pms.moves (symbol, at);

CREATE TABLE pms.progress (
    name text NOT NULL,
    at bigint NOT NULL,
    CONSTRAINT progress_pkey PRIMARY KEY (name)
);
"""

# Balances are in USDT; what the house holds of other assets is in pms.assets.
BALANCES = """
    CREATE OR REPLACE VIEW public.pms_balances AS
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
        WHERE asset = 'USDT'
        GROUP BY sub_account_id
    ) l ON l.sub_account_id = a.id
"""

VIEWS = {
    "pms_fundings": """
        SELECT symbol, at, sub_account_id, rate, mark, quantity, amount FROM pms.fundings
    """,
    "pms_fees": """
        SELECT
            symbol, exchange_order_id, trade_id, sub_account_id, asset, commission, price, amount, at,
            price IS NULL AS open
        FROM pms.fees
    """,
    "pms_house_assets": """
        SELECT asset, balance, updated_at FROM pms.assets
    """,
}


def upgrade() -> None:
    """Only add: nothing is dropped, renamed or rewritten."""
    op.execute(TABLES)
    op.execute(BALANCES)
    for name, query in VIEWS.items():
        op.execute(f"CREATE VIEW public.{name} AS {query}")
        op.execute(
            f"CREATE TRIGGER read_only INSTEAD OF INSERT OR UPDATE OR DELETE ON public.{name}"
            " FOR EACH ROW EXECUTE FUNCTION pms.refuse_write()"
        )
