"""The desk: every sub-account, order and position in memory, and the one writer of the journal's entries.

Pure: time, prices and ids come in as arguments. `admission`, `booking` and `custody` decide;
this file holds the state, keeps its sums, and turns it into rows and snapshots.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import NAMESPACE_OID, uuid5

from pms.contract.account import Account, PositionView
from pms.contract.journal import HaltRow, LedgerRow, OrderRow, PositionRow, Rows, SubAccountRow, UnwindRow
from pms.contract.money import booked
from pms.contract.names import HOUSE, amend_id
from pms.contract.results import Result
from pms.domain.headroom import Headroom
from pms.domain.instrument import Instrument
from pms.domain.open_incidents import OpenIncidents
from pms.domain.orders import Amendment, Order, OrderSpec, State
from pms.domain.positions import Position
from pms.domain.posting import Draft
from pms.domain.resting import RestingOrders
from pms.domain.treasury import WALLET, Treasury

ZERO = Decimal(0)
KEPT_TRADES = 500_000
KEPT_REQUESTS = 200_000
KEPT_CLOSED_ORDERS = 100_000
"""Memory bounds: a late message older than these finds PostgreSQL's unique keys instead."""

PARENT_LENGTH = 20
"""Characters at the end of a client order id that name the command it came of."""

TAKER_FEE = Decimal("0.0005")
"""Binance USDⓈ-M taker commission at VIP 0; only an estimate, the exchange's own is booked."""


@dataclass(frozen=True, slots=True)
class Top:
    """Best bid and ask of a symbol with their quantities, and the exchange time, ms."""

    bid: Decimal
    bid_qty: Decimal
    ask: Decimal
    ask_qty: Decimal
    at: int

    @property
    def mid(self) -> Decimal:
        return (self.bid + self.ask) / 2


@dataclass(frozen=True, slots=True)
class Mark:
    """The exchange's mark price of a symbol, and when it was heard, by our clock, ms."""

    price: Decimal
    heard_at: int


@dataclass(slots=True)
class SubAccount:
    """A virtual account; its balance is always the sum of its ledger entries."""

    id: str
    label: str = ""
    status: str = "ACTIVE"
    balance: Decimal = ZERO
    created_at: int = 0
    tier: int = 0
    #: of its liquidation; 0 is none
    open_orders: int = 0

    def row(self) -> SubAccountRow:
        return SubAccountRow(
            id=self.id,
            label=self.label,
            status=self.status,
            balance=self.balance,
            created_at=self.created_at,
            tier=self.tier,
        )


@dataclass(slots=True)
class Pending:
    """What a sub-account's live orders in one symbol may still trade, by side."""

    buy_qty: Decimal = ZERO
    buy_notional: Decimal = ZERO
    sell_qty: Decimal = ZERO
    sell_notional: Decimal = ZERO

    def add(self, *, side: str, quantity: Decimal, notional: Decimal) -> None:
        if side == "BUY":
            self.buy_qty += quantity
            self.buy_notional += notional
        else:
            self.sell_qty += quantity
            self.sell_notional += notional

    def margin(self, position: Decimal, leverage: int) -> Decimal:
        """The worse side's margin; what only reduces the position reserves nothing."""
        buys = _beyond(self.buy_qty, self.buy_notional, max(-position, ZERO))
        sells = _beyond(self.sell_qty, self.sell_notional, max(position, ZERO))
        return booked(max(buys, sells) / leverage)


@dataclass(slots=True)
class Desk:
    """All trading state of one exchange account."""

    epoch: str
    last_seq: int = 0
    first_seq_after: int = 0
    #: the first entry of this epoch takes a seq behind it
    accounts: dict[str, SubAccount] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    live: dict[str, Order] = field(default_factory=dict)
    live_of: dict[str, dict[str, Order]] = field(default_factory=dict)
    #: the same by sub-account
    by_exchange: dict[tuple[str, int], str] = field(default_factory=dict)
    by_parent: dict[str, str] = field(default_factory=dict)
    #: the order that came of a command, by the part of its id that names the command
    by_number: dict[int, set[str]] = field(default_factory=dict)
    by_position_id: dict[str, Position] = field(default_factory=dict)
    positions: dict[tuple[str, str], Position] = field(default_factory=dict)
    held: dict[str, dict[str, Position]] = field(default_factory=dict)
    pending: dict[str, dict[str, Pending]] = field(default_factory=dict)
    reserved: dict[str, tuple[str, Decimal, Decimal]] = field(default_factory=dict)
    resting: RestingOrders = field(default_factory=RestingOrders)
    trades: OrderedDict[tuple[str, int, int], None] = field(default_factory=OrderedDict)
    newest_trades: dict[str, int] = field(default_factory=dict)
    forgotten_trades: dict[str, int] = field(default_factory=dict)
    #: the newest trade of each symbol whose key is no more in memory
    requests: OrderedDict[str, tuple[str, Result]] = field(default_factory=OrderedDict)
    cursors: dict[str, int] = field(default_factory=dict)
    tops: dict[str, Top] = field(default_factory=dict)
    last_tops: dict[str, Top] = field(default_factory=dict)
    #: also of symbols that are out of sync
    marks: dict[str, Mark] = field(default_factory=dict)
    unwinds: dict[str, Decimal] = field(default_factory=dict)
    #: by symbol, what the house took over and has not yet closed
    unweighed: set[str] = field(default_factory=set)
    #: accounts whose balance or positions changed since they were weighed last
    instruments: dict[str, Instrument] = field(default_factory=dict)
    closed: OrderedDict[str, None] = field(default_factory=OrderedDict)
    legs: dict[str, Result] = field(default_factory=dict)
    #: by requestId, what a command of several orders will be answered, until each of them is proven;
    #: one of an earlier epoch is answered from its record at the deadline
    forgotten_until: int = 0
    #: what closed up to here, exchange or Redis ms, may be in PostgreSQL and no more in memory
    incidents: OpenIncidents = field(default_factory=OpenIncidents)
    treasury: Treasury = field(default_factory=Treasury)
    headroom: Headroom = field(default_factory=Headroom)
    halts: dict[str, HaltRow] = field(default_factory=dict)
    #: those in force, by scope
    _position_ids: dict[tuple[str, str], str] = field(default_factory=dict)

    # --- drafts ---

    def draft(self, kind: str, *, at: int) -> Draft:
        """Begin an entry; nothing else may be drafted before it is sealed."""
        return Draft(
            prev=self.last_seq,
            base=max(self.last_seq, self.first_seq_after),
            at=at,
            kind=kind,
            open_incidents=self.incidents,
        )

    def sealed(self, draft: Draft) -> Draft:
        """Take the draft's seqs and positions: from here on it is part of the chain."""
        self.treasury.note(draft)
        self.unweighed.update(draft.sub_accounts)
        self.unweighed.update(account for account, _ in draft.positions)
        self.last_seq = draft.seq
        return draft

    def price(self, symbol: str, top: Top) -> None:
        """Take a symbol's best bid and ask as they now are."""
        self.tops[symbol] = self.last_tops[symbol] = top

    # --- accounts ---

    def open_account(self, account: SubAccount) -> None:
        """Add an account; its tag, the first eight characters, must be free."""
        before = self.accounts.get(account.id)
        self.treasury.total += account.balance - (before.balance if before else ZERO)
        self.accounts[account.id] = account
        self.tags[tag(account.id)] = account.id

    def post(
        self,
        draft: Draft,
        *,
        account: str,
        amount: Decimal,
        reason: str,
        reference: str | None,
        asset: str = WALLET,
    ) -> None:
        """Move one balance: a ledger line and the balance after it, in the same entry.

        Trap: only the house holds another asset than USDT.
        """
        if not amount:
            return
        if asset == WALLET:
            holder = self.accounts[account]
            holder.balance += amount
            self.treasury.total += amount
            draft.sub_accounts[account] = holder.row()
        else:
            self.treasury.move_asset(draft, asset=asset, amount=amount)
        draft.ledger.append(
            LedgerRow(
                seq=draft.first_seq,
                line=len(draft.ledger),
                sub_account_id=account,
                asset=asset,
                amount=amount,
                reason=reason,
                reference=reference,
                at=draft.at,
            )
        )

    def snapshot(self, account: str) -> Account:
        """The account as a trader sees it, valued at mid; at entry where there is no price."""
        held = self.held.get(account, {})
        equity = balance = self.accounts[account].balance
        margin = self.reserved_margin(account)
        views = []
        for position in held.values():
            top = self.tops.get(position.symbol)
            equity += position.unrealized(top.mid) if top else ZERO
            margin += position.margin
            views.append(position_view(position))
        equity = booked(equity)
        return Account(
            balance=balance,
            equity=equity,
            margin_used=margin,
            available_margin=equity - margin,
            positions=views,
        )

    def snapshots(self, draft: Draft) -> tuple[tuple[str, Account], ...]:
        """The accounts whose balance a draft moved, as a trader sees them now."""
        return tuple((account, self.snapshot(account)) for account in draft.sub_accounts)

    def reserved_margin(self, account: str) -> Decimal:
        """What the account's open orders hold back."""
        total = ZERO
        for symbol, pending in self.pending.get(account, {}).items():
            position = self.position(account, symbol)
            total += pending.margin(position.quantity, position.leverage)
        return total

    # --- positions ---

    def position(self, account: str, symbol: str) -> Position:
        """The position, flat if there has been none."""
        found = self.positions.get((account, symbol))
        if found is None:
            found = self.positions[account, symbol] = Position(account, symbol, leverage=1)
        return found

    def touch_position(self, position: Position) -> None:
        """Keep the index of open positions in step."""
        held = self.held.setdefault(position.sub_account_id, {})
        self.by_position_id.pop(self._position_ids.pop((position.sub_account_id, position.symbol), ""), None)
        held.pop(position.symbol, None)
        if position.quantity:
            held[position.symbol] = position
            self.by_position_id[position.id] = position
            self._position_ids[position.sub_account_id, position.symbol] = position.id

    def find_position(self, position_id: str) -> Position | None:
        """The open position with this id."""
        return self.by_position_id.get(position_id)

    # --- orders ---

    def add_order(self, order: Order) -> None:
        """Index an order; a live one reserves margin."""
        coid = order.spec.client_order_id
        self.orders[coid] = order
        self.by_parent[coid[-PARENT_LENGTH:]] = coid
        self.learn_exchange_id(order)
        if not order.state.terminal:
            self.position(order.spec.sub_account_id, order.spec.symbol).leverage = order.spec.leverage
        self.reserve(order)

    def learn_exchange_id(self, order: Order) -> None:
        """Make an order findable by the exchange's id; ids are unique per symbol only."""
        if order.exchange_order_id is not None:
            coid = order.spec.client_order_id
            self.by_exchange[order.spec.symbol, order.exchange_order_id] = coid
            self.by_number.setdefault(order.exchange_order_id, set()).add(coid)

    def find_order(self, order_id: str) -> Order | None:
        """By client order id, or by the exchange's id if only one symbol uses it."""
        found = self.orders.get(order_id)
        if found is not None or not order_id.isdecimal():
            return found
        matches = self.by_number.get(int(order_id), set())
        return self.orders[next(iter(matches))] if len(matches) == 1 else None

    def reserve(self, order: Order) -> None:
        """Bring the sums over live orders in step with one order."""
        spec, coid = order.spec, order.spec.client_order_id
        account = self.accounts[spec.sub_account_id]
        pending = self.pending.setdefault(spec.sub_account_id, {}).setdefault(spec.symbol, Pending())
        _, old_qty, old_notional = self.reserved.pop(coid, (spec.side, ZERO, ZERO))
        was_live = coid in self.live
        leaves = order.leaves
        notional = order.notional(self._assumed_price(spec))
        pending.add(side=spec.side, quantity=leaves - old_qty, notional=notional - old_notional)
        if order.state.terminal:
            self.headroom.uncounted.pop(coid, None)
            self.live.pop(coid, None)
            self.live_of.get(spec.sub_account_id, {}).pop(coid, None)
            account.open_orders -= was_live
            self._retire(coid)
        else:
            self.live[coid] = self.live_of.setdefault(spec.sub_account_id, {})[coid] = order
            self.reserved[coid] = (spec.side, leaves, notional)
            account.open_orders += not was_live
        self._rest(order)
        if not pending.buy_qty and not pending.sell_qty:
            del self.pending[spec.sub_account_id][spec.symbol]

    def release(self, order: Order) -> None:
        """Take an order out of its account's sums; `reserve` puts it into those of whoever owns it then."""
        spec, coid = order.spec, order.spec.client_order_id
        side, quantity, notional = self.reserved.pop(coid, (spec.side, ZERO, ZERO))
        pending = self.pending.get(spec.sub_account_id, {}).get(spec.symbol)
        if pending is not None:
            pending.add(side=side, quantity=-quantity, notional=-notional)
            if not pending.buy_qty and not pending.sell_qty:
                del self.pending[spec.sub_account_id][spec.symbol]
        if self.live.pop(coid, None) is not None:
            self.live_of[spec.sub_account_id].pop(coid, None)
            self.accounts[spec.sub_account_id].open_orders -= 1

    def forget_order(self, order: Order) -> None:
        """Take back an order that was never journaled."""
        order.voided = "withdrawn"
        order.state = State.VOID
        self.reserve(order)
        self.orders.pop(order.spec.client_order_id, None)
        self._forget_parent(order.spec.client_order_id)
        self.closed.pop(order.spec.client_order_id, None)

    def _rest(self, order: Order) -> None:
        """Keep our resting prices in step: while an amendment is in flight the order may rest at two."""
        spec, coid = order.spec, order.spec.client_order_id
        wish = order.amend
        prices = {
            coid: None if order.state.terminal else order.price,
            amend_id(coid, order.amends): None if wish is None or order.state.terminal else wish.price,
        }
        for key, price in prices.items():
            if price is None:
                self.resting.remove(key)
            else:
                self.resting.put(key, symbol=spec.symbol, side=spec.side, price=price)

    def _assumed_price(self, spec: OrderSpec) -> Decimal:
        top = self.tops.get(spec.symbol)
        if top is None:
            return ZERO
        return top.ask if spec.side == "BUY" else top.bid

    def _retire(self, coid: str) -> None:
        """Closed orders stay findable, in bounded number."""
        self.closed[coid] = None
        self.closed.move_to_end(coid)
        while len(self.closed) > KEPT_CLOSED_ORDERS:
            oldest, _ = self.closed.popitem(last=False)
            order = self.orders.pop(oldest, None)
            self._forget_parent(oldest)
            if order is not None:
                self._forget(order)

    def _forget(self, order: Order) -> None:
        """Drop a closed order from memory. What is heard of it later is booked by the tag in its id."""
        self.forgotten_until = max(self.forgotten_until, order.updated_at)
        number = order.exchange_order_id
        if number is None:
            return
        self.by_exchange.pop((order.spec.symbol, number), None)
        # Ids are unique per symbol only: another symbol's order may have the same number.
        same = self.by_number.get(number, set())
        same.discard(order.spec.client_order_id)
        if not same:
            self.by_number.pop(number, None)

    def _forget_parent(self, coid: str) -> None:
        """Forget of which command an order came; the orders of a batch share theirs."""
        if self.by_parent.get(coid[-PARENT_LENGTH:]) == coid:
            del self.by_parent[coid[-PARENT_LENGTH:]]

    # --- halts ---

    def note_halt(self, row: HaltRow) -> None:
        """Take a halt as it now is; a lifted one is forgotten."""
        if row.mode == "RESUMED":
            self.halts.pop(row.scope, None)
        else:
            self.halts[row.scope] = row

    def note_unwind(self, row: UnwindRow) -> None:
        """Take what is left to unwind in a symbol."""
        if row.quantity:
            self.unwinds[row.symbol] = row.quantity
        else:
            self.unwinds.pop(row.symbol, None)

    # --- once-only keys ---

    def first_sight(self, symbol: str, exchange_order_id: int, trade_id: int) -> bool:
        """Whether this side of this trade is new; remembers it.

        A trade so old that its key was forgotten is known if a REST page has proven it booked.
        """
        key = (symbol, exchange_order_id, trade_id)
        proven = min(self.forgotten_trades.get(symbol, 0), self.cursors.get(symbol, 0))
        if key in self.trades or trade_id <= proven:
            return False
        self.trades[key] = None
        self.newest_trades[symbol] = max(trade_id, self.newest_trades.get(symbol, 0))
        if len(self.trades) > KEPT_TRADES:
            (old, _, number), _ = self.trades.popitem(last=False)
            self.forgotten_trades[old] = max(number, self.forgotten_trades.get(old, 0))
        return True

    def remember_request(self, request_id: str, text: str, answer: Result) -> None:
        """Keep a decision, so that a repeat meets it even if Redis forgot."""
        self.requests[request_id] = (text, answer)
        if len(self.requests) > KEPT_REQUESTS:
            self.requests.popitem(last=False)

    # --- recovery ---

    def load(self, rows: Rows) -> None:
        """Lay rows over the state: the newest of a key wins. Both sources of recovery come this way."""
        for account_row in rows.sub_accounts:
            known = self.accounts.get(account_row.id)
            account = SubAccount(
                id=account_row.id,
                label=account_row.label,
                status=account_row.status,
                balance=account_row.balance,
                created_at=account_row.created_at,
                tier=account_row.tier,
                open_orders=known.open_orders if known else 0,
            )
            self.open_account(account)
        for position_row in rows.positions:
            position = position_from(position_row)
            self.positions[position.sub_account_id, position.symbol] = position
            self.touch_position(position)
        for order_row in rows.orders:
            self.add_order(order_from(order_row))
        for fill in rows.fills:
            self.first_sight(fill.symbol, fill.exchange_order_id, fill.trade_id)
        for cursor in rows.cursors:
            self.cursors[cursor.symbol] = cursor.trade_id
        for incident in rows.incidents:
            self.incidents.take(incident)
        for halt in rows.halts:
            self.note_halt(halt)
        for unwind in rows.unwinds:
            self.note_unwind(unwind)
        for command in rows.commands:
            answer = Result.model_validate_json(command.answer)
            self.remember_request(command.request_id, command.text, answer)
        self.treasury.load(rows)

    def orders_of(self, account: str | None, symbol: str | None) -> list[Order]:
        """The live orders of an account, or of all; in a symbol, or in all."""
        live = self.live if account is None else self.live_of.get(account, {})
        return [order for order in live.values() if symbol is None or order.spec.symbol == symbol]


def tag(account: str) -> str:
    """The eight characters by which an account's orders are known at the exchange."""
    return account[:8]


def position_id(account: str, symbol: str, side: str, opened_seq: int) -> str:
    """The id of a position: the same for everyone who knows how it came into being."""
    return str(uuid5(NAMESPACE_OID, f"{account}:{symbol}:{side}:{opened_seq}"))


def position_view(position: Position) -> PositionView:
    """A position as it goes out."""
    return PositionView(
        id=position.id,
        symbol=position.symbol,
        side="SHORT" if position.quantity < 0 else "LONG",
        entry_price=position.entry_price,
        quantity=abs(position.quantity),
        margin=position.margin,
        leverage=position.leverage,
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
    )


def order_row(order: Order, *, unwanted: bool = False) -> OrderRow:
    """An order as it is journaled; `unwanted` tells a cancel that memory does not know of yet."""
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
        cancel_wanted=order.cancel_wanted or unwanted,
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
        ),
        quantity=row.quantity,
        price=row.price,
        exchange_order_id=row.exchange_order_id,
        word=_LAST_WORD.get(state),
        venue_filled=row.filled_qty,
        filled_qty=row.filled_qty,
        filled_quote=row.filled_quote,
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


def house() -> SubAccount:
    """The account that owns whatever no other owns."""
    return SubAccount(id=HOUSE, label="the house")


def _beyond(quantity: Decimal, notional: Decimal, allowance: Decimal) -> Decimal:
    """The notional of what exceeds an allowance, at the orders' average price."""
    if quantity <= allowance:
        return ZERO
    return notional * (quantity - allowance) / quantity
