"""What an order that only reduces may be for: no more than its position holds beside the algo's others."""

from __future__ import annotations

from decimal import Decimal

from pms.contract.algo_commands import AlgoStart, Chase, Twap
from pms.contract.basket import Basket, Leg, OneOrder
from pms.contract.money import plain
from pms.domain.algos.algo import ZERO, Algo, Slot
from pms.domain.algos.machine import View
from pms.domain.position_sides import takes_from
from pms.domain.sub_accounts import SubAccount


def as_judged(account: SubAccount, terms: AlgoStart) -> AlgoStart:
    """Terms of a hedged account with `reduceOnly` where the position side says as much, as orders are judged.

    Trap: an algo that does not know it is not kept within what is held, and fails once that is less.
    """
    if not account.hedge:
        return terms
    if isinstance(terms, Basket):
        legs = [leg.model_copy(update={"reduce_only": _reduces(leg)}) for leg in terms.legs]
        return terms.model_copy(update={"legs": tuple(legs)})
    if isinstance(terms, Chase | Twap):
        return terms.model_copy(update={"reduce_only": _reduces(terms)})
    return terms


def _reduces(terms: Chase | Twap | Leg) -> bool:
    return terms.reduce_only or takes_from(terms.position_side, terms.side)


def reducible(terms: Chase | OneOrder | Twap, view: View, slot: Slot) -> Decimal | None:
    """What is left for a slot to reduce beside what others have under way; None where it need not reduce."""
    if not terms.reduce_only:
        return None
    held = view.held if terms.side == "SELL" else -view.held
    others = (left for number, left in view.leaves.items() if number != slot.number)
    return max(held - sum(others, ZERO), ZERO)


def bounded(terms: Chase | OneOrder | Twap, view: View, slot: Slot, most: Decimal | None) -> Decimal:
    """What is left of a slot, and no more than may be reduced.

    Trap: algos that close the same position would each be for all of it once that has shrunk. The first order
    of a slot is admission's to judge, so that its refusal is told.
    """
    if most is None:
        return slot.remaining
    if follows(slot, most):
        most = max(most - view.beside.get((terms.place, terms.side), ZERO), ZERO)
    return min(slot.remaining, most)


def follows(slot: Slot, most: Decimal | None) -> bool:
    """Whether a slot's size follows its position: it was found to reduce, so what is in its way passes."""
    return most is not None and slot.steps > 0


def nothing_left(algo: Algo, most: Decimal = ZERO) -> str:
    """The reason of an algo that ends because its position is gone, but for what no order could be for."""
    what = (
        f"{plain(most)} is left to reduce, too little for an order"
        if most
        else "there is nothing left to reduce"
    )
    return f"{what}, and {plain(algo.target - algo.filled)} is not filled"


def works_on(algo: Algo, symbol: str) -> bool:
    """Whether what an algo wants depends on what its account holds of a symbol."""
    terms = algo.terms
    if isinstance(terms, Basket):
        return any(leg.reduce_only and leg.symbol == symbol for leg in terms.legs)
    return algo.symbol == symbol and (terms.follows_position or getattr(terms, "reduce_only", False))
