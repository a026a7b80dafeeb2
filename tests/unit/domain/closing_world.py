"""A small world around the desk: the exchange is the truth, the journal is memory, and wires lose.

Everything is drawn from one seed. The desk hears the exchange late, twice or not at all until it asks; its
process dies with whatever its outbox held. What must never happen is checked where it would happen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from random import Random

from closing_desk import ACCOUNTS, PRICES, ZERO, opened
from desk_maker import D

from pms.contract.journal import OrderRow, Rows, decode_entry, encode_entry
from pms.domain.booking import Trade, book, observe
from pms.domain.close_pace import ClosePace
from pms.domain.closing import close_on
from pms.domain.desk import Desk, Top
from pms.domain.orders import Refused, Seen, Voided
from pms.domain.position_sides import OTHER
from pms.domain.positions import Place
from pms.domain.posting import Posting
from pms.domain.risk_watch import RiskWatch
from pms.domain.rows import order_row, position_row
from pms.domain.tiers import tiers_of


@dataclass(slots=True)
class AtExchange:
    """An order as the exchange has it."""

    row: OrderRow
    number: int
    filled: Decimal = ZERO
    word: str = "NEW"

    @property
    def left(self) -> Decimal:
        return D(0) if self.word in {"FILLED", "CANCELED", "EXPIRED"} else self.row.quantity - self.filled


@dataclass(slots=True)
class World:
    """Three accounts that are closed at market, two symbols, and all that can happen to them."""

    rng: Random
    now: int = 10_000
    desk: Desk = field(init=False)
    watch: RiskWatch = field(init=False)
    pace: ClosePace = field(default_factory=ClosePace)
    journal: list[bytes] = field(default_factory=list)
    newest: dict[str, OrderRow] = field(default_factory=dict)
    #: what it says of each order
    outbox: list[Posting] = field(default_factory=list)
    sent: dict[str, AtExchange | None] = field(default_factory=dict)
    #: by client order id; None: refused
    void: set[str] = field(default_factory=set)
    facts: list[Callable[[], None]] = field(default_factory=list)
    #: all that the exchange ever said
    wire: list[Callable[[], None]] = field(default_factory=list)
    held: dict[Place, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    #: the true positions: what was traded, booked or not
    handed: int = 0
    deaths: int = 0
    closings: int = 0
    covered: Decimal = ZERO
    numbers: int = 1000
    begun: Rows = field(init=False)
    #: the books before anything happened, and the trades in them
    trades: dict[tuple[str, int, int], None] = field(init=False)

    def __post_init__(self) -> None:
        self.desk, resting = opened(self.rng)
        desk = self.desk
        for row in resting:
            self._sent(row)
        self.ask()
        for place, position in desk.positions.items():
            self.held[place] = position.quantity
        self.begun = Rows(
            sub_accounts=tuple(account.row() for account in desk.accounts.values()),
            positions=tuple(position_row(p) for held in desk.held.values() for p in held.values()),
            limits=tuple(desk.limits.rows.values()),
            orders=tuple(order_row(order) for order in desk.orders.values()),
        )
        self.trades = dict(desk.trades)
        self.outbox.clear()
        self.wire.clear()
        self._watch()

    # --- the streamer ---

    def _watch(self) -> None:
        self.watch = RiskWatch(self.desk, partial(tiers_of, self.desk))
        self.watch.begin()

    def price(self, symbol: str, mid: Decimal) -> None:
        self.desk.price(symbol, Top(mid - D("0.1"), D(1), mid + D("0.1"), D(1), self.now))

    def take(self, posting: Posting | None) -> None:
        """Queue what was decided, and see that no order takes what another may take."""
        if posting is None:
            return
        self.outbox.append(posting)
        for row in posting.entry.rows.orders:
            if row.origin == "LIQUIDATION" and row.state == "placing":
                assert row.client_order_id not in self.sent, "an id came twice"
                self._check_room(self.desk.orders[row.client_order_id].spec.place, row.side)
        self.closings += any(row.action == "CLOSE" for row in posting.entry.rows.liquidations)
        for line in posting.entry.rows.ledger:
            if line.reason == "INSURANCE" and line.sub_account_id in ACCOUNTS:
                self.covered += line.amount
                assert self.desk.accounts[line.sub_account_id].balance == 0, "no more than what was owed"

    def _check_room(self, place: Place, side: str) -> None:
        """live + unknown + next <= position."""
        live = sum(
            (
                order.total - order.filled_qty
                for order in self.desk.live.values()
                if order.spec.place == place and order.spec.side == side
            ),
            D(0),
        )
        assert live <= abs(self.desk.quantity(place)), (place, live)

    def tick(self) -> None:
        symbol = self.rng.choice(sorted(PRICES))
        step = self.rng.choice((1, 1, 3, 20)) * self.rng.randint(-25, 25)
        mid = self.desk.last_tops[symbol].mid * (10_000 + D(step)) / 10_000
        self.price(symbol, max(mid, D(100)).quantize(D("0.1")))
        for account in self.watch.due(symbol, self.desk.last_tops[symbol].mid):
            posting = self.watch.judge(account, now=self.now)
            assert not isinstance(posting, str)
            self.take(posting)

    def close(self) -> None:
        """What the closer does when it looks."""
        for account in sorted(self.desk.closing):
            tiers = tiers_of(self.desk, account)
            may = partial(self.pace.may, now=self.now)
            posting = close_on(self.desk, account, tiers, now=self.now, may=may)
            self.take(posting)
            if posting is not None:
                self.handed += sum(row.action == "TAKEOVER" for row in posting.entry.rows.liquidations)

    def flush(self, count: int) -> None:
        """Journal the oldest of the outbox."""
        for _ in range(min(count, len(self.outbox))):
            text = encode_entry(self.outbox.pop(0).entry)
            self.journal.append(text)
            self.newest |= {row.client_order_id: row for row in decode_entry(text).rows.orders}

    def look_after(self) -> None:
        """What attention does: an order that was not sent and is late or unwanted gets its right closed."""
        for order in list(self.desk.live.values()):
            spec = order.spec
            unsent = spec.client_order_id not in self.sent and order.unproven
            over = order.cancel_wanted or self.now > spec.deadline or spec.epoch != self.desk.epoch
            if unsent and over:
                self.void.add(spec.client_order_id)
                self.take(observe(self.desk, order, Voided("never sent"), at=self.now))
            elif order.cancel_wanted:
                self._cancel(spec.client_order_id)

    def die(self) -> None:
        """The process dies with its outbox; the next life folds the journal and asks the exchange."""
        self.flush(self.rng.randint(0, len(self.outbox)))
        self.outbox.clear()
        self.wire.clear()
        self.deaths += 1
        self.desk = self.rebuilt()
        self.pace = ClosePace()
        self.ask()
        self._watch()

    def rebuilt(self) -> Desk:
        """A desk made of what was journaled alone, under an epoch of its own."""
        desk = Desk(epoch=f"e{self.deaths + 2}")
        desk.instruments = self.desk.instruments
        desk.trades.update(self.trades)
        desk.tops, desk.last_tops = self.desk.tops, self.desk.last_tops
        desk.load(self.begun)
        desk.last_seq = self.desk.last_seq + 1_000
        for text in self.journal:
            desk.load(decode_entry(text).rows)
        return desk

    def ask(self) -> None:
        """Hear all that the exchange ever said, once more."""
        for fact in list(self.facts):
            fact()

    # --- the exchange ---

    def _say(self, fact: Callable[[], None]) -> None:
        self.facts.append(fact)
        self.wire.append(fact)

    def sendable(self) -> list[OrderRow]:
        """Orders that a worker may send: journaled, of this epoch, in time, and without a right yet."""
        return [
            row
            for coid, row in sorted(self.newest.items())
            if coid not in self.sent
            and coid not in self.void
            and row.epoch == self.desk.epoch
            and self.now <= row.deadline
        ]

    def send(self) -> None:
        rows = self.sendable()
        if not rows:
            return
        row = self.rng.choice(rows)
        if row.origin == "LIQUIDATION" and self.rng.random() < 0.15:
            self.sent[row.client_order_id] = None
            self._say(partial(self._hear, row.client_order_id, Refused("-2019: Margin is insufficient.")))
            return
        self._sent(row)

    def _sent(self, row: OrderRow) -> None:
        self.numbers += 1
        self.sent[row.client_order_id] = AtExchange(row, self.numbers)
        self._say(partial(self._hear, row.client_order_id, Seen(self.numbers, "NEW", D(0))))

    def _hear(self, coid: str, fact: Seen | Refused) -> None:
        order = self.desk.orders.get(coid)
        if order is not None:
            self.take(observe(self.desk, order, fact, at=self.now))
            if order.state.terminal and order.spec.origin == "LIQUIDATION":
                self.pace.ended(order, now=self.now)

    def live(self) -> list[AtExchange]:
        return [order for _, order in sorted(self.sent.items()) if order is not None and order.left]

    def trade(self) -> None:
        """Some of an order trades; a market order may end without the rest."""
        orders = self.live()
        if not orders:
            return
        order = self.rng.choice(orders)
        row = order.row
        if row.type == "MARKET" and self.rng.random() < 0.2:
            self._end(order, "EXPIRED")
            return
        steps = int(order.left / D("0.001"))
        part = self.rng.choice((steps, self.rng.randint(1, steps))) * D("0.001")
        order.filled += part
        order.word = "FILLED" if order.filled == row.quantity else "PARTIALLY_FILLED"
        self._truly(row, part)
        self.numbers += 1
        top = self.desk.last_tops[row.symbol]
        made = Trade(
            symbol=row.symbol,
            exchange_order_id=order.number,
            trade_id=self.numbers,
            client_order_id=row.client_order_id,
            side=row.side,
            price=row.price or (top.bid if row.side == "SELL" else top.ask),
            quantity=part,
            commission=D(0),
            commission_asset="USDT",
            realized_pnl=D(0),
            maker=row.price is not None,
            at=self.now,
        )
        seen = Seen(order.number, order.word, order.filled)
        self._say(lambda: self._book(made, seen))

    def _book(self, made: Trade, seen: Seen) -> None:
        posting = book(self.desk, made, fact=seen)
        self.take(posting)
        if posting is None:
            self._hear(made.client_order_id or "", seen)

    def _truly(self, row: OrderRow, part: Decimal) -> None:
        """Move the true position; a closing order never carries one beyond zero."""
        signed = part if row.side == "BUY" else -part
        place = row.sub_account_id, row.symbol, row.position_side
        if row.origin == "LIQUIDATION":
            assert self.held[place] * (self.held[place] + signed) >= 0, "closed more than there was"
            assert self.held[place] * signed < 0, "a closing order opened"
        if row.position_side in OTHER and self.held[place] * (self.held[place] + signed) < 0:
            over = self.held[place] + signed
            self.held[place] = D(0)
            self.held[(*place[:2], OTHER[row.position_side])] += over
            return
        self.held[place] += signed

    def _cancel(self, coid: str) -> None:
        order = self.sent.get(coid)
        if order is not None and order.left and self.rng.random() < 0.5:
            self._end(order, "CANCELED")

    def _end(self, order: AtExchange, word: str) -> None:
        order.word = word
        seen = Seen(order.number, word, order.filled)
        self._say(partial(self._hear, order.row.client_order_id, seen))

    def deliver(self) -> None:
        """One thing that the exchange said arrives: in any order, perhaps twice, perhaps not at all."""
        if self.wire:
            fact = self.wire.pop(self.rng.randrange(len(self.wire)))
            for _ in range(self.rng.choice((0, 1, 1, 1, 2))):
                fact()

    # --- time ---

    def step(self) -> None:
        self.now += self.rng.choice((5, 50, 400, 6_000))
        acts: list[Callable[[], None]] = [self.tick] * 3 + [self.trade, self.deliver, self.send] * 4
        acts += [self.close, self.look_after, lambda: self.flush(self.rng.randint(1, 5))] * 2
        acts += [self.ask]
        if self.rng.random() < 0.03:
            acts = [self.die]
        self.rng.choice(acts)()

    def settle(self) -> int:
        """Let everything come to its end at prices as they are; returns how many rounds that took."""
        for round_ in range(400):
            self.now += 31_000
            self.flush(len(self.outbox))
            self.look_after()
            self.flush(len(self.outbox))
            self.close()
            self.flush(len(self.outbox))
            for _ in range(30):
                self.send()
                self.trade()
            self.ask()
            if not self.outbox and not self.desk.closing:
                return round_
        raise AssertionError(f"never closed: {self.desk.closing}")
