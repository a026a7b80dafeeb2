"""Signatures: HMAC-SHA256 over the very bytes that are sent (Binance USDⓈ-M docs, "SIGNED endpoints")."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from urllib.parse import quote


def encode_params(params: Sequence[tuple[str, str]]) -> str:
    """Percent-encode parameters in the order given; the order is part of what is signed."""
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in params)


def sign(secret: str, payload: str) -> str:
    """The signature of a payload, in lower-case hex."""
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
