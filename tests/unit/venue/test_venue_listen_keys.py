"""A listen key's end is journaled before anybody hears of it."""

from __future__ import annotations

import pytest

from pms.venue.journal import JournalBroken
from pms.venue.listen_keys import ListenKeys
from pms.venue.state import Fact, ListenKey


class Disk:
    """A journal whose disk may be full."""

    def __init__(self) -> None:
        self.full = False
        self.facts: list[Fact] = []

    def append(self, facts: list[Fact]) -> None:
        if self.full:
            raise JournalBroken
        self.facts += facts


def test_an_end_is_told_once_it_is_journaled_and_never_where_it_cannot_be() -> None:
    disk = Disk()
    journaled_when_told: list[bool] = []

    def expired(key: str) -> None:
        last = disk.facts[-1]
        assert isinstance(last, ListenKey)
        journaled_when_told.append(last.key == key and last.expires == 0)

    keys = ListenKeys((), journal=disk, clock=lambda: 1, token=lambda: "key", expired=expired)
    keys.create("a")
    keys.expire_now("a")
    assert journaled_when_told == [True]
    keys.create("a")
    disk.full = True
    with pytest.raises(JournalBroken):
        keys.expire_now("a")
    assert journaled_when_told == [True]
