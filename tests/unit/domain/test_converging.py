"""Whatever is heard of an order, in any order, twice or never: it ends as the exchange has it.

A course of one order at the exchange is drawn first: trades, an amendment, an end. What could be heard
of it is then lost in part, doubled, shuffled and told to a desk, with wrong refusals and stale queries
among it. One query and one reading of its trades must then be enough.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from desk_maker import D, decide, desk_at, trade
from hypothesis import given, settings
from hypothesis import strategies as st

from pms.domain.booking import Trade, book, observe
from pms.domain.desk import Desk
from pms.domain.orders import (
    Accepted,
    Amended,
    AmendEnd,
    AmendFailed,
    Doubtful,
    Fact,
    NotExecuted,
    Order,
    Refused,
    Seen,
    State,
)
from pms.domain.posting import Posting

LOT, NONE = D("0.001"), D(0)
Message = Callable[[Desk, Order], list[Posting | None]]
ENDS = {"FILLED": State.FILLED, "CANCELED": State.CANCELLED, "EXPIRED": State.EXPIRED}


@dataclass
class Exchange:
    """The truth about one order, and everything that could be heard of it."""

    coid: str
    quantity: Decimal
    price: Decimal
    word: str = "NEW"
    filled: Decimal = NONE
    time: int = 1
    trades: list[Trade] = field(default_factory=list)
    heard: list[Message] = field(default_factory=list)
    amended: bool = False

    @property
    def over(self) -> bool:
        return self.word in ENDS

    @property
    def leaves(self) -> Decimal:
        return D(0) if self.over else self.quantity - self.filled

    def seen(self) -> Seen:
        return Seen(9, self.word, self.filled, None, self.quantity, self.price, self.time)

    def say(self, *facts: Fact) -> None:
        now = self.time
        self.heard.append(lambda desk, order: [observe(desk, order, fact, at=now) for fact in facts])

    def trade(self, lots: int) -> None:
        self.time += 1
        part = min(LOT * lots, self.leaves)
        self.filled += part
        self.word = "FILLED" if self.filled == self.quantity else "PARTIALLY_FILLED"
        row = Trade(
            symbol="BTCUSDT",
            exchange_order_id=9,
            trade_id=len(self.trades) + 1,
            client_order_id=self.coid,
            side="BUY",
            price=self.price,
            quantity=part,
            commission=D(0),
            commission_asset="USDT",
            realized_pnl=D(0),
            maker=True,
            at=self.time,
        )
        self.trades.append(row)
        seen = self.seen()
        self.heard.append(
            lambda desk, order: [book(desk, row, fact=seen) or observe(desk, order, seen, at=1)]
        )
        self.heard.append(lambda desk, _: [book(desk, row)])

    def amend(self, quantity: Decimal, price: Decimal) -> None:
        self.time += 1
        if quantity <= self.filled:
            self.end("CANCELED")
            return
        self.quantity, self.price, self.amended = quantity, price, True
        self.say(Amended(9, quantity, price, self.time), self.seen())

    def end(self, word: str) -> None:
        self.time += 1
        self.word = word
        self.say(self.seen())


@st.composite
def courses(draw: st.DrawFn) -> list[tuple[str, int]]:
    """What happens to an order of ten lots, in order; the amendment, if any, comes once."""
    moves = draw(st.lists(st.tuples(st.just("trade"), st.integers(1, 6)), max_size=4))
    wish = draw(st.sampled_from([None, "amend", "amend lost"]))
    if wish:
        moves.insert(draw(st.integers(0, len(moves))), (wish, draw(st.integers(1, 16))))
    end = draw(st.sampled_from([None, "CANCELED", "EXPIRED"]))
    return [*moves, (end, 0)] if end else moves


@settings(max_examples=300, deadline=None)
@given(courses(), st.data())
def test_f1_every_interleaving_converges(course: list[tuple[str, int]], data: st.DataObject) -> None:
    desk = desk_at()
    coid = trade(desk, type="LIMIT", price="59000", quantity="0.010").entry.rows.orders[0].client_order_id
    order = desk.orders[coid]
    exchange = Exchange(coid, D("0.010"), D(59000))
    wish = next(((kind, LOT * lots) for kind, lots in course if kind.startswith("amend")), None)
    if wish is not None:
        observe(desk, order, exchange.seen(), at=1)
        decide(desk, "pms.amend", orderId=coid, quantity=str(wish[1]), price="59100")
    exchange.say(exchange.seen())
    exchange.say(Accepted(9))
    for kind, lots in course:
        if exchange.over:
            break
        match kind:
            case "trade":
                exchange.trade(lots)
            case "amend":
                exchange.amend(LOT * lots, D(59100))
            case "amend lost":
                exchange.time += 1
            case end:
                exchange.end(end)
        if data.draw(st.booleans(), label="a query now"):
            exchange.say(exchange.seen())
    for wrong in (Doubtful(), Refused("-2019"), NotExecuted("proven wrongly")):
        exchange.say(wrong)

    told = data.draw(st.lists(st.sampled_from(exchange.heard), max_size=30), label="heard")
    postings: list[Posting | None] = []
    for message in told:
        postings += message(desk, order)
        assert exchange.leaves <= order.total - order.filled_qty or order.state in ENDS.values()
        if order.state in ENDS.values():
            assert ENDS.get(exchange.word) is order.state

    postings.append(observe(desk, order, exchange.seen(), at=99))
    if order.trades_missing:
        postings += [book(desk, row) for row in exchange.trades]
    if order.amend is not None:
        assert not exchange.amended
        postings.append(observe(desk, order, AmendFailed(1, "proven"), at=99))

    expected = ENDS.get(exchange.word, State.PARTIALLY_FILLED if exchange.filled else State.ACTIVE)
    assert (order.state, order.filled_qty) == (expected, exchange.filled)
    assert (order.quantity, order.price) == (exchange.quantity, exchange.price)
    booked = [fill for posting in postings if posting for fill in posting.entry.rows.fills]
    assert sum((fill.quantity for fill in booked), D(0)) == exchange.filled
    assert desk.position("alice", "BTCUSDT").quantity == exchange.filled
    assert order.leaves == exchange.leaves
    if wish is not None:
        assert order.amend_end is not None
        assert (order.amend_end is AmendEnd.AMENDED) is exchange.amended
        results = [result for posting in postings if posting for result in posting.results]
        answers = [result for result in results if result.command == "pms.amend"]
        assert [answer.success for answer in answers] == [exchange.amended]
