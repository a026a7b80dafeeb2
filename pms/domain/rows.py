"""Orders and positions as rows of the journal, and back; and a position as it goes out."""

from __future__ import annotations

from decimal import Decimal
from uuid import NAMESPACE_OID, uuid5

from pms.contract.account import PositionView
from pms.contract.journal import OrderRow, PositionRow
from pms.domain.orders import Amendment, Order, OrderSpec, State
from pms.domain.positions import Position


def position_id(account: str, symbol: str, side: str, opened_seq: int) -> str:
    """The id of a position: the same for everyone who knows how it came into being."""
    return str(uuid5(NAMESPACE_OID, f"{account}:{symbol}:{side}:{opened_seq}"))


def position_view(position: Position, *, liquidation_price: Decimal | None = None) -> PositionView:
    """A position as it goes out."""
    return PositionView(
        id=position.id,
        symbol=position.symbol,
        side="SHORT" if position.quantity < 0 else "LONG",
        entry_price=position.entry_price,
        quantity=abs(position.quantity),
        margin=position.margin,
        leverage=position.leverage,
        position_side=position.position_side,
        liquidation_price=liquidation_price,
        break_even_price=position.break_even_price,
    )


def position_row(position: Position) -> PositionRow:
    """A position as it is journaled."""
    return PositionRow(
        sub_account_id=position.sub_account_id,
        symbol=position.symbol,
        id=position.id,
        quantity=position.quantity,
        cost=position.cost,
        leverage=position.leverage,
        opened_seq=position.opened_seq,
        realized_pnl=position.realized_pnl,
        updated_at=position.updated_at,
        leverage_set=position.leverage_set,
        position_side=position.position_side,
        fees=position.fees,
    )


def position_from(row: PositionRow) -> Position:
    """A position as it was journaled."""
    return Position(
        sub_account_id=row.sub_account_id,
        symbol=row.symbol,
        id=row.id,
        quantity=row.quantity,
        cost=row.cost,
        leverage=row.leverage,
        opened_seq=row.opened_seq,
        realized_pnl=row.realized_pnl,
        updated_at=row.updated_at,
        leverage_set=row.leverage_set,
        position_side=row.position_side,
        fees=row.fees,
    )


def order_row(order: Order) -> OrderRow:
    """An order as it is journaled.

    Trap: a row written behind the decision to cancel it says so too, or the next life would not know.
    """
    spec, wish = order.spec, order.amend
    return OrderRow(
        client_order_id=spec.client_order_id,
        sub_account_id=spec.sub_account_id,
        symbol=spec.symbol,
        side=spec.side,
        type=spec.type,
        quantity=order.quantity,
        price=order.price,
        time_in_force=spec.time_in_force,
        reduce_only=spec.reduce_only,
        leverage=spec.leverage,
        origin=spec.origin,
        parent_id=spec.parent_id,
        request_id=spec.request_id,
        state=order.state.value,
        reason=order.why,
        exchange_order_id=order.exchange_order_id,
        filled_qty=order.filled_qty,
        filled_quote=order.filled_quote,
        cancel_wanted=order.cancel_wanted or order.cancel_asked is not None,
        epoch=spec.epoch,
        deadline=spec.deadline,
        admitted_at=spec.admitted_at,
        updated_at=order.updated_at,
        amends=order.amends,
        amend_quantity=wish.quantity if wish else None,
        amend_price=wish.price if wish else None,
        amend_request_id=wish.request_id if wish else None,
        amend_epoch=wish.epoch if wish else None,
        amend_deadline=wish.deadline if wish else None,
        amend_asked_at=wish.asked_at if wish else None,
        terms_at=order.terms_at,
        position_side=spec.position_side,
        venue_reduce_only=spec.venue_reduce_only,
        fees=order.fees,
        maker_qty=order.maker_qty,
    )


_LAST_WORD = {
    State.FILLED: "FILLED",
    State.CANCELLED: "CANCELED",
    State.EXPIRED: "EXPIRED",
    State.ACTIVE: "NEW",
    State.PARTIALLY_FILLED: "NEW",
}


def order_from(row: OrderRow) -> Order:
    """An order as it was journaled; the exchange is asked again about whatever is not terminal."""
    state = State(row.state)
    if state is State.VOID and row.exchange_order_id is not None:
        # Written by an older release: the exchange has taken it, and is asked.
        state = State.PLACING
    return Order(
        spec=OrderSpec(
            client_order_id=row.client_order_id,
            sub_account_id=row.sub_account_id,
            symbol=row.symbol,
            side=row.side,
            type=row.type,
            quantity=row.quantity,
            price=row.price,
            time_in_force=row.time_in_force,
            reduce_only=row.reduce_only,
            leverage=row.leverage,
            origin=row.origin,
            parent_id=row.parent_id,
            request_id=row.request_id,
            epoch=row.epoch,
            deadline=row.deadline,
            admitted_at=row.admitted_at,
            position_side=row.position_side,
            venue_reduce_only=row.venue_reduce_only,
        ),
        quantity=row.quantity,
        price=row.price,
        exchange_order_id=row.exchange_order_id,
        word="REJECTED" if state is State.REJECTED and row.exchange_order_id else _LAST_WORD.get(state),
        venue_filled=row.filled_qty,
        filled_qty=row.filled_qty,
        filled_quote=row.filled_quote,
        fees=row.fees,
        maker_qty=row.maker_qty,
        doubt=state is State.UNKNOWN,
        refused=row.reason if state is State.REJECTED else None,
        voided=row.reason if state is State.VOID else None,
        reason=row.reason,
        cancel_wanted=row.cancel_wanted,
        amend=_amendment(row),
        amends=row.amends,
        terms_at=row.terms_at,
        state=state,
        updated_at=row.updated_at,
    )


def _amendment(row: OrderRow) -> Amendment | None:
    if row.amend_quantity is None or row.amend_price is None:
        return None
    return Amendment(
        number=row.amends,
        quantity=row.amend_quantity,
        price=row.amend_price,
        request_id=row.amend_request_id,
        epoch=row.amend_epoch or "",
        deadline=row.amend_deadline or 0,
        asked_at=row.amend_asked_at or 0,
    )
