"""The desk: every sub-account, order and position in memory, and the one writer of the journal's entries.

Pure: time, prices and ids come in as arguments. `admission`, `booking` and `custody` decide;
this file holds the state, keeps its sums, and tells what a trader sees of it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, field
from decimal import Decimal

from pms.contract.account import Account
from pms.contract.journal import HaltRow, LedgerRow, Rows, UnwindRow
from pms.contract.limits import TIERS
from pms.contract.money import booked
from pms.contract.names import BOTH, HOUSE, LONG, SHORT, amend_id
from pms.contract.results import Result, read_result
from pms.domain.algos.book import AlgoBook
from pms.domain.algos.volumes import DayVolumes, TradedVolumes
from pms.domain.brackets import UNKNOWN
from pms.domain.day_results import DayResults
from pms.domain.headroom import Headroom
from pms.domain.instrument import Instrument
from pms.domain.limits import LimitBook
from pms.domain.margin import Exposure, liquidation_prices
from pms.domain.open_incidents import OpenIncidents
from pms.domain.order_leverages import OrderLeverages
from pms.domain.orders import Order, OrderSpec, State
from pms.domain.pace import Pace
from pms.domain.pending import Pending
from pms.domain.positions import Place, Position
from pms.domain.posting import Draft
from pms.domain.resting import RestingOrders
from pms.domain.rows import order_from, position_from, position_view
from pms.domain.sub_accounts import SubAccount, tag
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
    reducing: dict[Place, dict[str, Order]] = field(default_factory=dict)
    #: those that may only reduce, by the position that they are for
    by_exchange: dict[tuple[str, int], str] = field(default_factory=dict)
    by_parent: dict[str, str] = field(default_factory=dict)
    #: the order that came of a command, by the part of its id that names the command
    by_number: dict[int, set[str]] = field(default_factory=dict)
    by_position_id: dict[str, Position] = field(default_factory=dict)
    positions: dict[Place, Position] = field(default_factory=dict)
    held: dict[str, dict[tuple[str, str], Position]] = field(default_factory=dict)
    #: the open ones of each account, by symbol and position side
    pending: dict[str, dict[tuple[str, str], Pending]] = field(default_factory=dict)
    order_leverages: OrderLeverages = field(default_factory=OrderLeverages)
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
    #: also of symbols that are out of sync; at a start the mark, twice
    volumes: dict[tuple[str, int], DayVolumes] = field(default_factory=dict)
    traded: dict[str, TradedVolumes] = field(default_factory=dict)
    #: by symbol and days, and by symbol; like prices, not journaled
    marks: dict[str, Mark] = field(default_factory=dict)
    unwinds: dict[str, UnwindRow] = field(default_factory=dict)
    #: by symbol, what the house took over and has not yet closed
    closing: set[str] = field(default_factory=set)
    #: accounts that are being liquidated at market
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
    limits: LimitBook = field(default_factory=LimitBook)
    results: DayResults = field(default_factory=DayResults)
    pace: Pace = field(default_factory=Pace)
    algos: AlgoBook = field(default_factory=AlgoBook)
    _position_ids: dict[Place, str] = field(default_factory=dict)

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
        self.unweighed.update(account for account, _, _ in draft.positions)
        self.last_seq = draft.seq
        return draft

    def price(self, symbol: str, top: Top) -> None:
        """Take a symbol's best bid and ask as they now are."""
        known = symbol in self.last_tops
        if symbol not in self.tops:
            self._weighed_otherwise(symbol)
        self.tops[symbol] = self.last_tops[symbol] = top
        if not known:
            self._hold_at_market(symbol)

    def price_as_marked(self, symbol: str, mark: Decimal, *, at: int) -> None:
        """Take the exchange's mark for the last price of a symbol that has had none in this life.

        Trap: by it an account is valued, and nothing is decided on it: the symbol is out of sync as before.
        """
        if symbol not in self.last_tops:
            self.last_tops[symbol] = Top(mark, ZERO, mark, ZERO, at)
            self._hold_at_market(symbol)

    def _hold_at_market(self, symbol: str) -> None:
        """What this life read of the journal before it had a price holds nothing yet."""
        for order in self.orders_of(None, symbol):
            if order.price is None:
                self.reserve(order)

    def lose_price(self, symbol: str) -> None:
        """A symbol's best bid and ask are true no more."""
        if self.tops.pop(symbol, None) is not None:
            self._weighed_otherwise(symbol)

    def _weighed_otherwise(self, symbol: str) -> None:
        """With a price or without one, whoever holds what does not trade is weighed by another rule."""
        instrument = self.instruments.get(symbol)
        if instrument is None or instrument.status != "TRADING":
            self.unweighed.update(
                account for account, held in self.held.items() if any(of == symbol for of, _ in held)
            )

    def last_top(self, symbol: str) -> Top | None:
        """A symbol's best bid and ask as last seen, in sync or not."""
        return self.tops.get(symbol) or self.last_tops.get(symbol)

    # --- accounts ---

    def open_account(self, account: SubAccount) -> None:
        """Add an account; its tag, the first eight characters, must be free."""
        before = self.accounts.get(account.id)
        self.treasury.total += account.balance - (before.balance if before else ZERO)
        self.accounts[account.id] = account
        self.tags[tag(account.id)] = account.id
        self.note_closing(account)
        self.limits.join(account.id, account.group)

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
            self.results.note(account, amount=amount, reason=reason, at=draft.at)
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
        """The account as a trader sees it."""
        held = self.held.get(account, {})
        balance, equity = self.accounts[account].balance, self.equity(account)
        margin, lines = self.margin_used(account), self._liquidation_prices(account, held.values())
        return Account(
            balance=balance,
            equity=equity,
            margin_used=margin,
            available_margin=equity - margin,
            positions=[
                position_view(position, liquidation_price=lines.get(position.symbol))
                for position in held.values()
            ],
        )

    def margin_used(self, account: str) -> Decimal:
        """What its positions and its open orders bind."""
        positions = (position.margin for position in self.held.get(account, {}).values())
        return sum(positions, self.reserved_margin(account))

    def available_margin(self, account: str) -> Decimal:
        """What is left for another order."""
        return self.equity(account) - self.margin_used(account)

    def equity(self, account: str) -> Decimal:
        """Balance and unrealised profit at the last mid, in sync or not; none where there never was a price.

        Trap: a price goes just when it falls. A loss that is not seen any more is there all the same.
        """
        equity = self.accounts[account].balance
        for position in self.held.get(account, {}).values():
            top = self.last_top(position.symbol)
            if top is not None:
                equity += position.unrealized(top.mid)
        return booked(equity)

    def _liquidation_prices(self, account: str, held: Collection[Position]) -> dict[str, Decimal]:
        """By symbol, where the account would be taken over; nobody but the exchange takes over the house."""
        if account == HOUSE or not held:
            return {}
        exposures = [self.exposure(position) for position in held]
        prices = {exposure.symbol: self.valued_at(exposure) for exposure in exposures}
        ratio = self.limits.of(account, TIERS).takeover
        found = liquidation_prices(self.accounts[account].balance, exposures, prices, ratio=ratio)
        return {symbol: booked(price) for symbol, price in found.items()}

    def exposure(self, position: Position) -> Exposure:
        """A position with its symbol's brackets; those of an unknown symbol where it is not listed."""
        instrument = self.instruments.get(position.symbol)
        brackets = instrument.brackets if instrument else UNKNOWN
        return Exposure(position.symbol, position.quantity, position.cost, brackets)

    def valued_at(self, exposure: Exposure) -> Decimal:
        """The last mid of its symbol, in sync or not; its entry where there never was a price."""
        top = self.last_top(exposure.symbol)
        return top.mid if top else exposure.cost / exposure.quantity

    def snapshots(self, draft: Draft) -> tuple[tuple[str, Account], ...]:
        """The accounts whose balance a draft moved, as a trader sees them now."""
        return tuple((account, self.snapshot(account)) for account in draft.sub_accounts)

    def reserved_margin(self, account: str) -> Decimal:
        """What the account's open orders hold back."""
        total = ZERO
        for (symbol, side), pending in self.pending.get(account, {}).items():
            position = self.position(account, symbol, side)
            total += pending.margin(position.quantity, position.leverage)
        return total

    # --- positions ---

    def position(self, account: str, symbol: str, side: str = BOTH) -> Position:
        """The position, flat if there has been none."""
        place = account, symbol, side
        found = self.positions.get(place)
        if found is None:
            other = self.positions.get((account, symbol, {LONG: SHORT, SHORT: LONG}.get(side, side)))
            leverage = other.leverage if other else 1
            found = self.positions[place] = Position(account, symbol, leverage=leverage, position_side=side)
        return found

    def positions_in(self, account: str, symbol: str) -> list[Position]:
        """All that an account can have in a symbol; they share one leverage."""
        return [self.position(account, symbol, side) for side in self.accounts[account].sides]

    def standing_leverage(self, account: str, symbol: str) -> int | None:
        """The leverage that a new position or order takes over; None where the next order says it.

        Trap: an older order that trades late must not bring its own back.
        """
        for position in self.positions_in(account, symbol):
            if position.keeps_leverage:
                return position.leverage
        return None

    def set_leverage(self, account: str, symbol: str, leverage: int) -> None:
        """Change an account's leverage in a symbol; the journal's rows are the caller's."""
        for position in self.positions_in(account, symbol):
            position.leverage = leverage

    def holds(self, place: Place) -> Position | None:
        """The position, if it is open."""
        account, symbol, side = place
        return self.held.get(account, {}).get((symbol, side))

    def quantity(self, place: Place) -> Decimal:
        """What an account holds in a position, signed."""
        found = self.positions.get(place)
        return ZERO if found is None else found.quantity

    def touch_position(self, position: Position) -> None:
        """Keep the index of open positions in step."""
        held = self.held.setdefault(position.sub_account_id, {})
        self.by_position_id.pop(self._position_ids.pop(position.place, ""), None)
        held.pop((position.symbol, position.position_side), None)
        if position.quantity:
            held[position.symbol, position.position_side] = position
            self.by_position_id[position.id] = position
            self._position_ids[position.place] = position.id
        else:
            self._follow_orders(position)

    def find_position(self, position_id: str) -> Position | None:
        """The open position with this id."""
        return self.by_position_id.get(position_id)

    # --- orders ---

    def add_order(self, order: Order) -> None:
        """Index an order; a live one reserves margin."""
        coid = order.spec.client_order_id
        known = self.orders.get(coid)
        if known is not None and known.spec.place != order.spec.place:
            # Read again behind a liquidation: it is the house's now, and its owner's sums end
            self.release(known)
        if known is not None:
            # Its wish may have been taken back, and the count with it.
            self.resting.remove(amend_id(coid, known.amends))
        self.orders[coid] = order
        self.by_parent[coid[-PARENT_LENGTH:]] = coid
        self.algos.adopted.note(order.spec)
        self.learn_exchange_id(order)
        self.reserve(order)

    def _follow_orders(self, position: Position) -> None:
        """Where nothing else says the leverage, the newest live order does."""
        account, symbol = position.sub_account_id, position.symbol
        newest = self.order_leverages.newest(account, symbol)
        if newest is None or all(each.leverage == newest for each in self.positions_in(account, symbol)):
            return
        if self.standing_leverage(account, symbol) is None:
            self.set_leverage(account, symbol, newest)

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
        key = spec.symbol, spec.position_side
        pending = self.pending.setdefault(spec.sub_account_id, {}).setdefault(key, Pending())
        _, old_qty, old_notional = self.reserved.pop(coid, (spec.side, ZERO, ZERO))
        was_live = coid in self.live
        leaves = order.leaves
        notional = order.notional(self._assumed_price(spec))
        pending.add(side=spec.side, quantity=leaves - old_qty, notional=notional - old_notional)
        if order.state.terminal:
            self.headroom.uncounted.pop(coid, None)
            self.live.pop(coid, None)
            self.live_of.get(spec.sub_account_id, {}).pop(coid, None)
            self._note_reducing(order)
            account.open_orders -= was_live
            pending.orders -= was_live
            self.order_leverages.drop(spec)
            self._retire(coid)
        else:
            # It may have been over by a word or a proof that did not stand.
            self.closed.pop(coid, None)
            self.live[coid] = self.live_of.setdefault(spec.sub_account_id, {})[coid] = order
            self.reserved[coid] = (spec.side, leaves, notional)
            self._note_reducing(order)
            account.open_orders += not was_live
            pending.orders += not was_live
            if not was_live:
                self.order_leverages.note(spec)
        if was_live == order.state.terminal:
            self._follow_orders(self.position(*spec.place))
        self._rest(order)
        if not pending.orders:
            del self.pending[spec.sub_account_id][key]

    def release(self, order: Order) -> None:
        """Take an order out of its account's sums; `reserve` puts it into those of whoever owns it then."""
        spec, coid = order.spec, order.spec.client_order_id
        side, quantity, notional = self.reserved.pop(coid, (spec.side, ZERO, ZERO))
        key = spec.symbol, spec.position_side
        pending = self.pending.get(spec.sub_account_id, {}).get(key)
        if pending is not None:
            pending.add(side=side, quantity=-quantity, notional=-notional)
            pending.orders -= coid in self.live
            if not pending.orders:
                del self.pending[spec.sub_account_id][key]
        if self.live.pop(coid, None) is not None:
            self.order_leverages.drop(spec)
            self.live_of[spec.sub_account_id].pop(coid, None)
            self._note_reducing(order)
            self.accounts[spec.sub_account_id].open_orders -= 1

    def _note_reducing(self, order: Order) -> None:
        """Keep the index of live orders that may only reduce in step with `live`."""
        coid, place = order.spec.client_order_id, order.spec.place
        if not order.spec.reduce_only:
            return
        if coid in self.live:
            self.reducing.setdefault(place, {})[coid] = order
        elif place in self.reducing:
            self.reducing[place].pop(coid, None)
            if not self.reducing[place]:
                del self.reducing[place]

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
        """What a market order is held at: no less of it because a price went."""
        top = self.last_top(spec.symbol)
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
        self.algos.adopted.drop(order.spec)
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

    def note_closing(self, account: SubAccount) -> None:
        """Keep the index of accounts that are liquidated at market in step."""
        (self.closing.add if account.closing else self.closing.discard)(account.id)

    def note_unwind(self, row: UnwindRow) -> None:
        """Take what is left to unwind in a symbol; with nothing left, until its last order is counted."""
        if row.quantity or row.last_order:
            self.unwinds[row.symbol] = row
        else:
            self.unwinds.pop(row.symbol, None)

    # --- once-only keys ---

    def knows_trade(self, symbol: str, exchange_order_id: int, trade_id: int) -> bool:
        """Whether this side of this trade is booked.

        A trade so old that its key was forgotten is known if a REST page has proven it booked.
        """
        proven = min(self.forgotten_trades.get(symbol, 0), self.cursors.get(symbol, 0))
        return (symbol, exchange_order_id, trade_id) in self.trades or trade_id <= proven

    def first_sight(self, symbol: str, exchange_order_id: int, trade_id: int) -> bool:
        """Whether this side of this trade is new; remembers it."""
        if self.knows_trade(symbol, exchange_order_id, trade_id):
            return False
        key = (symbol, exchange_order_id, trade_id)
        self.trades[key] = None
        self.newest_trades[symbol] = max(trade_id, self.newest_trades.get(symbol, 0))
        if len(self.trades) > KEPT_TRADES:
            (old, _, number), _ = self.trades.popitem(last=False)
            self.forgotten_trades[old] = max(number, self.forgotten_trades.get(old, 0))
        return True

    def before_books(self, at: int) -> bool:
        """Whether what happened at an exchange time is in the balances and positions we began with."""
        return at <= self.accounts[HOUSE].created_at

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
                group=account_row.group,
                tier=account_row.tier,
                open_orders=known.open_orders if known else 0,
                hedge=account_row.hedge,
                closing=account_row.closing,
            )
            self.open_account(account)
        for limit in rows.limits:
            self.limits.take(limit)
        for line in rows.ledger:
            if line.asset == WALLET:
                self.results.note(line.sub_account_id, amount=line.amount, reason=line.reason, at=line.at)
        for position_row in rows.positions:
            position = position_from(position_row)
            self.positions[position.place] = position
            self.touch_position(position)
            sides = self.accounts[position.sub_account_id].sides
            if position.position_side != BOTH and position.position_side in sides and position.keeps_leverage:
                # The other side's open orders go by it too, and it may have no row here.
                self.set_leverage(position.sub_account_id, position.symbol, position.leverage)
        for order_row in rows.orders:
            order = order_from(order_row)
            if order_row.client_order_id not in self.orders:
                self.pace.note_order(self.limits, order.spec)
            self.add_order(order)
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
        self.algos.load(rows.algos, rows.algo_slots)
        for command in rows.commands:
            answer = read_result(command.answer)
            self.remember_request(command.request_id, command.text, answer)
        self.treasury.load(rows)

    def orders_of(self, account: str | None, symbol: str | None) -> list[Order]:
        """The live orders of an account, or of all; in a symbol, or in all."""
        live = self.live if account is None else self.live_of.get(account, {})
        return [order for order in live.values() if symbol is None or order.spec.symbol == symbol]
