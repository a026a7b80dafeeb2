"""Who is asking: API keys, and signatures over the bytes as they came (USDⓈ-M docs, General Info)."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from pydantic import SecretStr

from pms.venue import errors
from pms.venue.params import Params

DEFAULT_RECV_WINDOW_MS = 5000
MAX_RECV_WINDOW_MS = 60_000
FUTURE_TOLERANCE_MS = 1000


@dataclass(frozen=True, slots=True)
class Credential:
    """One API key of an account; the secret never shows."""

    account: str
    key: str
    secret: SecretStr
    # hmac wants bytes on every request
    _secret: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_secret", self.secret.get_secret_value().encode())

    def signs(self, payload: bytes, signature: str) -> bool:
        """Whether the signature is this key's HMAC-SHA256 of the payload; hex of either case."""
        expected = hmac.digest(self._secret, payload, "sha256").hex()
        return hmac.compare_digest(expected.encode(), signature.lower().encode())


def signed_payload(query: str, body: str) -> tuple[bytes, str | None]:
    """Query and body joined with nothing between, without the signature's piece, and that signature."""
    signature: str | None = None
    parts: list[str] = []
    for part in (query, body):
        pieces = part.split("&")
        kept = [piece for piece in pieces if not piece[:10].lower().startswith("signature=")]
        if len(kept) != len(pieces) and signature is None:
            found = next(piece for piece in pieces if piece[:10].lower().startswith("signature="))
            signature = found[10:]
        parts.append("&".join(kept))
    return "".join(parts).encode("utf-8", "surrogateescape"), signature


def receive_window(params: Params) -> int:
    """How old a request may be, ms; -1130 for what no window is."""
    window = params.integer("recvWindow", DEFAULT_RECV_WINDOW_MS)
    assert window is not None
    if not 0 < window <= MAX_RECV_WINDOW_MS:
        raise errors.not_valid("recvWindow")
    return window


def check_time(params: Params, now: int) -> None:
    """The time rule: not over 1000 ms ahead, not over recvWindow old; -1021 otherwise."""
    timestamp, window = params.need_integer("timestamp"), receive_window(params)
    if timestamp >= now + FUTURE_TOLERANCE_MS:
        raise errors.too_early(FUTURE_TOLERANCE_MS)
    if now - timestamp > window:
        raise errors.refusal(-1021)


class Credentials:
    """All API keys of the venue."""

    def __init__(self, credentials: list[Credential]) -> None:
        self._by_key = {credential.key: credential for credential in credentials}

    def identify(self, key: str | None) -> Credential:
        """The credential of an X-MBX-APIKEY header; -2014 without one, -2015 if unknown."""
        if not key:
            raise errors.refusal(-2014)
        credential = self._by_key.get(key)
        if credential is None:
            raise errors.refusal(-2015)
        return credential

    def authorise(self, key: str | None, *, query: str, body: str, params: Params, now: int) -> Credential:
        """The credential of a signed request."""
        credential = self.identify(key)
        check_time(params, now)
        payload, signature = signed_payload(query, body)
        if signature is None:
            raise errors.missing("signature")
        if not credential.signs(payload, signature):
            raise errors.refusal(-1022)
        return credential
