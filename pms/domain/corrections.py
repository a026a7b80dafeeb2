"""Corrections: what an operator decides where evidence alone does not, journaled with who and why.

The house is the counterparty of each, so that what all accounts hold together stays what the exchange
says: a position handed over moves like one trade on either side at the same price, and the P&L that
this realises, which the exchange never paid, is the house's (`NETTING`).

    resolve    ends an order by an operator's word; no fill is made up, none is unmade, and the next
               word of the exchange supersedes it
    adjust     balance or quantity, from the house or to it
    reassign   a position, or one trade with its commission, between the house and a sub-account

Trap: like all local commands these cannot be withdrawn; the caller claims the command first.
"""

from __future__ import annotations

from decimal import Decimal

from pms.contract.codes import Code, Refusal
from pms.contract.commands import Adjust, Reassign, Resolve
from pms.contract.journal import IncidentRow
from pms.contract.money import booked, canonical, decode_object, plain
from pms.contract.names import BOTH, HOUSE, INSURANCE
from pms.contract.results import Result
from pms.domain.booking import apply_move, note_change, tell_move
from pms.domain.checks import known_account
from pms.domain.decisions import Asked, decided
from pms.domain.desk import Desk
from pms.domain.held_unlisted import rules_of_held
from pms.domain.incidents import OF_ORDERS, note_incident, note_settled
from pms.domain.instrument import Instrument, InstrumentError
from pms.domain.insurance import cover_flat
from pms.domain.leverage_brackets import check_received
from pms.domain.orders import Fact, NotExecuted, Order, Seen
from pms.domain.position_sides import check_side, side_for
from pms.domain.positions import Position
from pms.domain.posting import Draft, Posting
from pms.domain.rows import position_view
from pms.domain.superseding import operators_word

ZERO = Decimal(0)
PROVABLE_AFTER_MS = 10_000
"""Sooner after its deadline an order may still arrive, or be proven absent without anyone's word."""

QUIET_MS = 10_000
"""So soon after the last news of an order that is there, or the wish to cancel it, more may be on its way."""

_WORDS = {"cancelled": "CANCELED", "expired": "EXPIRED"}


def resolve(desk: Desk, asked: Asked, command: Resolve) -> Posting:
    """End an order by an operator's word; raises Refusal where evidence speaks against it."""
    order = desk.find_order(command.order_id)
    if order is None:
        raise Refusal(Code.UNKNOWN_ORDER, "no order has this id", field="orderId", actual=command.order_id)
    if order.state.terminal:
        raise Refusal(
            Code.ORDER_CLOSED, f"the order is already {order.state}", field="orderId", actual=order.state
        )
    fact = _word_on(asked, order, command)
    before, wish = order.state, order.amend
    order.receive(fact)
    draft = desk.draft("resolved", at=asked.now)
    draft.note.update(actor=command.actor, reason=command.reason, outcome=command.outcome)
    note_change(desk, draft, order, fact, before=before, wish=wish, at=asked.now, code=Code.NOT_EXECUTED)
    how = f"{command.outcome}: {command.reason}"
    for kind in OF_ORDERS:
        note_settled(draft, kind=kind, subject=order.spec.client_order_id, how=how, by=command.actor)
    result = Result(
        success=True,
        request_id=asked.request_id,
        command=asked.command,
        sub_account_id=order.spec.sub_account_id,
        symbol=order.spec.symbol,
        order_id=order.spec.client_order_id,
        state=order.state.value,
        details={"was": before.value, "filled": plain(order.filled_qty)},
    )
    return decided(desk, draft, asked, result, decision="admitted", final=False)


def _word_on(asked: Asked, order: Order, command: Resolve) -> Fact:
    """The operator's word as a fact, where nothing proven speaks against it."""
    text = operators_word(command.actor, command.reason)
    if order.trades_missing:
        raise _contradicted(
            "the exchange counts more than is booked: `pms reconcile` reads the missing trades",
            limit=plain(order.filled_qty),
            actual=plain(order.venue_filled),
        )
    if command.outcome == "filled":
        raise _contradicted(
            "only trades fill an order, and they are booked from the exchange's own rows: `pms reconcile`",
            limit=plain(order.quantity),
            actual=plain(order.filled_qty),
        )
    if command.outcome == "not-executed":
        if order.exchange_order_id is not None or order.filled_qty:
            raise _contradicted(
                "the exchange has acknowledged the order or it has traded; say how it ended",
                limit="cancelled or expired",
                actual=order.exchange_order_id,
            )
        age = asked.now - max(order.spec.deadline, order.spec.admitted_at)
        if age < PROVABLE_AFTER_MS:
            raise _contradicted(
                "the order may still arrive: its deadline is over for too short a time",
                limit=f"{PROVABLE_AFTER_MS} ms",
                actual=f"{age} ms",
            )
        return NotExecuted(text)
    if order.exchange_order_id is None:
        raise _contradicted(
            "the exchange never acknowledged the order, so it cannot have ended it",
            limit="not-executed",
            actual=command.outcome,
        )
    quiet = asked.now - max(order.updated_at, order.unwanted_at)
    if quiet < QUIET_MS:
        # It may have traded in the very moment: what it filled would be closed, or bought, once more.
        raise _contradicted(
            "there was news of the order, or its cancel was wanted, a moment ago: more may follow",
            limit=f"{QUIET_MS} ms without either",
            actual=f"{quiet} ms",
        )
    return Seen(order.exchange_order_id, _WORDS[command.outcome], order.filled_qty, text)


def adjust(desk: Desk, asked: Asked, command: Adjust) -> Posting:
    """Correct a balance or a position against the house; raises Refusal."""
    account = known_account(desk, command.sub_account_id, field="subAccountId")
    if account.id == HOUSE:
        raise Refusal(
            Code.HOUSE_ONLY, "the house is the counterparty; name a sub-account", field="subAccountId"
        )
    if (command.amount is None) == (command.symbol is None or command.quantity is None):
        raise Refusal(Code.BAD_FIELD, "say either amount, or symbol and quantity", field="amount")
    draft = desk.draft("adjusted", at=asked.now)
    draft.note.update(actor=command.actor, reason=command.reason)
    if command.amount is not None:
        amount = canonical(command.amount)
        if not amount or amount != booked(amount):
            raise Refusal(
                Code.BAD_FIELD,
                "amount must not be zero, with eight decimals at most",
                field="amount",
                limit="0.00000001",
                actual=plain(amount),
            )
        if amount < 0 and account.balance + amount < 0:
            raise Refusal(
                Code.BALANCE,
                f"{account.id} has {plain(account.balance)}",
                field="amount",
                limit=plain(account.balance),
                actual=plain(-amount),
            )
        for holder, part in ((account.id, amount), (HOUSE, -amount)):
            desk.post(draft, account=holder, amount=part, reason="ADJUSTMENT", reference=asked.request_id)
        return _done(desk, draft, asked, account=account.id, details={"amount": plain(amount)})
    if account.id == INSURANCE:
        raise Refusal(Code.HOUSE_ONLY, "the insurance holds money only", field="subAccountId")
    symbol, quantity = command.symbol or "", command.quantity or ZERO
    side = side_for(account, command.position_side)
    instrument = _instrument(desk, symbol)
    quantity = _steps(instrument, quantity)
    top = desk.tops.get(symbol)
    if command.price is None and top is None:
        raise Refusal(Code.PRICE_STALE, f"there is no price of {symbol}: say one", field="price")
    price = _price(instrument, command.price, otherwise=top.mid if top else ZERO)
    giving, taking = desk.position(HOUSE, symbol), desk.position(account.id, symbol, side)
    _check_moves(desk, asked, instrument, giving, taking, quantity=quantity, price=price)
    return _hand_over(desk, draft, asked, giving, taking, quantity=quantity, price=price)


def reassign(desk: Desk, asked: Asked, command: Reassign) -> Posting:
    """Hand over a position, a part of one, or one trade; raises Refusal."""
    giver = known_account(desk, command.from_account_id, field="fromAccountId").id
    taker = known_account(desk, command.to_account_id, field="toAccountId").id
    if INSURANCE in {giver, taker}:
        raise Refusal(Code.HOUSE_ONLY, "the insurance holds money only", field="toAccountId")
    if (giver == HOUSE) == (taker == HOUSE):
        raise Refusal(Code.HOUSE_ONLY, "one of the two must be the house", field="toAccountId", actual=taker)
    instrument = _instrument(desk, command.symbol)
    giving, taking = (
        desk.position(name, command.symbol, BOTH if name == HOUSE else side_for(desk.accounts[name], side))
        for name, side in ((giver, command.position_side), (taker, command.position_side))
    )
    of_trade = command.trade_id is not None or command.exchange_order_id is not None
    quantity, price = (
        _of_trade(desk, instrument, command) if of_trade else _of_position(instrument, command, giving)
    )
    _check_moves(desk, asked, instrument, giving, taking, quantity=quantity, price=price)
    draft = desk.draft("reassigned", at=asked.now)
    draft.note.update(actor=command.actor, reason=command.reason)
    commission, trade = ZERO, None
    if of_trade:
        commission = _take_along(desk, draft, command, quantity, giver=giver, taker=taker)
        trade = f"{command.exchange_order_id}:{command.trade_id}"
    return _hand_over(
        desk,
        draft,
        asked,
        giving,
        taking,
        quantity=quantity,
        price=price,
        commission=commission,
        trade=trade,
    )


def _of_position(instrument: Instrument, command: Reassign, position: Position) -> tuple[Decimal, Decimal]:
    giver = position.sub_account_id
    if not position.quantity:
        raise Refusal(Code.UNKNOWN_POSITION, f"{giver} holds no {command.symbol}", field="symbol")
    quantity = position.quantity if command.quantity is None else _steps(instrument, command.quantity)
    if quantity * position.quantity < 0 or abs(quantity) > abs(position.quantity):
        raise Refusal(
            Code.QUANTITY_MAX,
            f"{giver} holds {plain(position.quantity)} {command.symbol}",
            field="quantity",
            limit=plain(position.quantity),
            actual=plain(quantity),
        )
    return quantity, _price(instrument, command.price, otherwise=position.entry_price)


def _of_trade(desk: Desk, instrument: Instrument, command: Reassign) -> tuple[Decimal, Decimal]:
    for field in ("exchange_order_id", "trade_id", "quantity", "price"):
        if getattr(command, field) is None:
            raise Refusal(Code.MISSING_FIELD, f"a trade needs its {field}", field=field)
    order_id, trade_id = command.exchange_order_id or 0, command.trade_id or 0
    if (command.symbol, order_id, trade_id) not in desk.trades:
        raise Refusal(
            Code.UNKNOWN_TRADE, "no such trade is booked in recent days", field="tradeId", actual=trade_id
        )
    return _steps(instrument, command.quantity or ZERO), _price(instrument, command.price, otherwise=ZERO)


def _take_along(
    desk: Desk, draft: Draft, command: Reassign, quantity: Decimal, *, giver: str, taker: str
) -> Decimal:
    """A trade's commission goes with it, and the incident that told of it ends with its last one."""
    order_id = command.exchange_order_id
    reference = f"{command.symbol}:{order_id}:{command.trade_id}"
    commission = booked(command.commission or ZERO)
    for holder, part in ((giver, commission), (taker, -commission)):
        desk.post(draft, account=holder, amount=part, reason="COMMISSION", reference=reference)
    told = desk.incidents.get("foreign_trade", f"{command.symbol}:{order_id}")
    if told is not None:
        _handed_on(draft, told, quantity, to=taker, by=command.actor)
    return commission


def _check_moves(
    desk: Desk,
    asked: Asked,
    instrument: Instrument,
    giving: Position,
    taking: Position,
    *,
    quantity: Decimal,
    price: Decimal,
) -> None:
    """Refuse what neither side can hold, before anything has moved."""
    for position, change in ((giving, -quantity), (taking, quantity)):
        check_side(position, change)
        if position.sub_account_id != HOUSE:
            leverage = _leverage(desk, asked, giving, position)
            check_received(desk, instrument, position, quantity=change, price=price, leverage=leverage)


def _leverage(desk: Desk, asked: Asked, giving: Position, taking: Position) -> int:
    """The leverage of what receives: its own, or where there is none the giver's."""
    usual = giving.leverage if giving.sub_account_id != HOUSE else asked.default_leverage
    return desk.standing_leverage(taking.sub_account_id, taking.symbol) or usual


def _handed_on(draft: Draft, told: IncidentRow, quantity: Decimal, *, to: str, by: str) -> None:
    """Note in the incident of a foreign order how much of it has found its owner."""
    evidence = decode_object(told.evidence)
    handed = Decimal(evidence.get("handedOn", 0)) + quantity
    if handed == Decimal(evidence.get("quantity", 0)):
        note_settled(draft, kind=told.kind, subject=told.subject, how=f"all of it went to {to}", by=by)
        return
    note_incident(
        draft,
        kind=told.kind,
        severity=told.severity,
        detail=told.detail,
        subject=told.subject,
        evidence={**evidence, "handedOn": plain(handed)},
    )


def _hand_over(
    desk: Desk,
    draft: Draft,
    asked: Asked,
    giving: Position,
    taking: Position,
    *,
    quantity: Decimal,
    price: Decimal,
    commission: Decimal = ZERO,
    trade: str | None = None,
) -> Posting:
    """Move quantity at a price: a trade on either side, which the exchange never saw."""
    realized = ZERO
    giver, taker, symbol = giving.sub_account_id, taking.sub_account_id, taking.symbol
    if not taking.quantity:
        desk.set_leverage(taker, symbol, _leverage(desk, asked, giving, taking))
    reference = asked.request_id
    told = []
    for position, signed, paid in ((giving, -quantity, -commission), (taking, quantity, commission)):
        view = position_view(position) if position.quantity else None
        move = apply_move(desk, draft, position, signed, price, at=asked.now, paid=paid)
        desk.post(
            draft,
            account=position.sub_account_id,
            amount=move.realized,
            reason="REALIZED_PNL",
            reference=reference,
        )
        realized += move.realized
        told.append((position, move, view))
    desk.post(draft, account=HOUSE, amount=-realized, reason="NETTING", reference=reference)
    account = giver if taker == HOUSE else taker
    cover_flat(desk, draft, account)
    for position, move, view in told:
        tell_move(
            desk,
            draft,
            position,
            move,
            closed_view=view,
            reason=draft.kind.upper(),
            account=desk.snapshot(position.sub_account_id),
        )
    details = {"from": giver, "to": taker, "quantity": plain(quantity), "price": plain(price)}
    if commission:
        details["commission"] = plain(commission)
    if trade is not None:
        details["trade"] = trade
    return _done(desk, draft, asked, account=account, symbol=symbol, details=details)


def _instrument(desk: Desk, symbol: str) -> Instrument:
    found = desk.instruments.get(symbol) or rules_of_held(desk, symbol)
    if found is None:
        told = f"the exchange does not list {symbol}, and nobody holds it"
        raise Refusal(Code.UNKNOWN_SYMBOL, told, field="symbol", actual=symbol)
    return found


def _steps(instrument: Instrument, quantity: Decimal) -> Decimal:
    if not quantity or quantity % instrument.step:
        raise Refusal(
            Code.QUANTITY_STEP,
            f"quantity must be a multiple of {plain(instrument.step)}, and not zero",
            field="quantity",
            limit=plain(instrument.step),
            actual=plain(quantity),
        )
    return canonical(quantity)


def _price(instrument: Instrument, price: Decimal | None, *, otherwise: Decimal) -> Decimal:
    """A price on its tick, so that costs keep to eight decimals; the given one must be on it."""
    if price is None:
        return (otherwise / instrument.tick).quantize(Decimal(1)) * instrument.tick
    try:
        snapped = instrument.snap_price(price)
    except InstrumentError as error:
        raise Refusal(
            Code(error.code), str(error), field=error.field, limit=error.limit, actual=error.actual
        ) from None
    return snapped


def _contradicted(text: str, *, limit: object, actual: object) -> Refusal:
    return Refusal(Code.EVIDENCE, text, field="outcome", limit=limit, actual=actual)


def _done(
    desk: Desk,
    draft: Draft,
    asked: Asked,
    *,
    account: str,
    details: dict[str, str],
    symbol: str | None = None,
) -> Posting:
    result = Result(
        success=True,
        request_id=asked.request_id,
        command=asked.command,
        sub_account_id=account,
        symbol=symbol,
        state="done",
        details={**details, "balance": plain(desk.accounts[account].balance)},
    )
    shown = tuple(each for each in desk.snapshots(draft) if each[0] != HOUSE)
    return decided(desk, draft, asked, result, decision="admitted", final=False, snapshots=shown)
