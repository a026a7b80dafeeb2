"""The gateway's commands as Celery tasks, and the sending of one order.

A message of ours carries the requestId of a recorded command. A plain message carries the command
itself, as keyword arguments or as one object; then the task writes the record.
"""

from __future__ import annotations

from typing import Any

import msgspec
from celery import Task as CeleryTask

from pms.contract.names import Task
from pms.domain.custody import LOCAL_COMMANDS
from pms.flows.amend import amend as amend_order
from pms.flows.place import place
from pms.flows.serve import hold, serve_message
from pms.tasks.app import app
from pms.tasks.runtime import runtime
from pms.tasks.waiting import waiting


def _served(task: CeleryTask, args: tuple[Any, ...], fields: dict[str, Any]) -> Any:
    """Serve whichever of the two messages it is."""
    deps = runtime()
    want_result = not task.request.ignore_result
    task_id = str(task.request.id)
    answer = deps.run(
        serve_message(
            deps.serving,
            task.name,
            args,
            fields,
            task_id=task_id,
            waited_ms=waiting.waited_ms(task_id),
            want_result=want_result,
        )
    )
    return msgspec.json.decode(answer) if answer and want_result else None


@app.task(name=Task.TRADE, bind=True)
def trade(self: CeleryTask, *args: Any, **fields: Any) -> Any:
    """Place one order for a sub-account."""
    return _served(self, args, fields)


@app.task(name=Task.CLOSE, bind=True)
def close(self: CeleryTask, *args: Any, **fields: Any) -> Any:
    """Close one position at market."""
    return _served(self, args, fields)


@app.task(name=Task.BATCH, bind=True)
def batch(self: CeleryTask, *args: Any, **fields: Any) -> Any:
    """Place several orders for a sub-account."""
    return _served(self, args, fields)


@app.task(name=Task.AMEND, bind=True)
def amend(self: CeleryTask, *args: Any, **fields: Any) -> Any:
    """Change a resting order's price or total quantity."""
    return _served(self, args, fields)


@app.task(name=Task.CLOSE_ALL, bind=True)
def close_all(self: CeleryTask, *args: Any, **fields: Any) -> Any:
    """Close all positions of a sub-account, or of all but the house."""
    return _served(self, args, fields)


@app.task(name=Task.CANCEL, bind=True)
def cancel(self: CeleryTask, *args: Any, **fields: Any) -> Any:
    """Cancel one order."""
    return _served(self, args, fields)


@app.task(name=Task.CANCEL_ALL, bind=True)
def cancel_all(self: CeleryTask, *args: Any, **fields: Any) -> Any:
    """Cancel all orders of a sub-account, or of all."""
    return _served(self, args, fields)


def _register(name: str) -> None:
    """Serve a command that the streamer carries out alone, for gateways that speak Celery."""

    @app.task(name=name, bind=True)
    def served(self: CeleryTask, *args: Any, **fields: Any) -> Any:
        return _served(self, args, fields)


for _name in dict.fromkeys(command.name for command in LOCAL_COMMANDS):
    _register(_name)


@app.task(name=Task.SEND_AMEND)
def send_amendment(client_order_id: str) -> str | None:
    """Send the amendment of an order that the streamer has admitted; None while it waits for room."""
    deps = runtime()
    right = deps.run(hold(deps.serving, amend_order(deps.serving.placing, client_order_id)))
    return right and right.value


@app.task(name=Task.PLACE)
def place_order(client_order_id: str) -> str | None:
    """Send one order that the streamer has admitted; None while it waits for room."""
    deps = runtime()
    right = deps.run(hold(deps.serving, place(deps.serving.placing, client_order_id)))
    return right and right.value
