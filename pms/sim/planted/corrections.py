"""Bugs in what operators and beat correct; worlds in which somebody does find them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from pms.contract.names import HOUSE
from pms.domain import booking, corrections
from pms.domain.facts import NotExecuted, Seen
from pms.domain.orders import Order
from pms.sim.planted.planting import Patch, mutant, replaced
from pms.sim.traffic.corrections import draw as corrected
from pms.sim.world import reconciles
from pms.streamer.reconcile import Reconciler


@mutant("a trade that is handed over leaves its commission behind", where=corrected)
def fee_left_behind() -> Sequence[Patch]:
    return [(corrections, "_take_along", lambda desk, draft, command, quantity, **_: Decimal(0))]


@mutant("a position that is handed over realises nothing", where=corrected)
def handed_over_at_cost() -> Sequence[Patch]:
    def moved(*args: Any, **terms: Any) -> Any:
        return replace(booking.apply_move(*args, **terms), realized=Decimal(0))

    return [(corrections, "apply_move", moved)]


@mutant("what an operator gives comes from nobody", where=corrected)
def given_by_nobody() -> Sequence[Patch]:
    def moved(desk: Any, draft: Any, position: Any, signed: Decimal, *args: Any, **terms: Any) -> Any:
        given = Decimal(0) if position.sub_account_id == HOUSE else signed
        return booking.apply_move(desk, draft, position, given, *args, **terms)

    return [(corrections, "apply_move", moved)]


@mutant("orders that only reduce outlive what was handed over", where=corrected)
def reducing_what_was_given() -> Sequence[Patch]:
    def moved(*args: Any, **terms: Any) -> Any:
        with replaced(booking, "fit_to", lambda *_: None):
            return booking.apply_move(*args, **terms)

    return [(corrections, "apply_move", moved)]


@mutant("an operator's word ends an order whatever the exchange has said of it", where=corrected)
def word_beats_evidence() -> Sequence[Patch]:
    return [(corrections, "_word_on", lambda asked, order, command: NotExecuted(command.reason))]


@mutant("an order that the list of open ones does not show is taken to be cancelled", where=reconciles)
def unlisted_is_over() -> Sequence[Patch]:
    async def unlisted(self: Reconciler, order: Order, *, take: bool) -> list[str]:
        self.engine.observe(order, Seen(order.exchange_order_id or 0, "CANCELED", order.filled_qty))
        return []

    return [(Reconciler, "_unlisted", unlisted)]
