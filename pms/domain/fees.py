"""Commission in another asset: the house pays it in that asset, the sub-account pays the house in USDT.

The price is the ask of `{asset}USDT` at the moment of booking, what it costs the house to buy the asset
again; it is written in the entry. Without a price the fee is parked as an open item and booked when
there is one: a price is never guessed, and no trade waits for it.
"""

from __future__ import annotations

from decimal import Decimal

from pms.contract.journal import FeeRow
from pms.contract.money import booked, plain
from pms.contract.names import HOUSE
from pms.domain.desk import Desk
from pms.domain.incidents import note_incident
from pms.domain.insurance import cover_flat
from pms.domain.posting import Draft, Posting
from pms.domain.treasury import WALLET, fee_key

MOST_AT_ONCE = 200
ZERO = Decimal(0)


def price_symbol(asset: str) -> str:
    """The symbol whose book prices an asset."""
    return f"{asset}{WALLET}"


def usdt_paid(desk: Desk, commission: Decimal, asset: str) -> Decimal:
    """What a commission costs in USDT at this moment; nothing yet where it waits for a price."""
    if asset == WALLET:
        return commission
    top = desk.tops.get(price_symbol(asset))
    return ZERO if top is None else booked(commission * top.ask)


def charge(desk: Desk, draft: Draft, fee: FeeRow) -> None:
    """Book a trade's fee within its entry, or park it; `fee` comes without a price."""
    top = desk.tops.get(price_symbol(fee.asset))
    if top is not None:
        _settle(desk, draft, fee, price=top.ask)
        return
    if not any(open_.asset == fee.asset for open_ in desk.treasury.unpaid.values()):
        note_incident(
            draft,
            kind="fee_unpriced",
            severity="warning",
            detail=f"there is no price of {price_symbol(fee.asset)}: fees in {fee.asset} wait for one",
        )
    desk.treasury.unpaid[fee_key(fee)] = fee
    draft.fees.append(fee)


def settle_open(desk: Desk, *, at: int) -> Posting | None:
    """Book open fees whose asset has a price by now; None if there are none."""
    ready = []
    for fee in desk.treasury.unpaid.values():
        if price_symbol(fee.asset) in desk.tops:
            ready.append(fee)
        if len(ready) == MOST_AT_ONCE:
            break
    if not ready:
        return None
    draft = desk.draft("fees", at=at)
    for fee in ready:
        _settle(desk, draft, fee, price=desk.tops[price_symbol(fee.asset)].ask)
    for account in sorted({fee.sub_account_id for fee in ready}):
        cover_flat(desk, draft, account)
    return Posting(entry=desk.sealed(draft).entry(), snapshots=desk.snapshots(draft))


def _settle(desk: Desk, draft: Draft, fee: FeeRow, *, price: Decimal) -> None:
    amount = booked(fee.commission * price)
    reference = f"{fee.symbol}:{fee.exchange_order_id}:{fee.trade_id}:{fee.asset}@{plain(price)}"
    desk.post(draft, account=fee.sub_account_id, amount=-amount, reason="FEE", reference=reference)
    desk.post(draft, account=HOUSE, amount=amount, reason="FEE", reference=reference)
    desk.treasury.unpaid.pop(fee_key(fee), None)
    draft.fees.append(
        FeeRow(
            symbol=fee.symbol,
            exchange_order_id=fee.exchange_order_id,
            trade_id=fee.trade_id,
            sub_account_id=fee.sub_account_id,
            asset=fee.asset,
            commission=fee.commission,
            price=price,
            amount=amount,
            at=fee.at,
        )
    )
