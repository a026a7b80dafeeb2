"""A journal that is cut, compacted and forgotten tells and does the same as one that never was."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal as D
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
import venue_world
from hypothesis import given, settings
from hypothesis import strategies as st
from test_venue_exchange import check
from venue_world import ANY, MODES, NAMES, START, World, act, positions

from pms.venue.account import Account
from pms.venue.acts import Acts
from pms.venue.errors import VenueError
from pms.venue.exchange import Exchange
from pms.venue.history import EMPTY_ORDER_KEPT_MS, KEPT_MS
from pms.venue.journal import FileJournal, JournalError
from pms.venue.market import Market
from pms.venue.matching import BUY, SELL, PriceMatch, SelfTrade
from pms.venue.restore import restore
from pms.venue.state import BOTH, LONG, SHORT, Income, Order, Trade
from pms.venue.store import history_file
from pms.venue.store.compaction import compact
from pms.venue.store.files import StateDirectory

BTC = "BTCUSDT"


def failed(error: OSError) -> None:
    raise AssertionError(error)


class Slow(World):
    """A world in which several changes have one time, as in a fast one: a cut comes between them."""

    calls = 0

    def clock(self) -> int:
        self.calls += 1
        self.now += self.calls % 3 == 0
        return self.now


class Kept(Slow):
    """A world whose journal is in a directory."""

    known_before = 0

    def __init__(self, root: Path) -> None:
        self.root = root
        self.journal = FileJournal(root, failed=failed)
        try:
            memory = self.journal.restore()
        except JournalError:
            self.journal.close()
            raise
        super().__init__({})
        restore(self.exchange, memory)

    def made(self) -> Exchange:
        markets = {each.name: Market(each, start_price=START) for each in (venue_world.BTC, venue_world.ETH)}
        return Exchange(
            markets, journal=self.journal, publisher=self, clock=self.clock, past=self.journal.history
        )

    def restart(self) -> None:
        self.journal.close()
        self.journal = FileJournal(self.root, failed=failed)
        memory = self.journal.restore()
        self.exchange = self.made()
        restore(self.exchange, memory)

    def cut(self) -> None:
        """Cut, and compact as a process beside it would."""
        at = self.now
        self.journal.cut()
        compact(StateDirectory(self.root), now=at)
        self.known_before = at

    def forget(self) -> None:
        """Forget what was compacted last, after whatever has happened meanwhile."""
        for account in self.exchange.accounts.values():
            for _ in account.forget(self.known_before):
                pass


class Whole(Slow):
    """A world that is folded whole, from the list of all its transactions."""

    def restart(self) -> None:
        self.exchange = self.restarted()


KEEPING = st.sampled_from((("close",), ("cut",), ("cut",), ("forget",), ("forget",), ("restart",)))
# Every fourth step, for nothing is proven where nothing is cut
STEP = st.integers(0, 3).flatmap(lambda quarter: ANY if quarter else KEEPING)
STEPS = st.lists(STEP, min_size=20, max_size=60)


@pytest.fixture(autouse=True, scope="module")
def nothing_is_synced() -> Iterator[None]:
    """No power is cut here, and the disk of a test machine is slow."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        patch.setattr(os, "fdatasync", lambda _: None)
        patch.setattr(history_file, "DURABLE", "OFF")
        yield


@settings(max_examples=50, deadline=None)
@given(MODES, STEPS, st.data())
def test_cuts_and_restarts_anywhere_change_nothing_that_can_be_seen(
    modes: dict[str, bool], script: list[tuple], data: st.DataObject
) -> None:
    with TemporaryDirectory() as directory:
        kept, whole = Kept(Path(directory)), Whole({})
        for world in (kept, whole):
            for name, hedge in modes.items():
                account = world.exchange.open_account(name, D(1_000_000))
                if hedge:
                    Acts(world.exchange).set_position_mode(account, hedge=True)
        for number, step in enumerate([*script, ("forget",), ("restart",)]):
            match step:
                case ("close",):
                    # Cut, and killed before it was compacted
                    kept.journal.cut()
                case ("cut",):
                    kept.cut()
                case ("forget",):
                    kept.forget()
                    compare(kept.exchange, whole.exchange, data)
                case ("restart",):
                    kept.restart()
                    whole.restart()
                    compare(kept.exchange, whole.exchange, data)
                case _:
                    for world in (kept, whole):
                        with suppress(VenueError):
                            act(world, number, step)
        check(whole.exchange)
        kept.journal.close()


def compare(kept: Exchange, whole: Exchange, data: st.DataObject) -> None:
    """Queues, open orders and money are the same; each query finds what a look through everything finds."""
    assert bare(kept) == bare(whole)
    now = whole.clock()
    kept.clock()
    for name in NAMES:
        asked, told = kept.accounts[name], whole.accounts[name]
        everything(asked, told)
        window = sorted((data.draw(st.integers(0, now)), data.draw(st.integers(0, now))))
        pages(
            asked, told, (window[0], window[1]), data.draw(st.integers(1, 6)), newest=data.draw(st.booleans())
        )


def bare(exchange: Exchange) -> bytes:
    """What trading goes on with, as bytes: no history."""
    market = exchange.markets[BTC]
    queues = [
        [(order.id, order.price, order.left) for level in side for order in level if order.id]
        for side in (market.book.bids, market.book.asks)
    ]
    accounts = [
        [
            account.wallet,
            positions(account),
            account.open_orders(None),
            sorted(account.names),
            [
                (leg.exposure.bids, leg.exposure.asks)
                for leg in (account.leg(BTC, side) for side in (BOTH, LONG, SHORT))
            ],
        ]
        for account in exchange.accounts.values()
    ]
    return msgspec.json.encode([queues, accounts, market.state(), market.next_order_id, market.next_trade_id])


def everything(asked: Account, told: Account) -> None:
    orders = list(told.orders[BTC].values())
    assert asked.orders_from(BTC, 0, 10_000) == orders
    assert asked.trades_from(BTC, 0, 10_000, order_id=None) == by_id(told.trades[BTC])
    assert asked.incomes_between(0, 1 << 60, limit=10_000) == told.incomes
    for order in orders:
        assert asked.find(BTC, order_id=order.order_id, client_order_id=None) == order
        newest = told.find(BTC, order_id=None, client_order_id=order.client_order_id)
        assert asked.find(BTC, order_id=None, client_order_id=order.client_order_id) == newest
        mine = [trade for trade in told.trades[BTC] if trade.order_id == order.order_id]
        assert asked.trades_from(BTC, 0, 10_000, order_id=order.order_id) == by_id(mine)
    assert asked.find(BTC, order_id=1 << 40, client_order_id=None) is None
    assert asked.find(BTC, order_id=None, client_order_id="never") is None


def pages(asked: Account, told: Account, window: tuple[int, int], limit: int, *, newest: bool) -> None:
    start, end = window

    def page(rows: list) -> list:
        return rows[-limit:] if newest else rows[:limit]

    orders: list[Order] = [each for each in told.orders[BTC].values() if start <= each.created <= end]
    assert asked.orders_between(BTC, start, end, limit, newest=newest) == page(orders)
    trades: list[Trade] = by_id([each for each in told.trades[BTC] if start <= each.time <= end])
    assert asked.trades_between(BTC, start, end, limit, newest=newest, order_id=None) == page(trades)
    middle = trades[len(trades) // 2].trade_id if trades else 0
    later = by_id([each for each in told.trades[BTC] if each.trade_id >= middle])
    assert asked.trades_from(BTC, middle, limit, order_id=None) == later[:limit]
    for type_ in (None, "COMMISSION", "REALIZED_PNL"):
        incomes: list[Income] = [
            each for each in told.incomes if start <= each.time <= end and type_ in (None, each.type)
        ]
        for offset in range(0, len(incomes) + limit, limit):
            found = asked.incomes_between(start, end, type_=type_, limit=limit, offset=offset)
            assert found == incomes[offset : offset + limit]


def by_id(trades: list[Trade]) -> list[Trade]:
    """The two sides of a self-trade have one id: the taker's first."""
    return sorted(trades, key=lambda each: (each.trade_id, each.maker))


def test_queries_know_three_days_of_empty_orders_and_ninety_of_all_else_wherever_they_are(
    tmp_path: Path,
) -> None:
    world = Kept(tmp_path)
    account = world.exchange.open_account("a", D(1_000_000))
    for number, side in enumerate((BUY, SELL, BUY)):
        act(
            world, number, ("place", "a", side, START, 5, "GTC", False, SelfTrade.NONE, PriceMatch.NONE, LONG)
        )
    act(world, 3, ("cancel", "a", 0))
    ended = [order.updated for order in account.orders[BTC].values()]
    paid = account.trades[BTC][0].time

    def known(now: int) -> tuple[int, int, int]:
        orders = account.orders_from(BTC, 0, 2, now=now)
        # An order that is too old takes no place from one that is not
        assert orders == account.orders_between(BTC, 0, 1 << 60, 2, newest=False, now=now)
        trades = account.trades_from(BTC, 0, 9, order_id=None, now=now)
        return len(orders), len(trades), len(account.incomes_between(paid, 1 << 60, limit=9, now=now))

    for _ in ("in memory", "in the history"):
        assert known(world.now) == (2, 2, 2)
        assert len(account.orders_from(BTC, 0, 9, now=ended[2] + EMPTY_ORDER_KEPT_MS)) == 3
        assert len(account.orders_from(BTC, 0, 9, now=ended[2] + EMPTY_ORDER_KEPT_MS + 1)) == 2
        assert known(paid + KEPT_MS) == (2, 2, 2)
        assert known(ended[1] + KEPT_MS + 1) == (0, 0, 0)
        world.now += 1
        world.cut()
        world.forget()
    assert account.trades[BTC] == account.incomes == account.order_ids[BTC] == []
    world.journal.close()
