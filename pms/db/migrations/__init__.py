"""Alembic's environment, shipped inside the package; `pms.db.migrate` runs it."""
