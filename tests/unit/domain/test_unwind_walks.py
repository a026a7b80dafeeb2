"""Random walks of unwinding: ticks, takeovers, fills, refusals, lost words, deaths on every line.

The exchange is a model of its own, which executes first and tells later, in pieces or not at all. Whatever
comes: no order is sent while another of the house's may still trade, none is for more than is truly left, and
once the world calms down the house is flat, or what it holds is less than the symbol's least order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from desk_maker import D, decide, desk_at
from hypothesis import given, settings
from hypothesis import strategies as st
from unwind_maker import BTCUSDT, take_over

from pms.contract.journal import Entry, decode_entry, encode_entry
from pms.contract.limits import UNWIND
from pms.contract.names import HOUSE
from pms.domain.booking import Trade, book, observe
from pms.domain.desk import Desk, Mark, Top
from pms.domain.orders import Doubtful, NotExecuted, Order, Refused, Seen, Voided
from pms.domain.posting import Posting
from pms.domain.unwind_pace import MOST_WAIT_MS
from pms.domain.unwinding import unwind

STEP_MS = 250
POLICIES = ("at_once", "passive,5,0.5", "passive,60,50", "passive,600,50", "timed,20,4", "timed,3,50")
ACTIONS = (
    "look",
    "look",
    "look",
    "tick",
    "take",
    "give",
    "sent",
    "lost",
    "refused",
    "post_only",
    "unsent",
    "trade",
    "trade",
    "hear",
    "expire",
    "cancel",
    "die",
    "die_unjournaled",
    "wait",
    "come_to_rest",
    "run_away",
)


@dataclass
class AtExchange:
    """An order as the exchange has it."""

    number: int
    side: str
    quantity: Decimal
    resting: bool
    traded: list[Decimal] = field(default_factory=list)
    told: int = 0
    #: how many of its trades we have booked
    over: str | None = None

    @property
    def open(self) -> Decimal:
        return D(0) if self.over else self.quantity - sum(self.traded)


class World:
    """A desk, its journal, and an exchange that the desk knows only by what it is told."""

    def __init__(self, policy: str) -> None:
        self.now = 1000
        self.policy = policy
        self.journal: list[Entry] = []
        self.exchange: dict[str, AtExchange] = {}
        self.taken = D(0)
        self.price = D(60_000)
        self.trades = 0
        self.desk = self.born()

    # --- lives ---

    def born(self) -> Desk:
        """The next life: what the journal says, and nothing else."""
        desk = desk_at()
        setting = {"action": "set", "scope": "*", "reason": "r", "actor": "a"}
        decide(desk, "pms.limits", limit="liquidation.unwind", value=self.policy, **setting)
        for entry in self.journal:
            desk.load(decode_entry(encode_entry(entry)).rows)
        desk.last_seq = max(desk.last_seq, *(entry.seq for entry in self.journal), 0)
        self.desk = desk
        self.quote()
        return desk

    def keep(self, posting: Posting | None) -> None:
        if posting is not None:
            self.journal.append(posting.entry)

    def quote(self) -> None:
        self.desk.tops[BTCUSDT] = Top(self.price, D(1), self.price + D("0.1"), D(1), self.now)
        self.desk.marks[BTCUSDT] = Mark(self.price, self.now)

    # --- what is so, whatever anybody knows ---

    @property
    def truly_left(self) -> Decimal:
        executed = D(0)
        for order in self.exchange.values():
            executed += sum(order.traded) * (1 if order.side == "BUY" else -1)
        return self.taken + executed

    # --- steps ---

    def look(self, *, journaled: bool = True) -> None:
        """The unwinder looks; with `journaled` false the process dies before its entry is written."""
        posting = unwind(self.desk, BTCUSDT, now=self.now)
        if posting is None:
            return
        if posting.entry.kind == "unwind":
            (row,) = posting.entry.rows.orders
            assert not any(order.open for order in self.exchange.values()), "another may still trade"
            left = self.truly_left
            assert (row.side == "SELL") is (left > 0)
            assert 0 < row.quantity <= abs(left)
            if row.type == "LIMIT":
                assert row.price == (self.price + D("0.1") if row.side == "SELL" else self.price)
        if journaled:
            self.keep(posting)
        else:
            self.born()

    def live(self) -> Order | None:
        return next(iter(self.desk.orders_of(HOUSE, BTCUSDT)), None)

    def there(self) -> tuple[Order | None, AtExchange | None]:
        order = self.live()
        return order, self.exchange.get(order.spec.client_order_id) if order else None

    def act(self, action: str, much: int) -> None:
        """One thing happens; two that are walks of their own, for chance alone seldom comes so far."""
        self.now += STEP_MS
        order, there = self.there()
        match action:
            case "come_to_rest":
                for each in ("take", "look", "sent", "hear"):
                    self.act(each, 3)
            case "run_away":
                self.price -= 50 if self.truly_left > 0 else -50
                self.now += 1000
                self.quote()
                for each in ("look", "look"):
                    self.act(each, much)
            case "look":
                self.look()
            case "die":
                self.born()
            case "die_unjournaled":
                self.look(journaled=False)
            case "wait":
                self.now += much * 1000
            case "tick":
                self.price += (much - 4) * D(20)
            case "take" | "give":
                draft = self.desk.draft("liquidation", at=self.now)
                quantity = D(much + 1) / 10 * (1 if action == "take" else -1)
                take_over(self.desk, draft, quantity)
                self.taken += quantity
                self.keep(Posting(entry=self.desk.sealed(draft).entry()))
            case "sent" | "lost" if order is not None and there is None and order.unproven:
                self.send(order)
                if action == "lost":
                    self.keep(observe(self.desk, order, Doubtful(), at=self.now))
            case "refused" if order is not None and there is None and order.unproven:
                reason = "-2019: Margin is insufficient." if much % 2 else "-4131: too far"
                self.keep(observe(self.desk, order, Refused(reason), at=self.now))
            case "post_only" if order is not None and there is None and order.unproven and order.price:
                self.keep(observe(self.desk, order, Refused("-5022: would take"), at=self.now))
            case "unsent" if order is not None and there is None and order.unproven:
                self.unsent(order)
            case "trade" if there is not None and there.open:
                part = min(there.open, D(much + 1) / 20)
                there.traded.append(part)
                there.over = None if there.open else "FILLED"
            case "expire" if there is not None and there.open and not there.resting:
                there.over = "EXPIRED"
            case "cancel" if order is not None and there is not None and there.open and order.cancel_wanted:
                there.over = "CANCELED"
            case "hear" if order is not None and there is not None:
                self.hear(order, there, most=much)
        self.quote()

    def unsent(self, order: Order) -> None:
        fact = NotExecuted("proven") if order.doubt else Voided("late")
        self.keep(observe(self.desk, order, fact, at=self.now))

    def send(self, order: Order) -> None:
        number = len(self.exchange) + 1
        self.exchange[order.spec.client_order_id] = AtExchange(
            number, order.spec.side, order.quantity, resting=order.price is not None
        )

    def hear(self, order: Order, there: AtExchange, *, most: int) -> None:
        """The exchange tells of some trades, perhaps of the end before the last of them."""
        if most % 3 == 0:
            filled = sum(there.traded, D(0))
            self.keep(observe(self.desk, order, Seen(there.number, there.over or "NEW", filled), at=self.now))
        for quantity in there.traded[there.told : there.told + most]:
            self.trades += 1
            there.told += 1
            trade = Trade(
                symbol=BTCUSDT,
                exchange_order_id=there.number,
                trade_id=self.trades,
                client_order_id=order.spec.client_order_id,
                side=there.side,
                price=order.price or self.price,
                quantity=quantity,
                commission=D(0),
                commission_asset="USDT",
                realized_pnl=D(0),
                maker=there.resting,
                at=self.now,
            )
            self.keep(book(self.desk, trade))
        if there.told == len(there.traded):
            filled = sum(there.traded, D(0))
            word = there.over or ("PARTIALLY_FILLED" if filled else "NEW")
            self.keep(observe(self.desk, order, Seen(there.number, word, filled), at=self.now))

    def calm(self) -> None:
        """From here on the exchange takes everything, fills it and says so."""
        for _ in range(400):
            self.now += STEP_MS
            self.quote()
            order, there = self.there()
            if order is not None and there is None:
                self.send(order)
                there = self.exchange[order.spec.client_order_id]
            if order is not None and there is not None:
                if there.open and order.cancel_wanted:
                    there.over = "CANCELED"
                elif there.open:
                    there.traded.append(there.open)
                    there.over = "FILLED"
                self.hear(order, there, most=1_000_000 - 1)
            self.look()
            if order is None and not self.live():
                self.now += MOST_WAIT_MS


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(POLICIES),
    st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 9)), min_size=1, max_size=120),
)
def test_it_never_closes_more_than_is_left_and_always_ends_flat(
    policy: str, actions: list[tuple[str, int]]
) -> None:
    world = World(policy)
    for action, much in actions:
        world.act(action, much)
    world.calm()
    assert abs(world.truly_left) < D("0.001")
    row = world.desk.unwinds.get(BTCUSDT)
    assert (row.quantity if row else 0) == world.truly_left
    assert world.desk.limits.of(HOUSE, UNWIND, BTCUSDT) == UNWIND.read(policy)


def test_the_walks_reach_what_they_are_about() -> None:
    """A walk of each kind, by hand: or the property above would hold of nothing."""
    world = World("passive,5,0.5")
    for action, much in (
        ("take", 9),
        ("look", 0),
        ("sent", 0),
        ("hear", 3),
        ("trade", 9),
        ("hear", 1),
        ("tick", 0),
        ("wait", 1),
        ("look", 0),
    ):
        world.act(action, much)
    order = world.live()
    assert order is not None
    assert (order.cancel_wanted, order.filled_qty, world.truly_left) == (True, D("0.5"), D("0.5"))
    for action in ("die", "look", "cancel", "hear", "look"):
        world.act(action, 3)
    after = world.live()
    assert after is not None
    assert (after.quantity, after.price) == (D("0.5"), world.price + D("0.1"))
