"""A market around algos: an exchange of its own reckoning, which acks, trades, refuses, loses and forgets.

It keeps its own count of what each order was for and what it traded, and never reads the desk's: `exposed`
is the most that an algo's orders could ever trade, whatever is still on its way.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from desk_maker import BTC, D, decide, desk_at

from pms.contract.journal import OrderRow, Rows, decode_entry, encode_entry
from pms.domain.algos.algo import Algo
from pms.domain.algos.conduct import conduct
from pms.domain.algos.machines import MACHINES
from pms.domain.algos.throttle import Throttle
from pms.domain.booking import Trade, book, observe
from pms.domain.decisions import Asked
from pms.domain.desk import Desk, Top
from pms.domain.orders import (
    Accepted,
    Amended,
    AmendFailed,
    Doubtful,
    Fact,
    NotExecuted,
    Refused,
    Seen,
    Voided,
)
from pms.domain.posting import Posting

SYMBOL = "BTCUSDT"
ZERO = D(0)
TICK = BTC.tick
START = D(60_000)


@dataclass(slots=True)
class AtExchange:
    """One order as the exchange has it; before `sent` it only might come."""

    row: OrderRow
    number: int
    total: Decimal
    price: Decimal | None
    parent_id: str | None = None
    #: whose it was first: an order that goes to the house loses it
    filled: Decimal = ZERO
    sent: bool = False
    over: bool = False
    word: str | None = None
    #: of its end
    wished: tuple[int, Decimal, Decimal] | None = None
    #: an amendment on its way: its number, the total, the price
    untold: list[tuple[int, Decimal, int]] = field(default_factory=list)
    #: trades whose message is late: id and quantity
    hers: Decimal | None = None
    #: of one that went to the house, what it had traded before

    @property
    def exposed(self) -> Decimal:
        """What is filled, and the most that may be in the end."""
        if self.over:
            return self.filled
        return max(self.total, self.wished[1] if self.wished else ZERO, self.filled)

    @property
    def told(self) -> Decimal:
        """What it traded, as far as anybody was told."""
        return self.filled - sum((quantity for _, quantity, _ in self.untold), ZERO)


@dataclass(slots=True)
class MarketWorld:
    """A desk, its algos, and the exchange behind them."""

    desk: Desk = field(default_factory=desk_at)
    throttle: Throttle = field(default_factory=Throttle)
    orders: dict[str, AtExchange] = field(default_factory=dict)
    postings: list[Posting] = field(default_factory=list)
    now: int = 1_000
    trades: int = 0
    mid: Decimal = START
    fee_rate: Decimal = ZERO
    first: Rows = field(default_factory=Rows)

    def __post_init__(self) -> None:
        self.first = Rows(sub_accounts=tuple(account.row() for account in self.desk.accounts.values()))

    # --- what traders and time do ---

    def ask(self, name: str, account: str | None = "alice", **fields: Any) -> Posting:
        """A command, journaled."""
        if account is not None:
            fields["subAccountId"] = account
        posting = decide(self.desk, name, now=self.now, **fields)
        self._journal(posting)
        return posting

    def start(self, name: str, **fields: Any) -> Algo:
        """Start an algo."""
        posting = self.ask(name, **fields)
        (row,) = posting.entry.rows.algos
        return self.desk.algos.every[row.id]

    def pass_time(self, ms: int) -> None:
        self.now += ms

    def move(self, ticks: int) -> None:
        """Put mid so many ticks away, the book a tick wide."""
        self.mid = max(self.mid + ticks * TICK, 100 * TICK)
        self.desk.price(SYMBOL, Top(self.mid, D(1), self.mid + TICK, D(1), self.now))

    def price_of(self, symbol: str) -> Decimal:
        """What an order at market trades at."""
        return self.mid if symbol == SYMBOL else self.desk.last_tops[symbol].mid

    def lose_sync(self) -> None:
        self.desk.tops.pop(SYMBOL, None)

    def conduct(self, algo_id: str, *, closed: str | None = None, certain: bool = True) -> int | None:
        """Ask an algo once; returns when it wants to be asked again."""
        algo = self.desk.algos.every[algo_id]
        if algo.status.over:
            return None
        asked = Asked(
            request_id=algo.id,
            command=f"pms.{algo.kind}",
            text="",
            at=self.now,
            deadline=self.now + 5_000,
            now=self.now,
            closed_because=closed,
            certain=certain,
        )
        done = conduct(self.desk, algo, MACHINES[algo.kind], asked, self.throttle)
        if done.posting is not None:
            self._journal(done.posting)
        return done.wake_at

    def _journal(self, posting: Posting) -> None:
        self.postings.append(posting)
        for row in posting.entry.rows.orders:
            known = self.orders.get(row.client_order_id)
            if known is None:
                number = len(self.orders) + 1
                known = AtExchange(row, number, row.quantity, row.price, row.parent_id)
                self.orders[row.client_order_id] = known
            known.row = row
            wish = row.amend_quantity
            if wish is not None and row.amend_price is not None and not known.over:
                known.wished = row.amends, wish, row.amend_price

    # --- what the exchange does ---

    def observe(self, coid: str, fact: Fact) -> None:
        posting = observe(self.desk, self.desk.orders[coid], fact, at=self.now)
        if posting is not None:
            self._journal(posting)

    def ack(self, coid: str) -> None:
        """It arrives and rests."""
        order = self.orders[coid]
        order.sent = True
        self.observe(coid, Accepted(order.number))
        self.observe(coid, self._seen(order, "NEW"))

    def lose(self, coid: str) -> None:
        """It arrives, and its answer does not."""
        self.orders[coid].sent = True
        self.observe(coid, Doubtful())

    def refuse(self, coid: str, reason: str) -> None:
        self.orders[coid].over = True
        self.observe(coid, Refused(reason))

    def void(self, coid: str) -> None:
        """Nobody has sent it, and nobody will: its send right is closed."""
        self.orders[coid].over = True
        self.observe(coid, Voided("its deadline passed"))

    def absent(self, coid: str) -> None:
        """Proven: it never came."""
        self.orders[coid].over = True
        self.observe(coid, NotExecuted("it never came"))

    def trade(self, coid: str, quantity: Decimal) -> None:
        """Trade a part of an order, and tell it."""
        self.trade_silently(coid, quantity)
        self.tell(coid)

    def trade_silently(self, coid: str, quantity: Decimal) -> None:
        """Trade a part of an order; the message of it is late."""
        order = self.orders[coid]
        quantity = min(quantity, order.total - order.filled)
        if quantity <= 0:
            return
        self.trades += 1
        order.sent = True
        order.filled += quantity
        order.over = order.over or order.filled >= order.total
        order.untold.append((self.trades, quantity, self.now))

    def count(self, coid: str) -> None:
        """A word about an order counts its trades, of which nobody need have been told."""
        order = self.orders[coid]
        self.observe(coid, self._seen(order, "PARTIALLY_FILLED" if order.filled else "NEW"))

    def tell(self, coid: str) -> None:
        """Tell the trades of an order that were not told yet."""
        order = self.orders[coid]
        untold, order.untold = order.untold, []
        for trade_id, quantity, at in untold:
            price = order.price or self.price_of(order.row.symbol)
            trade = Trade(
                symbol=order.row.symbol,
                exchange_order_id=order.number,
                trade_id=trade_id,
                client_order_id=coid,
                side=order.row.side,
                price=price,
                quantity=quantity,
                commission=quantity * price * self.fee_rate,
                commission_asset="USDT",
                realized_pnl=ZERO,
                maker=True,
                at=at,
            )
            word = "FILLED" if order.filled >= order.total else "PARTIALLY_FILLED"
            posting = book(self.desk, trade, fact=self._seen(order, word))
            assert posting is not None
            self._journal(posting)

    def end(self, coid: str, word: str) -> None:
        """It is over at the exchange: cancelled or expired."""
        order = self.orders[coid]
        order.sent, order.over, order.word = True, True, word
        self.observe(coid, self._seen(order, word))

    def amend(self, coid: str) -> None:
        """The amendment on its way is carried out, or cancels an order that is filled to its new total.

        What is worth too little is refused, unless the exchange knows that the order only reduces.
        """
        order = self.orders[coid]
        assert order.wished is not None
        _, total, price = order.wished
        least = self.desk.instruments[order.row.symbol].min_notional
        if total * price < least and not order.row.venue_reduce_only:
            self.refuse_amend(coid, "-5029: Order's notional must be no smaller")
            return
        order.wished = None
        if total <= order.filled:
            self.end(coid, "CANCELED")
            return
        order.total, order.price = total, price
        self.observe(coid, Amended(order.number, total, price, self.now))

    def refuse_amend(self, coid: str, reason: str = "-5027: no need to modify") -> None:
        order = self.orders[coid]
        assert order.wished is not None
        number, _, _ = order.wished
        order.wished = None
        self.observe(coid, AmendFailed(number, reason))

    def move_ends_it(self, coid: str) -> None:
        """The amendment would have made a post-only order take: the exchange cancels it."""
        order = self.orders[coid]
        assert order.wished is not None
        order.wished = None
        self.end(coid, "CANCELED")

    def _seen(self, order: AtExchange, word: str) -> Seen:
        price = order.price if order.price is not None else ZERO
        return Seen(order.number, word, order.filled, None, order.total, price, self.now)

    def restart(self) -> None:
        """A new life: memory is what was journaled."""
        before, self.desk = self.desk, Desk(epoch=f"{self.desk.epoch}+")
        self.desk.instruments, self.desk.tops = before.instruments, before.tops
        self.desk.last_tops = before.last_tops
        self.desk.load(self.first)
        for posting in self.postings:
            entry = decode_entry(encode_entry(posting.entry))
            self.desk.load(entry.rows)
            self.desk.last_seq = entry.seq
        self.throttle = Throttle()
        for coid in list(self.desk.live):
            self._ask(coid)

    def _ask(self, coid: str) -> None:
        """What recovery does with each order that is not over: the exchange is asked for it."""
        order = self.orders[coid]
        if order.sent:
            self.tell(coid)
            word = "PARTIALLY_FILLED" if order.filled else "NEW"
            self.observe(coid, self._seen(order, (order.word or "FILLED") if order.over else word))

    # --- judging ---

    def of(self, algo_id: str) -> list[AtExchange]:
        return [order for order in self.orders.values() if order.parent_id == algo_id]

    def exposed(self, algo_id: str) -> Decimal:
        """The most that an algo's orders may ever have traded for it."""
        return sum((order.exposed if order.hers is None else order.hers for order in self.of(algo_id)), ZERO)

    def told(self, algo_id: str) -> Decimal:
        """What its orders traded, as far as it was told."""
        return sum((order.told if order.hers is None else order.hers for order in self.of(algo_id)), ZERO)
