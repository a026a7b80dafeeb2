"""Position mode: one net position a symbol, or a long and a short one side by side (hedge mode).

USDⓈ-M docs, Change Position Mode and New Order. In hedge mode an order names the position that it moves; one
that closes can only reduce it, whatever else the account does.
"""

from __future__ import annotations

from pms.venue import errors
from pms.venue.account import Account
from pms.venue.matching import BUY, SELL
from pms.venue.state import BOTH, LONG, SHORT

OPENS = {LONG: BUY, SHORT: SELL}


def closes(position_side: str, side: int) -> bool:
    """Whether an order of this side can only close a hedged position; in one-way mode none says so here."""
    return position_side != BOTH and side != OPENS[position_side]


def check_fits(account: Account, position_side: str) -> None:
    """-4061 where the position side is not one of the account's mode."""
    if position_side not in account.sides:
        raise errors.refusal(-4061)
