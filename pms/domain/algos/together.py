"""Whether all that an algo of several parts is for could be, judged together before any of it is placed.

Every order that it would send now, and all that it would send later, is judged by the very checks of an
order and reserved, one behind the other, so that each is judged beside what those before it take. Then all
of it is taken back: what is sent now is reserved anew in the same step, before anyone else is heard. What
comes later is reserved when it comes; how many orders there are and how fast they come is judged then.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple, Protocol, runtime_checkable

from pms.contract.codes import Refusal
from pms.domain.algos.algo import Algo, Slot
from pms.domain.algos.children import trade_of
from pms.domain.algos.machine import View, Want
from pms.domain.decisions import Asked
from pms.domain.desk import Desk
from pms.domain.orders import Order
from pms.domain.pace import Pace
from pms.domain.placing import Leverages, judge_trade, register


class Ahead(NamedTuple):
    """One order that is to come."""

    slot: Slot
    want: Want
    quantity: Decimal
    now: bool
    #: else later: its rate and its number are judged then
    part: int
    #: of the algo, by its number


@runtime_checkable
class Foreseeing(Protocol):
    """A machine whose algos are admitted whole or not at all."""

    def ahead(self, algo: Algo, view: View) -> Sequence[Ahead]:
        """All that the algo would place, now and later, each no more than one order may be for."""
        ...

    def named(self, algo: Algo, part: int, refusal: Refusal) -> Refusal:
        """A refusal that says which part it is of."""
        ...


def judge_together(desk: Desk, asked: Asked, algo: Algo, machine: Foreseeing, view: View) -> None:
    """Raise the first Refusal of any order that is to come; either way the desk is as it was."""
    found = sorted(machine.ahead(algo, view), key=lambda each: not each.now)
    pace, leverages = desk.pace, Leverages(desk)
    desk.pace = Pace(rates=pace.rates.only(algo.account))
    taken: list[Order] = []
    try:
        for number, each in enumerate(found):
            trade = trade_of(algo, each.slot, each.want, quantity=each.quantity)
            try:
                judged = judge_trade(desk, asked, trade, repeated=True, later=not each.now)
                leverages.before(judged)
                name = f"{algo.id}:{number}"
                taken.append(register(desk, asked, judged, client_order_id=name, request_id=None))
            except Refusal as refusal:
                raise machine.named(algo, each.part, refusal) from None
    finally:
        for order in reversed(taken):
            desk.forget_order(order)
        leverages.restore()
        desk.pace = pace
