"""Who is asking: API keys, and signatures over the bytes as they came (USDⓈ-M docs, General Info)."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from pydantic import SecretStr

from pms.venue import errors
from pms.venue.params import Params
from pms.venue.state import ApiKey
from pms.venue.transaction import Journal

DEFAULT_RECV_WINDOW_MS = 5000
MAX_RECV_WINDOW_MS = 60_000
FUTURE_TOLERANCE_MS = 1000


@dataclass(frozen=True, slots=True)
class Credential:
    """One API key of an account; the secret never shows."""

    account: str
    key: str
    secret: SecretStr
    #: Whether it may change anything, or only look
    trades: bool = True
    created: int = 0
    # hmac wants bytes on every request
    _secret: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_secret", self.secret.get_secret_value().encode())

    def check_may(self, *, trade: bool) -> None:
        """-2015 where a key that may only look asks for more."""
        if trade and not self.trades:
            raise errors.refusal(-2015)

    def signs(self, payload: bytes, signature: str) -> bool:
        """Whether the signature is this key's HMAC-SHA256 of the payload; hex of either case."""
        expected = hmac.digest(self._secret, payload, "sha256").hex()
        return signature.isascii() and hmac.compare_digest(expected, signature.lower())


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
    """All API keys of the venue: those that it was started with, and those that an operator made since.

    Trap: a key that was revoked stays so, also one that the venue is started with again.
    """

    def __init__(
        self,
        configured: Iterable[Credential],
        remembered: Iterable[ApiKey],
        *,
        journal: Journal,
        clock: Callable[[], int],
        token: Callable[[], str],
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._token = token
        self._by_key = {credential.key: credential for credential in configured}
        self._revoked: dict[str, Credential] = {}
        for each in remembered:
            credential = Credential(each.account, each.key, SecretStr(each.secret), each.trades, each.created)
            if each.revoked:
                self._by_key.pop(each.key, None)
                self._revoked[each.key] = credential
            else:
                self._by_key[each.key] = credential

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

    def all(self) -> Iterator[tuple[Credential, bool]]:
        """Every key, and whether it was revoked."""
        yield from ((each, False) for each in self._by_key.values())
        yield from ((each, True) for each in self._revoked.values())

    def make(self, account: str, *, trades: bool) -> Credential:
        """A new key of an account."""
        key, secret, now = self._token(), self._token(), self._clock()
        made = ApiKey(account=account, key=key, secret=secret, created=now, trades=trades)
        self._journal.append([made])
        self._by_key[key] = credential = Credential(account, key, SecretStr(secret), trades, now)
        return credential

    def revoke(self, key: str) -> bool:
        """End a key for good, whoever made it; False if there is none."""
        credential = self._by_key.get(key)
        if credential is None:
            return False
        ended = ApiKey(
            account=credential.account,
            key=key,
            secret="",
            created=credential.created,
            trades=credential.trades,
            revoked=True,
        )
        self._journal.append([ended])
        self._revoked[key] = self._by_key.pop(key)
        return True
