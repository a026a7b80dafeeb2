"""The Celery message as any client writes it: a wake-up in the protocol's version 2.

Written by hand because `apply_async` builds a connection object for each call, which blocks an event
loop for a third of a millisecond, and for ever when Redis hangs.
"""

from __future__ import annotations

import base64
import os
import socket
from collections.abc import Callable, Sequence

import msgspec

_ORIGIN = f"pms{os.getpid()}@{socket.gethostname()}"
_EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
_encode = msgspec.json.Encoder().encode


def wake_up(
    task: str,
    *,
    queue: str,
    task_id: str,
    args: Sequence[str | int] = (),
    new_tag: Callable[[], str],
) -> bytes:
    """Build the message that starts `task`; `new_tag` must give a fresh id for every push.

    Trap: a restored message returns to the queue named in `routing_key`; a wrong one loses it.
    """
    body = base64.b64encode(_encode([list(args), {}, _EMBED])).decode()
    return _encode(
        {
            "body": body,
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {
                "lang": "py",
                "task": task,
                "id": task_id,
                "shadow": None,
                "eta": None,
                "expires": None,
                "group": None,
                "group_index": None,
                "retries": 0,
                "timelimit": [None, None],
                "root_id": task_id,
                "parent_id": None,
                "argsrepr": "",
                "kwargsrepr": "",
                "origin": _ORIGIN,
                "ignore_result": True,
            },
            "properties": {
                "correlation_id": task_id,
                "reply_to": "",
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": queue},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": new_tag(),
            },
        }
    )
