"""Trailing stop: closes a position once the price has come back from its best by a part.

    waiting      for its activation price, if it has one
    following    the best price since then; each better one takes the stop with it
    fired        for good: at market, what the position was at that moment, until that is closed; behind a gap
                 of the private stream what it was when all of that was read

Before it fires its size is the position's, grown or shrunk. Then it is what the position was, less what
others are seen to close, so that what is opened afterwards stays. A position that is closed, turned or taken
over ends it.

The best price is journaled when it has moved by a tenth of the callback, not on every tick. If the process
dies in between, the next life follows from the journaled one: its stop is worse by a tenth of the callback at
most, and by what the market did unseen while nobody lived.
"""

from __future__ import annotations

from decimal import Decimal

from pms.contract.algo_commands import AmendTrailStop, TrailStop
from pms.contract.codes import Code, Refusal
from pms.contract.commands import Command
from pms.contract.money import booked, plain
from pms.domain.algos.algo import Algo, Slot, Status
from pms.domain.algos.exits import best, better, check_beyond, closing_side, on_tick, too_small
from pms.domain.algos.machine import AGAIN_MS, Beginning, Plan, View, Want
from pms.domain.checks import touch
from pms.domain.dust import closable
from pms.domain.positions import Position

ZERO = Decimal(0)
ONLY = 0
"""A trailing stop has one slot."""

GRAINS = 10
"""In so many steps the best price is journaled on its way through one callback."""


class TrailStopMachine:
    """Decides for trailing stops."""

    kind = "trail_stop"
    origin = "TRAIL_STOP"
    letter = "R"

    def begin(self, terms: TrailStop, view: View) -> Beginning:
        """One slot for all of it; raises Refusal for dust, and for an activation behind the market."""
        position = view.position
        assert position is not None
        symbol, side, size = position.symbol, closing_side(position.quantity), abs(position.quantity)
        instrument, top = view.instruments[symbol], view.tops[symbol]
        closable(instrument, size)
        memory: dict[str, object] = {}
        if terms.activation_price is None:
            memory["extreme"] = touch(top, side)
        else:
            price = on_tick(instrument, terms.activation_price, field="activationPrice")
            check_beyond(side, price, touch(top, side), field="activationPrice", is_better=True)
            terms = terms.model_copy(update={"activation_price": price})
        return Beginning(symbol, side, size, top.mid, [Slot(ONLY, symbol, side, size)], memory, terms)

    def plan(self, algo: Algo, view: View) -> Plan:
        """Nothing until it fires; then the position at market."""
        position, top = view.position, view.tops.get(algo.symbol)
        if position is None and not view.certain:
            return Plan(wake_at=view.now + AGAIN_MS)
        if position is None:
            return Plan(end=(Status.FINISHED, _reason(algo, "position closed")))
        if algo.symbol not in view.instruments:
            return Plan(kept=frozenset({ONLY}))
        plan, slot = Plan(), algo.slots[ONLY]
        if "size" not in algo.memory:
            self._resize(algo, slot, plan, slot.filled + abs(position.quantity))
            algo.target = slot.target
            if top is not None and "fired" not in algo.memory:
                self._follow(algo, touch(top, algo.side))
            if "fired" not in algo.memory:
                return plan
            if not view.certain:
                # What has made it larger by then is not read yet.
                plan.wake_at = view.now + AGAIN_MS
                return plan
            self.look(algo, view)
        return self._close(algo, plan, view, position)

    def look(self, algo: Algo, view: View) -> None:
        """What it fired for is what is held once that is certain, paused or not."""
        position, memory = view.position, algo.memory
        if position is not None and view.certain and "fired" in memory and "size" not in memory:
            # A firing that was lost with Redis may have sold a part already: that counts as filled.
            algo.target = memory["size"] = algo.slots[ONLY].filled + abs(position.quantity)

    def amend(self, algo: Algo, command: Command, view: View) -> None:
        """Another callback, or another price to wait for; raises Refusal for one that would fire at once."""
        assert isinstance(command, AmendTrailStop)
        assert isinstance(algo.terms, TrailStop)
        if command.callback_pct is None and command.activation_price is None:
            raise Refusal(Code.MISSING_FIELD, "name what is to be changed", field="callbackPct")
        if "fired" in algo.memory:
            raise Refusal(Code.ALGO_OVER, "the stop has fired", field="algoId", actual=_price(algo, "fired"))
        top = view.tops.get(algo.symbol)
        if top is None:
            raise Refusal(
                Code.PRICE_STALE,
                f"there is no price of {algo.symbol} in sync",
                field="symbol",
                actual=algo.symbol,
            )
        price, extreme = touch(top, algo.side), self._extreme(algo)
        changed: dict[str, Decimal] = {}
        if command.callback_pct is not None:
            changed["callback_pct"] = command.callback_pct
        if command.activation_price is not None:
            waited = on_tick(view.instruments[algo.symbol], command.activation_price, field="activationPrice")
            check_beyond(algo.side, waited, price, field="activationPrice", is_better=True)
            changed["activation_price"] = waited
        elif extreme is not None and command.callback_pct is not None:
            _check_callback(algo.side, command.callback_pct, price, best(algo.side, price, extreme))
        algo.terms = algo.terms.model_copy(update=changed)
        if command.activation_price is not None:
            algo.memory.pop("extreme", None)
            algo.seen.clear()

    def figures(self, algo: Algo, *, now: int) -> dict[str, Decimal]:
        """The best price and the stop behind it; where it fired."""
        assert isinstance(algo.terms, TrailStop)
        extreme, found = self._extreme(algo), {"callbackPct": algo.terms.callback_pct}
        if extreme is not None:
            found |= {"extreme": extreme, "stopPrice": booked(self._stop(algo, extreme))}
        elif algo.terms.activation_price is not None:
            found["activationPrice"] = algo.terms.activation_price
        if "fired" in algo.memory:
            found["firedAt"] = Decimal(algo.memory["fired"])
        return found

    def _follow(self, algo: Algo, price: Decimal) -> None:
        """Take a price: it may activate, move the stop along, or fire."""
        terms, side, memory = algo.terms, algo.side, algo.memory
        assert isinstance(terms, TrailStop)
        before = self._extreme(algo)
        if before is None:
            assert terms.activation_price is not None
            if price != terms.activation_price and not better(side, price, terms.activation_price):
                return
            memory["extreme"] = before = price
        extreme = algo.seen["extreme"] = best(side, before, price)
        written = Decimal(memory["extreme"])
        if abs(extreme - written) * 100 * GRAINS >= terms.callback_pct * written:
            memory["extreme"] = extreme
        stop = self._stop(algo, extreme)
        if price == stop or better(side, stop, price):
            memory["extreme"], memory["fired"] = extreme, price

    def _close(self, algo: Algo, plan: Plan, view: View, position: Position) -> Plan:
        """What is left of the position that it fired for."""
        slot, top = algo.slots[ONLY], view.tops.get(algo.symbol)
        held, size = abs(position.quantity), Decimal(algo.memory["size"])
        if slot.filled + held < size:
            # Others closed a part: what is opened in its place is not what it fired for.
            size = algo.memory["size"] = slot.filled + held
        left = size - slot.filled
        if ONLY not in view.orders:
            if left <= 0:
                return Plan(end=(Status.FINISHED, _reason(algo, "all of it is closed")))
            if too_small(slot, view, left, price=None if top is None else touch(top, algo.side)):
                told = f"{plain(left)} is left, too little for an order"
                return Plan(end=(Status.FINISHED if slot.filled else Status.FAILED, _reason(algo, told)))
        self._resize(algo, slot, plan, slot.filled + left)
        if not view.instruments[slot.symbol].floor_quantity(left, market=True):
            plan.kept = frozenset({ONLY})
            return plan
        plan.wants[ONLY] = Want(
            quantity=left,
            price=None,
            reduce_only=True,
            position_side=position.position_side,
            follows=True,
            urgent=True,
        )
        return plan

    def _resize(self, algo: Algo, slot: Slot, plan: Plan, target: Decimal) -> None:
        if slot.target != target:
            slot.target = target
            plan.wrote.add(ONLY)

    def _extreme(self, algo: Algo) -> Decimal | None:
        """The best price so far: as this life saw it, else as the last one wrote it."""
        written = algo.memory.get("extreme")
        return algo.seen.get("extreme") or (None if written is None else Decimal(written))

    def _stop(self, algo: Algo, extreme: Decimal) -> Decimal:
        assert isinstance(algo.terms, TrailStop)
        part = algo.terms.callback_pct if algo.side == "SELL" else -algo.terms.callback_pct
        return extreme * (100 - part) / 100


def _check_callback(side: str, callback: Decimal, price: Decimal, extreme: Decimal) -> None:
    """Refuse a callback that the price has come back by already."""
    back = abs(extreme - price) * 100
    if callback * extreme <= back:
        raise Refusal(
            Code.TRIGGER_SIDE,
            f"the price has come back by {plain(booked(back / extreme))} % from {plain(extreme)} already",
            field="callbackPct",
            limit=plain(booked(back / extreme)),
            actual=plain(callback),
        )


def _price(algo: Algo, name: str) -> str:
    return plain(Decimal(algo.memory[name]))


def _reason(algo: Algo, what: str) -> str:
    return what if "fired" not in algo.memory else f"fired at {_price(algo, 'fired')}: {what}"
