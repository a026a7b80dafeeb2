"""The simulator's own sum of what the house owes agrees with the domain's, and not with a wrong one."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "domain"))

from closing_maker import actions, hold, tick, watching
from desk_maker import D, decide, desk_at

from pms.contract.journal import Entry, Rows
from pms.domain.booking import Trade, book
from pms.domain.desk import Desk
from pms.domain.posting import Posting
from pms.domain.rows import order_row, position_row
from pms.domain.unwinding import unwind
from pms.sim.judges.owed import Owed, behind, owed
from pms.sim.machines.books import Fold

BTCUSDT = "BTCUSDT"


class Judged:
    """A desk, and the books that follow it, entry by entry."""

    def __init__(self) -> None:
        self.desk = desk_at()
        hold(self.desk, "alice", "3")
        self.books = Fold()
        self.books.take(beginning(self.desk))

    def take(self, posting: Posting | None) -> Owed:
        """Judge one entry; returns what the books have behind it."""
        assert posting is not None
        was = owed(self.books, BTCUSDT)
        self.books.take(posting.entry)
        now = owed(self.books, BTCUSDT)
        assert now == behind(was, posting.entry, self.books, BTCUSDT)
        return now


def beginning(desk: Desk) -> Entry:
    positions = [position for held in desk.held.values() for position in held.values()]
    rows = Rows(
        positions=tuple(position_row(position) for position in positions),
        orders=tuple(order_row(order) for order in desk.orders.values()),
    )
    return Entry(v=1, seq=desk.last_seq, prev=0, at=1, kind="beginning", rows=rows)


def trade(desk: Desk, name: str, side: str, quantity: str, *, number: int) -> Posting | None:
    told = Trade(BTCUSDT, number, number, name, side, D(56_000), D(quantity), D(0), "USDT", D(0), False, 2500)
    return book(desk, told)


def test_a_panic_a_takeover_and_what_is_left_of_it() -> None:
    judged = Judged()
    desk = judged.desk
    assert judged.take(trade(desk, "PANIC-x", "SELL", "1", number=81)) == Owed(D(0), D(-1))
    posting = tick(desk, watching(desk), "56000")
    assert actions(posting)[-1] == "TAKEOVER"
    assert judged.take(posting) == Owed(D(2), D(0))
    order = unwind(desk, BTCUSDT, now=4000)
    judged.take(order)
    assert order is not None
    (row,) = order.entry.rows.orders
    assert judged.take(trade(desk, row.client_order_id, "SELL", "0.5", number=82)) == Owed(D("1.5"), D(0))
    assert judged.take(trade(desk, "PANIC-y", "SELL", "1", number=83)) == Owed(D("1.5"), D(-1))
    assert judged.take(unwind(desk, BTCUSDT, now=5000)) == Owed(D("0.5"), D(0))


def test_a_position_that_is_handed_on() -> None:
    judged = Judged()
    desk = judged.desk
    judged.take(tick(desk, watching(desk), "56000"))
    move = {"fromAccountId": "house", "toAccountId": "bob", "symbol": BTCUSDT, "quantity": "2"}
    assert judged.take(decide(desk, "pms.reassign", **move, reason="his", actor="a")) == Owed(D(3), D(-2))
    assert judged.take(unwind(desk, BTCUSDT, now=5000)) == Owed(D(1), D(0))


def test_a_takeover_that_counts_what_was_sold_already_is_found() -> None:
    judged = Judged()
    judged.take(trade(judged.desk, "PANIC-x", "SELL", "3", number=81))
    posting = tick(judged.desk, watching(judged.desk), "56000")
    assert posting is not None
    assert behind(Owed(D(0), D(-3)), posting.entry, judged.books, BTCUSDT) == Owed(D(0), D(0))
    assert behind(Owed(D(0), D(0)), posting.entry, judged.books, BTCUSDT) == Owed(D(3), D(0))
