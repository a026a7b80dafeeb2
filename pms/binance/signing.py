"""Signatures: HMAC-SHA256 over the very bytes that are sent (Binance USDⓈ-M docs, "SIGNED endpoints").

Trap: the order of the parameters is part of what is signed, and so is their percent-encoding. What
was signed is sent as it is, never taken apart and built again.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from urllib.parse import quote

from pydantic import SecretStr

Params = Sequence[tuple[str, str]]


def encode_params(params: Params) -> str:
    """Percent-encode parameters in the order given."""
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in params)


class Signer:
    """Holds the API secret, worked into a digest already, and shows it to nobody."""

    __slots__ = ("_keyed",)

    def __init__(self, secret: SecretStr) -> None:
        self._keyed = hmac.new(secret.get_secret_value().encode(), digestmod="sha256")

    def __repr__(self) -> str:
        return "Signer(**********)"

    def signature(self, payload: str) -> str:
        """The signature of query string + body, concatenated without `&`: lower-case hex."""
        digest = self._keyed.copy()
        digest.update(payload.encode())
        return digest.hexdigest()

    def signed(self, params: Params, *, timestamp_ms: int, recv_window_ms: int) -> str:
        """Encode, date and sign parameters; the signature comes last, as it must."""
        dated = [*params, ("recvWindow", str(recv_window_ms)), ("timestamp", str(timestamp_ms))]
        payload = encode_params(dated)
        return f"{payload}&signature={self.signature(payload)}"
