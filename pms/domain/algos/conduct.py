"""Conducting an algo: what its machine wants against what is so, and the difference as one journal entry.

    no order lives in a slot           place what is wanted, as far as the targets leave room
    it lives on other terms            move it there (`moving`)
    it lives, and should not           want it cancelled; the next comes when the exchange has said so
    it is unproven, being amended or cancelled     wait: an order that may trade counts in full
    it ended though nobody asked       count it, and pause the slot for a while
    others rest where a stop fired     want those cancelled, and place what is free meanwhile (`clearing`)

If the process dies before the entry is journaled, nothing was sent and memory is gone with it; after that
each order is an order like any other, and the next life asks the machine again. Nothing here depends on
having heard of each event: it may be called at any time, and twice.
"""

from __future__ import annotations

from dataclasses import dataclass

from pms.contract.codes import Code, Refusal
from pms.contract.names import BOTH
from pms.domain.algos.algo import Algo, Slot, SlotState, Status
from pms.domain.algos.children import Turn, cancel_child, place_child, take_back, unplace
from pms.domain.algos.clearing import clear, made_way
from pms.domain.algos.machine import Closing, Looking, Machine, Parted, Plan, Sparing, Want
from pms.domain.algos.moving import keep, move
from pms.domain.algos.put_back import bring_to
from pms.domain.algos.refused import closes, grow, halve, settle_refused, tell_refused
from pms.domain.algos.sizing import quantity_of, room_of
from pms.domain.algos.telling import tell
from pms.domain.algos.throttle import Throttle
from pms.domain.algos.viewing import bereft, spent, view_of
from pms.domain.decisions import Asked
from pms.domain.desk import Desk
from pms.domain.master import STOPPED
from pms.domain.orders import AmendEnd, Order, State
from pms.domain.positions import Place
from pms.domain.posting import Posting

BACK_OFF_MS = (500, 2_000, 60_000)
"""After an end that nobody asked for: at most three orders a minute."""

STOP_BACK_OFF_MS = (500, 1_000, 2_000)
"""The same for a market order that only reduces: a stop that met an empty book does not wait a minute."""

AS_MAKER_MS = 250
"""A post-only order that would have taken is no fault: the market moved, and the next is priced anew."""

CROSSED = "-5022"
"""Binance: post-only order would immediately match."""

HOPELESS = frozenset({Code.REDUCE_ONLY, Code.UNKNOWN_SYMBOL, Code.SYMBOL_NOT_ALLOWED, Code.SIDE_NOT_ALLOWED})
"""Refusals that time does not cure: the algo has failed."""


PASSING = frozenset(
    {
        *(Code.NOT_READY, Code.HALTED, Code.PRICE_STALE, Code.ORDER_RATE, Code.TRADING_STATE),
        *(Code.SPREAD_WIDE, Code.SELF_MATCH),
    }
)
"""Refusals that pass by themselves: nothing is counted, and nothing journaled again and again."""

PASSING_MS = 1_000
STOPS_MS = 100
"""What takes risk away at market tries again that soon: nobody need move for what held it up to pass."""

CLOSED_MS = 500


@dataclass(slots=True)
class Conducted:
    """What came of asking an algo: an entry, if anything changed, and when to ask again, ms."""

    posting: Posting | None
    wake_at: int | None


def conduct(desk: Desk, algo: Algo, machine: Machine, asked: Asked, throttle: Throttle) -> Conducted:
    """Ask an algo what should be, and bring it about as far as one entry can.

    A fault on the way is raised, and leaves no order behind that nobody journaled.
    """
    if algo.sentence is not None:
        # Its end is on its way to the journal; it is asked again when that is known to stand, or not.
        return Conducted(None, None)
    turn = Turn(desk, desk.draft("algo", at=asked.now), asked, algo, machine, throttle)
    try:
        return _conducted(turn)
    except Exception:
        take_back(turn)
        raise


def tell_late(desk: Desk, algo: Algo, machine: Machine, *, at: int) -> Posting:
    """Tell once more of an algo that is over, for a trade of its order was heard of behind its end."""
    draft = desk.draft("algo", at=at)
    draft.algos[algo.id] = algo.row(at=at)
    tell(desk, draft, algo, machine, wake_at=None)
    return Posting(entry=desk.sealed(draft).entry(), events=tuple(draft.events))


def _conducted(turn: Turn) -> Conducted:
    desk, draft, asked, algo, machine = turn.desk, turn.draft, turn.asked, turn.algo, turn.machine
    mark = algo.mark()
    slots = {number: algo.slots[number].mark() for number in algo.busy}
    for number in sorted(algo.busy):
        bring_to(algo.slots[number], asked.now, longest=BACK_OFF_MS[-1])
        _settle(turn, algo.slots[number])
    plan = _plan(turn)
    for number in sorted({*algo.busy, *plan.wants}):
        slot = algo.slots[number]
        slots.setdefault(number, slot.mark())
        going = _goes_on(algo)
        want = plan.wants.get(number) if going else None
        stops = want is not None and closes(want)
        bring_to(slot, asked.now, longest=(STOP_BACK_OFF_MS if stops else BACK_OFF_MS)[-1])
        if not going or number not in plan.kept:
            _bring(turn, slot, want)
        elif (order := desk.orders.get(slot.order_id or "")) is not None:
            keep(turn, slot, order)
    if algo.status is Status.ENDING and not algo.busy:
        algo.status, algo.ended_at = algo.outcome or Status.CANCELLED, asked.now
        desk.algos.put(algo)
    for number in plan.wrote:
        draft.algo_slots[algo.id, number] = algo.slot_row(algo.slots[number], at=asked.now)
    for number, before in slots.items():
        if algo.slots[number].mark() != before:
            draft.algo_slots[algo.id, number] = algo.slot_row(algo.slots[number], at=asked.now)
    changed = bool(draft.algo_slots or draft.orders) or algo.mark() != mark
    if changed:
        algo.untold = True
        draft.algos[algo.id] = algo.row(at=asked.now)
    settle_refused(turn, plan)
    tell_at = tell(desk, draft, algo, machine, wake_at=turn.wake_at)
    if tell_at is not None:
        turn.wake(tell_at)
    if not changed and not draft.events and not draft.incidents:
        return Conducted(None, turn.wake_at)
    return Conducted(Posting(entry=desk.sealed(draft).entry(), events=tuple(draft.events)), turn.wake_at)


def _goes_on(algo: Algo) -> bool:
    """Whether anything is wanted: one of the slots before may have ended it in this very turn."""
    return algo.status is Status.RUNNING


def _settle(turn: Turn, slot: Slot) -> None:
    """Count what became of a slot's order."""
    algo = turn.algo
    order = turn.desk.orders.get(slot.order_id or "")
    if order is None or order.spec.sub_account_id != algo.account:
        # Over so long ago that it is forgotten, or gone to the house with its position.
        _vacate(algo, slot)
        return
    if order.cancel_wanted and not slot.cancelling:
        slot.cancelling = True
        # Stopped by the account's margin, what guards a position goes on, and what would open meets the halt.
        spared = order.reason == STOPPED or (
            isinstance(turn.machine, Sparing) and turn.machine.spared(algo, slot)
        )
        # Too late for all that the slot is for: nothing was lost that somebody might not want placed again.
        too_late = order.state is State.FILLED and not slot.remaining
        if algo.status is Status.RUNNING and not spared and not too_late:
            why = order.reason if made_way(order) else "was cancelled from outside"
            algo.status, algo.reason = Status.PAUSED, f"{slot.order_id} {why}"
    if order.state.terminal:
        _over(turn, slot, order)
    elif order.amend is None and not order.unproven:
        _moved(turn, slot, order)


def _moved(turn: Turn, slot: Slot, order: Order) -> None:
    """Count what became of a move, once: what was counted since the last one pauses the slot beyond it."""
    why = order.amend_failed.reason if order.amend_failed else None
    if order.price != slot.sent_price:
        # The move was refused, or somebody else moved it.
        slot.price, slot.sent_price = None, order.price
        _back_off(turn, slot, why)
    elif slot.resume_at > slot.moved_at:
        return
    elif order.amend_end is AmendEnd.FAILED:
        # Its price was to stay.
        _back_off(turn, slot, why)
    elif order.amend_end is AmendEnd.AMENDED:
        slot.tries = 0


def _over(turn: Turn, slot: Slot, order: Order) -> None:
    """The slot's order is over: asked for or not, filled or not."""
    asked_for = slot.cancelling or order.state is State.FILLED
    _vacate(turn.algo, slot)
    if asked_for or order.filled_qty:
        slot.tries = 0
    if order.filled_qty and closes(order):
        grow(turn, slot)
    if asked_for:
        # What a resting order's refusals earned is over with it: a stop may be next.
        slot.resume_at = 0
    else:
        _ended(turn, slot, order)


def _vacate(algo: Algo, slot: Slot) -> None:
    slot.order_id = slot.price = slot.sent_price = None
    slot.cancelling = False
    algo.busy.discard(slot.number)
    if not slot.remaining and slot.state is not SlotState.SKIPPED:
        # What its machine has given up stays so, though its target may grow again.
        slot.state = SlotState.DONE


def _ended(turn: Turn, slot: Slot, order: Order) -> None:
    """An end that nobody asked for."""
    why = order.why
    maker = order.spec.time_in_force == "GTX"
    # Binance cancels one that an amendment would have made take.
    moving = order.amend_end is AmendEnd.CLOSED
    if maker and (order.state is State.EXPIRED or CROSSED in (why or "") or moving):
        slot.resume_at, slot.note = turn.asked.now + AS_MAKER_MS, "it would have taken"
        # The exchange has looked at it: what was refused before is no run of refusals any more.
        slot.tries = 0
        return
    if closes(order):
        halve(turn, slot, order)
    _back_off(turn, slot, why, closing=order.spec.place if closes(order) else None)


def _back_off(turn: Turn, slot: Slot, why: str | None, *, closing: Place | None = None) -> None:
    """Let a slot wait; `closing` is the position that its order at market was to close."""
    delays = BACK_OFF_MS if closing is None else STOP_BACK_OFF_MS
    delay = delays[min(slot.tries, len(delays) - 1)]
    slot.tries += 1
    slot.resume_at = turn.asked.now + delay
    slot.note = why or slot.note
    if closing is not None:
        tell_refused(turn, slot, closing)


def _plan(turn: Turn) -> Plan:
    """What the machine wants; nothing of one that is paused or ends.

    Where trades may have been missed, what closed a position may be booked before what made it larger: no
    stop ends for that before all of it is known.
    """
    algo, certain = turn.algo, turn.asked.certain
    if certain and algo.status is Status.PAUSED and bereft(turn.desk, algo.terms):
        end(algo, Status.FINISHED, "position closed")
    if algo.status is Status.PAUSED and spent(algo):
        end(algo, Status.FINISHED, "filled")
    view = view_of(turn.desk, algo, now=turn.asked.now, certain=certain)
    if algo.status is Status.PAUSED and isinstance(turn.machine, Looking):
        turn.machine.look(algo, view)
    if algo.status is not Status.RUNNING:
        return Plan()
    plan = turn.machine.plan(algo, view)
    if plan.wake_at is not None:
        turn.wake(plan.wake_at)
    if plan.end is not None:
        end(algo, *plan.end)
        return Plan(wrote=plan.wrote)
    return plan


def end(algo: Algo, outcome: Status, reason: str) -> None:
    """Let an algo end: its orders are cancelled, then it is over."""
    algo.sentence = None
    algo.status, algo.outcome, algo.reason = Status.ENDING, outcome, reason


def _bring(turn: Turn, slot: Slot, want: Want | None) -> None:
    """Bring one slot nearer to what is wanted."""
    order = turn.desk.orders.get(slot.order_id or "")
    if order is None:
        if want is not None:
            _place(turn, slot, want)
        return
    if want is None or (want.price is None) != (order.price is None):
        cancel_child(turn.draft, slot, order)
    elif want.price is not None and not (slot.cancelling or order.cancel_wanted):
        try:
            move(turn, slot, order, want)
        except Refusal as refusal:
            _refused(turn, slot, want, refusal)


def _place(turn: Turn, slot: Slot, want: Want) -> None:
    now = turn.asked.now
    if turn.asked.closed_because is not None:
        turn.wake(now + CLOSED_MS)
        return
    not_before = max(slot.resume_at, slot.due_at or 0)
    if now < not_before:
        turn.wake(not_before)
        return
    room = room_of(turn, slot)
    possible = quantity_of(turn, slot, want, room=room)
    if not possible and not want.inherits:
        return
    try:
        if want.urgent:
            want = want._replace(quantity=clear(turn, slot, want))
        quantity = quantity_of(turn, slot, want, room=room)
        if not possible:
            # The word of its own order's end wakes it.
            return
        if not quantity:
            turn.wake(now + STOPS_MS)
            return
        slot.state = SlotState.WORKING
        place_child(turn, slot, want, quantity=quantity)
    except Refusal as refusal:
        _refused(turn, slot, want, refusal)


def _refused(turn: Turn, slot: Slot, want: Want, refusal: Refusal) -> None:
    """A refused order touches its own slot alone, unless nothing can cure it.

    What rests already was found to reduce: that it may not grow or move beside others ends nothing. Nor does
    an entry that is not to be, where something is held: it is tried again as seldom as any.
    """
    may_wait = want.follows or slot.order_id is not None
    passes = refusal.code in PASSING or (may_wait and refusal.code is Code.REDUCE_ONLY)
    if refusal.code in HOPELESS and not passes and isinstance(turn.machine, Parted):
        turn.machine.hopeless(turn.algo, slot, f"{refusal.code}: {refusal.error}")
        turn.wake(turn.asked.now + CLOSED_MS)
        return
    hopeless = refusal.code in HOPELESS and not passes
    adds = isinstance(turn.machine, Closing) and turn.machine.adds(turn.algo, slot)
    if hopeless and not adds:
        end(turn.algo, Status.FAILED, f"{refusal.code}: {refusal.error}")
        # Slots before this one may have been brought to what was wanted then.
        unplace(turn)
        turn.wake(turn.asked.now)
        return
    if hopeless and (order := turn.desk.orders.get(slot.order_id or "")) is not None:
        # Where it rests nothing may be entered any more.
        cancel_child(turn.draft, slot, order)
    told, stops = f"{refusal.code}: {refusal.error}", closes(want)
    if passes:
        if slot.note is None or not slot.note.startswith(refusal.code):
            slot.note = told
        turn.wake(turn.asked.now + (STOPS_MS if stops else PASSING_MS))
        return
    place = turn.algo.account, slot.symbol, want.position_side or BOTH
    _back_off(turn, slot, told, closing=place if stops else None)
    turn.wake(slot.resume_at)
