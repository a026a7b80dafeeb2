"""Commands to algos: start, amend, cancel, pause, resume. Each is one entry, answered once PostgreSQL has it.

A start that is journaled runs, whatever becomes of its answer: a repeat of the command gets the same answer,
and its requestId is the algo's id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from pms.contract.algo_commands import AlgoControl, AlgoStart, CancelAlgo
from pms.contract.basket import Basket
from pms.contract.codes import Code, Refusal
from pms.contract.commands import Command
from pms.contract.money import plain
from pms.domain.algos.algo import Algo, Slot, Status
from pms.domain.algos.book import EXPECTED_STEPS
from pms.domain.algos.conduct import end
from pms.domain.algos.ids import DAY_MS, child_ids
from pms.domain.algos.machine import Beginning, View, WindsDown
from pms.domain.algos.machines import MACHINES
from pms.domain.algos.naming import of_leg
from pms.domain.algos.reducing import as_judged
from pms.domain.algos.together import Foreseeing, judge_together
from pms.domain.algos.viewing import position_of, view_of
from pms.domain.checks import (
    check_open,
    fresh_top,
    leverage_of,
    listed,
    refuse_delivery,
    trading_account,
)
from pms.domain.decisions import Asked, kept
from pms.domain.desk import Desk
from pms.domain.halts import refuse_halted
from pms.domain.orders import Order
from pms.domain.position_sides import side_for
from pms.domain.positions import Position
from pms.domain.posting import Posting
from pms.domain.rows import order_row

ZERO = Decimal(0)
MOST_RUNNING = 200
"""Of one sub-account: each is looked at with each tick of its symbol."""


def command_algo(desk: Desk, asked: Asked, command: Command) -> Posting:
    """Decide a command to an algo; raises Refusal."""
    match command:
        case AlgoStart():
            return _start(desk, asked, command)
        case CancelAlgo():
            return _control(desk, asked, command, "cancel")
        case AlgoControl():
            return _control(desk, asked, command, command.action)
        case _:
            return _amend(desk, asked, command)


def begin(desk: Desk, asked: Asked, command: AlgoStart) -> Algo:
    """The algo that a command would start, not yet taken in; raises Refusal."""
    if asked.request_id in desk.algos.every:
        # Its command is forgotten after a day; the algo may run for longer, and late fills are counted to it.
        raise Refusal(
            Code.REQUEST_ID_REUSED,
            "an algo was started by this requestId, and stands",
            field="requestId",
            actual=asked.request_id,
        )
    check_open(asked)
    account = trading_account(desk, command.sub_account_id)
    command = as_judged(account, command)
    refuse_halted(desk, account.id, reduce_only=getattr(command, "reduce_only", False))
    position = _position(desk, command)
    for number, symbol in enumerate(symbols_of(command) if position is None else [position.symbol]):
        try:
            instrument = listed(desk, symbol)
            if position is None and not getattr(command, "reduce_only", False):
                refuse_delivery(instrument)
            fresh_top(desk, symbol)
        except Refusal as refusal:
            raise of_leg(command, number, refusal) if isinstance(command, Basket) else refusal from None
    if position is None and not command.both_sides:
        side_for(account, getattr(command, "position_side", None))
    running = len(desk.algos.by_account.get(account.id, {}))
    if running >= MOST_RUNNING:
        raise Refusal(
            Code.TOO_MANY_ALGOS,
            f"{account.id} has {running} algos that run",
            field="subAccountId",
            limit=MOST_RUNNING,
            actual=running + 1,
        )
    kind = command.name.removeprefix("pms.")
    place = position.place if position is not None else getattr(command, "place", None)
    held = ZERO if place is None else desk.quantity(place)
    view = View(
        asked.now,
        desk.tops,
        desk.instruments,
        {},
        held,
        position=position,
        sides=account.sides,
        volumes=desk.volumes,
        traded=desk.traded,
        positions=desk.positions,
    )
    machine = MACHINES[kind]
    found = machine.begin(command, view)
    algo = Algo(
        id=asked.request_id,
        kind=kind,
        terms=found.terms or command,
        symbol=found.symbol,
        side=found.side,
        target=found.target,
        arrival=found.arrival,
        started_at=asked.now,
        memory=found.memory,
        slots={slot.number: slot for slot in found.slots},
    )
    if isinstance(machine, Foreseeing):
        judge_together(desk, asked, algo, machine, view)
    elif position is None and not getattr(command, "reduce_only", False):
        _check_leverage(desk, asked, command, found, held=held)
    return algo


def _check_leverage(desk: Desk, asked: Asked, command: AlgoStart, found: Beginning, *, held: Decimal) -> None:
    """Refuse a leverage that the symbol does not permit: each of its orders would be, without an end.

    What can only close keeps its position's own, whatever the exchange permits by now.
    """
    closes = found.side == ("SELL" if held > 0 else "BUY") and abs(held) >= found.target
    named = getattr(command, "leverage", None)
    account, instrument = command.sub_account_id, desk.instruments[found.symbol]
    leverage_of(desk, asked, account, instrument, named=named, opens=not closes)


def symbols_of(command: Command) -> list[str]:
    """The symbols that an algo trades in."""
    if isinstance(command, Basket):
        return command.symbols
    symbol = getattr(command, "symbol", None)
    return [symbol] if isinstance(command, AlgoStart) and symbol is not None else []


def _position(desk: Desk, command: AlgoStart) -> Position | None:
    """The position that a command names by its id, None where it names none; raises Refusal."""
    named = getattr(command, "position_id", None)
    position = position_of(desk, command)
    if named is not None and position is None:
        raise Refusal(
            Code.UNKNOWN_POSITION,
            f"{command.sub_account_id} has no open position with this id",
            field="positionId",
            actual=named,
        )
    return position


def _start(desk: Desk, asked: Asked, command: AlgoStart) -> Posting:
    algo = begin(desk, asked, command)
    found = _find_orders(desk, algo)
    desk.algos.put(algo)
    return _told(desk, asked, algo, note="started", slots=True, orders=found)


def _find_orders(desk: Desk, algo: Algo) -> list[Order]:
    """The orders of a start that Redis forgot with its tail: the same request makes the same ids.

    However many: a ledger that was behind loses more than a second. Some may never have been sent.
    """
    letter, found = MACHINES[algo.kind].letter, []
    starts = algo.started_at, algo.started_at - DAY_MS
    for slot in algo.slots.values():
        adopted = desk.algos.adopted.of(algo.account, letter, slot.number)
        step = 0
        while adopted and step < slot.steps + EXPECTED_STEPS:
            step += 1
            for coid in child_ids(algo.account, letter, algo.id, slot.number, step, starts=starts):
                order = desk.orders.get(coid) if coid in adopted else None
                if order is None or order.spec.sub_account_id != algo.account:
                    continue
                slot.steps = step
                _count_again(algo, slot, order)
                found.append(order)
    return found


def _count_again(algo: Algo, slot: Slot, order: Order) -> None:
    """Take a forgotten order back into its slot, with what it traded."""
    order.spec = replace(order.spec, parent_id=algo.id)
    slot.filled += order.filled_qty
    slot.quote += order.filled_quote
    slot.fees += order.fees
    slot.maker_qty += order.maker_qty
    algo.fees += order.fees
    algo.maker_qty += order.maker_qty if algo.counts(slot) else ZERO
    if not order.state.terminal:
        # It was adopted, and is being cancelled
        slot.order_id, slot.sent_price, slot.cancelling = order.spec.client_order_id, order.price, True


def _control(desk: Desk, asked: Asked, command: Command, action: str) -> Posting:
    algo = running(desk, command)
    ending = algo.status is Status.ENDING
    if action == "cancel":
        machine, reason = MACHINES[algo.kind], "cancelled by command"
        # One that ends already comes to what it came to: its orders are being cancelled.
        if not ending and not (isinstance(machine, WindsDown) and machine.wind_down(algo, reason)):
            end(algo, Status.CANCELLED, reason)
    elif ending:
        raise _over(algo)
    elif action == "pause":
        algo.status, algo.reason = Status.PAUSED, "paused by command"
    else:
        check_open(asked)
        algo.status, algo.reason = Status.RUNNING, None
        for slot in algo.slots.values():
            slot.tries = slot.resume_at = 0
    return _told(desk, asked, algo, note=action, slots=action == "resume")


def _amend(desk: Desk, asked: Asked, command: Command) -> Posting:
    check_open(asked)
    algo = running(desk, command)
    if algo.status is Status.ENDING:
        raise _over(algo)
    if command.name != f"pms.{algo.kind}":
        raise Refusal(
            Code.UNKNOWN_ALGO,
            f"this id is of a {algo.kind}",
            field="algoId",
            limit=f"pms.{algo.kind}",
            actual=command.name,
        )
    if algo.symbol and algo.symbol not in desk.instruments:
        told = f"the exchange lists {algo.symbol} no more"
        raise Refusal(Code.UNKNOWN_SYMBOL, told, field="algoId", actual=algo.symbol)
    MACHINES[algo.kind].amend(algo, command, view_of(desk, algo, now=asked.now))
    return _told(desk, asked, algo, note="amended", slots=True)


def running(desk: Desk, command: Command) -> Algo:
    """The algo that a command names, if it is not over; raises Refusal."""
    algo_id = str(getattr(command, "algo_id", ""))
    algo = desk.algos.every.get(algo_id)
    if algo is None:
        raise Refusal(Code.UNKNOWN_ALGO, "no algo that runs has this id", field="algoId", actual=algo_id)
    if algo.status.over:
        raise _over(algo)
    if algo.sentence is not None:
        raise Refusal(Code.NOT_READY, "the end of this algo is being decided", field="algoId", actual=algo_id)
    return algo


def _over(algo: Algo) -> Refusal:
    return Refusal(
        Code.ALGO_OVER, f"the algo is {algo.status}: {algo.reason}", field="algoId", actual=algo.status.value
    )


def _told(
    desk: Desk, asked: Asked, algo: Algo, *, note: str, slots: bool, orders: Sequence[Order] = ()
) -> Posting:
    draft = desk.draft("algo", at=asked.now)
    draft.orders.update({order.spec.client_order_id: order_row(order) for order in orders})
    draft.note["algo"] = note
    draft.algos[algo.id] = algo.row(at=asked.now)
    if slots:
        for slot in algo.slots.values():
            draft.algo_slots[algo.id, slot.number] = algo.slot_row(slot, at=asked.now)
    algo.untold = True
    return kept(
        desk,
        draft,
        asked,
        account=algo.account,
        symbol=algo.symbol or None,
        algoId=algo.id,
        algo=algo.kind,
        status=algo.status.value,
        target=plain(algo.target),
        filled=plain(algo.filled),
        slots=str(len(algo.slots)),
    )
