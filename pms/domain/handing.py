"""Handing over to the house: a position at a price, and the live orders that belong to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from pms.contract.account import Account, PositionView
from pms.contract.events import OrderEvent
from pms.contract.names import BOTH, HOUSE
from pms.domain.booking import apply_move, order_event, tell_move
from pms.domain.desk import Desk
from pms.domain.handed_answers import answer_handed
from pms.domain.handed_orders import withhold
from pms.domain.orders import Order
from pms.domain.positions import Move, Position
from pms.domain.posting import Draft
from pms.domain.rows import order_row, position_view
from pms.domain.unwind_debt import note_taken
from pms.domain.unwinding import ORIGIN


@dataclass(frozen=True, slots=True)
class Handed:
    """A position's part that went to the house, and what the account realised by it."""

    position: Position
    quantity: Decimal
    #: signed, as it was held
    price: Decimal
    move: Move
    view: PositionView
    #: before


def hand_position(
    desk: Desk, draft: Draft, position: Position, quantity: Decimal, price: Decimal, *, reference: str
) -> Handed:
    """Move a signed part of a position to the house: one trade on either side, which the exchange never saw.

    What both realise together the exchange never paid: it is posted against the house (`NETTING`), so that
    all balances still add up to the wallet.
    """
    view, account = position_view(position), position.sub_account_id
    move = apply_move(desk, draft, position, -quantity, price, at=draft.at)
    desk.post(draft, account=account, amount=move.realized, reason="LIQUIDATION", reference=reference)
    taking = desk.position(HOUSE, position.symbol)
    taken = apply_move(desk, draft, taking, quantity, price, at=draft.at)
    desk.post(draft, account=HOUSE, amount=taken.realized, reason="REALIZED_PNL", reference=reference)
    desk.post(
        draft, account=HOUSE, amount=-move.realized - taken.realized, reason="NETTING", reference=reference
    )
    note_taken(desk, draft, position.symbol, quantity)
    return Handed(position, quantity, price, move, view)


def tell_handed(desk: Desk, draft: Draft, handed: Handed, *, account: Account) -> None:
    """Tell the account that a position, or a part of it, is gone."""
    tell_move(
        desk,
        draft,
        handed.position,
        handed.move,
        closed_view=handed.view,
        reason="LIQUIDATION",
        account=account,
    )


def hand_orders(desk: Desk, draft: Draft, account: str, symbol: str) -> list[Order]:
    """Give an account's live and unknown orders in a symbol to the house, unwanted from here on.

    What they still trade is the house's. The account is told that they are gone, for to it they are, and so
    is every command that still waited for one of them (`handed_answers`).
    """
    given = desk.orders_of(account, symbol)
    for order in given:
        answer_handed(desk, draft, order)
        desk.release(order)
        order.spec = replace(
            order.spec, sub_account_id=HOUSE, position_side=BOTH, request_id=None, parent_id=None
        )
        if order.amend is not None:
            order.amend = replace(order.amend, request_id=None)
        order.want_cancelled(at=draft.at)
        withhold(order, at=draft.at)
        desk.reserve(order)
        draft.orders[order.spec.client_order_id] = order_row(order)
    return given


def tell_orders_gone(draft: Draft, orders: list[Order], *, account: str, snapshot: Account) -> None:
    """Tell an account that its orders went with its position."""
    for order in orders:
        event = order_event(draft, order, word="order_cancelled", account=snapshot, reason="LIQUIDATION")
        draft.events.append(
            OrderEvent.model_copy(event, update={"sub_account_id": account, "state": "cancelled"})
        )


def cancel_orders(desk: Desk, draft: Draft, account: str) -> None:
    """Want all live orders of an account cancelled, but those by which it is closed; they stay its own."""
    for order in desk.orders_of(account, None):
        if not order.cancel_wanted and order.spec.origin != ORIGIN:
            order.want_cancelled(at=draft.at)
            withhold(order, at=draft.at)
            draft.orders[order.spec.client_order_id] = order_row(order)
