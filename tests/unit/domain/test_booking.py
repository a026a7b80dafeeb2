"""Booking conserves: positions and money of all accounts together are what the exchange says."""

from __future__ import annotations

from decimal import Decimal

import pytest
from desk_maker import D, decide, desk_at, move_price, trade
from filling import fill
from hypothesis import given, settings
from hypothesis import strategies as st

from pms.contract.journal import decode_entry, encode_entry
from pms.domain.booking import Trade, book, observe
from pms.domain.desk import Desk
from pms.domain.orders import Order, Seen, State
from pms.domain.positions import Position
from pms.domain.posting import Posting


class Exchange:
    """The exchange's side of the account: one net position, one wallet."""

    def __init__(self, wallet: Decimal) -> None:
        self.wallet = wallet
        self.net = Position("x", "BTCUSDT", leverage=20)
        self.trades = 0

    def trade(self, order: Order, quantity: Decimal, price: Decimal, *, number: int) -> Trade:
        signed = quantity if order.spec.side == "BUY" else -quantity
        realized = self.net.trade(signed, price).realized
        commission = (quantity * price * D("0.0005")).quantize(D("0.00000001"))
        self.wallet += realized - commission
        self.trades += 1
        return Trade(
            symbol="BTCUSDT",
            exchange_order_id=number,
            trade_id=self.trades,
            client_order_id=order.spec.client_order_id,
            side=order.spec.side,
            price=price,
            quantity=quantity,
            commission=commission,
            commission_asset="USDT",
            realized_pnl=realized,
            maker=False,
            at=self.trades,
        )


orders = st.lists(
    st.tuples(
        st.sampled_from(["alice", "bob"]),
        st.sampled_from(["BUY", "SELL"]),
        st.integers(1, 50),
        st.integers(590_000, 610_000),
    ),
    min_size=1,
    max_size=25,
)


def check(desk: Desk, exchange: Exchange) -> None:
    held = sum((p.quantity for symbols in desk.held.values() for p in symbols.values()), D(0))
    assert held == exchange.net.quantity
    assert sum((a.balance for a in desk.accounts.values()), D(0)) == exchange.wallet


@settings(max_examples=60, deadline=None)
@given(orders)
def test_positions_and_money_are_conserved(steps: list[tuple[str, str, int, int]]) -> None:
    desk, exchange = desk_at(), Exchange(D("100000"))
    for number, (account, side, lots, cents) in enumerate(steps, start=1):
        price = D(cents) / 10
        move_price(desk, str(price))
        posting = trade(desk, account, side=side, quantity=str(D(lots) / 1000))
        order = desk.orders[posting.entry.rows.orders[0].client_order_id]
        for part in (order.quantity / 2, order.quantity / 2):
            book(desk, exchange.trade(order, part, price, number=number))
            check(desk, exchange)
        observe(desk, order, Seen(number, "FILLED", order.quantity), at=number)
        assert order.state is State.FILLED
    assert all(not pending for pending in desk.pending.values())


@settings(max_examples=40, deadline=None)
@given(orders)
def test_the_journal_alone_rebuilds_the_desk(steps: list[tuple[str, str, int, int]]) -> None:
    written: list[tuple[Posting, str]] = []
    desk, exchange = desk_at(), Exchange(D("100000"))
    base = desk.last_seq
    rebuilt = desk_at()
    for number, (account, side, lots, cents) in enumerate(steps, start=1):
        price = str(D(cents) / 10)
        move_price(desk, price)
        posting = trade(desk, account, side=side, quantity=str(D(lots) / 1000))
        written.append((posting, price))
        order = desk.orders[posting.entry.rows.orders[0].client_order_id]
        if lots % 3:
            filled = book(desk, exchange.trade(order, order.quantity, D(cents) / 10, number=number))
            assert filled is not None
            written.append((filled, price))
    prev = base
    for posting, price in written:
        move_price(rebuilt, price)
        assert posting.entry.prev == prev
        prev = posting.entry.seq
        rebuilt.load(decode_entry(encode_entry(posting.entry)).rows)
    rebuilt.tops = desk.tops
    for account in ("alice", "bob", "house"):
        assert rebuilt.snapshot(account) == desk.snapshot(account)
    assert sorted(rebuilt.live) == sorted(desk.live)
    assert set(rebuilt.trades) == set(desk.trades)


def test_a_trade_is_booked_once() -> None:
    desk, exchange = desk_at(), Exchange(D("100000"))
    posting = trade(desk)
    order = desk.orders[posting.entry.rows.orders[0].client_order_id]
    row = exchange.trade(order, D("0.01"), D("60000"), number=1)
    assert book(desk, row) is not None
    assert book(desk, row) is None
    check(desk, exchange)


def test_a_trade_of_nobody_s_order_is_the_house_s_with_an_incident() -> None:
    desk = desk_at()
    foreign = Trade(
        "BTCUSDT", 9, 1, "autoclose-1", "SELL", D("60000"), D("0.01"), D("0.3"), "USDT", D(0), False, 5
    )
    posting = book(desk, foreign)
    assert posting is not None
    assert posting.entry.rows.fills[0].sub_account_id == "house"
    assert posting.entry.rows.incidents[0].kind == "exchange_liquidation"
    assert desk.position("house", "BTCUSDT").quantity == D("-0.01")


def test_a_trade_of_a_forgotten_order_goes_to_the_account_whose_tag_it_carries() -> None:
    desk = desk_at()
    lost = Trade(
        "BTCUSDT", 9, 1, "PMS_alice_M_zzz", "BUY", D("60000"), D("0.01"), D(0), "USDT", D(0), False, 5
    )
    posting = book(desk, lost)
    assert posting is not None
    assert posting.entry.rows.fills[0].sub_account_id == "alice"


def test_a_fill_after_the_end_is_booked_and_told() -> None:
    desk, exchange = desk_at(), Exchange(D("100000"))
    posting = trade(desk, type="LIMIT", price="59000")
    order = desk.orders[posting.entry.rows.orders[0].client_order_id]
    observe(desk, order, Seen(1, "CANCELED", D(0)), at=1)
    assert order.state is State.CANCELLED
    late = book(desk, exchange.trade(order, D("0.004"), D("59000"), number=1))
    assert late is not None
    assert [incident.kind for incident in late.entry.rows.incidents] == ["late_fill"]
    check(desk, exchange)


def test_every_event_has_a_seq_of_its_own_and_the_chain_has_no_hole() -> None:
    desk, exchange = desk_at(), Exchange(D("100000"))
    first = trade(desk)
    order = desk.orders[first.entry.rows.orders[0].client_order_id]
    second = book(desk, exchange.trade(order, D("0.004"), D("60000"), number=1))
    assert second is not None
    assert second.entry.prev == first.entry.seq
    assert [event.seq for event in second.events] == list(range(first.entry.seq + 1, second.entry.seq + 1))
    assert [event.type for event in second.events] == [
        "order_partially_filled",
        "order_active",
        "position_updated",
    ]


def test_an_import_moves_the_position_from_the_house_and_no_money() -> None:
    desk = desk_at()
    before = sum((a.balance for a in desk.accounts.values()), D(0))
    decide(
        desk,
        "pms.import_position",
        subAccountId="alice",
        symbol="BTCUSDT",
        quantity="0.5",
        entryPrice="58000",
    )
    assert desk.position("alice", "BTCUSDT").quantity == D("0.5")
    assert desk.position("house", "BTCUSDT").quantity == D("-0.5")
    assert sum((a.balance for a in desk.accounts.values()), D(0)) == before


@pytest.mark.parametrize(
    ("terms", "answered"),
    [
        ({"type": "LIMIT", "price": "59990"}, ["active"]),
        ({"type": "LIMIT", "price": "60000.1", "timeInForce": "IOC"}, ["filled"]),
        ({}, ["filled"]),
    ],
)
def test_a_command_has_one_result_whatever_becomes_of_its_order(
    terms: dict[str, str], answered: list[str]
) -> None:
    desk = desk_at()
    posting = trade(desk, quantity="0.02", **terms)
    order = desk.orders[posting.entry.rows.orders[0].client_order_id]
    postings = [observe(desk, order, Seen(7, "NEW", D(0)), at=2000)]
    postings += [fill(desk, posting, price="59990", quantity="0.01") for _ in range(2)]
    assert order.state is State.FILLED
    assert [result.state for each in postings if each for result in each.results] == answered
