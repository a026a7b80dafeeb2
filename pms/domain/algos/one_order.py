"""One order until it is filled: a basket's leg at market or at a limit. It is no algo by itself."""

from __future__ import annotations

from typing import NoReturn

from pms.contract.basket import OneOrder
from pms.contract.codes import Code, Refusal
from pms.contract.commands import Command
from pms.contract.money import plain
from pms.domain.algos.algo import Algo, Slot, Status
from pms.domain.algos.exits import on_tick
from pms.domain.algos.machine import Beginning, Plan, View, Want
from pms.domain.algos.reducing import bounded, follows, nothing_left, reducible
from pms.domain.algos.targets import check_target, filled_but, rounded, too_little

ONLY = 0
ONE_TRY = frozenset({"IOC", "FOK"})


class OneOrderMachine:
    """Decides for legs that are one order."""

    kind = "order"
    origin = "BASKET"
    letter = "K"

    def begin(self, terms: OneOrder, view: View) -> Beginning:
        """One slot for all of it, on the grid."""
        instrument, top = view.instruments[terms.symbol], view.tops[terms.symbol]
        price = None if terms.price is None else on_tick(instrument, terms.price, field="price")
        quantity = check_target(
            instrument,
            terms.quantity,
            price=price or top.mid,
            reduce_only=terms.reduce_only,
            time_in_force=terms.time_in_force,
        )
        slot = Slot(ONLY, terms.symbol, terms.side, target=quantity)
        kept = terms.model_copy(update={"price": price, "quantity": quantity})
        return Beginning(terms.symbol, terms.side, quantity, top.mid, [slot], terms=kept)

    def plan(self, algo: Algo, view: View) -> Plan:
        """The order; over when it is filled, and one of a single try when that came to nothing."""
        terms, slot = algo.terms, algo.slots[ONLY]
        assert isinstance(terms, OneOrder)
        instrument, top = view.instruments.get(algo.symbol), view.tops.get(algo.symbol)
        order, quantity, may_wait = view.orders.get(ONLY), slot.remaining, False
        if instrument is None or (top is None and terms.price is None):
            return Plan(kept=frozenset({ONLY}))
        if order is None:
            price = terms.price or (top.mid if top else algo.arrival)
            if too_little(
                instrument,
                slot.remaining,
                price=price,
                reduce_only=terms.reduce_only,
                market=terms.price is None,
                note=slot.note if slot.filled else None,
            ):
                return Plan(end=(Status.FINISHED, filled_but(slot.remaining)))
            if terms.time_in_force in ONE_TRY and slot.tries:
                left = plain(slot.remaining)
                return Plan(end=(Status.FAILED, f"{left} is not filled: {slot.note or 'it expired'}"))
        elif order.momentary:
            return Plan(kept=frozenset({ONLY}))
        if terms.time_in_force == "GTC":
            # What rests shrinks with its position; what has one try is for all of it, or refused.
            most = reducible(terms, view, slot)
            if most is not None and order is None and not instrument.floor_quantity(most, market=False):
                return Plan(end=(Status.FINISHED, nothing_left(algo, most)))
            quantity, may_wait = bounded(terms, view, slot, most), follows(slot, most)
        want = Want(
            quantity=quantity,
            price=None if terms.price is None else rounded(instrument, terms.price, down=terms.side == "BUY"),
            time_in_force=None if terms.price is None else terms.time_in_force,
            reduce_only=terms.reduce_only,
            position_side=terms.position_side,
            leverage=terms.leverage,
            follows=may_wait,
        )
        return Plan({ONLY: want})

    def amend(self, algo: Algo, command: Command, view: View) -> NoReturn:
        """A leg's terms stay."""
        raise Refusal(Code.UNKNOWN_COMMAND, "a leg keeps its terms", field="command", actual=command.name)
