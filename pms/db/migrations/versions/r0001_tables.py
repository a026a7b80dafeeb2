"""The tables of the ledger, and the cursor at the journal's beginning."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None

TABLES = """
CREATE TABLE pms.sub_accounts (
    id text NOT NULL,
    label text NOT NULL,
    status text NOT NULL,
    balance numeric NOT NULL,
    created_at bigint NOT NULL,
    CONSTRAINT sub_accounts_pkey PRIMARY KEY (id),
    CONSTRAINT sub_accounts_status CHECK (status IN ('ACTIVE', 'FROZEN')),
    CONSTRAINT sub_accounts_balance CHECK (balance > '-Infinity' AND balance < 'Infinity'),
    CONSTRAINT sub_accounts_id CHECK (id <> '')
);
CREATE UNIQUE INDEX sub_accounts_sub8 ON pms.sub_accounts (left(id, 8));

CREATE TABLE pms.orders (
    client_order_id text NOT NULL,
    sub_account_id text NOT NULL,
    symbol text NOT NULL,
    side text NOT NULL,
    type text NOT NULL,
    quantity numeric NOT NULL,
    price numeric,
    time_in_force text,
    reduce_only boolean NOT NULL,
    leverage integer NOT NULL,
    origin text NOT NULL,
    parent_id text,
    request_id text,
    state text NOT NULL,
    reason text,
    exchange_order_id bigint,
    filled_qty numeric NOT NULL,
    filled_quote numeric NOT NULL,
    cancel_wanted boolean NOT NULL,
    epoch text NOT NULL,
    deadline bigint NOT NULL,
    admitted_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    CONSTRAINT orders_pkey PRIMARY KEY (client_order_id),
    CONSTRAINT orders_side CHECK (side IN ('BUY', 'SELL')),
    CONSTRAINT orders_state CHECK (state IN (
        'idle', 'placing', 'active', 'partially_filled', 'unknown',
        'filled', 'cancelled', 'expired', 'rejected', 'void'
    )),
    CONSTRAINT orders_quantity CHECK (quantity > 0 AND quantity < 'Infinity'),
    CONSTRAINT orders_price CHECK (price > '-Infinity' AND price < 'Infinity'),
    CONSTRAINT orders_filled_qty CHECK (filled_qty >= 0 AND filled_qty < 'Infinity'),
    CONSTRAINT orders_filled_quote CHECK (filled_quote >= 0 AND filled_quote < 'Infinity')
);
CREATE INDEX orders_by_account ON pms.orders (sub_account_id, admitted_at);
CREATE INDEX orders_by_exchange_id ON pms.orders (exchange_order_id, symbol);
CREATE INDEX orders_by_time ON pms.orders (admitted_at);
CREATE INDEX orders_closed_at ON pms.orders (updated_at)
    WHERE state IN ('filled', 'cancelled', 'expired', 'rejected', 'void');
CREATE INDEX orders_open ON pms.orders (sub_account_id, symbol)
    WHERE state NOT IN ('filled', 'cancelled', 'expired', 'rejected', 'void');

CREATE TABLE pms.fills (
    symbol text NOT NULL,
    exchange_order_id bigint NOT NULL,
    trade_id bigint NOT NULL,
    client_order_id text,
    sub_account_id text NOT NULL,
    side text NOT NULL,
    price numeric NOT NULL,
    quantity numeric NOT NULL,
    commission numeric NOT NULL,
    commission_asset text NOT NULL,
    realized_pnl numeric NOT NULL,
    venue_realized_pnl numeric NOT NULL,
    maker boolean NOT NULL,
    venue_time bigint NOT NULL,
    CONSTRAINT fills_pkey PRIMARY KEY (symbol, exchange_order_id, trade_id),
    CONSTRAINT fills_side CHECK (side IN ('BUY', 'SELL')),
    CONSTRAINT fills_price CHECK (price > '-Infinity' AND price < 'Infinity'),
    CONSTRAINT fills_quantity CHECK (quantity > 0 AND quantity < 'Infinity'),
    CONSTRAINT fills_commission CHECK (commission > '-Infinity' AND commission < 'Infinity'),
    CONSTRAINT fills_realized_pnl CHECK (realized_pnl > '-Infinity' AND realized_pnl < 'Infinity'),
    CONSTRAINT fills_venue_realized_pnl CHECK (
        venue_realized_pnl > '-Infinity' AND venue_realized_pnl < 'Infinity'
    )
);
CREATE INDEX fills_by_account ON pms.fills (sub_account_id, venue_time);
CREATE INDEX fills_by_order ON pms.fills (client_order_id);
CREATE INDEX fills_by_symbol ON pms.fills (symbol, venue_time);
CREATE INDEX fills_by_time ON pms.fills (venue_time);

CREATE TABLE pms.positions (
    sub_account_id text NOT NULL,
    symbol text NOT NULL,
    id text NOT NULL,
    quantity numeric NOT NULL,
    cost numeric NOT NULL,
    leverage integer NOT NULL,
    opened_seq bigint NOT NULL,
    realized_pnl numeric NOT NULL,
    updated_at bigint NOT NULL,
    CONSTRAINT positions_pkey PRIMARY KEY (sub_account_id, symbol),
    CONSTRAINT positions_quantity CHECK (quantity > '-Infinity' AND quantity < 'Infinity'),
    CONSTRAINT positions_cost CHECK (cost > '-Infinity' AND cost < 'Infinity'),
    CONSTRAINT positions_realized_pnl CHECK (realized_pnl > '-Infinity' AND realized_pnl < 'Infinity')
);
CREATE INDEX positions_by_id ON pms.positions (id);
CREATE INDEX positions_open ON pms.positions (symbol) WHERE quantity <> 0;

CREATE TABLE pms.ledger_entries (
    seq bigint NOT NULL,
    line integer NOT NULL,
    sub_account_id text NOT NULL,
    asset text NOT NULL,
    amount numeric NOT NULL,
    reason text NOT NULL,
    reference text,
    at bigint NOT NULL,
    CONSTRAINT ledger_entries_pkey PRIMARY KEY (seq, line),
    CONSTRAINT ledger_entries_amount CHECK (amount > '-Infinity' AND amount < 'Infinity')
);
CREATE INDEX ledger_entries_by_account ON pms.ledger_entries (sub_account_id, seq, line);

CREATE TABLE pms.commands (
    request_id text NOT NULL,
    command text NOT NULL,
    sub_account_id text,
    text text NOT NULL,
    decision text NOT NULL,
    code text,
    client_order_id text,
    answer text NOT NULL,
    received_at bigint NOT NULL,
    decided_at bigint NOT NULL,
    CONSTRAINT commands_pkey PRIMARY KEY (request_id, decided_at),
    CONSTRAINT commands_decision CHECK (decision IN ('admitted', 'refused', 'expired'))
);
CREATE INDEX commands_by_time ON pms.commands (decided_at);

CREATE TABLE pms.cursors (
    symbol text NOT NULL,
    trade_id bigint NOT NULL,
    updated_at bigint NOT NULL,
    CONSTRAINT cursors_pkey PRIMARY KEY (symbol)
);

CREATE TABLE pms.incidents (
    seq bigint NOT NULL,
    kind text NOT NULL,
    severity text NOT NULL,
    detail text NOT NULL,
    at bigint NOT NULL,
    CONSTRAINT incidents_pkey PRIMARY KEY (seq),
    CONSTRAINT incidents_severity CHECK (severity IN ('info', 'warning', 'critical'))
);

CREATE TABLE pms.journal_cursor (
    id smallint NOT NULL,
    applied bigint NOT NULL,
    entries bigint NOT NULL,
    entry_at bigint NOT NULL,
    applied_at bigint NOT NULL,
    CONSTRAINT journal_cursor_pkey PRIMARY KEY (id),
    CONSTRAINT journal_cursor_single CHECK (id = 1)
);
"""


def upgrade() -> None:
    """Only add: nothing is dropped, renamed or rewritten."""
    op.execute(TABLES)
    op.execute(
        "INSERT INTO pms.journal_cursor (id, applied, entries, entry_at, applied_at) VALUES (1, 0, 0, 0, 0)"
    )
