"""The Celery application; its settings are on one page, `celeryconfig.py`."""

from __future__ import annotations

from celery import Celery

app = Celery("pms", include=["pms.tasks.canary", "pms.tasks.commands", "pms.tasks.ledger", "pms.tasks.recon"])
app.config_from_object("celeryconfig")
