"""Algos in a simulated world: which are started and stopped, and that none can ever trade beyond its target.

The bound is taken from the exchange's own books: what an algo's orders have traded there, and what those that
rest may yet trade. It holds whatever was lost on the way to us.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any, Literal

from pms.contract.journal import Entry
from pms.sim.exchange import SYMBOLS, SimExchange

BOUND = "no algo beyond its target"
ACCOUNTS = ("alpha", "bravo")
BEGIN_MS, LENGTH_MS, MOST_LIFE_MS = 600, 1800, 2500
LEVERAGE = 20


@dataclass(frozen=True, slots=True)
class Errand:
    """One algo's life: started, perhaps paused on the way, cancelled if it is not over by itself."""

    start_ms: int
    end_ms: int
    pause: bool
    account: str
    symbol: str
    side: Literal["BUY", "SELL"]
    lots: int
    mode: str
    offset: Decimal
    post_only: bool


def works(seed: int) -> bool:
    """Whether algos run in a seed: one of three, and none that has a storm."""
    return seed % 3 == 2


def draw(seed: int) -> list[Errand]:
    """The algos of a seed, by time."""
    rng = Random(f"{seed}:algos")
    errands = []
    for _ in range(rng.randrange(1, 4)):
        start = BEGIN_MS + rng.randrange(LENGTH_MS)
        errands.append(
            Errand(
                start_ms=start,
                end_ms=start + rng.randrange(MOST_LIFE_MS),
                pause=rng.random() < 0.3,
                account=rng.choice(ACCOUNTS),
                symbol=rng.choice(SYMBOLS),
                side="BUY" if rng.random() < 0.5 else "SELL",
                lots=rng.choice((5, 20, 100, 400)) * rng.randrange(4, 9),
                mode=rng.choice(("touch", "maintain", "trail")),
                offset=rng.choice((Decimal(0), Decimal("0.005"), Decimal("0.02"))),
                post_only=rng.random() < 0.5,
            )
        )
    return sorted(errands, key=lambda errand: errand.start_ms)


def terms(errand: Errand, exchange: SimExchange) -> dict[str, Any]:
    """The start command of an errand."""
    return {
        "subAccountId": errand.account,
        "symbol": errand.symbol,
        "side": errand.side,
        "quantity": exchange.venue.exchange.markets[errand.symbol].symbol.quantity(errand.lots),
        "leverage": LEVERAGE,
        "stalkMode": errand.mode,
        "stalkOffset": errand.offset,
        "postOnly": errand.post_only,
        "repriceMs": 100,
    }


class Bounds:
    """Which order is which algo's, as it was ever journaled, and what the exchange has of them."""

    def __init__(
        self, exchange: SimExchange, fail: Callable[..., None], count: Callable[[str], None]
    ) -> None:
        self._exchange, self._fail, self._count = exchange, fail, count
        self._targets: dict[str, Decimal] = {}
        self._orders: dict[str, dict[str, str]] = {}
        #: by algo: the symbols of its orders by their ids
        self._algos: dict[str, str] = {}

    def journaled(self, entry: Entry) -> None:
        """Learn targets and owners; an owner that Redis lost with its tail stays known here."""
        for algo in entry.rows.algos:
            self._targets[algo.id] = algo.target
        for order in entry.rows.orders:
            if order.parent_id in self._targets:
                self._algos[order.client_order_id] = order.parent_id
                self._orders.setdefault(order.parent_id, {})[order.client_order_id] = order.symbol

    def accepted(self, client_order_id: str) -> None:
        """The exchange took an order or an amendment: no moment is nearer to the bound."""
        algo_id = self._algos.get(client_order_id)
        if algo_id is None:
            return
        self._count(BOUND)
        total = sum((self._worst(coid, symbol) for coid, symbol in self._orders[algo_id].items()), Decimal(0))
        if total > self._targets[algo_id]:
            detail = f"{algo_id} may trade {total}, its target is {self._targets[algo_id]}"
            self._fail(BOUND, detail, algo_id, client_order_id)

    def _worst(self, client_order_id: str, symbol: str) -> Decimal:
        """What an order has traded, and what it may yet."""
        order = self._exchange.account.latest_by_client_id.get((symbol, client_order_id))
        if order is None:
            return Decimal(0)
        lots = order.quantity if order.open else order.executed
        return self._exchange.venue.exchange.markets[symbol].symbol.quantity(lots)
