"""The algos in memory: those that run, the last that ended, and whom a tick or an order concerns."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from decimal import Decimal

from pms.contract.journal import AlgoRow, AlgoSlotRow
from pms.domain.algos.adopted import Adopted
from pms.domain.algos.algo import Algo, Slot, algo_from, slot_from
from pms.domain.algos.ids import names_slot, slot_of, slot_prefix, step_of

KEPT_ENDED = 1_000
"""Ended algos in memory: a late fill of an older one is booked all the same, and no more counted to it."""

EXPECTED_STEPS = 64
"""So many orders of one slot may be lost with Redis' tail: in a second the exchange may have refused all but
the last, and of those it keeps no record."""

BEFORE_START_MS = 60_000
"""So far before its start a row may be an algo's own, written by a release that did not see to that."""


@dataclass(slots=True)
class AlgoBook:
    """Algos by id, and those that run by symbol and by account."""

    every: dict[str, Algo] = field(default_factory=dict)
    by_symbol: dict[str, dict[str, Algo]] = field(default_factory=dict)
    by_account: dict[str, dict[str, Algo]] = field(default_factory=dict)
    adopted: Adopted = field(default_factory=Adopted)
    _ended: OrderedDict[str, None] = field(default_factory=OrderedDict)
    _early: dict[str, dict[int, Slot]] = field(default_factory=dict)
    #: slots whose algo's row has not come yet

    def put(self, algo: Algo) -> None:
        """Take an algo as it now is."""
        self.every[algo.id] = algo
        algo.busy = {slot.number for slot in algo.slots.values() if slot.order_id is not None}
        symbols = {slot.symbol for slot in algo.slots.values()} | ({algo.symbol} - {""})
        for symbol in symbols:
            self._index(self.by_symbol, symbol, algo)
        self._index(self.by_account, algo.account, algo)
        if not algo.status.over:
            # One that ended may have had its id.
            self._ended.pop(algo.id, None)
        elif algo.id not in self._ended:
            self._ended[algo.id] = None
            if len(self._ended) > KEPT_ENDED:
                oldest, _ = self._ended.popitem(last=False)
                self.every.pop(oldest, None)

    @staticmethod
    def _index(index: dict[str, dict[str, Algo]], key: str, algo: Algo) -> None:
        """Only those that run: nothing that happens concerns one that is over."""
        if not algo.status.over:
            index.setdefault(key, {})[algo.id] = algo
            return
        alive = index.get(key)
        if alive is not None:
            alive.pop(algo.id, None)
            if not alive:
                del index[key]

    def running(self) -> list[Algo]:
        """All that are not over."""
        return [algo for algo in self.every.values() if not algo.status.over]

    def load(self, algos: tuple[AlgoRow, ...], slots: tuple[AlgoSlotRow, ...]) -> None:
        """Lay rows over the book: the newest of a key wins.

        Trap: a requestId may be used again, and the slots of whom it named before stay in the table.
        """
        started = {row.id: row.started_at for row in algos}
        for algo_id in started.keys() & self.every.keys():
            if self.every[algo_id].started_at != started[algo_id]:
                self.every[algo_id].slots = {}
        for row in slots:
            known = self.every.get(row.algo_id)
            since = started.get(row.algo_id, known.started_at if known else 0)
            if row.updated_at + BEFORE_START_MS < since:
                continue
            where = known.slots if known else self._early.setdefault(row.algo_id, {})
            where[row.slot] = slot_from(row)
        for algo_row in algos:
            known = self.every.get(algo_row.id)
            kept = known.slots if known else self._early.pop(algo_row.id, {})
            self.put(algo_from(algo_row, kept))
        for algo_id in {row.algo_id for row in slots} & self.every.keys():
            self.put(self.every[algo_id])

    def expecting(self, client_order_id: str, letters: dict[str, str]) -> tuple[Algo, Slot, int] | None:
        """The algo, slot and step of an order that nobody remembers; None if it is no running algo's.

        The slot may be one that the algo does not have any more: its row was lost with the order's.
        """
        if not names_slot(client_order_id):
            return None
        number = slot_of(client_order_id)
        for algo in self.running():
            letter = letters[algo.kind]
            if not client_order_id.startswith(slot_prefix(algo.account, letter, number)):
                continue
            slot = algo.slots.get(number) or Slot(number, algo.symbol, algo.side, target=Decimal(0))
            steps = range(slot.steps + 1, slot.steps + 1 + EXPECTED_STEPS)
            step = step_of(
                client_order_id,
                algo.account,
                letter,
                algo.id,
                slot=number,
                steps=steps,
                started_at=algo.started_at,
            )
            if step is not None:
                return algo, slot, step
        return None
