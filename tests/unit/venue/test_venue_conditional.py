"""Conditional orders at the exchange: what lets them out, what becomes of them, and what a restart keeps."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import msgspec
import pytest
from pydantic import SecretStr

from pms.venue import core
from pms.venue.account import Account
from pms.venue.auth import Credential
from pms.venue.checks import NewOrder
from pms.venue.errors import VenueError
from pms.venue.matching import BUY, SELL, SelfTrade, TimeInForce
from pms.venue.restore import Remembered
from pms.venue.settlement import Fees
from pms.venue.state import AlgoOrder, Fact, Watermark
from pms.venue.symbols import SHIPPED, SymbolTable

BTC = "BTCUSDT"
MIDDLE = 600_000
SYMBOLS = SymbolTable.load(SHIPPED)
Json = dict[str, Any]


class World:
    """A venue without doors, whose journal is a list of lines as on disk."""

    def __init__(self, lines: list[bytes] | None = None, *, quoted: bool = True) -> None:
        self.lines = lines if lines is not None else []
        self.now = 1_000_000 + len(self.lines) * 1000
        decoder = msgspec.json.Decoder(list[Fact])
        memory = Remembered.fold(fact for line in self.lines for fact in decoder.decode(line))
        self.venue = core.build(
            SYMBOLS,
            credentials=[Credential("a", "K", SecretStr("S"))],
            journal=self,
            memory=memory,
            clock=self.clock,
            monotonic_ns=lambda: 0,
            token=lambda length: f"t{self.clock():0{length - 1}d}",
            fees=Fees(),
            limited=False,
        )
        self.exchange = self.venue.exchange
        self.events: list[Json] = []
        self.venue.feeds.publish = self.publish  # type: ignore[method-assign]
        if "a" not in self.exchange.accounts:
            self.exchange.open_account("a", D(100_000))
        # Somebody else's book first: what waits for ours must not meet it empty
        self.exchange.replace_levels("ETHUSDT", bids=[(260_000, 10)], asks=[(260_010, 10)])
        if quoted:
            self.quote(MIDDLE)

    def clock(self) -> int:
        self.now += 1
        return self.now

    def append(self, facts: list[Fact]) -> None:
        self.lines.append(msgspec.json.encode(facts))

    def publish(self, transaction: Any) -> None:
        self.events += [event.payload for event in transaction.events]

    @property
    def account(self) -> Account:
        return self.exchange.accounts["a"]

    @property
    def held(self) -> int:
        return self.account.position(BTC).lots

    def quote(self, middle: int) -> None:
        """A market around a price, which also trades there once."""
        self.exchange.replace_levels(
            BTC,
            bids=[(middle - 1 - step, 10_000) for step in range(5)],
            asks=[(middle + 1 + step, 10_000) for step in range(5)],
        )

    def trade(self, price: int) -> None:
        """The last price becomes this one."""
        self.quote(price - 1)
        self.exchange.background_order(BTC, side=BUY, lots=1, limit=None)

    def buy(self, lots: int) -> None:
        self.order("MARKET", BUY, lots, 0)

    def order(self, type_: str, side: int, lots: int, price: int, *, reduce_only: bool = False) -> None:
        self.exchange.place(
            self.account,
            NewOrder(
                symbol=BTC,
                side=side,
                type=type_,
                time_in_force=TimeInForce.GTC,
                lots=lots,
                price=price,
                reduce_only=reduce_only,
                client_order_id=f"o{self.clock()}",
                self_trade=SelfTrade.EXPIRE_MAKER,
            ),
        )

    def algo(self, type_: str, trigger: int = 0, **more: Any) -> AlgoOrder:
        terms: Json = {
            "side": SELL,
            "quantity": 10,
            "price": 0,
            "time_in_force": "GTC",
            "working_type": "CONTRACT_PRICE",
            "close_position": False,
            "price_protect": False,
            "reduce_only": False,
            "self_trade": "NONE",
            "client_algo_id": f"c{self.clock()}",
        } | more
        algo = AlgoOrder(account="a", symbol=BTC, algo_id=0, type=type_, trigger=trigger, **terms)
        return self.venue.conditionals.place(self.account, algo)

    def told(self) -> list[str]:
        """Since the last asking: what the user stream said, in a word each."""
        words = []
        for each in self.events:
            inner = each.get("o", {})
            if each["e"] in ("ALGO_UPDATE", "ORDER_TRADE_UPDATE"):
                words.append(f"{each['e'][0]} {inner.get('x', inner['X'])}")
        self.events.clear()
        return words


@pytest.fixture
def world() -> World:
    made = World()
    made.trade(MIDDLE)
    made.buy(100)
    made.told()
    return made


def test_a_stop_lets_a_market_order_out_and_ends_with_it(world: World) -> None:
    stop = world.algo("STOP_MARKET", MIDDLE - 50)
    world.trade(MIDDLE - 49)
    assert stop.status == "NEW"
    world.trade(MIDDLE - 50)
    assert (stop.status, world.held) == ("FINISHED", 90)
    assert world.told() == ["A NEW", "A TRIGGERING", "A TRIGGERED", "O NEW", "O TRADE", "A FINISHED"]
    order = world.account.orders[BTC][stop.order_id]
    assert order.origin is not None
    assert (order.type, order.origin.type, order.origin.trigger) == ("MARKET", "STOP_MARKET", MIDDLE - 50)


@pytest.mark.parametrize(
    ("type_", "side", "trigger"),
    [
        ("STOP_MARKET", SELL, MIDDLE - 20),
        ("STOP_MARKET", BUY, MIDDLE + 20),
        ("TAKE_PROFIT_MARKET", SELL, MIDDLE + 20),
        ("TAKE_PROFIT_MARKET", BUY, MIDDLE - 20),
    ],
)
def test_each_kind_waits_for_its_own_side_of_the_price(
    world: World, type_: str, side: int, trigger: int
) -> None:
    algo = world.algo(type_, trigger, side=side)
    away = MIDDLE + (MIDDLE - trigger) * 2
    world.trade(away)
    assert algo.status == "NEW"
    world.trade(trigger)
    assert algo.status == "FINISHED"


@pytest.mark.parametrize("working_type", ["CONTRACT_PRICE", "MARK_PRICE"])
def test_what_a_price_would_let_out_at_once_is_refused(world: World, working_type: str) -> None:
    before = len(world.lines)
    with pytest.raises(VenueError) as refused:
        world.algo("STOP_MARKET", MIDDLE + 100, working_type=working_type)
    assert (refused.value.code, len(world.lines)) == (-2021, before)


def test_a_stop_on_the_mark_does_not_look_at_trades(world: World) -> None:
    stop = world.algo("STOP_MARKET", MIDDLE - 50, working_type="MARK_PRICE")
    world.exchange.set_levels(BTC, bids=[(MIDDLE - 60, 1)], asks=[])
    world.exchange.recorded_trade(BTC, side=SELL, price=MIDDLE - 60, lots=1)
    assert (world.exchange.markets[BTC].last_price, stop.status) == (MIDDLE - 60, "NEW")
    world.quote(MIDDLE - 51)
    assert stop.status == "FINISHED"


def test_a_limit_that_a_stop_lets_out_rests_and_finishes_when_cancelled(world: World) -> None:
    stop = world.algo("STOP", MIDDLE - 50, price=MIDDLE + 40)
    world.trade(MIDDLE - 50)
    assert stop.status == "TRIGGERED"
    world.exchange.cancel(world.account, BTC, order_id=stop.order_id, client_order_id=None)
    assert (stop.status, world.held) == ("FINISHED", 100)


def test_what_the_exchange_will_not_have_is_rejected_with_its_words(world: World) -> None:
    stop = world.algo("STOP_MARKET", MIDDLE - 50, quantity=40_000)
    world.trade(MIDDLE - 50)
    assert (stop.status, stop.reason) == ("REJECTED", "Margin is insufficient.")
    assert world.events[-1]["o"]["rm"] == stop.reason
    assert world.held == 100


def test_a_stop_closes_a_position_that_a_resting_take_profit_covers(world: World) -> None:
    world.order("LIMIT", SELL, 100, MIDDLE + 400, reduce_only=True)
    stop = world.algo("STOP_MARKET", MIDDLE - 50, quantity=0, close_position=True)
    world.trade(MIDDLE - 50)
    assert (stop.status, world.held, world.account.open_orders(BTC)) == ("FINISHED", 0, [])


def test_what_closes_a_position_ends_with_it(world: World) -> None:
    stop = world.algo("STOP_MARKET", MIDDLE - 50, quantity=0, close_position=True)
    plain = world.algo("STOP_MARKET", MIDDLE - 50)
    world.exchange.set_leverage(world.account, BTC, 5)
    world.order("MARKET", SELL, 60, 0)
    assert stop.status == "NEW"
    world.order("MARKET", SELL, 40, 0)
    assert (stop.status, plain.status) == ("EXPIRED", "NEW")


def test_what_would_close_a_position_may_wait_for_it(world: World) -> None:
    stop = world.algo("TAKE_PROFIT_MARKET", MIDDLE - 50, side=BUY, quantity=0, close_position=True)
    world.exchange.set_leverage(world.account, BTC, 5)
    assert stop.status == "NEW"


def test_a_protected_stop_waits_until_mark_and_last_are_near(world: World) -> None:
    stop = world.algo("STOP_MARKET", MIDDLE - 60_000, price_protect=True)
    world.exchange.recorded_trade(BTC, side=SELL, price=MIDDLE - 60_000, lots=1)
    assert stop.status == "NEW"
    world.trade(MIDDLE)
    world.exchange.recorded_trade(BTC, side=SELL, price=MIDDLE - 59_000, lots=1)
    assert stop.status == "NEW"
    world.trade(MIDDLE - 60_000)
    assert stop.status == "FINISHED"


def test_a_trailing_stop_begins_at_its_price_and_follows_the_best(world: World) -> None:
    stop = world.algo("TRAILING_STOP_MARKET", callback=10, activation=MIDDLE + 100)
    world.trade(MIDDLE - 50_000)
    assert (stop.status, stop.activated) == ("NEW", False)
    world.trade(MIDDLE + 100)
    assert stop.activated
    world.trade(MIDDLE + 10_000)
    world.trade(MIDDLE + 10_000 - 6_099)
    assert stop.status == "NEW"
    world.trade(MIDDLE + 10_000 - 6_100)
    assert stop.status == "FINISHED"
    assert "A NEW" in world.told()


def test_a_restart_keeps_what_waits_and_the_best_price_of_what_trails(world: World) -> None:
    stop = world.algo("STOP_MARKET", MIDDLE - 20_000)
    trail = world.algo("TRAILING_STOP_MARKET", callback=10)
    for price in (MIDDLE + 5_000, MIDDLE + 10_000, MIDDLE + 8_000):
        world.trade(price)
    again = World(world.lines)
    kept = again.venue.conditionals.shelves["a"].open
    assert {each.algo_id for each in kept.values()} == {stop.algo_id, trail.algo_id}
    again.trade(MIDDLE + 10_000 - 6_099)
    assert kept[trail.algo_id].status == "NEW"
    again.trade(MIDDLE + 10_000 - 6_100)
    assert again.venue.conditionals.shelves["a"].all[trail.algo_id].status == "FINISHED"
    assert again.held == 90


def test_a_new_best_is_one_row_however_many_follow(world: World) -> None:
    for _ in range(50):
        world.algo("TRAILING_STOP_MARKET", callback=20)
    before = len(world.lines)
    world.trade(MIDDLE + 100)
    decoder = msgspec.json.Decoder(list[Fact])
    rows = [fact for line in world.lines[before:] for fact in decoder.decode(line)]
    assert [type(row) for row in rows if isinstance(row, AlgoOrder | Watermark)] == [Watermark]


def test_wherever_the_journal_ends_a_stop_places_one_order(world: World) -> None:
    stop = world.algo("STOP_MARKET", MIDDLE - 50)
    before = len(world.lines)
    world.trade(MIDDLE - 50)
    assert len(world.lines) - before >= 2
    outcomes = set()
    for end in range(before, len(world.lines) + 1):
        again = World(list(world.lines[:end]))
        again.trade(MIDDLE - 50)
        again.trade(MIDDLE - 50)
        kept = again.venue.conditionals.shelves["a"].all[stop.algo_id]
        outcomes.add((kept.status, again.held, len(again.account.orders[BTC])))
    assert outcomes == {("FINISHED", 90, 2)}


def test_the_touch_of_a_tick_survives_a_restart_that_the_order_did_not(world: World) -> None:
    stop = world.algo("STOP_MARKET", MIDDLE - 50)
    before = len(world.lines)
    world.trade(MIDDLE - 50)
    marked = next(end for end in range(before, len(world.lines)) if b'"TRIGGERING"' in world.lines[end])
    again = World(list(world.lines[: marked + 1]))
    again.trade(MIDDLE)
    assert again.venue.conditionals.shelves["a"].all[stop.algo_id].status == "FINISHED"
    assert again.held == world.held == 90


def test_stops_may_set_off_one_another(world: World) -> None:
    stops = [world.algo("STOP_MARKET", MIDDLE - 50 - step, quantity=10) for step in range(8)]
    world.trade(MIDDLE - 60)
    assert {stop.status for stop in stops} == {"FINISHED"}
    assert world.held == 20


def test_late_reads_come_to_know_what_let_a_stop_out_and_what_it_let_out(world: World) -> None:
    world.venue.faults.add({"kind": "stale_reads", "ms": 1, "count": -1})
    world.algo("STOP_MARKET", MIDDLE + 1, side=BUY)
    world.quote(MIDDLE)
    world.buy(20)
    assert world.held == 130
    world.now += 1_000
    late = world.venue.late_reads.reader(world.account, "GET", "/fapi/v1/order", "")
    assert late is not world.account
    assert late.orders[BTC] == world.account.orders[BTC]
    assert late.trades[BTC] == world.account.trades[BTC]


def test_two_hundred_may_wait_and_no_more(world: World) -> None:
    for _ in range(200):
        world.algo("STOP_MARKET", MIDDLE - 50)
    with pytest.raises(VenueError) as refused:
        world.algo("STOP_MARKET", MIDDLE - 50)
    assert refused.value.code == -4045
    world.venue.conditionals.cancel_all(world.account, BTC)
    assert not world.venue.conditionals.shelves["a"].open
    world.trade(MIDDLE - 60)
    assert world.held == 100


def test_nothing_makes_way_for_a_stop_that_is_refused() -> None:
    world = World()
    world.buy(100)
    world.order("LIMIT", SELL, 100, MIDDLE + 2000, reduce_only=True)
    (profit,) = world.account.open[BTC].values()
    stop = world.algo("STOP_MARKET", MIDDLE - 5, quantity=100, reduce_only=True)
    far = int(MIDDLE * D("0.8"))
    world.exchange.replace_levels(BTC, bids=[(MIDDLE - 5, 1), (far, 500)], asks=[(MIDDLE + 1, 500)])
    world.exchange.background_order(BTC, side=SELL, lots=1, limit=None)
    assert (stop.status, world.held) == ("REJECTED", 100)
    assert profit.status == "NEW", "the only order that closes the position is still there"


def test_what_accounts_left_on_both_sides_is_no_market_for_what_was_let_out(world: World) -> None:
    """Neither for an order on its way out at the restart, nor for one that waits for the mark."""
    for price in (MIDDLE - 40_000, MIDDLE - 40_001):
        world.order("LIMIT", BUY, 10, price)
    world.order("LIMIT", SELL, 10, MIDDLE + 100)
    on_mark = world.algo("STOP_MARKET", MIDDLE - 15_000, working_type="MARK_PRICE")
    stop = world.algo("STOP_MARKET", MIDDLE - 50)
    before = len(world.lines)
    world.trade(MIDDLE - 50)
    marked = next(end for end in range(before, len(world.lines)) if b'"TRIGGERING"' in world.lines[end])
    again = World(list(world.lines[: marked + 1]), quoted=False)
    kept = again.venue.conditionals.shelves["a"].all
    # A date or a dead man's switch: a book changes and nobody has quoted it
    lowest = min(again.account.open_orders(BTC), key=lambda each: each.price)
    again.exchange.cancel(again.account, BTC, order_id=lowest.order_id, client_order_id=None)
    assert again.exchange.markets[BTC].mark < again.exchange.markets[BTC].symbol.price(MIDDLE - 15_000)
    assert [kept[each.algo_id].status for each in (stop, on_mark)] == ["TRIGGERING", "NEW"]
    again.trade(MIDDLE)
    assert [kept[each.algo_id].status for each in (stop, on_mark)] == ["FINISHED", "NEW"]
    order = again.account.orders[BTC][kept[stop.algo_id].order_id]
    assert order.quote / order.executed > MIDDLE - 100


def test_a_start_lets_nothing_out_before_every_book_has_its_quotes(world: World) -> None:
    stop = world.algo("STOP_MARKET", MIDDLE - 50)
    with world.exchange.unfollowed():
        world.trade(MIDDLE - 50)
        assert stop.status == "TRIGGERING"
    assert (stop.status, world.held) == ("FINISHED", 90)


@pytest.mark.parametrize("restarted", [False, True])
def test_a_limit_that_is_bound_to_its_position_ends_with_it(world: World, *, restarted: bool) -> None:
    algo = world.algo("TAKE_PROFIT", MIDDLE + 50, price=MIDDLE + 400, time_in_force="GTE_GTC", quantity=100)
    free = world.algo("TAKE_PROFIT", MIDDLE + 51, price=MIDDLE + 400)
    world.trade(MIDDLE + 50)
    world.trade(MIDDLE + 51)
    assert (algo.status, free.status) == ("TRIGGERED", "TRIGGERED")
    if restarted:
        world = World(world.lines)
    world.order("MARKET", SELL, 60, 0)
    assert len(world.account.open_orders(BTC)) == 2
    world.told()
    world.order("MARKET", SELL, 40, 0)
    assert world.account.orders[BTC][algo.order_id].status == "EXPIRED"
    assert [each.order_id for each in world.account.open_orders(BTC)] == [free.order_id]
    (event,) = [each["o"] for each in world.events if each["e"] == "ORDER_TRADE_UPDATE"][2:]
    assert (event["x"], event["f"], event["er"], event["ot"]) == ("EXPIRED", "GTE_GTC", "6", "TAKE_PROFIT")
    shelf = world.venue.conditionals.shelves["a"]
    assert (shelf.all[algo.algo_id].status, list(shelf.bound[BTC])) == ("FINISHED", [])
    world.trade(MIDDLE + 500)
    assert world.held == -10


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize(
    ("prices", "statuses"),
    [
        # Back above what lets it out: neither goes
        ((MIDDLE - 5_999,), ("NEW",)),
        ((MIDDLE - 5_999, MIDDLE - 6_000), ("NEW", "FINISHED")),
        # Still below it, and mark and last are near
        ((MIDDLE - 6_001,), ("FINISHED",)),
        # A new best price counts as if nothing had happened
        ((MIDDLE + 10_000, MIDDLE + 3_901, MIDDLE + 3_900), ("NEW", "NEW", "FINISHED")),
    ],
)
def test_a_protected_trailing_stop_follows_on_behind_a_restart_too(
    world: World, prices: tuple[int, ...], statuses: tuple[str, ...], *, restarted: bool
) -> None:
    algo_id = world.algo("TRAILING_STOP_MARKET", callback=10, price_protect=True).algo_id
    for _ in range(2):
        world.exchange.recorded_trade(BTC, side=SELL, price=MIDDLE - 60_000, lots=1)
    assert world.venue.conditionals.shelves["a"].all[algo_id].status == "NEW"
    if restarted:
        world = World(world.lines)
    told = []
    for price in prices:
        world.trade(price)
        told.append(world.venue.conditionals.shelves["a"].all[algo_id].status)
    assert tuple(told) == statuses


def test_a_protected_trailing_stop_goes_when_the_mark_comes_near(world: World) -> None:
    stop = world.algo("TRAILING_STOP_MARKET", callback=10, price_protect=True)
    world.exchange.recorded_trade(BTC, side=SELL, price=MIDDLE - 60_000, lots=1)
    world.quote(MIDDLE - 30_100)
    assert stop.status == "NEW"
    world.quote(MIDDLE - 59_000)
    assert stop.status == "FINISHED"
    assert world.held == 90
