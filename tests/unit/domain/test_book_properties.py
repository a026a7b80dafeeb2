"""Whatever is asked and whatever trades: the books add up, and are what their trades make them.

A trader in one-way mode, one in hedge mode and one that changes between them; the exchange is one netted
position and a wallet. Each order can trade at any time, also after it was over, and in parts.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from desk_maker import D, decide, desk_at, move_price
from filling import trade_of
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pms.contract.account import Account
from pms.contract.codes import Refusal
from pms.contract.journal import FillRow, OrderRow, Rows, decode_entry, encode_entry
from pms.contract.names import LONG, SHORT
from pms.domain.booking import book, observe
from pms.domain.desk import Desk
from pms.domain.orders import Seen
from pms.domain.pending import Pending
from pms.domain.positions import Place
from pms.domain.posting import Posting
from pms.domain.rows import position_row

SYMBOL = "BTCUSDT"
ACCOUNTS = ("alice", "bob", "carol")
CENT = D("0.00000001")
ZERO = D(0)
WALLET = D(100_000)
Wish = tuple[str, str, str, int, int, int | None]
"""Account, side, position side, lots, ticks away from the market, leverage."""


@dataclass(slots=True)
class Plain:
    """A position kept by the plainest rules: what is closed takes its share of the cost with it."""

    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    paid: Decimal = ZERO
    #: for all that was bought, less what was sold, fees included, since it was flat or crossed zero

    @property
    def break_even(self) -> Decimal:
        return (self.paid / self.quantity).quantize(CENT, rounding=ROUND_HALF_EVEN) if self.quantity else ZERO

    def trade(self, quantity: Decimal, price: Decimal, fee: Decimal = ZERO) -> Decimal:
        """Book a signed quantity; returns what it realised."""
        was = self.quantity
        self.paid += quantity * price + fee
        if was * (was + quantity) <= 0:
            # Flat before or after, or crossed: what is open from here on is what of this trade is left.
            left = was + quantity
            self.paid = left * price + (fee * left / quantity).quantize(CENT, rounding=ROUND_HALF_EVEN)
        closed = min(abs(quantity), abs(self.quantity)) if self.quantity * quantity < 0 else ZERO
        realized = ZERO
        if closed:
            share = (self.cost * closed / abs(self.quantity)).quantize(CENT, rounding=ROUND_HALF_EVEN)
            realized = closed.copy_sign(self.quantity) * price - share
            self.quantity += closed.copy_sign(quantity)
            self.cost -= share
        opened = quantity - closed.copy_sign(quantity)
        self.quantity += opened
        self.cost += opened * price
        return realized


@dataclass(slots=True)
class World:
    """The desk, the exchange account behind it, and what was journaled."""

    desk: Desk = field(default_factory=desk_at)
    exchange: Plain = field(default_factory=Plain)
    wallet: Decimal = WALLET
    orders: list[OrderRow] = field(default_factory=list)
    postings: list[Posting] = field(default_factory=list)
    before: Rows = field(default_factory=Rows)
    trades: int = 0

    def __post_init__(self) -> None:
        decide(self.desk, "pms.create_account", subAccountId="carol")
        decide(self.desk, "pms.transfer", fromAccountId="house", toAccountId="carol", amount="10000")
        decide(self.desk, "pms.position_mode", subAccountId="carol", hedge=True)
        self.before = Rows(sub_accounts=tuple(account.row() for account in self.desk.accounts.values()))

    def ask(self, name: str, **fields: object) -> None:
        """A command; a refusal must change nothing."""
        shape = self.shape()
        try:
            posting = decide(self.desk, name, **fields)
        except Refusal:
            assert self.shape() == shape
            return
        self.postings.append(posting)
        self.orders += posting.entry.rows.orders

    def shape(self) -> object:
        desk = self.desk
        return desk.last_seq, [desk.snapshot(account) for account in ACCOUNTS], sorted(desk.live)

    def place(self, *wished: *Wish) -> None:
        account, side, which, lots, away, leverage = wished
        price = self.desk.tops[SYMBOL].bid + (-away if side == "BUY" else away)
        wish: dict[str, Any] = {
            "subAccountId": account,
            "symbol": SYMBOL,
            "side": side,
            "quantity": D(lots) / 1000,
            "type": "LIMIT",
            "price": price,
            "leverage": leverage,
        }
        if self.desk.accounts[account].hedge:
            wish["positionSide"] = which
        self.ask("pms.trade", **wish)

    def target(self, account: str, which: str, lots: int, away: int) -> None:
        """An order that may only reduce what is held rests behind the market."""
        hedge = self.desk.accounts[account].hedge
        held = self.desk.position(account, SYMBOL, which if hedge else "BOTH").quantity
        side, bid = ("SELL" if held > 0 else "BUY"), self.desk.tops[SYMBOL].bid
        wish: dict[str, Any] = {"positionSide": which} if hedge else {}
        wish |= {"side": side, "quantity": D(lots) / 1000, "type": "LIMIT", "reduceOnly": True}
        price = bid + (away if held > 0 else -away)
        self.ask("pms.trade", subAccountId=account, symbol=SYMBOL, price=price, **wish)

    def close(self, account: str) -> None:
        self.ask("pms.close_all", subAccountId=account)

    def fill(self, number: int, lots: int, price: int) -> None:
        """Some order trades, whatever is believed of it."""
        if not self.orders:
            return
        row = self.orders[-min(number, len(self.orders))]
        order = self.desk.orders[row.client_order_id]
        quantity = min(D(lots) / 1000, row.quantity - order.filled_qty)
        if quantity <= 0:
            return
        self.trades += 1
        paid = (quantity * price * D("0.0005")).quantize(CENT)
        realized = self.exchange.trade(quantity if row.side == "BUY" else -quantity, D(price))
        self.wallet += realized - paid
        exchange_id = self.orders.index(row) + 1
        told = trade_of(row, exchange_id, trade_id=self.trades, quantity=quantity, price=D(price), paid=paid)
        posting = book(self.desk, replace(told, realized_pnl=realized))
        assert posting is not None
        self.postings.append(posting)

    def cancel(self, number: int) -> None:
        if self.orders:
            row = self.orders[-min(number, len(self.orders))]
            order = self.desk.orders[row.client_order_id]
            exchange_id = self.orders.index(row) + 1
            posting = observe(self.desk, order, Seen(exchange_id, "CANCELED", order.filled_qty), at=2000)
            self.postings += [posting] if posting else []

    def take(self, account: str, side: str) -> None:
        """An operator takes half of a position away, whatever orders there are for it."""
        side = side if self.desk.accounts[account].hedge else "BOTH"
        held = self.desk.position(account, SYMBOL, side).quantity
        half = (held / 2).quantize(D("0.001"))
        fields = {"subAccountId": account, "symbol": SYMBOL, "quantity": -half, "positionSide": side}
        why = {"price": "60000", "actor": "ann", "reason": "taken away"}
        self.ask("pms.adjust", **fields, **why)

    def check(self) -> None:
        desk = self.desk
        net = sum((position.quantity for position in desk.positions.values()), ZERO)
        assert net == self.exchange.quantity == desk.treasury.net.get(SYMBOL, ZERO)
        assert sum((account.balance for account in desk.accounts.values()), ZERO) == self.wallet
        balances = (account.balance for account in desk.accounts.values())
        assert desk.treasury.recount(balances, {p.place: p.quantity for p in desk.positions.values()}) == []
        for position in desk.positions.values():
            assert position.position_side != LONG or position.quantity >= 0
            assert position.position_side != SHORT or position.quantity <= 0
        self._ledger()
        self._reservations()
        self._promises()

    def _ledger(self) -> None:
        """Each balance is the sum of its lines; lines of one reason between accounts cancel out."""
        sums = {row.id: row.balance for row in self.before.sub_accounts}
        given: dict[str, Decimal] = defaultdict(Decimal)
        for posting in self.postings:
            for line in posting.entry.rows.ledger:
                sums[line.sub_account_id] += line.amount
                given[line.reason] += line.amount
        assert sums == {name: account.balance for name, account in self.desk.accounts.items()}
        assert not any(given[reason] for reason in ("DEPOSIT", "WITHDRAW", "TRANSFER"))

    def _reservations(self) -> None:
        """What is held back, added up anew from the live orders."""
        sums: dict[tuple[str, str, str], Pending] = {}
        for order in self.desk.live.values():
            pending = sums.setdefault(order.spec.place, Pending())
            pending.orders += 1
            if order.leaves:
                notional = self.desk.reserved[order.spec.client_order_id][2]
                assert order.price is None or notional == order.leaves * order.price
                pending.add(side=order.spec.side, quantity=order.leaves, notional=notional)
        held = {
            (account, symbol, side): pending
            for account, pendings in self.desk.pending.items()
            for (symbol, side), pending in pendings.items()
        }
        assert held == sums

    def _promises(self) -> None:
        """What rests, may only reduce and is to stay is never for more than there is to be reduced."""
        resting: dict[tuple[Place, str], Decimal] = defaultdict(Decimal)
        for order in self.desk.live.values():
            if order.spec.reduce_only and not (order.momentary or order.cancel_wanted):
                resting[order.spec.place, order.spec.side] += order.leaves
        for (place, side), leaves in resting.items():
            held = self.desk.quantity(place)
            assert leaves <= max(held if side == "SELL" else -held, ZERO)

    def recomputed(self) -> None:
        """Brute force: every position and its P&L anew from the fills, and memory anew from the journal."""
        plain: dict[tuple[str, str], Plain] = defaultdict(Plain)
        for posting in self.postings:
            rows = posting.entry.rows
            for fill in rows.fills:
                assert _replayed(plain, fill) == fill.realized_pnl
            for move in rows.moves if posting.entry.kind == "adjusted" else ():
                plain[move.sub_account_id, move.position_side].trade(move.quantity, D(60_000))
        for position in self.desk.positions.values():
            if position.sub_account_id != "house":
                ours = plain[position.sub_account_id, position.position_side]
                assert (position.quantity, position.cost) == (ours.quantity, ours.cost)
                assert position.break_even_price == ours.break_even
        again = Desk(epoch="e2")
        again.tops, again.instruments = self.desk.tops, self.desk.instruments
        again.load(self.before)
        for posting in self.postings:
            again.load(decode_entry(encode_entry(posting.entry)).rows)
        for order in list(self.desk.live.values()):
            # A market order is reserved at the touch of its admission, after a restart at that of the moment.
            self.desk.reserve(order)
        for account in ACCOUNTS:
            assert _sorted(again.snapshot(account)) == _sorted(self.desk.snapshot(account))
        for place, position in self.desk.positions.items():
            if position.keeps_leverage:
                assert position_row(again.positions[place]) == position_row(position)
        assert again.treasury.held_at(SYMBOL, 2000) == self.desk.treasury.held_at(SYMBOL, 2000)


def _sorted(account: Account) -> Account:
    return account.model_copy(update={"positions": sorted(account.positions, key=lambda view: view.id)})


def _replayed(plain: dict[tuple[str, str], Plain], fill: FillRow) -> Decimal:
    """One fill by the plain rules: what a side cannot take opens the other."""
    quantity = fill.quantity if fill.side == "BUY" else -fill.quantity
    side = plain[fill.sub_account_id, fill.position_side]
    reduces = (fill.position_side, fill.side) in {(LONG, "SELL"), (SHORT, "BUY")}
    beyond = max(abs(quantity) - abs(side.quantity), ZERO).copy_sign(quantity) if reduces else ZERO
    fees = {
        part: (fill.commission * part / quantity).quantize(CENT, rounding=ROUND_HALF_EVEN)
        for part in (quantity - beyond, beyond)
    }
    realized = side.trade(quantity - beyond, fill.price, fees[quantity - beyond])
    if beyond:
        other = SHORT if fill.position_side == LONG else LONG
        realized += plain[fill.sub_account_id, other].trade(beyond, fill.price, fees[beyond])
    return realized


accounts = st.sampled_from(ACCOUNTS)
amounts = st.integers(1, 12_000_00).map(lambda n: D(n) / 100)
lots = st.sampled_from([5, 10, 20, 50, 100])
newest = st.integers(1, 4)
prices = st.integers(58_500, 61_500)
place = st.tuples(
    st.just("place"),
    st.sampled_from(["alice", "bob", "carol", "carol", "carol"]),
    st.sampled_from(["BUY", "SELL"]),
    st.sampled_from([LONG, SHORT]),
    lots,
    st.integers(1, 900),
    st.sampled_from([None, None, 5, 10, 20, 50]),
)
target = st.tuples(st.just("target"), accounts, st.sampled_from([LONG, SHORT]), lots, st.integers(1, 900))
fill = st.tuples(st.just("fill"), newest, lots, prices)
money = st.one_of(
    st.tuples(st.just("deposit"), accounts, amounts),
    st.tuples(st.just("withdraw"), accounts, amounts),
    st.tuples(st.just("transfer"), accounts, accounts, amounts),
)
others = st.one_of(
    st.tuples(st.just("cancel"), newest),
    st.tuples(st.just("close"), accounts),
    st.tuples(st.just("take"), accounts, st.sampled_from([LONG, SHORT])),
    st.tuples(st.just("leverage"), accounts, st.integers(1, 130)),
    st.tuples(st.just("mode"), accounts, st.booleans()),
    st.tuples(st.just("price"), prices),
)
KINDS = (place, place, target, fill, fill, fill, money, others)
# Of equal alternatives `one_of` takes one, and of nested ones each alike: most steps shall place and fill
steps = st.integers(0, len(KINDS) - 1).flatmap(KINDS.__getitem__)


SIDES_SHARE_A_LEVERAGE: list[tuple[Any, ...]] = [
    ("place", "carol", "BUY", "LONG", 5, 1, None),
    ("place", "carol", "SELL", "SHORT", 5, 1, None),
    ("fill", 1, 5, 58500),
    ("close", "carol"),
    ("place", "carol", "BUY", "LONG", 5, 1, 20),
    ("fill", 2, 5, 58500),
]
"""A short with 20 closes, and an order with 10 says the leverage of both sides, also behind a restart."""


@settings(deadline=None)
@example(SIDES_SHARE_A_LEVERAGE)
@given(st.lists(steps, min_size=25, max_size=60))
def test_the_books_add_up_whatever_happens(taken: list[tuple[Any, ...]]) -> None:
    world = World()
    for kind, *rest in taken:
        match kind, rest:
            case "place", _:
                world.place(*rest)
            case "target", _:
                world.target(*rest)
            case "fill", _:
                world.fill(*rest)
            case "cancel", _:
                world.cancel(*rest)
            case "close", _:
                world.close(*rest)
            case (("deposit" | "withdraw"), (account, amount)):
                world.ask(f"pms.{kind}", subAccountId=account, amount=amount)
            case "transfer", (payer, payee, amount):
                world.ask("pms.transfer", fromAccountId=payer, toAccountId=payee, amount=amount)
            case "leverage", (account, value):
                world.ask("pms.leverage", subAccountId=account, symbol=SYMBOL, leverage=value)
            case "take", (account, side):
                world.take(account, side)
            case "mode", (account, hedge):
                world.ask("pms.position_mode", subAccountId=account, hedge=hedge)
            case "price", (price,):
                move_price(world.desk, str(price))
        world.check()
    world.recomputed()


def test_the_steps_reach_what_matters() -> None:
    """A flip, a long beside a short, and more than a long has: in one course, so that none is imagined."""
    world = World()
    world.place("alice", "BUY", LONG, 100, 100, 10)
    world.place("alice", "SELL", LONG, 300, 100, 20)
    world.place("carol", "BUY", LONG, 100, 200, 10)
    world.place("carol", "SELL", SHORT, 50, 200, 10)
    for number in (4, 3, 2, 1):
        world.fill(number, 400, 60_000)
    world.place("carol", "SELL", LONG, 100, 300, None)
    world.take("carol", LONG)
    world.fill(1, 100, 60_500)
    world.check()
    world.recomputed()
    kept = {p.place[::2]: p.quantity for p in world.desk.positions.values() if p.quantity}
    assert kept["alice", "BOTH"] == D("-0.2")
    assert kept["carol", SHORT] == D("-0.1")
    assert ("carol", LONG) not in kept
