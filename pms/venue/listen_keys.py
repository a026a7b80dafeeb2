"""Listen keys: one per account, valid 60 minutes from the last POST or PUT."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pms.venue import errors
from pms.venue.state import ListenKey
from pms.venue.transaction import Journal

VALID_MS = 60 * 60_000


class ListenKeys:
    """Which key feeds which account. `token` makes 64 random characters."""

    def __init__(
        self,
        remembered: Iterable[ListenKey],
        *,
        journal: Journal,
        clock: Callable[[], int],
        token: Callable[[], str],
        expired: Callable[[str], None],
    ) -> None:
        self._keys = {key.account: key for key in remembered if key.expires}
        self._journal = journal
        self._clock = clock
        self._token = token
        self._expired = expired

    def of(self, account: str) -> str | None:
        """The account's live key."""
        key = self._keys.get(account)
        return key.key if key is not None else None

    def create(self, account: str) -> str:
        """A key; the one that is active, extended, if there is one."""
        self.expire()
        active = self._keys.get(account)
        return self._keep(account, active.key if active is not None else self._token())

    def extend(self, account: str) -> str:
        """Another 60 minutes; -1125 if there is no key."""
        self.expire()
        active = self._keys.get(account)
        if active is None:
            raise errors.refusal(-1125)
        return self._keep(account, active.key)

    def delete(self, account: str) -> None:
        """End the account's key, for whoever uses it; fine if there is none."""
        key = self._keys.pop(account, None)
        if key is not None:
            self._journal.append([ListenKey(account=account, key=key.key, expires=0)])

    def expire_now(self, account: str) -> None:
        """End a key as if its time were up: its followers are told."""
        key = self._keys.get(account)
        if key is not None:
            # Whoever hears of it must not find it alive behind a restart
            self.delete(account)
            self._expired(key.key)

    def expire(self) -> None:
        """End all keys whose time is up."""
        now = self._clock()
        for key in list(self._keys.values()):
            if key.expires <= now:
                self.expire_now(key.account)

    def _keep(self, account: str, key: str) -> str:
        fact = ListenKey(account=account, key=key, expires=self._clock() + VALID_MS)
        self._keys[account] = fact
        self._journal.append([fact])
        return key
