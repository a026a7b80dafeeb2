"""Chase: one order kept near the touch until all is filled, or the market has run too far.

    touch       at the best price of its own side
    maintain    an offset behind it, both ways
    trail       an offset behind it, following only a market that goes away: one that comes back trades

Distance is measured from mid at the start, in the direction in which the price gets worse. Behind the
bound the chase ends, or takes what is left at market, as its terms say.

Whether a quantity can be an order is judged where that order would be: a bid far behind mid is worth less.
"""

from __future__ import annotations

from decimal import Decimal

from pms.contract.algo_commands import AmendChase, Chase
from pms.contract.codes import Code, Refusal
from pms.contract.commands import Command
from pms.contract.money import plain
from pms.domain.algos.algo import ZERO, Algo, Slot, Status
from pms.domain.algos.machine import Beginning, Plan, View, Want
from pms.domain.algos.reducing import bounded, follows, nothing_left, reducible
from pms.domain.algos.targets import check_target, filled_but, rounded, too_little
from pms.domain.checks import touch
from pms.domain.desk import Top
from pms.domain.instrument import Instrument

ONLY = 0
"""A chase has one slot."""


class ChaseMachine:
    """Decides for chases."""

    kind = "chase"
    origin = "CHASE"
    letter = "H"

    def begin(self, terms: Chase, view: View) -> Beginning:
        """One slot for all of it; the distance is measured from here."""
        instrument, top = view.instruments[terms.symbol], view.tops[terms.symbol]
        price = resting_price(terms, instrument, top)
        quantity = check_target(instrument, terms.quantity, price=price, reduce_only=terms.reduce_only)
        slot = Slot(ONLY, terms.symbol, terms.side, target=quantity)
        return Beginning(terms.symbol, terms.side, quantity, top.mid, [slot])

    def plan(self, algo: Algo, view: View) -> Plan:
        """The one order where it should be."""
        terms, slot = algo.terms, algo.slots[ONLY]
        assert isinstance(terms, Chase)
        instrument, top = view.instruments.get(algo.symbol), view.tops.get(algo.symbol)
        if instrument is None or top is None:
            return Plan(kept=frozenset({ONLY}))
        too_far = self._too_far(terms, algo.arrival, top)
        crosses = too_far and terms.on_max_distance == "cross"
        if ONLY not in view.orders and too_little(
            instrument,
            slot.remaining,
            price=touch(top, terms.side) if crosses else resting_price(terms, instrument, top),
            reduce_only=terms.reduce_only,
            market=crosses,
            note=slot.note if slot.filled else None,
        ):
            return Plan(end=(Status.FINISHED, filled_but(slot.remaining)))
        most = reducible(terms, view, slot)
        if most is not None and ONLY not in view.orders and not instrument.floor_quantity(most, market=False):
            return Plan(end=(Status.FINISHED, nothing_left(algo, most)))
        want = self._want(terms, bounded(terms, view, slot, most), follows=follows(slot, most))
        if crosses:
            return Plan({ONLY: want})
        if too_far:
            return Plan(end=(Status.CANCELLED, f"mid is further than {plain(self._most(terms))} % away"))
        price = self._price(terms, slot, instrument, top)
        return Plan({ONLY: want._replace(price=price, time_in_force="GTX" if terms.post_only else "GTC")})

    def amend(self, algo: Algo, command: Command, view: View) -> None:
        """Another total, offset or distance; the total may not fall below what is filled."""
        assert isinstance(command, AmendChase)
        assert isinstance(algo.terms, Chase)
        changed = {
            name: value
            for name in ("quantity", "stalk_offset", "max_distance")
            if (value := getattr(command, name)) is not None
        }
        if not changed:
            raise Refusal(Code.MISSING_FIELD, "name what is to be changed", field="quantity")
        slot, terms = algo.slots[ONLY], algo.terms.model_copy(update=changed)
        if command.quantity is not None or command.stalk_offset is not None:
            instrument, mid = view.instruments[algo.symbol], algo.arrival
            top = view.tops.get(algo.symbol) or Top(mid, ZERO, mid, ZERO, view.now)
            quantity = check_target(
                instrument,
                slot.target if command.quantity is None else command.quantity,
                price=resting_price(terms, instrument, top),
                reduce_only=terms.reduce_only,
            )
            if quantity < slot.filled:
                raise Refusal(
                    Code.BELOW_FILLED,
                    f"quantity is the total, and {plain(slot.filled)} is filled",
                    field="quantity",
                    limit=plain(slot.filled),
                    actual=plain(quantity),
                )
            slot.target = algo.target = quantity
            terms = terms.model_copy(update={"quantity": quantity})
        algo.terms = terms

    def _want(self, terms: Chase, quantity: Decimal, *, follows: bool) -> Want:
        """What is left at market; it rests at a price."""
        return Want(
            quantity=quantity,
            price=None,
            reduce_only=terms.reduce_only,
            position_side=terms.position_side,
            leverage=terms.leverage,
            every_ms=terms.reprice_ms,
            follows=follows,
        )

    def _price(self, terms: Chase, slot: Slot, instrument: Instrument, top: Top) -> Decimal:
        """Where the order should rest; where it rests already if it would move by too little."""
        price, before = resting_price(terms, instrument, top), slot.price
        if slot.order_id is None:
            return price
        # Where a move was refused it rests where it was sent.
        rests = before or slot.sent_price or price
        if terms.stalk_mode == "trail" and (price < rests if terms.side == "BUY" else price > rests):
            return rests
        if before is None:
            return price
        return before if abs(price - before) < terms.reprice_ticks * instrument.tick else price

    def _too_far(self, terms: Chase, arrival: Decimal, top: Top) -> bool:
        if terms.max_distance is None:
            return False
        worse = top.mid - arrival if terms.side == "BUY" else arrival - top.mid
        return worse * 100 > terms.max_distance * arrival

    def _most(self, terms: Chase) -> Decimal:
        assert terms.max_distance is not None
        return terms.max_distance


def resting_price(terms: Chase, instrument: Instrument, top: Top) -> Decimal:
    """Where a new order would rest: at the touch of its own side, or as far behind it as its terms say."""
    buys, offset = terms.side == "BUY", top.mid * terms.stalk_offset / 100
    return rounded(instrument, top.bid - offset if buys else top.ask + offset, down=buys)
