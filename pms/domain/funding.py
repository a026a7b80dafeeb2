"""Funding: each sub-account pays or receives for its own quantity, whatever the exchange's net was.

Two facts, booked apart and in any order. The *allotment*: at the exchange's funding time each account
held so much, so it pays quantity x mark x rate to the house. The *payment*: what the exchange took for
the net is an income like any other, and the house's. So the house keeps the residue, the sum of money
moves by exactly what the exchange moved, and A +10 against B -10 settle with each other though the
exchange pays nothing and says nothing.

A trade from before a funding that is heard of after it is put right in the entry that books the trade.
"""

from __future__ import annotations

from decimal import Decimal

from pms.contract.journal import FundingRow
from pms.contract.money import booked, plain
from pms.contract.names import BOTH, HOUSE
from pms.domain.desk import Desk
from pms.domain.insurance import cover_flat
from pms.domain.posting import Draft, Posting
from pms.domain.treasury import Rate, funding_name

ZERO = Decimal(0)


def allot(desk: Desk, symbol: str, rate: Rate) -> Posting | None:
    """Book one funding of a symbol to every position in it; None if it is booked.

    Who is hedged pays for the long and receives for the short, each rounded for itself.

    Trap: fundings of a symbol are booked in the order of their times, when every trade up to then is.
    Trap: no account is shown with it. To view thousands of holders at once would hold up every order; what is
    shown of them is deleted with the entry, and the next turn of the views shows them anew.
    """
    treasury = desk.treasury
    if rate.at <= treasury.funded_until(symbol):
        return None
    held = treasury.held_at(symbol, rate.at)
    draft = desk.draft("funding", at=rate.at)
    draft.note |= {"symbol": symbol, "rate": plain(rate.rate), "mark": plain(rate.mark)}
    paid = ZERO
    house = held.pop((HOUSE, BOTH), ZERO)
    for (account, side), quantity in sorted(held.items()):
        amount = share(quantity, rate)
        paid += amount
        desk.post(draft, account=account, amount=amount, reason="FUNDING", reference=_reference(symbol, rate))
        draft.fundings.append(_row(symbol, rate, account, side=side, quantity=quantity, amount=amount))
    desk.post(draft, account=HOUSE, amount=-paid, reason="FUNDING", reference=_reference(symbol, rate))
    for account in sorted({account for account, _ in held}):
        cover_flat(desk, draft, account)
    draft.fundings.append(_row(symbol, rate, HOUSE, side=BOTH, quantity=house, amount=-paid))
    treasury.reach(draft, funding_name(symbol), rate.at)
    treasury.funded(symbol, rate)
    return Posting(entry=desk.sealed(draft).entry())


def begin(desk: Desk, symbol: str, *, at: int) -> Posting:
    """Begin to fund a symbol of books that never did: what was before is not made up."""
    draft = desk.draft("funding", at=at)
    desk.treasury.reach(draft, funding_name(symbol), at)
    return Posting(entry=desk.sealed(draft).entry())


def make_up(desk: Desk, draft: Draft, *, owner: str, symbol: str, quantity: Decimal, at: int) -> None:
    """Settle with the house the fundings that a late trade took part in; `quantity` is signed."""
    if owner == HOUSE:
        return
    for rate in desk.treasury.funded_since(symbol, at):
        amount, reference = share(quantity, rate), f"{_reference(symbol, rate)}:late"
        desk.post(draft, account=owner, amount=amount, reason="FUNDING", reference=reference)
        desk.post(draft, account=HOUSE, amount=-amount, reason="FUNDING", reference=reference)


def share(quantity: Decimal, rate: Rate) -> Decimal:
    """What a signed quantity receives; a long one pays a positive rate."""
    return booked(-quantity * rate.mark * rate.rate)


def _reference(symbol: str, rate: Rate) -> str:
    return f"{symbol}:{rate.at}"


def _row(
    symbol: str, rate: Rate, account: str, *, side: str, quantity: Decimal, amount: Decimal
) -> FundingRow:
    return FundingRow(
        symbol=symbol,
        at=rate.at,
        sub_account_id=account,
        rate=rate.rate,
        mark=rate.mark,
        quantity=quantity,
        amount=amount,
        position_side=side,
    )
