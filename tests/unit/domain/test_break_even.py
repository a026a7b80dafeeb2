"""Where a position breaks even: the exchange's own figures, and what each kind of trade makes of them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from desk_maker import D, decide, desk_at, move_price, trade
from filling import fill, trade_of

from pms.contract.journal import PositionRow, decode_entry, encode_entry
from pms.contract.names import LONG, SHORT
from pms.domain.booking import book
from pms.domain.desk import Desk, Top
from pms.domain.funding import allot
from pms.domain.posting import Posting
from pms.domain.rows import position_from
from pms.domain.treasury import Rate


def view(desk: Desk, account: str = "alice") -> Decimal | None:
    """The break-even price as it goes out."""
    (position,) = desk.snapshot(account).positions
    return position.break_even_price


def traded(desk: Desk, side: str, quantity: str, price: str, paid: str, **fields: object) -> Posting:
    posting = trade(desk, side=side, quantity=quantity, **fields)
    return fill(desk, posting, price=price, paid=paid)


@pytest.mark.parametrize(
    ("side", "quantity", "price", "rate", "expected"),
    [
        # What Binance told of positions that had just been opened (captures; positionRisk of a fresh one).
        ("BUY", "1", "91739.9", "0.0005", "91785.76995"),
        ("BUY", "1", "84146.5", "0.0004", "84180.1586"),
        ("BUY", "0.003", "37140.0", "0.0002", "37147.428"),
        ("SELL", "1", "91739.9", "0.0005", "91694.03005"),
        ("BUY", "1", "84146.5", "0", "84146.5"),
    ],
)
def test_a_position_just_opened(side: str, quantity: str, price: str, rate: str, expected: str) -> None:
    desk = desk_at(price)
    paid = D(quantity) * D(price) * D(rate)
    traded(desk, side, quantity, price, str(paid), leverage=100)
    assert view(desk) == D(expected)


def test_each_entry_and_each_part_that_was_closed_counts() -> None:
    """0.3 for 18,100 and 9.05 of fees, of which 0.1 sold for 6,200 and 3.1: the rest must bring 11,912.15."""
    desk = desk_at()
    traded(desk, "BUY", "0.1", "60000", "3", leverage=20)
    traded(desk, "BUY", "0.2", "60500", "6.05", leverage=20)
    assert view(desk) == D("60363.5")
    traded(desk, "SELL", "0.1", "62000", "3.1", leverage=20)
    assert view(desk) == D("59560.75")
    (row,) = [each for each in desk.positions.values() if each.sub_account_id == "alice"]
    at_that_price = row.unrealized(D("59560.75")) + row.realized_pnl - row.fees
    assert at_that_price == 0


def test_crossing_zero_begins_anew_with_its_part_of_the_fee() -> None:
    desk = desk_at()
    traded(desk, "BUY", "0.1", "60000", "3", leverage=20)
    traded(desk, "SELL", "0.3", "61000", "9.15", leverage=20)
    assert desk.position("alice", "BTCUSDT").fees == D("6.1")
    assert view(desk) == D("60969.5"), "61000 less 0.05 %"


def test_closed_and_opened_again_it_knows_nothing_of_before() -> None:
    desk = desk_at()
    traded(desk, "BUY", "0.1", "60000", "3", leverage=20)
    traded(desk, "SELL", "0.1", "59000", "2.95", leverage=20)
    assert desk.snapshot("alice").positions == []
    traded(desk, "BUY", "0.1", "60000", "3", leverage=20)
    assert view(desk) == D("60030")


def test_each_side_of_a_hedged_account_by_itself() -> None:
    desk = desk_at()
    decide(desk, "pms.position_mode", subAccountId="alice", hedge=True)
    traded(desk, "BUY", "0.1", "60000", "3", positionSide=LONG)
    traded(desk, "SELL", "0.1", "60000", "1.2", positionSide=SHORT)
    prices = {each.position_side: each.break_even_price for each in desk.snapshot("alice").positions}
    assert prices == {LONG: D(60030), SHORT: D(59988)}


def test_a_fee_in_another_asset_counts_at_its_price() -> None:
    desk = desk_at()
    desk.tops["BNBUSDT"] = Top(D(599), D(1), D(600), D(1), 1)
    posting = trade(desk, quantity="0.1", leverage=20)
    (row,) = posting.entry.rows.orders
    told = trade_of(row, 7, trade_id=7, quantity=D("0.1"), price=D(60000), paid=D("0.005"))
    assert book(desk, replace(told, commission_asset="BNB")) is not None
    assert view(desk) == D(60030)


def test_funding_is_no_part_of_it() -> None:
    desk = desk_at()
    traded(desk, "BUY", "0.1", "60000", "3", leverage=20)
    balance = desk.accounts["alice"].balance
    assert allot(desk, "BTCUSDT", Rate(3000, D("0.001"), D(60000))) is not None
    assert desk.accounts["alice"].balance == balance - 6
    assert view(desk) == D(60030)


def test_what_was_imported_has_paid_nothing_and_what_is_reassigned_takes_its_commission_along() -> None:
    desk = desk_at()
    wish = {"subAccountId": "alice", "symbol": "BTCUSDT", "quantity": "0.1", "entryPrice": "60000"}
    decide(desk, "pms.import_position", **wish)
    assert view(desk) == D(60000)
    posting = traded(desk, "BUY", "0.1", "60200", "3.01", leverage=10)
    assert view(desk) == D("60115.05")
    (row,) = posting.entry.rows.fills
    decide(
        desk,
        "pms.reassign",
        fromAccountId="alice",
        toAccountId="house",
        symbol="BTCUSDT",
        tradeId=row.trade_id,
        exchangeOrderId=row.exchange_order_id,
        quantity="0.1",
        price="60200",
        commission="3.01",
        actor="ann",
        reason="not hers",
    )
    assert desk.position("alice", "BTCUSDT").fees == 0
    assert desk.position("house", "BTCUSDT").fees == D("3.01")


def test_it_is_what_the_journal_says_and_an_older_row_has_paid_nothing() -> None:
    desk = desk_at()
    posting = traded(desk, "BUY", "0.1", "60000", "3", leverage=20)
    row = next(each for each in decode_entry(encode_entry(posting.entry)).rows.positions if each.fees)
    assert position_from(row).break_even_price == view(desk)
    older = {name: getattr(row, name) for name in PositionRow.__struct_fields__ if name != "fees"}
    assert position_from(PositionRow(**older)).break_even_price == D(60000)


def test_the_price_moves_nothing() -> None:
    desk = desk_at()
    traded(desk, "BUY", "0.1", "60000", "3", leverage=20)
    before = view(desk)
    move_price(desk, "65000")
    assert view(desk) == before
