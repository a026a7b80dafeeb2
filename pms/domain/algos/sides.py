"""Which of a sub-account's positions an algo's order is for, by the algo's terms and the slot alone."""

from __future__ import annotations

from pms.contract.algo_commands import Scalper
from pms.contract.basket import Basket
from pms.contract.names import LONG, SHORT
from pms.domain.algos.algo import Algo
from pms.domain.algos.layers import SIDES
from pms.domain.algos.legs import leg_at


def position_side_of(algo: Algo, slot: int, *, side: str) -> str | None:
    """The position side of a slot's order; None where the terms name none, as in one-way mode.

    Trap: a scalper has two legs in either mode; only in hedge mode are they two positions.
    """
    if isinstance(algo.terms, Scalper):
        return SIDES[slot // (2 * algo.terms.layers)]
    terms = leg_at(algo, slot).terms if isinstance(algo.terms, Basket) else algo.terms
    if getattr(terms, "position_id", None) is not None:
        # It was started on a position, and its orders only ever take from that.
        return LONG if side == "SELL" else SHORT
    named: str | None = getattr(terms, "position_side", None)
    return named
