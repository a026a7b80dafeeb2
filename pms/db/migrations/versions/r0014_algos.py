"""Algos, and their slots."""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0012"

ALGOS = """
CREATE TABLE IF NOT EXISTS pms.algos (
    id text NOT NULL,
    kind text NOT NULL,
    sub_account_id text NOT NULL,
    symbol text NOT NULL,
    side text NOT NULL,
    terms text NOT NULL,
    status text NOT NULL,
    outcome text,
    reason text,
    memory text NOT NULL,
    target numeric NOT NULL,
    arrival numeric NOT NULL,
    fees numeric NOT NULL,
    maker_qty numeric NOT NULL,
    reprices bigint NOT NULL,
    started_at bigint NOT NULL,
    ended_at bigint,
    updated_at bigint NOT NULL,
    CONSTRAINT algos_pkey PRIMARY KEY (id),
    CONSTRAINT algos_status CHECK (
        status IN ('running', 'paused', 'ending', 'finished', 'cancelled', 'failed')
    )
)
"""

ALIVE = "CREATE INDEX IF NOT EXISTS algos_alive ON pms.algos (started_at) WHERE ended_at IS NULL"

BY_ACCOUNT = "CREATE INDEX IF NOT EXISTS algos_by_account ON pms.algos (sub_account_id, started_at)"

SLOTS = """
CREATE TABLE IF NOT EXISTS pms.algo_slots (
    algo_id text NOT NULL,
    slot bigint NOT NULL,
    symbol text NOT NULL,
    side text NOT NULL,
    target numeric NOT NULL,
    filled numeric NOT NULL,
    quote numeric NOT NULL,
    steps bigint NOT NULL,
    order_id text,
    price numeric,
    sent_price numeric,
    cancelling boolean NOT NULL,
    tries bigint NOT NULL,
    resume_at bigint NOT NULL,
    moved_at bigint NOT NULL,
    due_at bigint,
    state text NOT NULL,
    note text,
    updated_at bigint NOT NULL,
    CONSTRAINT algo_slots_pkey PRIMARY KEY (algo_id, slot),
    CONSTRAINT algo_slots_state CHECK (state IN ('waiting', 'working', 'done', 'skipped'))
)
"""


def upgrade() -> None:
    """Only add: nothing is dropped, renamed or rewritten."""
    for step in (ALGOS, ALIVE, BY_ACCOUNT, SLOTS):
        op.execute(step)
