"""Chase: one order kept near the touch until all is filled, or the market has run too far.

    touch       at the best price of its own side
    maintain    an offset behind it, both ways
    trail       an offset behind it, following only a market that goes away: one that comes back trades

Distance is measured from mid at the start, in the direction in which the price gets worse. Behind the
bound the chase ends, or takes what is left at market, as its terms say.
"""

from __future__ import annotations

from decimal import Decimal

from pms.contract.algo_commands import AmendChase, Chase
from pms.contract.codes import Code, Refusal
from pms.contract.commands import Command
from pms.contract.money import plain
from pms.domain.algos.algo import Algo, Slot, Status
from pms.domain.algos.machine import Beginning, Plan, View, Want
from pms.domain.algos.reducing import bounded, follows, nothing_left, reducible
from pms.domain.algos.targets import check_target, rounded, too_little
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
        quantity = check_target(instrument, terms.quantity, price=top.mid, reduce_only=terms.reduce_only)
        slot = Slot(ONLY, terms.symbol, terms.side, target=quantity)
        return Beginning(terms.symbol, terms.side, quantity, top.mid, [slot])

    def plan(self, algo: Algo, view: View) -> Plan:
        """The one order where it should be."""
        terms, slot = algo.terms, algo.slots[ONLY]
        assert isinstance(terms, Chase)
        instrument, top = view.instruments.get(algo.symbol), view.tops.get(algo.symbol)
        if instrument is None or top is None:
            return Plan(kept=frozenset({ONLY}))
        if ONLY not in view.orders and too_little(
            instrument, slot.remaining, price=top.mid, reduce_only=terms.reduce_only
        ):
            left = f", {plain(slot.remaining)} is below the symbol's least" if slot.remaining else ""
            return Plan(end=(Status.FINISHED, f"filled{left}"))
        most = reducible(terms, view, slot)
        if most is not None and ONLY not in view.orders and not instrument.floor_quantity(most, market=False):
            return Plan(end=(Status.FINISHED, nothing_left(algo, most)))
        want = self._want(terms, bounded(terms, view, slot, most), follows=follows(slot, most))
        if self._too_far(terms, algo.arrival, top):
            if terms.on_max_distance == "cancel":
                return Plan(end=(Status.CANCELLED, f"mid is further than {plain(self._most(terms))} % away"))
            return Plan({ONLY: want})
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
        slot = algo.slots[ONLY]
        if command.quantity is not None:
            top = view.tops.get(algo.symbol)
            quantity = check_target(
                view.instruments[algo.symbol],
                command.quantity,
                price=top.mid if top else algo.arrival,
                reduce_only=algo.terms.reduce_only,
            )
            if quantity < slot.filled:
                raise Refusal(
                    Code.BELOW_FILLED,
                    f"quantity is the total, and {plain(slot.filled)} is filled",
                    field="quantity",
                    limit=plain(slot.filled),
                    actual=plain(quantity),
                )
            slot.target = algo.target = changed["quantity"] = quantity
        algo.terms = algo.terms.model_copy(update=changed)

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
        buys = terms.side == "BUY"
        offset = top.mid * terms.stalk_offset / 100
        price = rounded(instrument, top.bid - offset if buys else top.ask + offset, down=buys)
        before = slot.price
        if before is None or slot.order_id is None:
            return price
        if terms.stalk_mode == "trail" and (price < before if buys else price > before):
            return before
        return before if abs(price - before) < terms.reprice_ticks * instrument.tick else price

    def _too_far(self, terms: Chase, arrival: Decimal, top: Top) -> bool:
        if terms.max_distance is None:
            return False
        worse = top.mid - arrival if terms.side == "BUY" else arrival - top.mid
        return worse * 100 > terms.max_distance * arrival

    def _most(self, terms: Chase) -> Decimal:
        assert terms.max_distance is not None
        return terms.max_distance
