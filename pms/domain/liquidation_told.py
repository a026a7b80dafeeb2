"""What is told of one step of a liquidation: its row, and its event with the numbers that caused it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from pms.contract.account import Account
from pms.contract.events import LiquidationAction, LiquidationEvent
from pms.contract.journal import LiquidationRow
from pms.contract.money import booked, encode
from pms.contract.names import BOTH
from pms.domain.desk import Desk
from pms.domain.margin import Exposure, Weight
from pms.domain.posting import Draft


@dataclass(frozen=True, slots=True)
class Part:
    """The part of a position that a step is about."""

    symbol: str
    position_side: str
    quantity: Decimal
    #: signed, as it was held
    price: Decimal | None = None
    #: none of what is yet to be closed
    realized: Decimal | None = None

    @property
    def side(self) -> Literal["LONG", "SHORT"]:
        return "LONG" if self.quantity > 0 else "SHORT"


def tell_step(
    draft: Draft,
    account: str,
    action: LiquidationAction,
    tier: int,
    part: Part | None,
    *,
    weight: Weight,
    tops: str,
    snapshot: Account,
) -> None:
    """Write one step's row and event; `snapshot` is the account as it is after the whole entry."""
    draft.liquidations.append(
        LiquidationRow(
            seq=draft.first_seq,
            line=len(draft.liquidations),
            sub_account_id=account,
            action=action,
            tier=tier,
            symbol=part.symbol if part else None,
            quantity=part.quantity if part else None,
            price=part.price if part else None,
            realized=part.realized if part else None,
            ratio=weight.ratio,
            equity=booked(weight.equity),
            maintenance=booked(weight.maintenance),
            tops=tops,
            at=draft.at,
            position_side=part.position_side if part else BOTH,
        )
    )
    draft.events.append(
        LiquidationEvent(
            seq=draft.event_seq,
            sub_account_id=account,
            action=action,
            tier=tier,
            symbol=part.symbol if part else None,
            side=part.side if part else None,
            quantity=abs(part.quantity) if part else None,
            price=part.price if part else None,
            realized_pnl=part.realized if part else None,
            ratio=weight.ratio,
            equity=booked(weight.equity),
            maintenance_margin=booked(weight.maintenance),
            timestamp=Decimal(draft.at) / 1000,
            account=snapshot,
        )
    )


def tops_of(desk: Desk, exposures: Iterable[Exposure]) -> str:
    """The prices that decided, as they will be looked for one day."""
    tops = {exposure.symbol: desk.tops.get(exposure.symbol) for exposure in exposures}
    return encode(
        {symbol: {"bid": top.bid, "ask": top.ask, "at": top.at} for symbol, top in tops.items() if top}
    ).decode()
