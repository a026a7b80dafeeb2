"""Booking: what the exchange says happened, turned into postings. Nothing it says is ever dropped.

Money is conserved in each entry: what the exchange paid into its wallet for a trade is exactly what
our balances moved. A sub-account gets the P&L of its own position; the exchange computes its P&L on
the net of all; the difference is the house's (`NETTING`).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from pms.contract.account import Account
from pms.contract.codes import Code
from pms.contract.events import OrderEvent, OrderEventType, PositionEvent, PositionEventType
from pms.contract.journal import CursorRow, FillRow
from pms.contract.names import HOUSE, Task
from pms.contract.results import Result
from pms.domain.admission import kind_of, note_incident
from pms.domain.desk import Desk, order_row, position_id, position_row, position_view
from pms.domain.orders import Accepted, Amended, Fact, Filled, NotExecuted, Order, Seen, State, Voided
from pms.domain.posting import Draft, Posting, Unsent, Unused

ZERO = Decimal(0)
WALLET = "USDT"
_EVENT_OF: dict[State, OrderEventType] = {
    State.ACTIVE: "order_active",
    State.PARTIALLY_FILLED: "order_partially_filled",
    State.FILLED: "order_filled",
    State.CANCELLED: "order_cancelled",
    State.EXPIRED: "order_cancelled",
    State.REJECTED: "order_failed",
    State.VOID: "order_failed",
}


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade of the exchange account, from the feed or from userTrades."""

    symbol: str
    exchange_order_id: int
    trade_id: int
    client_order_id: str | None
    #: None where userTrades does not tell it
    side: str
    price: Decimal
    quantity: Decimal
    commission: Decimal
    commission_asset: str
    realized_pnl: Decimal
    maker: bool
    at: int


def observe(desk: Desk, order: Order, fact: Fact, *, at: int, code: Code | None = None) -> Posting | None:
    """Take a fact about an order; None if it told nothing new. `code` explains a refusal."""
    before = order.state
    if not order.receive(fact):
        return None
    draft = desk.draft("order", at=at)
    if isinstance(fact, Accepted | Seen | Amended):
        desk.learn_exchange_id(order)
    _note_order(desk, draft, order, at=at)
    if order.state is not before or isinstance(fact, Amended):
        _tell_order(desk, draft, order)
    _answer(desk, draft, order, before=before, code=code)
    guard = _guard(order.spec.client_order_id, fact)
    entry = desk.sealed(draft).entry()
    return Posting(
        entry=entry,
        events=tuple(draft.events),
        results=tuple(draft.results),
        guard=guard,
        otherwise=Draft(prev=draft.prev, base=draft.base, at=at, kind="noop").entry(seq=entry.seq)
        if guard
        else None,
    )


def note(desk: Desk, order: Order, *, at: int) -> Posting:
    """Journal an order as it stands in memory."""
    draft = desk.draft("order", at=at)
    _note_order(desk, draft, order, at=at)
    return Posting(entry=desk.sealed(draft).entry())


def note_position(desk: Desk, account: str, symbol: str, *, at: int) -> Posting:
    """Journal a position as it stands in memory."""
    draft = desk.draft("position", at=at)
    draft.positions[account, symbol] = position_row(desk.position(account, symbol))
    return Posting(entry=desk.sealed(draft).entry())


def _guard(client_order_id: str, fact: Fact) -> Unsent | Unused | None:
    """What must still hold when a proof of absence is journaled."""
    match fact:
        case Voided():
            return Unsent(client_order_id)
        case NotExecuted(_, signed_at):
            return Unused(client_order_id, signed_at)
        case _:
            return None


def unvoid(desk: Desk, order: Order) -> None:
    """Take back a void or an absence whose guard failed: a send right was given meanwhile."""
    order.retract_proof()
    desk.closed.pop(order.spec.client_order_id, None)
    desk.reserve(order)


def book(desk: Desk, trade: Trade, *, fact: Seen | None = None) -> Posting | None:
    """Book one trade once, together with the exchange's word that came with it; None if known.

    A trade of an order that we do not know is the house's, or that sub-account's whose tag the order
    carries, with an incident; it is never dropped.
    """
    if not desk.first_sight(trade.symbol, trade.exchange_order_id, trade.trade_id):
        return None
    order = _order_of(desk, trade)
    draft = desk.draft("fill", at=trade.at)
    owner = order.spec.sub_account_id if order else _owner(desk, draft, trade)
    before = order.state if order else None
    if order is not None:
        if order.state.terminal:
            note_incident(
                draft,
                kind="late_fill",
                severity="warning",
                detail=f"{order.spec.client_order_id} traded after it was {order.state}",
            )
        order.receive(Filled(trade.exchange_order_id, trade.quantity, trade.price))
        if fact is not None:
            order.receive(fact)
        desk.learn_exchange_id(order)
        _note_order(desk, draft, order, at=trade.at)
        if order.filled_qty > order.quantity:
            note_incident(
                draft,
                kind="overfill",
                severity="critical",
                detail=f"{order.spec.client_order_id} traded {order.filled_qty} of {order.quantity}",
            )
    _settle(desk, draft, trade, owner=owner, order=order)
    if order is not None and before is not None:
        _answer(desk, draft, order, before=before, code=None)
    return Posting(entry=desk.sealed(draft).entry(), events=tuple(draft.events), results=tuple(draft.results))


def prove_cursor(desk: Desk, symbol: str, trade_id: int, *, at: int) -> Posting | None:
    """Move a symbol's proven cursor: every trade up to this id is booked, as a REST page showed."""
    if trade_id <= desk.cursors.get(symbol, -1):
        return None
    desk.cursors[symbol] = trade_id
    draft = desk.draft("cursor", at=at)
    draft.cursors.append(CursorRow(symbol=symbol, trade_id=trade_id, updated_at=at))
    return Posting(entry=desk.sealed(draft).entry())


def _settle(desk: Desk, draft: Draft, trade: Trade, *, owner: str, order: Order | None) -> None:
    """Move the position and the balances, then tell it."""
    position = desk.position(owner, trade.symbol)
    if order is not None:
        position.leverage = order.spec.leverage
    closed_view = position_view(position) if position.quantity else None
    move = position.trade(trade.quantity if trade.side == "BUY" else -trade.quantity, trade.price)
    if move.opened:
        position.realized_pnl = ZERO
        position.opened_seq = draft.first_seq
        position.id = position_id(owner, trade.symbol, position.side, draft.first_seq)
    position.updated_at = trade.at
    desk.touch_position(position)
    draft.positions[owner, trade.symbol] = position_row(position)
    reference = f"{trade.symbol}:{trade.exchange_order_id}:{trade.trade_id}"
    desk.post(draft, account=owner, amount=move.realized, reason="REALIZED_PNL", reference=reference)
    _commission(desk, draft, trade, owner=owner, reference=reference)
    netting = trade.realized_pnl - move.realized
    desk.post(draft, account=HOUSE, amount=netting, reason="NETTING", reference=reference)
    draft.fills.append(
        FillRow(
            symbol=trade.symbol,
            exchange_order_id=trade.exchange_order_id,
            trade_id=trade.trade_id,
            client_order_id=order.spec.client_order_id if order else trade.client_order_id,
            sub_account_id=owner,
            side=trade.side,
            price=trade.price,
            quantity=trade.quantity,
            commission=trade.commission,
            commission_asset=trade.commission_asset,
            realized_pnl=move.realized,
            venue_realized_pnl=trade.realized_pnl,
            maker=trade.maker,
            venue_time=trade.at,
        )
    )
    account = desk.snapshot(owner)
    if order is not None:
        _tell_fill(desk, draft, order, trade, account=account)
    if move.closed and closed_view is not None:
        gone = move.opened or not position.quantity
        _tell_position(
            desk,
            draft,
            owner,
            kind="position_closed" if gone else "position_reduced",
            view=closed_view if gone else position_view(position),
            realized=move.realized,
            closed=move.closed,
            reason=order.spec.origin if order else "FOREIGN",
            account=account,
        )
    if position.quantity and (move.opened or not move.closed):
        _tell_position(
            desk,
            draft,
            owner,
            kind="position_updated",
            view=position_view(position),
            realized=ZERO,
            closed=ZERO,
            reason=order.spec.origin if order else "FOREIGN",
            account=account,
        )


def _commission(desk: Desk, draft: Draft, trade: Trade, *, owner: str, reference: str) -> None:
    if trade.commission_asset == WALLET:
        desk.post(draft, account=owner, amount=-trade.commission, reason="COMMISSION", reference=reference)
    elif trade.commission:
        note_incident(
            draft,
            kind="commission_asset",
            severity="warning",
            detail=f"{reference}: {trade.commission} {trade.commission_asset} was paid by the house's wallet",
        )


def _owner(desk: Desk, draft: Draft, trade: Trade) -> str:
    """The owner of a trade whose order nobody knows."""
    name = trade.client_order_id or ""
    owner = HOUSE
    if name.startswith("PMS_"):
        owner = desk.tags.get(name[4:].split("_", 1)[0], HOUSE)
    note_incident(
        draft,
        kind="foreign_trade",
        severity="warning",
        detail=f"{trade.symbol} trade {trade.trade_id} of {name or trade.exchange_order_id} went to {owner}",
    )
    return owner


def _order_of(desk: Desk, trade: Trade) -> Order | None:
    known = desk.by_exchange.get((trade.symbol, trade.exchange_order_id))
    found = desk.orders.get(known) if known else None
    if found is None and trade.client_order_id:
        found = desk.orders.get(trade.client_order_id)
    return found


def _note_order(desk: Desk, draft: Draft, order: Order, *, at: int) -> None:
    order.updated_at = max(order.updated_at, at)
    desk.reserve(order)
    draft.orders[order.spec.client_order_id] = order_row(order)


def _tell_fill(desk: Desk, draft: Draft, order: Order, trade: Trade, *, account: Account) -> None:
    if order.state is State.PARTIALLY_FILLED:
        # Gateways that know no partial fill read `order_active` with its filledQty.
        for kind in ("order_partially_filled", "order_active"):
            _tell_order(desk, draft, order, kind=kind, trade=trade, account=account)
    else:
        _tell_order(desk, draft, order, trade=trade, account=account)


def _tell_order(
    desk: Desk,
    draft: Draft,
    order: Order,
    *,
    kind: OrderEventType | None = None,
    trade: Trade | None = None,
    account: Account | None = None,
) -> None:
    word = kind or _EVENT_OF.get(order.state)
    if word is None:
        return
    spec = order.spec
    draft.events.append(
        OrderEvent(
            type=word,
            seq=draft.event_seq,
            sub_account_id=spec.sub_account_id,
            client_order_id=spec.client_order_id,
            exchange_order_id=None if order.exchange_order_id is None else str(order.exchange_order_id),
            symbol=spec.symbol,
            side=_side(spec.side),
            order_type=spec.type,
            quantity=order.quantity,
            price=order.price,
            state=order.state.value,
            filled_qty=order.filled_qty,
            avg_fill_price=order.average_price,
            last_fill_qty=trade.quantity if trade else None,
            last_fill_price=trade.price if trade else None,
            origin=spec.origin,
            parent_id=spec.parent_id,
            reason=order.why,
            timestamp=Decimal(draft.at) / 1000,
            account=account or desk.snapshot(spec.sub_account_id),
        )
    )


def _tell_position(
    desk: Desk,
    draft: Draft,
    owner: str,
    *,
    kind: PositionEventType,
    view: object,
    realized: Decimal,
    closed: Decimal,
    reason: str,
    account: Account,
) -> None:
    draft.events.append(
        PositionEvent(
            type=kind,
            seq=draft.event_seq,
            sub_account_id=owner,
            position=view,
            realized_pnl=realized,
            closed_qty=closed,
            reason=reason,
            timestamp=Decimal(draft.at) / 1000,
            account=account,
        )
    )


def _answer(desk: Desk, draft: Draft, order: Order, *, before: State, code: Code | None) -> None:
    """Give the command its result, the first time the outcome is proven.

    An order that cannot rest is answered when it is over: `active` would be true for a moment only.
    """
    spec = order.spec
    if spec.request_id is None or before.terminal or order.unproven:
        return
    if not order.state.terminal and order.momentary:
        return
    if not order.state.terminal and before not in {State.PLACING, State.UNKNOWN}:
        return
    failed = order.state in {State.REJECTED, State.VOID}
    if failed and code is None:
        code = Code.NOT_SENT if order.state is State.VOID else Code.EXCHANGE_REFUSED
    held = desk.held.get(spec.sub_account_id, {}).get(spec.symbol)
    draft.results.append(
        Result(
            success=not failed,
            request_id=spec.request_id,
            command=Task.CLOSE if kind_of(spec.client_order_id) == "C" else Task.TRADE,
            sub_account_id=spec.sub_account_id,
            symbol=spec.symbol,
            side=spec.side,
            quantity=spec.quantity,
            order_id=spec.client_order_id,
            exchange_order_id=None if order.exchange_order_id is None else str(order.exchange_order_id),
            state=order.state.value,
            position=position_view(held) if held else None,
            error=order.why if failed else None,
            code=code if failed else None,
        )
    )


def _side(side: str) -> Literal["BUY", "SELL"]:
    return "BUY" if side == "BUY" else "SELL"
