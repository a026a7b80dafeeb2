"""The canary: a message that asks for nothing. Whether it is taken tells whether its queue is served."""

from __future__ import annotations

from pms.contract.names import Task
from pms.tasks.app import app


@app.task(name=Task.CANARY)
def canary() -> None:
    """Do nothing; the worker's count of messages is the answer."""
