"""The leverage that a symbol has by its live orders alone: the newest one's.

It holds where no position and no command says otherwise, so that it is the same after a restart, when the
orders come in no order. It is safe to fall back to when a newer order is gone: an order was judged together
with all that were live then. An amendment makes one of these larger, so it is judged by `since`.

Trap: of two orders of one millisecond the lower leverage counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pms.domain.facts import OrderSpec

Age = tuple[int, int]


@dataclass(slots=True)
class OrderLeverages:
    """By sub-account and symbol the live orders' ages and leverages, the newest last."""

    _live: dict[tuple[str, str], dict[str, Age]] = field(default_factory=dict)

    def note(self, spec: OrderSpec) -> None:
        """Take in a live order; nearly always it is the newest."""
        key = spec.sub_account_id, spec.symbol
        found = self._live.setdefault(key, {})
        newest = next(reversed(found.values()), None)
        found[spec.client_order_id] = _age(spec)
        if newest is not None and newest > _age(spec):
            self._live[key] = dict(sorted(found.items(), key=lambda item: item[1]))

    def drop(self, spec: OrderSpec) -> None:
        """Forget an order that is over, or another's."""
        key = spec.sub_account_id, spec.symbol
        found = self._live.get(key)
        if found is not None:
            found.pop(spec.client_order_id, None)
            if not found:
                del self._live[key]

    def newest(self, account: str, symbol: str) -> int | None:
        """The leverage of the newest live order."""
        age = next(reversed(self._live.get((account, symbol), {}).values()), None)
        return None if age is None else -age[1]

    def since(self, spec: OrderSpec) -> int:
        """The highest leverage of this order and those after it: each of them may be the newest one day."""
        found = self._live.get((spec.sub_account_id, spec.symbol), {}).values()
        return -min(leverage for at, leverage in (_age(spec), *found) if (at, leverage) >= _age(spec))

    def at_trade(self, spec: OrderSpec) -> int:
        """The leverage of a position that this order opens: its own, unless a newer one is live."""
        found = self._live.get((spec.sub_account_id, spec.symbol), {})
        return -max(_age(spec), next(reversed(found.values()), _age(spec)))[1]


def _age(spec: OrderSpec) -> Age:
    return spec.admitted_at, -spec.leverage
