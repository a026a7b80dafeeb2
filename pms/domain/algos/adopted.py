"""Orders of algos that only the exchange remembered.

Kept by slot, so that an algo that is started again asks for its own without looking through every order.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pms.domain.algos.ids import names_slot, slot_prefix
from pms.domain.facts import OrderSpec


@dataclass(slots=True)
class Adopted:
    """Ids of such orders, by what those of one slot begin with."""

    _found: dict[str, set[str]] = field(default_factory=dict)

    def note(self, spec: OrderSpec) -> None:
        """Take in an order that memory has from now on; an adopted one has no deadline."""
        coid = spec.client_order_id
        if not spec.deadline and names_slot(coid):
            self._found.setdefault(_slot(coid), set()).add(coid)

    def drop(self, spec: OrderSpec) -> None:
        """Forget an order with which memory is done."""
        slot = _slot(spec.client_order_id)
        found = self._found.get(slot)
        if found is not None:
            found.discard(spec.client_order_id)
            if not found:
                del self._found[slot]

    def of(self, account: str, letter: str, slot: int) -> frozenset[str]:
        """Those that may be of this slot of an algo; whose they are only their hash says."""
        return frozenset(self._found.get(slot_prefix(account, letter, slot), ()))


def _slot(client_order_id: str) -> str:
    return "_".join(client_order_id.split("_", 3)[:3])
