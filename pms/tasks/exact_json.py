"""Celery's JSON, read exactly: 0.1 in a plain message is the decimal 0.1, never a binary float."""

from __future__ import annotations

from typing import Any

import msgspec
from kombu.serialization import register
from kombu.utils import json as kombu_json

from pms.contract.money import exact

_decoder = msgspec.json.Decoder(float_hook=exact)


def register_exact_json() -> None:
    """Replace the reading half of the JSON serializer in this process."""
    replace: Any = register
    replace("json", kombu_json.dumps, _loads, content_type="application/json", content_encoding="utf-8")


def _loads(text: Any) -> Any:
    return _decoder.decode(text)
