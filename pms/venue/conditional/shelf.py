"""The conditional orders of every account, and the look-ups that requests need."""

from __future__ import annotations

from collections import defaultdict

from pms.venue import history
from pms.venue.history import KEPT_MS, NOTHING, Past, Wanted
from pms.venue.state import AlgoOrder

MOST_OPEN = 200
"""Untriggered orders of an account over all symbols (since 2025-12-29)."""


class Shelf:
    """One account's conditional orders; ids ascend as they come."""

    def __init__(self, account: str, past: Past = NOTHING) -> None:
        self._past = past
        self._name = history.algos_of(account)
        self.all: dict[int, AlgoOrder] = {}
        self.open: dict[int, AlgoOrder] = {}
        self.open_by_client_id: dict[str, AlgoOrder] = {}
        self.latest_by_client_id: dict[str, AlgoOrder] = {}
        # Those that end with the position which they would close, and those whose order still does
        self.bound: defaultdict[str, dict[int, AlgoOrder]] = defaultdict(dict)

    def enter(self, algo: AlgoOrder, *, listed: bool = True) -> None:
        """Take an order in, open or not. One of a symbol that is not listed waits for nothing."""
        self.all[algo.algo_id] = algo
        self.latest_by_client_id[algo.client_algo_id] = algo
        if not listed:
            return
        if algo.open:
            self.open[algo.algo_id] = algo
            self.open_by_client_id[algo.client_algo_id] = algo
        if algo.bound and not algo.over:
            self.bound[algo.symbol][algo.algo_id] = algo

    def close(self, algo: AlgoOrder) -> None:
        """Take an order out of the open ones. Trap: its bond lasts as long as what it let out."""
        if self.open.pop(algo.algo_id, None) is not None:
            self.open_by_client_id.pop(algo.client_algo_id, None)
        if algo.over:
            self.bound[algo.symbol].pop(algo.algo_id, None)

    def find(self, *, algo_id: int | None, client_algo_id: str | None) -> AlgoOrder | None:
        """An order by its id, or else the open or the newest one by its client id."""
        if algo_id is not None:
            return self.all.get(algo_id) or self._passed(first=algo_id)
        if client_algo_id is None:
            return None
        return (
            self.open_by_client_id.get(client_algo_id)
            or self.latest_by_client_id.get(client_algo_id)
            or self._passed(ref=client_algo_id)
        )

    def _passed(self, *, first: int | None = None, ref: str | None = None) -> AlgoOrder | None:
        """The one with an id, or the newest with a client id, that is in the past."""
        wanted = Wanted(shelf=self._name, first=first, ref=ref, limit=1, newest=ref is not None)
        found = self._past.rows(AlgoOrder, wanted)
        return found[0] if found and first in (None, found[0].algo_id) else None

    def listed(
        self, symbol: str, *, first: int | None, window: tuple[int, int], limit: int, newest: bool, now: int
    ) -> list[AlgoOrder]:
        """Of a symbol, ascending: from an id on, or those created in a window."""
        start, end = window
        wanted = Wanted(
            shelf=self._name,
            first=first,
            window=window if first is None else None,
            symbol=symbol,
            limit=limit,
            newest=newest,
            now=now,
        )
        known = reversed(self.all.values()) if newest else self.all.values()
        recent = (
            algo
            for algo in known
            if algo.symbol == symbol
            and (start <= algo.created <= end if first is None else algo.algo_id >= first)
        )
        return history.page(self._past, AlgoOrder, wanted, recent)

    def forget(self, before: int) -> None:
        """Leave those that ended earlier to the past, which has them."""
        for algo in [each for each in self.all.values() if each.over and each.updated < before]:
            del self.all[algo.algo_id]
            if self.latest_by_client_id.get(algo.client_algo_id) is algo:
                del self.latest_by_client_id[algo.client_algo_id]


class Shelves(dict[str, Shelf]):
    """Every account's shelf, made when it is first asked for."""

    def __init__(self, past: Past) -> None:
        super().__init__()
        self._past = past

    def __missing__(self, account: str) -> Shelf:
        shelf = self[account] = Shelf(account, self._past)
        return shelf


def retained(algo: AlgoOrder, now: int) -> bool:
    """Whether queries still know an order; 90 days, as ordinary ones that traded."""
    return algo.open or now - algo.updated <= KEPT_MS
