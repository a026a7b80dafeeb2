"""The conditional orders of every account, and the look-ups that requests need."""

from __future__ import annotations

from collections import defaultdict

from pms.venue.account import ORDER_KEPT_MS
from pms.venue.state import AlgoOrder

MOST_OPEN = 200
"""Untriggered orders of an account over all symbols (since 2025-12-29)."""


class Shelf:
    """One account's conditional orders; ids ascend as they come."""

    def __init__(self) -> None:
        self.all: dict[int, AlgoOrder] = {}
        self.open: dict[int, AlgoOrder] = {}
        self.open_by_client_id: dict[str, AlgoOrder] = {}
        self.latest_by_client_id: dict[str, AlgoOrder] = {}
        # Those that end with the position which they would close
        self.bound: defaultdict[str, dict[int, AlgoOrder]] = defaultdict(dict)

    def enter(self, algo: AlgoOrder) -> None:
        """Take an order in, open or not."""
        self.all[algo.algo_id] = algo
        self.latest_by_client_id[algo.client_algo_id] = algo
        if algo.open:
            self.open[algo.algo_id] = algo
            self.open_by_client_id[algo.client_algo_id] = algo
            if algo.bound:
                self.bound[algo.symbol][algo.algo_id] = algo

    def close(self, algo: AlgoOrder) -> None:
        """Take an order out of the open ones."""
        if self.open.pop(algo.algo_id, None) is not None:
            self.open_by_client_id.pop(algo.client_algo_id, None)
            self.bound[algo.symbol].pop(algo.algo_id, None)

    def find(self, *, algo_id: int | None, client_algo_id: str | None) -> AlgoOrder | None:
        """An order by its id, or else the open or the newest one by its client id."""
        if algo_id is not None:
            return self.all.get(algo_id)
        if client_algo_id is None:
            return None
        return self.open_by_client_id.get(client_algo_id) or self.latest_by_client_id.get(client_algo_id)


def retained(algo: AlgoOrder, now: int) -> bool:
    """Whether queries still know an order; 90 days, as ordinary ones that traded."""
    return algo.open or now - algo.updated <= ORDER_KEPT_MS
