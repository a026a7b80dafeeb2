"""Placing one order: judged by every check, then reserved and registered in the same step."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import cast
from uuid import UUID

from pms.contract.codes import Code, Refusal
from pms.contract.commands import Close, PositionSide, Side, Trade
from pms.contract.money import booked, plain
from pms.contract.names import HOUSE
from pms.contract.results import Result
from pms.domain.checks import (
    check_open,
    check_reducing,
    check_symbol_open,
    closing,
    fresh_top,
    leverage_of,
    listed,
    on_the_grid,
    price_and_time,
    touch,
    trading_account,
)
from pms.domain.decisions import Asked, answer_of, decided, met, order_id_for
from pms.domain.desk import TAKER_FEE, Desk
from pms.domain.dust import closable, exempt_by_exchange
from pms.domain.halts import refuse_halted
from pms.domain.leverage_brackets import check_ordered
from pms.domain.limit_checks import check_leverage, check_limits
from pms.domain.liquidating import refuse_liquidating
from pms.domain.orders import Order, OrderSpec
from pms.domain.pace_checks import check_count, check_rate, check_repeat
from pms.domain.position_sides import sided
from pms.domain.positions import Place, Position
from pms.domain.posting import Draft, Posting
from pms.domain.price_checks import check_price, check_valued
from pms.domain.rows import order_row, position_row, position_view
from pms.domain.siblings import apart
from pms.domain.stakes import stake_of
from pms.domain.treasury import signed

ZERO = Decimal(0)
MOMENTARY = frozenset({None, "IOC", "FOK"})
"""Times in force of what cannot rest; a MARKET order has none."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A trade that may be placed, on the symbol's grid."""

    trade: Trade
    quantity: Decimal
    price: Decimal | None
    time_in_force: str | None
    leverage: int
    opens: bool
    #: more than what closes its own position, with all else that may trade on its side
    venue_reduce_only: bool = False
    apart: bool = False
    #: priced away from a sibling's order

    @property
    def place(self) -> Place:
        """The position that it is for."""
        return self.trade.place


def admit_trade(desk: Desk, asked: Asked, command: Trade) -> Posting:
    """Decide one order."""
    check_open(asked)
    return _place(desk, asked, judge_trade(desk, asked, command), kind="M")


def admit_close(desk: Desk, asked: Asked, command: Close) -> Posting:
    """Decide the close of one position."""
    check_open(asked)
    position = desk.find_position(str(command.position_id))
    if position is None:
        raise Refusal(
            Code.UNKNOWN_POSITION,
            "there is no open position with this id",
            field="positionId",
            actual=command.position_id,
        )
    if position.sub_account_id == HOUSE:
        raise Refusal(Code.HOUSE_ONLY, "the house does not trade by command", field="positionId")
    return _place(desk, asked, judge_close(desk, asked, position), kind="C")


def judge_trade(
    desk: Desk, asked: Asked, command: Trade, *, repeated: bool = False, later: bool = False
) -> Judged:
    """Check everything about a trade but its margin; raises Refusal.

    `repeated`: the like of it may have been placed a moment ago, as algos do. `later`: it is not placed now,
    so that it is neither one order more nor one too fast.
    """
    account = trading_account(desk, command.sub_account_id)
    command = sided(account, command)
    refuse_halted(desk, account.id, reduce_only=command.reduce_only)
    instrument = listed(desk, command.symbol)
    check_symbol_open(desk, command)
    top = fresh_top(desk, command.symbol)
    price, tif = price_and_time(command)
    at_once = command.reduce_only and tif in MOMENTARY
    refuse_liquidating(desk, account.id, field="subAccountId", reduces_at_once=at_once)
    quantity, price = on_the_grid(instrument, command, price=price, top=top)
    away = apart(desk, instrument, command, price=price, top=top)
    moved = away != price
    if moved:
        quantity, price = on_the_grid(instrument, command, price=away, top=top)
    at = touch(top, command.side) if price is None else price
    stake = stake_of(desk, command, quantity=quantity, price=price, at=at, momentary=tif in MOMENTARY)
    check_reducing(desk, command, quantity, frozen=account.status != "ACTIVE")
    leverage = leverage_of(desk, asked, account.id, instrument, named=command.leverage, opens=stake.opens)
    exempt = exempt_by_exchange(desk, instrument, command, quantity=quantity, price=price, now=asked.now)
    check_ordered(desk, instrument, stake, leverage=leverage, mid=top.mid)
    check_leverage(desk, stake, leverage=leverage)
    check_price(desk, asked, stake, top)
    check_limits(desk, asked, stake, top)
    if not later:
        check_count(desk, stake)
        check_rate(desk, asked, stake)
    if not repeated:
        check_repeat(desk, asked, stake)
    return Judged(command, quantity, price, tif, leverage, stake.opens, exempt, apart=moved)


def judge_close(desk: Desk, asked: Asked, position: Position) -> Judged:
    """The market order that closes what is left of a position; raises Refusal."""
    refuse_halted(desk, position.sub_account_id, reduce_only=True)
    instrument = listed(desk, position.symbol)
    top = fresh_top(desk, position.symbol)
    side: Side = "SELL" if position.quantity > 0 else "BUY"
    taken = closing(desk, position.place, side)
    quantity = abs(position.quantity) - taken
    if quantity <= 0:
        raise Refusal(
            Code.REDUCE_ONLY,
            "live orders already close all of the position",
            field="positionId",
            limit=plain(abs(position.quantity)),
            actual=plain(taken),
        )
    trade = Trade.model_construct(
        request_id=UUID(asked.request_id),
        sub_account_id=position.sub_account_id,
        symbol=position.symbol,
        side=side,
        quantity=closable(instrument, quantity),
        leverage=position.leverage,
        type="MARKET",
        price=None,
        time_in_force=None,
        reduce_only=True,
        position_side=cast("PositionSide", position.position_side),
    )
    quantity, _ = on_the_grid(instrument, trade, price=None, top=top)
    apart(desk, instrument, trade, price=None, top=top)
    exempt = exempt_by_exchange(desk, instrument, trade, quantity=quantity, price=None, now=asked.now)
    at = touch(top, side)
    stake = stake_of(desk, trade, quantity=quantity, price=None, at=at, momentary=True)
    check_limits(desk, asked, stake, top)
    return Judged(trade, quantity, None, None, position.leverage, opens=False, venue_reduce_only=exempt)


def register(
    desk: Desk,
    asked: Asked,
    judged: Judged,
    *,
    client_order_id: str,
    request_id: str | None,
    parent_id: str | None = None,
    origin: str = "MANUAL",
) -> Order:
    """Reserve an order's margin and take it in; raises Refusal, and then nothing has changed.

    Trap: what only closes needs no margin, whatever it says of itself. Who has none left, or less than the
    fee, could not leave his position otherwise.

    `request_id` is that of a command whose result is this one order's.
    """
    command = judged.trade
    if judged.opens:
        check_valued(desk, command.sub_account_id)
    spec = OrderSpec(
        client_order_id=client_order_id,
        sub_account_id=command.sub_account_id,
        symbol=command.symbol,
        side=command.side,
        type=command.type,
        quantity=judged.quantity,
        price=judged.price,
        time_in_force=judged.time_in_force,
        reduce_only=command.reduce_only,
        leverage=judged.leverage,
        origin=origin,
        parent_id=parent_id,
        request_id=request_id,
        epoch=desk.epoch,
        deadline=asked.deadline,
        admitted_at=asked.now,
        position_side=command.place[2],
        venue_reduce_only=judged.venue_reduce_only,
    )
    order = Order(spec=spec, quantity=spec.quantity, price=spec.price, updated_at=asked.now)
    position = desk.position(*spec.place)
    old_leverage = position.leverage
    desk.add_order(order)
    if position.leverage != spec.leverage and desk.standing_leverage(spec.sub_account_id, spec.symbol):
        desk.set_leverage(spec.sub_account_id, spec.symbol, spec.leverage)
    available = desk.available_margin(spec.sub_account_id)
    at = spec.price or touch(desk.tops[spec.symbol], spec.side)
    fee = booked(spec.quantity * at * TAKER_FEE)
    if judged.opens and available < fee:
        desk.forget_order(order)
        desk.set_leverage(spec.sub_account_id, spec.symbol, old_leverage)
        before = desk.available_margin(spec.sub_account_id)
        raise Refusal(
            Code.MARGIN,
            f"the order needs {plain(before - available + fee)} of margin and fee; "
            f"{plain(before)} is available",
            field="quantity",
            limit=plain(before),
            actual=plain(before - available + fee),
        )
    try:
        if judged.opens:
            _carried(desk, order)
    except Refusal:
        desk.forget_order(order)
        desk.set_leverage(spec.sub_account_id, spec.symbol, old_leverage)
        raise
    desk.pace.note_order(desk.limits, spec)
    return order


@dataclass(slots=True)
class Leverages:
    """The leverage of positions before a command's orders, which may have given them another."""

    desk: Desk
    was: dict[Place, int] = field(default_factory=dict)

    def before(self, judged: Judged) -> None:
        """Remember the leverage of what an order's symbol may hold."""
        for position in self.desk.positions_in(judged.trade.sub_account_id, judged.trade.symbol):
            self.was.setdefault(position.place, position.leverage)

    def restore(self) -> None:
        """Give each position the leverage that it had: the orders are taken back."""
        for key, leverage in self.was.items():
            self.desk.position(*key).leverage = leverage

    def note(self, draft: Draft) -> None:
        """Journal the leverage that is another from now on, whatever becomes of the order.

        A flat position's is forgotten with the order, unless a command of its own has set it.
        """
        for key, leverage in self.was.items():
            position = self.desk.position(*key)
            if position.keeps_leverage and position.leverage != leverage:
                draft.positions[key] = position_row(position)
                draft.leverages_were[key] = leverage


def _carried(desk: Desk, order: Order) -> None:
    """Whether the exchange account itself can carry the order."""
    spec, headroom = order.spec, desk.headroom
    needed = headroom.need(
        spec.symbol,
        net=desk.treasury.net.get(spec.symbol, ZERO),
        quantity=signed(spec.side, order.quantity),
        price=order.price or touch(desk.tops[spec.symbol], spec.side),
    )
    headroom.require(needed)
    if needed:
        headroom.uncounted[spec.client_order_id] = needed


def _place(desk: Desk, asked: Asked, judged: Judged, *, kind: str) -> Posting:
    """Register and journal one order."""
    coid = order_id_for(desk, asked, judged.trade.sub_account_id, kind=kind)
    if coid in desk.orders:
        return met(desk, asked, answer_of(asked, desk.orders[coid]))
    leverages = Leverages(desk)
    leverages.before(judged)
    order = register(desk, asked, judged, client_order_id=coid, request_id=asked.request_id)
    spec = order.spec
    draft = desk.draft("admitted", at=asked.now)
    draft.orders[coid] = order_row(order)
    leverages.note(draft)
    held = desk.holds(spec.place)
    result = Result(
        success=True,
        request_id=asked.request_id,
        command=asked.command,
        sub_account_id=spec.sub_account_id,
        symbol=spec.symbol,
        side=spec.side,
        quantity=spec.quantity,
        order_id=coid,
        state="placing",
        position=position_view(held) if held else None,
        details={"pricedApart": plain(spec.price)} if judged.apart and spec.price else None,
    )
    return decided(desk, draft, asked, result, decision="admitted", final=False, orders=(order,))
