"""Booking: what the exchange says happened, turned into postings. Nothing it says is ever dropped.

Money is conserved in each entry: what the exchange paid into its wallet for a trade is exactly what
our balances moved. A sub-account gets the P&L of its own position; the exchange computes its P&L on
the net of all; the difference is the house's (`NETTING`).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from pms.contract.account import Account, PositionView
from pms.contract.codes import Code
from pms.contract.events import OrderEvent, OrderEventType, PositionEvent, PositionEventType
from pms.contract.journal import CursorRow, FeeRow, FillRow
from pms.contract.money import booked, decode_object, plain
from pms.contract.names import BOTH, HOUSE
from pms.domain.algos.counting import count
from pms.domain.algos.strays import unwant_stray
from pms.domain.answers import answer, answer_amend
from pms.domain.desk import Desk
from pms.domain.fees import charge, usdt_paid
from pms.domain.funding import make_up
from pms.domain.incidents import note_incident
from pms.domain.insurance import cover_flat
from pms.domain.orders import (
    Accepted,
    Amended,
    Amendment,
    Fact,
    Filled,
    Order,
    Seen,
    State,
)
from pms.domain.position_sides import parts_of, take_side
from pms.domain.positions import Move, Position
from pms.domain.posting import Draft, Posting
from pms.domain.reducing import fit_to
from pms.domain.rows import order_row, position_id, position_row, position_view
from pms.domain.superseding import give_way
from pms.domain.treasury import WALLET, signed
from pms.domain.unwind_debt import note_traded
from pms.domain.winding_up import wind_up

ZERO = Decimal(0)
MOST_TRADES_TOLD = 50
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
    before, wish = order.state, order.amend
    give_way(order, fact)
    if not order.receive(fact):
        return None
    unwant_stray(desk, order, was_over=before.terminal, at=at)
    draft = desk.draft("order", at=at)
    note_change(desk, draft, order, fact, before=before, wish=wish, at=at, code=code)
    return Posting(
        entry=desk.sealed(draft).entry(),
        events=tuple(draft.events),
        results=tuple(draft.results),
        so_far=tuple(draft.so_far),
    )


def note_change(
    desk: Desk,
    draft: Draft,
    order: Order,
    fact: Fact,
    *,
    before: State,
    wish: Amendment | None,
    at: int,
    code: Code | None,
) -> None:
    """Write what a fact made of an order into an entry: its row, its event, its command's answer.

    `before` and `wish` are its state and its amendment in flight as they were.
    """
    if isinstance(fact, Accepted | Seen | Amended):
        desk.learn_exchange_id(order)
    _note_order(desk, draft, order, at=at)
    amend_error = answer_amend(draft, order, wish)
    if order.state is not before or isinstance(fact, Amended) or order.amend is not wish:
        _tell_order(desk, draft, order, reason=amend_error)
    answer(desk, draft, order, before=before, code=code)


def note(desk: Desk, order: Order, *, at: int, before: State | None = None) -> Posting:
    """Journal an order as it stands in memory; it is told, too, where its state is another than `before`."""
    draft = desk.draft("order", at=at)
    _note_order(desk, draft, order, at=at)
    if before is not None and order.state is not before:
        _tell_order(desk, draft, order)
    return Posting(entry=desk.sealed(draft).entry(), events=tuple(draft.events))


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
    before, wish = (order.state, order.amend) if order else (None, None)
    if order is not None:
        take_side(desk, order, signed(trade.side, trade.quantity))
        if order.state.terminal:
            note_incident(
                draft,
                kind="late_fill",
                severity="warning",
                detail=f"{order.spec.client_order_id} traded after it was {order.state}",
            )
        fee = trade.commission if trade.commission_asset == WALLET else ZERO
        filled = Filled(trade.exchange_order_id, trade.quantity, trade.price, fee, trade.maker)
        give_way(order, filled)
        if fact is not None:
            # Before the trade: it may end an amendment that the trade would else be measured against.
            order.receive(fact)
        order.receive(filled)
        unwant_stray(desk, order, was_over=before is not None and before.terminal, at=trade.at)
        desk.learn_exchange_id(order)
        _note_order(desk, draft, order, at=trade.at)
        if order.filled_qty > order.total:
            note_incident(
                draft,
                kind="overfill",
                severity="critical",
                detail=f"{order.spec.client_order_id} traded {order.filled_qty} of {order.quantity}",
            )
        count(
            desk,
            draft,
            order,
            quantity=trade.quantity,
            price=trade.price,
            commission=trade.commission,
            commission_asset=trade.commission_asset,
            maker=trade.maker,
        )
    _settle(desk, draft, trade, owner=owner, order=order)
    if order is not None and before is not None:
        answer_amend(draft, order, wish)
        answer(desk, draft, order, before=before, code=None)
    wind_up(desk, draft, owner)
    return Posting(
        entry=desk.sealed(draft).entry(),
        events=tuple(draft.events),
        results=tuple(draft.results),
        so_far=tuple(draft.so_far),
    )


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
    quantity = signed(trade.side, trade.quantity)
    if order is not None and owner == HOUSE:
        # Its own orders unwind what it took over; those that came with a position add to it.
        note_traded(desk, draft, trade.symbol, quantity)
    asked = order.spec.position_side if order else None
    parts = parts_of(desk, owner, trade.symbol, asked, quantity)
    if order is not None and parts[-1][0].position_side != asked:
        _tell_beyond(draft, order, *parts[-1])
    moved, paid = [], usdt_paid(desk, trade.commission, trade.commission_asset)
    for position, part in parts:
        if order is not None and not position.quantity:
            standing = desk.standing_leverage(owner, trade.symbol)
            leverage = standing or desk.order_leverages.at_trade(order.spec)
            desk.set_leverage(owner, trade.symbol, leverage)
        view = position_view(position) if position.quantity else None
        share = booked(paid * part / quantity)
        move = apply_move(desk, draft, position, part, trade.price, at=trade.at, paid=share)
        moved.append((position, move, view))
    realized = sum((move.realized for _, move, _ in moved), ZERO)
    reference = f"{trade.symbol}:{trade.exchange_order_id}:{trade.trade_id}"
    desk.post(draft, account=owner, amount=realized, reason="REALIZED_PNL", reference=reference)
    _commission(desk, draft, trade, owner=owner, reference=reference)
    _netting(desk, draft, trade, realized=realized, reference=reference)
    make_up(desk, draft, owner=owner, symbol=trade.symbol, quantity=quantity, at=trade.at)
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
            realized_pnl=realized,
            venue_realized_pnl=trade.realized_pnl,
            maker=trade.maker,
            venue_time=trade.at,
            position_side=parts[0][0].position_side,
        )
    )
    cover_flat(desk, draft, owner)
    account = desk.snapshot(owner)
    if order is not None:
        _tell_fill(desk, draft, order, trade, account=account)
    reason = order.spec.origin if order else "FOREIGN"
    for position, move, view in moved:
        tell_move(desk, draft, position, move, closed_view=view, reason=reason, account=account)


def _tell_beyond(draft: Draft, order: Order, position: Position, part: Decimal) -> None:
    """A trade did not find the position that its order was for, or not enough of it."""
    if position.position_side == BOTH:
        return
    note_incident(
        draft,
        kind="beyond_position",
        severity="critical",
        detail=f"{order.spec.client_order_id} was for the {order.spec.position_side}, "
        f"{plain(abs(part))} {position.symbol} went to the {position.position_side}",
    )


def apply_move(
    desk: Desk,
    draft: Draft,
    position: Position,
    signed: Decimal,
    price: Decimal,
    *,
    at: int,
    paid: Decimal = ZERO,
) -> Move:
    """Move a position by a signed quantity at a price; its P&L and the fee are the caller's to post.

    Orders that may only reduce it, and are more now than that, are unwanted from this entry on.
    """
    move = position.trade(signed, price)
    if move.opened:
        # What crosses zero pays for both positions, each its part.
        paid = booked(paid * abs(position.quantity) / abs(signed))
        position.realized_pnl = position.fees = ZERO
        position.opened_seq = draft.first_seq
        position.id = position_id(position.sub_account_id, position.symbol, position.side, draft.first_seq)
    position.fees += paid
    position.updated_at = at
    desk.touch_position(position)
    draft.positions[position.place] = position_row(position)
    if move.closed:
        fit_to(desk, draft, position)
    return move


def tell_move(
    desk: Desk,
    draft: Draft,
    position: Position,
    move: Move,
    *,
    closed_view: PositionView | None,
    reason: str,
    account: Account,
) -> None:
    """Tell what became of a position; `closed_view` is how it was before, if it was open."""
    owner = position.sub_account_id
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
            reason=reason,
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
            reason=reason,
            account=account,
        )


def _netting(desk: Desk, draft: Draft, trade: Trade, *, realized: Decimal, reference: str) -> None:
    """The house's part: what the exchange paid less what the owner got.

    A symbol that is margined in another asset pays in it; only others can have traded that.
    """
    instrument = desk.instruments.get(trade.symbol)
    asset = instrument.margin_asset if instrument else WALLET
    if asset == WALLET:
        amount = trade.realized_pnl - realized
        desk.post(draft, account=HOUSE, amount=amount, reason="NETTING", reference=reference)
        return
    desk.post(draft, account=HOUSE, amount=-realized, reason="NETTING", reference=reference)
    desk.post(
        draft,
        account=HOUSE,
        amount=trade.realized_pnl,
        reason="REALIZED_PNL",
        reference=reference,
        asset=asset,
    )


def _commission(desk: Desk, draft: Draft, trade: Trade, *, owner: str, reference: str) -> None:
    """Who pays: the owner in USDT, or the house in another asset and the owner the house."""
    asset = trade.commission_asset
    payer = owner if asset == WALLET else HOUSE
    desk.post(
        draft,
        account=payer,
        amount=-trade.commission,
        reason="COMMISSION",
        reference=reference,
        asset=asset,
    )
    if asset == WALLET or owner == HOUSE or not trade.commission:
        return
    fee = FeeRow(
        symbol=trade.symbol,
        exchange_order_id=trade.exchange_order_id,
        trade_id=trade.trade_id,
        sub_account_id=owner,
        asset=asset,
        commission=trade.commission,
        price=None,
        amount=None,
        at=trade.at,
    )
    charge(desk, draft, fee)


def _owner(desk: Desk, draft: Draft, trade: Trade) -> str:
    """The owner of a trade whose order nobody knows; an operator is told once an order."""
    name = trade.client_order_id or ""
    owner = HOUSE
    if name.startswith("PMS_"):
        owner = desk.tags.get(name[4:].split("_", 1)[0], HOUSE)
    _tell_foreign(desk, draft, trade, owner=owner)
    return owner


def _tell_foreign(desk: Desk, draft: Draft, trade: Trade, *, owner: str) -> None:
    """One incident for an order that nobody knows, whatever the number of its trades."""
    subject = f"{trade.symbol}:{trade.exchange_order_id}"
    kind, severity, what = foreign_kind(trade.client_order_id or "")
    if severity == "warning":
        kind = "foreign_trade"
    told = draft.open_incidents.get(kind, subject)
    before = decode_object(told.evidence) if told else {}
    listed = "" if trade.symbol in desk.instruments else ", a symbol that is not listed"
    quantity = Decimal(before.get("quantity", 0)) + signed(trade.side, trade.quantity)
    note_incident(
        draft,
        kind=kind,
        severity=severity,
        detail=f"{trade.symbol} order {trade.client_order_id or trade.exchange_order_id} is {what}{listed}; "
        f"its trades go to {owner}; last trade {trade.trade_id}",
        subject=subject,
        evidence={
            **before,
            "owner": owner,
            "clientOrderId": trade.client_order_id,
            "quantity": plain(quantity),
            "trades": [*before.get("trades", []), trade.trade_id][-MOST_TRADES_TOLD:],
        },
    )


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
    reason: str | None = None,
) -> None:
    word = kind or _EVENT_OF.get(order.state)
    if word is None:
        return
    account = account or desk.snapshot(order.spec.sub_account_id)
    draft.events.append(order_event(draft, order, word=word, account=account, trade=trade, reason=reason))


def order_event(
    draft: Draft,
    order: Order,
    *,
    word: OrderEventType,
    account: Account,
    trade: Trade | None = None,
    reason: str | None = None,
) -> OrderEvent:
    """What is told of an order as it stands; the caller appends it before the next is made."""
    spec = order.spec
    return OrderEvent(
        type=word,
        seq=draft.event_seq,
        sub_account_id=spec.sub_account_id,
        client_order_id=spec.client_order_id,
        exchange_order_id=order.exchange_text,
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
        position_side=spec.position_side,
        reason=reason or order.why,
        timestamp=Decimal(draft.at) / 1000,
        account=account,
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


def foreign_kind(client_order_id: str) -> tuple[str, str, str]:
    """What an order is that we do not know: incident, severity, words (Binance reserves its ids)."""
    for prefix, kind, severity, what in _RESERVED:
        if client_order_id.startswith(prefix):
            return kind, severity, what
    return "foreign_order", "warning", "not of our making"


_RESERVED = (
    ("PMS_", "orphan_order", "warning", "one of ours that nobody remembers"),
    ("autoclose-", "exchange_liquidation", "critical", "a liquidation by the exchange"),
    ("adl_autoclose", "exchange_adl", "critical", "an auto-deleveraging by the exchange"),
    ("settlement_autoclose-", "exchange_settlement", "critical", "the settlement of the symbol"),
    ("delivery_autoclose-", "exchange_settlement", "critical", "the settlement of the symbol"),
)


def _side(side: str) -> Literal["BUY", "SELL"]:
    return "BUY" if side == "BUY" else "SELL"
