"""The keys of a simulated Redis: values by kind, expiry by virtual time, and copies for a lost tail."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")
StreamId = tuple[int, int]
Fields = list[bytes]


class Refusal(Exception):
    """What the server answers instead of a reply: `ERR …`, `WRONGTYPE …`."""


class Stream:
    """A stream: entries by ascending id, and the greatest id it ever had."""

    __slots__ = ("entries", "ids", "last")

    def __init__(self) -> None:
        self.ids: list[StreamId] = []
        self.entries: list[Fields] = []
        self.last: StreamId = (0, 0)

    def add(self, at: StreamId, fields: Fields) -> None:
        if at <= self.last:
            raise Refusal("ERR The ID specified in XADD is equal or smaller than the target stream top item")
        self.ids.append(at)
        self.entries.append(fields)
        self.last = at

    def between(self, first: StreamId, last: StreamId) -> Iterator[tuple[StreamId, Fields]]:
        """The entries of an interval, both ends included, ascending."""
        place = bisect_left(self.ids, first)
        while place < len(self.ids) and self.ids[place] <= last:
            yield self.ids[place], self.entries[place]
            place += 1

    def drop(self, count: int) -> int:
        """Drop the oldest entries."""
        del self.ids[:count], self.entries[:count]
        return count

    def copy(self) -> Stream:
        made = Stream()
        made.ids, made.entries, made.last = list(self.ids), list(self.entries), self.last
        return made


class SortedSet(dict[bytes, float]):
    """Members by score; small enough here to be sorted when it is asked."""

    __slots__ = ()


Value = bytes | dict[bytes, bytes] | list[bytes] | SortedSet | Stream


class Keyspace:
    """All keys. `now_ms` is the server's clock."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._values: dict[bytes, Value] = {}
        self._expiries: dict[bytes, int] = {}

    def get(self, key: bytes) -> Value | None:
        """A key's value, unless its time is over."""
        expiry = self._expiries.get(key)
        if expiry is not None and expiry <= self._now_ms():
            self.delete(key)
            return None
        return self._values.get(key)

    def of_kind(self, key: bytes, kind: type[T]) -> T | None:
        """A key's value, of one kind; WRONGTYPE if it is of another."""
        value: Any = self.get(key)
        if value is not None and type(value) is not kind:
            raise Refusal("WRONGTYPE Operation against a key holding the wrong kind of value")
        return value

    def made(self, key: bytes, kind: Callable[[], T]) -> T:
        """A key's value, made empty if there is none."""
        found = self.of_kind(key, kind)  # type: ignore[arg-type]
        if found is None:
            found = kind()
            self._values[key] = found  # type: ignore[assignment]
        return found

    def put(self, key: bytes, value: Value) -> None:
        """Set a key anew, without an expiry."""
        self._values[key] = value
        self._expiries.pop(key, None)

    def delete(self, key: bytes) -> bool:
        """Delete a key."""
        self._expiries.pop(key, None)
        return self._values.pop(key, None) is not None

    def drop_empty(self, key: bytes) -> None:
        """A collection that has become empty is no key any more."""
        if not self._values.get(key, True):
            self.delete(key)

    def expire_at(self, key: bytes, at_ms: int) -> bool:
        """Give an existing key an expiry."""
        if self.get(key) is None:
            return False
        self._expiries[key] = at_ms
        return True

    def expiry(self, key: bytes) -> int | None:
        """When a key ends, ms."""
        return self._expiries.get(key)

    def living(self) -> list[bytes]:
        """Every living key."""
        return [key for key in list(self._values) if self.get(key) is not None]

    def copy(self) -> Keyspace:
        """The same keys once more, as a file on disk holds them."""
        made = Keyspace(self._now_ms)
        made._expiries = dict(self._expiries)
        made._values = {
            key: value
            if isinstance(value, bytes)
            else value.copy()
            if not isinstance(value, SortedSet)
            else SortedSet(value)
            for key, value in self._values.items()
        }
        return made
