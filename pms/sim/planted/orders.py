"""Bugs planted on purpose, so that it is known what the simulator finds. Each is a bug that was made once,
somewhere; each is patched into this process only (`planting`).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from msgspec.structs import replace

import pms.domain.placing as admitting
import pms.flows.place as placing
from pms.binance import client, errors
from pms.binance.frames import decode_user
from pms.binance.user_messages import TradeLite
from pms.bus import journal
from pms.contract.commands import Trade
from pms.contract.journal import OrderRow
from pms.contract.names import BOTH, HOUSE
from pms.domain import booking, decisions, recalling
from pms.domain.desk import Desk
from pms.domain.orders import Order, Refused, Seen, State
from pms.domain.position_sides import side_for
from pms.domain.positions import Position
from pms.domain.sub_accounts import SubAccount
from pms.flows import panic
from pms.sim.planted.planting import Patch, mutant, script
from pms.streamer import attention, engine, process, user_feed
from pms.streamer.start import load_desk

ZERO = Decimal(0)


@mutant("what may only reduce stays, whatever becomes of its position")
def left_to_open() -> Sequence[Patch]:
    return [(booking, "fit_to", lambda *_: None)]


@mutant("panic takes what it sent for done")
def panic_believes() -> Sequence[Patch]:
    async def flatten(*_: Any) -> bool:
        return True

    return [(panic, "flatten", flatten)]


# --- sending ---


@mutant("the send right looks at no halt")
def halts_not_looked_at() -> Sequence[Patch]:
    return script("take_right", "return 'halted'", "break")


@mutant("the send right looks at the halt of the account, and not at that of everything")
def halt_of_all_ignored() -> Sequence[Patch]:
    return script("take_right", "if halt and not (", "if halt and key ~= KEYS[4] and not (")


@mutant("a placement whose outcome is unknown is sent again")
def double_send() -> Sequence[Patch]:
    send = client.ExchangeClient.send

    async def twice(self: Any, signed: Any) -> Any:
        try:
            return await send(self, signed)
        except errors.Unknown:
            return await send(self, signed)

    return [(client.ExchangeClient, "send", twice)]


@mutant("an amendment carries what is left, and not the total")
def amend_carries_remainder() -> Sequence[Patch]:
    real = journal._send_text

    def text(order: OrderRow, *, amended: bool = False) -> str:
        if amended and order.amend_quantity is not None:
            order = replace(order, amend_quantity=order.amend_quantity - order.filled_qty)
        return real(order, amended=amended)

    return [(journal, "_send_text", text)]


@mutant("the send right is given to whoever asks")
def right_given_twice() -> Sequence[Patch]:
    return script("take_right", "then return 'taken' end", "then end")


@mutant("the send right survives the epoch that it was admitted under")
def right_survives_epoch() -> Sequence[Patch]:
    return script("take_right", "then return 'epoch' end", "then end")


@mutant("the send right is given after the deadline")
def right_after_deadline() -> Sequence[Patch]:
    return script("take_right", "then return 'late' end", "then end")


@mutant("a void order can still be sent: its right is not closed")
def void_leaves_right_open() -> Sequence[Patch]:
    return script("close_right", "redis.call('SET', KEYS[2], 'void', 'EX', ARGV[3])", "")


@mutant("a repeated command makes another order")
def repeat_is_another_order() -> Sequence[Patch]:
    made = iter(range(1 << 30))
    real = decisions.client_order_id
    space = uuid5(NAMESPACE_OID, "again")

    def fresh(account: str, kind: str, request_id: str, *, at: int, part: str = "") -> str:
        return real(account, kind, str(uuid5(space, f"{request_id}{next(made)}")), at=at, part=part)

    return [(decisions, "client_order_id", fresh), (recalling, "parent_of", lambda *_, **__: "")]


# --- what the exchange said ---


@mutant("every 5xx is taken for a refusal")
def unknown_is_refused() -> Sequence[Patch]:
    real = errors.classify

    def classify(status: int, headers: Any, body: bytes) -> errors.ExchangeError:
        if status >= 500:
            return errors.Refused(f"HTTP {status}", http=status)
        return real(status, headers, body)

    return [(client, "classify", classify)]


@mutant("a lost connection is taken for a request that was never sent")
def lost_is_unsent() -> Sequence[Patch]:
    real = placing.report_error

    async def report(deps: Any, order: str, error: Exception) -> None:
        unsent = errors.Unsent("no connection") if isinstance(error, errors.Unknown) else error
        await real(deps, order, unsent)  # type: ignore[arg-type]

    return [(placing, "report_error", report)]


@mutant("one absence proves that an order was not executed")
def absent_once_is_proof() -> Sequence[Patch]:
    async def absent(self: Any, order: Order, care: Any, found: Any, *, signed_at: int | None) -> None:
        self.engine.observe(order, Refused("not found"))

    return [(attention.Attention, "_absent", absent)]


@mutant("an order without an answer is rejected by a timer")
def timer_makes_terminal() -> Sequence[Patch]:
    async def give_up(self: Any, order: Order, care: Any) -> float | None:
        if self.redis_now_ms() - order.spec.admitted_at < 600:
            return 0.3
        self.engine.observe(order, Refused("no answer in time"))
        return None

    return [(attention.Attention, "_unproven", give_up)]


@mutant("the newest word sets the state, however weak it is")
def stale_word_regresses() -> Sequence[Patch]:
    def hear(self: Order, fact: Seen) -> None:
        self.exchange_order_id, self.doubt, self.word = fact.exchange_order_id, False, fact.word
        self.venue_filled = max(self.venue_filled, fact.filled)

    return [(Order, "_hear", hear)]


@mutant("an order is over though trades of it are missing")
def trades_not_awaited() -> Sequence[Patch]:
    return [(Order, "trades_missing", property(lambda self: False))]


# --- booking ---


@mutant("an order without an answer is rejected by a timer, and the fill that follows is dropped")
def fill_dropped_after_reject() -> Sequence[Patch]:
    real = booking.book

    def book(desk: Desk, trade: booking.Trade, *, fact: Seen | None = None) -> Any:
        order = desk.orders.get(trade.client_order_id or "")
        dropped = order is not None and order.refused is not None
        return None if dropped else real(desk, trade, fact=fact)

    return [(engine, "book", book), *timer_makes_terminal()]


@mutant("a trade that comes twice is booked twice")
def fill_booked_twice() -> Sequence[Patch]:
    real = Desk.first_sight

    def always(self: Desk, symbol: str, exchange_order_id: int, trade_id: int) -> bool:
        real(self, symbol, exchange_order_id, trade_id)
        return True

    return [(Desk, "first_sight", always)]


@mutant("a trade is known by its id alone, whatever its symbol")
def trade_known_by_number() -> Sequence[Patch]:
    real = Desk.first_sight

    def by_number(self: Desk, symbol: str, exchange_order_id: int, trade_id: int) -> bool:
        if any(each[2] == trade_id for each in self.trades):
            return False
        return real(self, symbol, exchange_order_id, trade_id)

    return [(Desk, "first_sight", by_number)]


@mutant("TRADE_LITE is booked as a fill")
def trade_lite_booked() -> Sequence[Patch]:
    real = user_feed.UserFeed.frame

    def frame(self: Any, raw: bytes) -> None:
        event = decode_user(raw) if self.held is None else None
        if not isinstance(event, TradeLite):
            real(self, raw)
            return
        trade = booking.Trade(
            symbol=event.symbol,
            exchange_order_id=event.order_id,
            trade_id=event.trade_id,
            client_order_id=event.client_order_id,
            side=event.side,
            price=event.last_price,
            quantity=event.last_quantity,
            commission=ZERO,
            commission_asset="USDT",
            realized_pnl=ZERO,
            maker=event.maker,
            at=event.time,
        )
        self.engine.book(trade)

    return [(user_feed.UserFeed, "frame", frame)]


@mutant("a fill of the feed moves the proven cursor")
def cursor_moved_by_feed() -> Sequence[Patch]:
    real = engine.Engine.book

    def book(self: Any, trade: booking.Trade, *, seen: Seen | None = None) -> bool:
        new = real(self, trade, seen=seen)
        self.outbox.add(booking.prove_cursor(self.desk, trade.symbol, trade.trade_id, at=trade.at))
        return new

    return [(engine.Engine, "book", book)]


@mutant("commissions are not booked")
def commission_forgotten() -> Sequence[Patch]:
    return [(booking, "_commission", lambda *args, **named: None)]


@mutant("what netting earns or costs is booked to nobody")
def netting_forgotten() -> Sequence[Patch]:
    real = Desk.post

    def post(self: Desk, draft: Any, **named: Any) -> None:
        if named["reason"] != "NETTING":
            real(self, draft, **named)

    return [(Desk, "post", post)]


@mutant("a position that is crossed keeps the old one's cost")
def flip_keeps_cost() -> Sequence[Patch]:
    real = Position.trade

    def trade(self: Position, signed_quantity: Decimal, price: Decimal) -> Any:
        before, cost = self.quantity, self.cost
        move = real(self, signed_quantity, price)
        if before * self.quantity < 0:
            self.cost += cost
        return move

    return [(Position, "trade", trade)]


@mutant("a SELL for the LONG is admitted and booked whatever the long is")
def long_below_zero() -> Sequence[Patch]:
    def sided(account: SubAccount, command: Trade) -> Trade:
        return command.model_copy(update={"position_side": side_for(account, command.position_side)})

    def parts_of(
        desk: Desk, account: str, symbol: str, asked: str | None, quantity: Decimal
    ) -> list[tuple[Position, Decimal]]:
        return [(desk.position(account, symbol, asked or BOTH), quantity)]

    return [(admitting, "sided", sided), (booking, "parts_of", parts_of)]


@mutant("a trade of a hedged account moves the one position of one-way mode")
def hedged_as_one_way() -> Sequence[Patch]:
    def parts_of(
        desk: Desk, account: str, symbol: str, asked: str | None, quantity: Decimal
    ) -> list[tuple[Position, Decimal]]:
        return [(desk.position(account, symbol), quantity)]

    return [(booking, "parts_of", parts_of)]


@mutant("a fill of a known order goes to the house")
def fill_to_the_house() -> Sequence[Patch]:
    real = booking._settle

    def settle(desk: Desk, draft: Any, trade: Any, *, owner: str, order: Order | None) -> None:
        real(desk, draft, trade, owner=HOUSE if trade.maker else owner, order=order)

    return [(booking, "_settle", settle)]


@mutant("a finished order keeps its margin")
def margin_not_released() -> Sequence[Patch]:
    leaves = property(lambda self: max(self.quantity - self.filled_qty, ZERO))
    return [(Order, "leaves", leaves)]


# --- the journal and recovery ---


@mutant("seqs go on from what Redis has, even if it lost its tail")
def seq_reset() -> Sequence[Patch]:
    real = load_desk

    async def load(desk: Desk, **named: Any) -> int:
        seq = await real(desk, **named)
        desk.first_seq_after = 0
        return seq

    return [(process, "load_desk", load)]


@mutant("a command is decided though it has a decision")
def decided_twice() -> Sequence[Patch]:
    return script("journal", "return not record[1] and (now", "return true or (now")


@mutant("an admitted command that nobody has proven expires")
def admitted_expires() -> Sequence[Patch]:
    return script("settle", "if not record[2] then", "if not record[2] or record[2] == 'admitted' then")


@mutant("a recovered order without a right is called void though Redis is another")
def forgotten_right_is_none() -> Sequence[Patch]:
    return [(attention.Attention, "same_redis", _AlwaysTrue())]


@mutant("what an entry moves of an account without telling of it is shown as before")
def moved_and_shown_as_before() -> Sequence[Patch]:
    return [(journal, "_moved", lambda entry: {})]


@mutant("an order's projection is written once")
def projection_forgotten() -> Sequence[Patch]:
    real = journal._project
    return [(journal, "_project", lambda order: real(order) if order.state == State.PLACING else [])]


class _AlwaysTrue:
    """An attribute that is true whatever is assigned to it."""

    def __get__(self, owner: object, kind: type | None = None) -> bool:
        return True

    def __set__(self, owner: object, value: bool) -> None:
        """Forget it."""
