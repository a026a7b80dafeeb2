"""Algos' orders: placed, amended and cancelled by the one path that every order takes.

Each change is a row in the caller's draft: nothing leaves before that entry is journaled.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import cast
from uuid import UUID

from pms.contract.commands import Amend, PositionSide, Side, TimeInForce, Trade
from pms.domain.algos.algo import Algo, Slot
from pms.domain.algos.ids import child_id, slot_of
from pms.domain.algos.machine import Machine, Want
from pms.domain.algos.throttle import Throttle
from pms.domain.amending import wish_amended, withdraw_amend
from pms.domain.checks import check_open
from pms.domain.decisions import Asked
from pms.domain.desk import Desk
from pms.domain.orders import Order
from pms.domain.placing import Leverages, judge_trade, register
from pms.domain.posting import Draft
from pms.domain.rows import order_row


@dataclass(slots=True)
class Turn:
    """One asking of one algo, and the entry that it leaves."""

    desk: Desk
    draft: Draft
    asked: Asked
    algo: Algo
    machine: Machine
    throttle: Throttle
    wake_at: int | None = None
    cleared: dict[str, str | None] = field(default_factory=dict)
    #: orders of others that make way, and the reason that each had before
    placed: set[str] = field(default_factory=set)
    #: the orders that came of it
    amended: set[str] = field(default_factory=set)
    #: the orders whose terms it wished to change

    def wake(self, at: int) -> None:
        """Ask again at this time, or earlier."""
        self.wake_at = at if self.wake_at is None else min(at, self.wake_at)


def trade_of(algo: Algo, slot: Slot, want: Want, *, quantity: Decimal) -> Trade:
    """A slot's order as every order is judged."""
    return Trade.model_construct(
        request_id=UUID(algo.id),
        sub_account_id=algo.account,
        symbol=slot.symbol,
        side=cast("Side", slot.side),
        quantity=quantity,
        leverage=want.leverage,
        type="MARKET" if want.price is None else "LIMIT",
        price=want.price,
        time_in_force=cast("TimeInForce | None", want.time_in_force),
        reduce_only=want.reduce_only,
        position_side=cast("PositionSide | None", want.position_side),
    )


def place_child(turn: Turn, slot: Slot, want: Want, *, quantity: Decimal) -> Order:
    """Admit a slot's next order; raises Refusal, and then nothing has changed."""
    desk, draft, asked, algo, machine = turn.desk, turn.draft, turn.asked, turn.algo, turn.machine
    check_open(asked)
    judged = judge_trade(desk, asked, trade_of(algo, slot, want, quantity=quantity), repeated=True)
    leverages = Leverages(desk)
    leverages.before(judged)
    step = slot.steps + 1
    coid = _name(algo, machine, slot, step)
    while coid in desk.orders:
        # Lost with Redis and found again at the exchange: that step was taken.
        step += 1
        coid = _name(algo, machine, slot, step)
    order = register(
        desk,
        asked,
        judged,
        client_order_id=coid,
        request_id=None,
        parent_id=algo.id,
        origin=machine.origin,
    )
    slot.steps, slot.order_id = step, coid
    slot.price, slot.sent_price = want.price, order.price
    slot.cancelling, slot.moved_at, slot.note = False, asked.now, None
    algo.busy.add(slot.number)
    turn.placed.add(coid)
    draft.orders[coid] = order_row(order)
    leverages.note(draft)
    return order


def _name(algo: Algo, machine: Machine, slot: Slot, step: int) -> str:
    return child_id(algo.account, machine.letter, algo.id, slot.number, step, started_at=algo.started_at)


def amend_child(turn: Turn, slot: Slot, order: Order, want: Want, *, total: Decimal) -> None:
    """Wish an order to other terms; raises Refusal, and then nothing has changed.

    `total` counts what is filled already.
    """
    desk, draft, asked, algo = turn.desk, turn.draft, turn.asked, turn.algo
    check_open(asked)
    terms = Amend.model_construct(
        request_id=UUID(algo.id), order_id=slot.order_id or "", quantity=total, price=want.price
    )
    wish = wish_amended(desk, asked, order, terms, request_id=None)
    slot.price, slot.sent_price, slot.moved_at = want.price, wish.price, asked.now
    slot.note = None
    turn.amended.add(order.spec.client_order_id)
    algo.reprices += 1
    slot.reprices += 1
    draft.orders[order.spec.client_order_id] = order_row(order)


def cancel_child(draft: Draft, slot: Slot, order: Order) -> None:
    """Want a slot's order gone; its next comes when that is proven."""
    slot.cancelling = True
    if not order.cancel_wanted:
        order.want_cancelled(at=draft.at)
        draft.orders[order.spec.client_order_id] = order_row(order)


def unplace(turn: Turn) -> None:
    """Take back the orders that this turn has placed: nothing of it is journaled yet.

    Trap: by their time alone they are not known; another turn of the same millisecond is on its way.
    """
    for coid in sorted(turn.placed):
        del turn.draft.orders[coid]
        turn.desk.forget_order(turn.desk.orders[coid])
        slot = turn.algo.slots[slot_of(coid)]
        slot.order_id = slot.price = slot.sent_price = None
        turn.algo.busy.discard(slot.number)
    turn.placed.clear()


def take_back(turn: Turn) -> None:
    """Undo in memory what a turn decided whose entry will never be: new orders, amendments, cancels.

    Trap: a cancel that only memory wants is sent by nobody, and never wanted again.
    """
    for coid in turn.draft.orders:
        order = turn.desk.orders[coid]
        wish = order.amend
        if coid in turn.cleared:
            order.cancel_wanted, order.reason = False, turn.cleared[coid]
        elif wish is not None and coid in turn.amended:
            withdraw_amend(turn.desk, order, number=wish.number)
        elif coid in turn.placed:
            turn.desk.forget_order(order)
        elif order.cancel_wanted:
            order.cancel_wanted = turn.algo.slots[slot_of(coid)].cancelling = False
