"""The house never closes more than it holds: what a panic sold is the other half of what it takes over."""

from __future__ import annotations

from decimal import Decimal

import pytest
from closing_maker import actions, desk_at_market, go_on, limit, ordered, tell, tick, total, watching
from desk_maker import D, decide, desk_at, trade
from filling import fill
from unwind_maker import BTCUSDT, acknowledge, left, order_at, take
from unwind_maker import fill as fill_house

from pms.contract.journal import Entry, decode_entry, encode_entry
from pms.contract.names import BOTH, HOUSE
from pms.domain.booking import Trade, book, observe
from pms.domain.desk import Desk, Mark
from pms.domain.incidents import note_incident
from pms.domain.orders import Seen
from pms.domain.posting import Posting
from pms.domain.unwind_debt import REFUSED
from pms.domain.unwinding import unwind

_trades = 70_000


def foreign(desk: Desk, side: str, quantity: str, *, name: str = "PANIC-x") -> Posting:
    """An order that is not ours trades: it goes to the house."""
    global _trades  # noqa: PLW0603  ids must differ, not be random
    _trades += 1
    told = Trade(
        BTCUSDT, _trades, _trades, name, side, D(57_000), D(quantity), D(0), "USDT", D(0), False, 2500
    )
    posting = book(desk, told)
    assert posting is not None
    return posting


def net(desk: Desk) -> Decimal:
    """What the exchange account holds, as far as the books know."""
    return sum((p.quantity for held in desk.held.values() for p in held.values()), D(0))


def house(desk: Desk) -> Decimal:
    return desk.quantity((HOUSE, BTCUSDT, BOTH))


def settle_down(desk: Desk, *, now: int = 10_000) -> list[str]:
    """The unwinder looks until it has nothing to do; its orders trade at once."""
    kinds = []
    for step in range(10):
        posting = unwind(desk, BTCUSDT, now=now + step * 60_000)
        if posting is None:
            return kinds
        kinds.append(posting.entry.kind)
        for row in posting.entry.rows.orders:
            if row.state == "placing":
                fill_house(desk, desk.orders[row.client_order_id])
    raise AssertionError(f"it goes on and on: {kinds}")


@pytest.fixture
def desk() -> Desk:
    """Alice has bought three, and is liquidated below 56,700."""
    desk = desk_at()
    fill(desk, trade(desk, quantity="3", leverage=50), price="60000")
    return desk


def test_what_a_panic_sold_is_not_sold_again_when_its_account_is_taken_over(desk: Desk) -> None:
    decide(desk, "pms.halt", mode="HALTED", reason="panic", actor="op")
    foreign(desk, "SELL", "3")
    assert net(desk) == 0
    posting = tick(desk, watching(desk), "56000")
    assert actions(posting)[-1] == "TAKEOVER"
    assert (house(desk), left(desk), settle_down(desk), net(desk)) == (0, 0, [], 0)


def test_only_the_rest_is_closed_where_a_panic_sold_a_part(desk: Desk) -> None:
    foreign(desk, "SELL", "1")
    tick(desk, watching(desk), "56000")
    order = order_at(desk, 4000)
    assert (order.spec.side, order.quantity) == ("SELL", 2)
    fill_house(desk, order)
    assert (left(desk), net(desk)) == (0, 0)


def test_a_debt_that_stood_at_the_moment_of_the_panic_is_gone_with_it(desk: Desk) -> None:
    desk.tops.pop(BTCUSDT)
    take(desk, "1")
    foreign(desk, "SELL", "4")
    desk.tops[BTCUSDT] = desk.last_tops.get(BTCUSDT) or desk_at().tops[BTCUSDT]
    posting = unwind(desk, BTCUSDT, now=4000)
    assert posting is not None
    assert (posting.entry.kind, left(desk)) == ("unwind_lessened", 0)
    assert [(row.symbol, row.quantity) for row in posting.entry.rows.unwinds] == [(BTCUSDT, 0)]
    assert settle_down(desk) == []


def test_a_debt_of_the_other_side_stays_when_a_takeover_meets_what_was_sold(desk: Desk) -> None:
    take(desk, "-1")
    foreign(desk, "SELL", "3")
    tick(desk, watching(desk), "56000")
    assert (house(desk), left(desk)) == (-1, -1)
    order = order_at(desk, 4000)
    assert (order.spec.side, order.quantity) == ("BUY", 1)


def test_what_is_handed_on_while_the_debt_stands_is_not_closed(desk: Desk) -> None:
    take(desk, "1")
    move = {"fromAccountId": HOUSE, "toAccountId": "bob", "symbol": BTCUSDT, "quantity": "0.4"}
    decide(desk, "pms.reassign", **move, reason="his", actor="a")
    assert settle_down(desk) == ["unwind_lessened", "unwind"]
    assert (house(desk), left(desk), desk.quantity(("bob", BTCUSDT, BOTH))) == (0, 0, D("0.4"))


def test_an_order_that_rests_for_more_than_is_held_is_cancelled(desk: Desk) -> None:
    limit(desk, "liquidation.unwind", "passive,30,5")
    take(desk, "1")
    order = order_at(desk, 4000)
    acknowledge(desk, order)
    foreign(desk, "SELL", "0.5")
    kinds = [(unwind(desk, BTCUSDT, now=now) or fail()).entry.kind for now in (4001, 4002)]
    assert kinds == ["unwind_lessened", "unwind_withdrawn"]
    assert order.cancel_wanted
    # It has traded on its way: what it sold too much is bought back.
    fill_house(desk, order)
    assert left(desk) == house(desk) == D("-0.5")


def test_what_is_gone_is_told_no_more_as_refused_and_a_next_life_knows(desk: Desk) -> None:
    journal: list[Entry] = []
    take(desk, "1")
    before = desk.unwinds[BTCUSDT]
    draft = desk.draft("incident", at=1)
    note_incident(draft, kind=REFUSED, severity="critical", detail="d", subject=BTCUSDT)
    desk.sealed(draft)
    foreign(desk, "SELL", "1")
    posting = unwind(desk, BTCUSDT, now=4000)
    assert posting is not None
    journal.append(decode_entry(encode_entry(posting.entry)))
    assert desk.incidents.get(REFUSED, BTCUSDT) is None
    reborn = desk_at()
    reborn.note_unwind(before)
    for entry in journal:
        reborn.load(entry.rows)
    assert not reborn.unwinds


def test_what_the_house_was_given_beside_is_not_closed_either(desk: Desk) -> None:
    foreign(desk, "BUY", "2", name="by-hand")
    take(desk, "1")
    order = order_at(desk, 4000)
    assert (order.spec.side, order.quantity) == ("SELL", 1)
    fill_house(desk, order)
    assert (house(desk), left(desk)) == (2, 0)


# --- closed at market ---


def test_closed_at_market_the_account_sells_nothing_that_is_sold_already() -> None:
    desk = desk_at_market()
    foreign(desk, "SELL", "3")
    before = total(desk)
    posting = tick(desk, watching(desk), "56600")
    assert actions(posting) == ["WARN", "CANCEL", "TAKEOVER", "CLOSED"]
    assert ordered(posting) == []
    assert (house(desk), left(desk), desk.accounts["alice"].closing) == (0, 0, 0)
    assert total(desk) == before
    assert not desk.held["alice"]


def test_closed_at_market_only_what_is_not_sold_yet_is_ordered() -> None:
    desk = desk_at_market()
    foreign(desk, "SELL", "1")
    posting = tick(desk, watching(desk), "56600")
    assert posting is not None
    assert actions(posting) == ["WARN", "CANCEL", "CLOSE", "TAKEOVER"]
    parts = [(row.action, row.quantity) for row in posting.entry.rows.liquidations if row.quantity]
    assert parts == [("CLOSE", 2), ("TAKEOVER", 1)]
    (row,) = ordered(posting)
    assert row.quantity == 2
    assert actions(tell(desk, row, "56500")) == ["CLOSED"]
    assert (house(desk), left(desk), net(desk)) == (0, 0, 0)


def test_closed_at_market_a_debt_of_the_house_is_its_own_to_close() -> None:
    """It buys back what it took over; alice sells for herself."""
    desk = desk_at_market()
    take(desk, "-1")
    (row,) = ordered(tick(desk, watching(desk), "56600"))
    assert (row.quantity, left(desk)) == (3, -1)


def test_at_a_torn_price_it_is_neither_handed_over_nor_ordered() -> None:
    desk = desk_at_market()
    (first,) = ordered(tick(desk, watching(desk), "56600"))
    tell(desk, first, "56500", "1")
    foreign(desk, "SELL", "2")
    order = desk.orders[first.client_order_id]
    observe(desk, order, Seen(order.exchange_order_id or 0, "EXPIRED", D(1)), at=3500)
    desk.marks[BTCUSDT] = Mark(D(30_000), 4000)
    assert go_on(desk) is None
    del desk.marks[BTCUSDT]
    posting = go_on(desk)
    assert (actions(posting), ordered(posting)) == (["TAKEOVER", "CLOSED"], [])
    assert net(desk) == 0


def fail() -> Posting:
    raise AssertionError("nothing was done")
