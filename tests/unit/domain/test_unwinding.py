"""The house closes what it took over: one order at a time, of a size that can be bounded."""

from __future__ import annotations

import pytest
from desk_maker import D, decide, desk_at, move_price, trade
from unwind_maker import BTCUSDT, acknowledge, fill, left, order_at, take

from pms.contract.names import HOUSE
from pms.domain.booking import observe
from pms.domain.desk import Desk
from pms.domain.handing import hand_orders
from pms.domain.headroom import SymbolSetting
from pms.domain.orders import Doubtful, NotExecuted, Order
from pms.domain.unwinding import unwind


@pytest.fixture
def desk() -> Desk:
    return desk_at("56000")


def limit(desk: Desk, name: str, value: str) -> None:
    decide(desk, "pms.limits", action="set", scope="*", limit=name, value=value, reason="r", actor="a")


def test_the_house_unwinds_its_net_one_order_at_a_time(desk: Desk) -> None:
    take(desk, "3")
    take(desk, "-1")
    limit(desk, "liquidation.unwind_notional", "60000")
    first = order_at(desk, 4000)
    assert (first.spec.side, first.quantity, first.spec.sub_account_id, first.spec.origin) == (
        "SELL",
        D("1.071"),
        HOUSE,
        "LIQUIDATION",
    )
    assert unwind(desk, BTCUSDT, now=4000) is None, "one lives"
    fill(desk, first)
    assert left(desk) == D("0.929")
    second = order_at(desk, 4001)
    assert second.quantity == D("0.929")
    assert second.spec.client_order_id != first.spec.client_order_id


def hand_unknown(desk: Desk, side: str, quantity: str) -> Order:
    """An order of alice's, of which nobody knows whether it lives, goes to the house."""
    posting = trade(desk, side=side, quantity=quantity, leverage=20)
    order = desk.orders[posting.entry.rows.orders[0].client_order_id]
    observe(desk, order, Doubtful(), at=1000)
    draft = desk.draft("liquidation", at=1000)
    hand_orders(desk, draft, "alice", BTCUSDT)
    desk.sealed(draft)
    return order


def test_an_unknown_order_that_came_with_a_position_does_not_block_what_is_not_its_own(desk: Desk) -> None:
    take(desk, "10")
    bought = hand_unknown(desk, "BUY", "0.001")
    first = order_at(desk, 1001)
    assert (first.spec.side, first.quantity) == ("SELL", 10)
    assert unwind(desk, BTCUSDT, now=1002) is None, "its own order lives"
    fill(desk, bought)
    assert left(desk) == D("10.001")
    fill(desk, first)
    assert order_at(desk, 3000).quantity == D("0.001")


@pytest.mark.parametrize("trades", [True, False])
def test_what_an_unknown_order_may_yet_close_is_for_no_other(desk: Desk, trades: bool) -> None:
    take(desk, "10")
    sold = hand_unknown(desk, "SELL", "3")
    first = order_at(desk, 1001)
    assert (first.spec.side, first.quantity) == ("SELL", 7)
    fill(desk, first)
    assert left(desk) == 3
    assert unwind(desk, BTCUSDT, now=2001) is None
    if trades:
        fill(desk, sold)
        assert left(desk) == 0
        return
    observe(desk, sold, NotExecuted("proven"), at=2001)
    assert order_at(desk, 3000).quantity == 3


def test_a_resting_order_makes_way_for_one_that_may_close_the_same(desk: Desk) -> None:
    take(desk, "10")
    limit(desk, "liquidation.unwind", "passive,600,50")
    order = order_at(desk, 1001)
    acknowledge(desk, order)
    hand_unknown(desk, "SELL", "3")
    posting = unwind(desk, BTCUSDT, now=2001)
    assert posting is not None
    assert posting.entry.kind == "unwind_withdrawn"
    assert order.cancel_wanted


def test_a_short_is_bought_back(desk: Desk) -> None:
    take(desk, "-0.5")
    order = order_at(desk, 1)
    assert (order.spec.side, order.quantity) == ("BUY", D("0.5"))


def test_dust_waits_until_more_is_taken_over(desk: Desk) -> None:
    take(desk, "0.0004")
    assert unwind(desk, BTCUSDT, now=1) is None
    take(desk, "0.0006")
    assert order_at(desk, 2).quantity == D("0.001")


def test_a_bound_below_the_symbols_least_does_not_keep_the_house_from_closing(desk: Desk) -> None:
    take(desk, "1")
    limit(desk, "liquidation.unwind_notional", "1")
    assert order_at(desk, 1).quantity == D("0.001")


def test_a_partly_filled_order_blocks_the_next_until_it_is_over(desk: Desk) -> None:
    take(desk, "1")
    order = order_at(desk, 1)
    acknowledge(desk, order)
    fill(desk, order, "0.4")
    assert left(desk) == D("0.6")
    assert unwind(desk, BTCUSDT, now=60_000) is None


def test_nothing_is_sent_without_a_price(desk: Desk) -> None:
    take(desk, "1")
    tops = desk.tops.pop(BTCUSDT)
    assert unwind(desk, BTCUSDT, now=1) is None
    desk.tops[BTCUSDT] = tops
    assert order_at(desk, 1).quantity == 1


def test_no_check_of_admission_stands_before_the_houses_own_orders(desk: Desk) -> None:
    """Neither its balance, nor what the exchange account can carry, nor how the symbol is set up there."""
    take(desk, "3")
    desk.accounts[HOUSE].balance = D(-5)
    desk.headroom.available = D(0)
    desk.headroom.settings[BTCUSDT] = SymbolSetting("ISOLATED", 1)
    desk.headroom.wanted_leverage = 20
    decide(desk, "pms.halt", mode="HALTED", reason="r", actor="a")
    for name in ("order.notional", "position.quantity", "exposure"):
        limit(desk, name, "1")
    move_price(desk, "40000")
    assert order_at(desk, 1).quantity == 3
