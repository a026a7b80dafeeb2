"""Celery's JSON, read exactly: 0.1 in a plain message is the decimal 0.1, never a binary float.

Trap: a body is read before its task is traced, but after its message is acknowledged. What raises there is in
a future that nobody looks at: no answer, no log. Python's own Celery writes NaN, which is no JSON.
"""

from __future__ import annotations

from typing import Any

from kombu.serialization import register
from kombu.utils import json as kombu_json

from pms.contract.money import BadJson, decode_any


def register_exact_json() -> None:
    """Replace the reading half of the JSON serializer in this process."""
    replace: Any = register
    replace("json", kombu_json.dumps, read_exactly, content_type="application/json", content_encoding="utf-8")


def read_exactly(text: str | bytes) -> Any:
    """Read a body; one that is no JSON is its task's one argument, for the task to refuse as no command."""
    try:
        return decode_any(text)
    except BadJson:
        return [[text.decode(errors="replace") if isinstance(text, bytes) else text], {}, {}]
