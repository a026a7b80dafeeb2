"""The exchange account's own margin and settings, before an order is sent to be refused there."""

from __future__ import annotations

import pytest
from desk_maker import D, desk_at, move_price, request_id, trade
from filling import fill

from pms.contract.codes import Code, Refusal
from pms.contract.reading import command_from
from pms.domain.admission import Asked, admit
from pms.domain.booking import observe
from pms.domain.desk import Desk
from pms.domain.headroom import SymbolSetting
from pms.domain.orders import Seen


def desk_with(available: str, *, leverage: int = 20, margin_type: str = "CROSSED") -> Desk:
    desk = desk_at()
    desk.headroom.settings["BTCUSDT"] = SymbolSetting(margin_type, leverage)
    desk.headroom.told(D(available), counted=())
    return desk


def refused(desk: Desk, account: str = "alice", **fields: object) -> Refusal:
    before = desk.snapshot(account)
    with pytest.raises(Refusal) as found:
        trade(desk, account, **fields)
    assert desk.snapshot(account) == before
    return found.value


def trade_at(desk: Desk, again: str, at: int) -> str | None:
    """Trade under a request id that arrives at a time; returns the order's id."""
    fields = {
        "requestId": again,
        "subAccountId": "alice",
        "symbol": "BTCUSDT",
        "side": "BUY",
        "quantity": "0.01",
        "leverage": 10,
    }
    asked = Asked(again, "pms.trade", "{}", at, at + 5000, at)
    return admit(desk, asked, command_from("pms.trade", fields)).entry.rows.commands[
        0
    ].client_order_id or next(iter(desk.orders))


def test_an_order_beyond_the_exchange_s_margin_is_refused_with_the_figures() -> None:
    desk = desk_with("299")
    refusal = refused(desk, quantity="0.1")
    assert refusal.code is Code.EXCHANGE_MARGIN
    assert (refusal.field, refusal.limit, refusal.actual) == ("quantity", "299", "300.0005")
    assert trade(desk, quantity="0.09").entry.kind == "admitted"


def test_orders_on_their_way_count_until_the_exchange_has_counted_them() -> None:
    desk = desk_with("500")
    first = trade(desk, quantity="0.1").entry.rows.orders[0].client_order_id
    assert refused(desk, "bob", quantity="0.1").code is Code.EXCHANGE_MARGIN
    # The exchange knows the order and says what is left: it is not counted twice.
    desk.headroom.told(D(500), counted=(first,))
    second = trade(desk, "bob", quantity="0.1").entry.rows.orders[0].client_order_id
    # An order that ends frees what it held.
    observe(desk, desk.orders[second], Seen(7, "CANCELED", D(0)), at=1)
    assert desk.headroom.free == D(500)


def test_what_closes_the_net_needs_nothing_there() -> None:
    desk = desk_with("100")
    desk.treasury.net["BTCUSDT"] = D("-0.1")
    trade(desk, quantity="0.1")
    assert desk.headroom.free == D(100)


def test_what_closes_ones_own_position_is_left_to_the_exchange_whatever_the_net_is() -> None:
    desk = desk_with("100000")
    fill(desk, trade(desk, quantity="0.1"), price="60000")
    fill(desk, trade(desk, "bob", side="SELL", quantity="0.3"), price="60000")
    desk.headroom.told(D(0), counted=[])
    assert refused(desk, side="SELL", quantity="0.101").code is Code.EXCHANGE_MARGIN
    assert trade(desk, side="SELL", quantity="0.1").entry.kind == "admitted"


@pytest.mark.parametrize("said", [True, False])
def test_who_has_no_margin_left_may_close_whatever_he_says_of_it(said: bool) -> None:
    desk = desk_at()
    fill(desk, trade(desk, quantity="1"), price="60000")
    move_price(desk, "55000")
    assert desk.available_margin("alice") < 0
    if not said:
        assert refused(desk, side="SELL", quantity="1.001").code is Code.MARGIN
    close = trade(desk, side="SELL", quantity="0.6", reduceOnly=said)
    assert refused(desk, side="SELL", quantity="0.401").code is Code.MARGIN
    fill(desk, close, price="55000")
    trade(desk, side="SELL", quantity="0.4", reduceOnly=said)


def test_before_the_exchange_has_spoken_nothing_is_refused_for_it() -> None:
    desk = desk_at()
    assert trade(desk, quantity="0.1").entry.kind == "admitted"


def test_the_trader_s_own_margin_is_named_first() -> None:
    assert refused(desk_with("1"), quantity="90").code is Code.MARGIN


def test_nothing_is_opened_where_the_account_is_set_up_otherwise() -> None:
    refusal = refused(desk_with("100000", margin_type="ISOLATED"))
    assert (refusal.code, refusal.field) == (Code.NOT_READY, "symbol")
    assert "ISOLATED" in refusal.error
    desk = desk_with("100000", leverage=7)
    trade(desk)
    desk.headroom.wanted_leverage = 20
    assert "leverage in BTCUSDT is 7, not 20" in refused(desk).error
    assert desk.headroom.closed().keys() == {"BTCUSDT"}


def test_a_request_id_used_again_after_a_day_makes_another_order() -> None:
    """The first order's row must stay: memory and Redis have forgotten the request by then."""
    again, day = request_id(), 86_400_000
    made = []
    for at in (10 * day + 5, 11 * day + 5, 11 * day + 6):
        desk = desk_at()
        made.append(trade_at(desk, again, at))
    assert made[0] != made[1] == made[2]


def test_a_request_id_used_again_within_a_day_meets_its_order_across_midnight() -> None:
    desk, again, midnight = desk_at(), request_id(), 20 * 86_400_000
    first = trade_at(desk, again, midnight - 1000)
    desk.requests.clear()
    assert trade_at(desk, again, midnight + 1000) == first
    assert len(desk.orders) == 1
