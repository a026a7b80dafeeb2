"""What Alembic runs: the steps, on the connection and in the transaction that `pms.db.migrate` opened."""

from __future__ import annotations

from alembic import context

from pms.db.models import SCHEMA, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table_schema=SCHEMA,
)
context.run_migrations()
