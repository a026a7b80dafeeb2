"""Whoever holds nothing and is below zero is paid out in that entry, whatever left him so."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from desk_maker import D, decide, desk_at, move_price, trade
from filling import fill, trade_of

from pms.contract.names import HOUSE, INSURANCE
from pms.domain.booking import book
from pms.domain.desk import Desk, Top
from pms.domain.fees import settle_open
from pms.domain.funding import allot
from pms.domain.posting import Posting
from pms.domain.treasury import Rate


def paid(posting: Posting) -> dict[str, Decimal]:
    """Who paid, and who was given, by name."""
    sums: dict[str, Decimal] = {}
    for line in posting.entry.rows.ledger:
        if line.reason == "INSURANCE" and line.amount:
            sums[line.sub_account_id] = sums.get(line.sub_account_id, D(0)) + line.amount
    return sums


def told(posting: Posting) -> list[str]:
    return [row.detail for row in posting.entry.rows.incidents if row.kind == "debt_paid"]


def insured(desk: Desk, amount: str) -> None:
    decide(desk, "pms.transfer", fromAccountId=HOUSE, toAccountId=INSURANCE, amount=amount)


def test_who_closes_in_a_gap_himself_is_paid_out_when_the_last_of_it_is_gone() -> None:
    desk = desk_at()
    insured(desk, "1500")
    fill(desk, trade(desk, side="BUY", quantity="1", leverage=20), price="60000")
    move_price(desk, "48000")
    close = trade(desk, side="SELL", quantity="1", leverage=20, reduceOnly=True)
    part = fill(desk, close, price="48000", quantity="0.9")
    assert desk.accounts["alice"].balance == -800
    assert (paid(part), told(part)) == ({}, []), "he still holds a part"
    last = fill(desk, close, price="48000", paid="7", quantity="0.1")
    assert paid(last) == {"alice": D(2007), INSURANCE: D(-1500), HOUSE: D(-507)}
    assert told(last) == ["alice holds nothing and owed 2007: nobody liquidated it"]
    assert desk.accounts["alice"].balance == 0


def test_a_funding_that_is_booked_late_is_paid_for_whoever_has_closed_meanwhile() -> None:
    desk = desk_at()
    insured(desk, "1000")
    fill(desk, trade(desk, side="BUY", quantity="1", leverage=20), price="60000")
    (row,) = trade(desk, side="SELL", quantity="1", leverage=20, reduceOnly=True).entry.rows.orders
    close = trade_of(row, 9, trade_id=9, quantity=D(1), price=D(51_000), paid=D(0))
    assert book(desk, replace(close, at=5000)) is not None
    decide(desk, "pms.transfer", fromAccountId="alice", toAccountId=HOUSE, amount="960")
    posting = allot(desk, "BTCUSDT", Rate(3000, D("0.001"), D(60000)))
    assert posting is not None
    assert paid(posting) == {"alice": D(20), INSURANCE: D(-20)}
    assert told(posting) == ["alice holds nothing and owed 20: nobody liquidated it"]
    assert (desk.accounts["alice"].balance, desk.accounts[INSURANCE].balance) == (0, 980)


def test_a_fee_that_waited_for_its_price_is_paid_for_whoever_has_closed_meanwhile() -> None:
    desk = desk_at()
    insured(desk, "1000")
    (row,) = trade(desk, quantity="1", leverage=20).entry.rows.orders
    bought = trade_of(row, 9, trade_id=9, quantity=D(1), price=D(60_000), paid=D("0.05"))
    assert book(desk, replace(bought, commission_asset="BNB")) is not None
    fill(desk, trade(desk, side="SELL", quantity="1", leverage=20, reduceOnly=True), price="50010")
    assert desk.accounts["alice"].balance == 10
    desk.tops["BNBUSDT"] = Top(D(599), D(1), D(600), D(1), 1)
    posting = settle_open(desk, at=6000)
    assert posting is not None
    assert paid(posting) == {"alice": D(20), INSURANCE: D(-20)}


@pytest.mark.parametrize(
    ("command", "fields"),
    [
        ("pms.reassign", {"fromAccountId": "alice", "toAccountId": HOUSE}),
        ("pms.adjust", {"subAccountId": "alice", "quantity": "-1"}),
    ],
)
def test_who_is_left_in_debt_by_an_operators_correction_is_paid_out_with_it(
    command: str, fields: dict[str, str]
) -> None:
    desk = desk_at()
    insured(desk, "1500")
    fill(desk, trade(desk, side="BUY", quantity="1", leverage=20), price="60000")
    move_price(desk, "48000")
    posting = decide(
        desk, command, **fields, symbol="BTCUSDT", price="48000", actor="operator", reason="booked wrong"
    )
    assert paid(posting) == {"alice": D(2000), INSURANCE: D(-1500), HOUSE: D(-500)}
    assert told(posting) == ["alice holds nothing and owed 2000: nobody liquidated it"]
    assert desk.accounts["alice"].balance == 0
    (told_of,) = [event for event in posting.events if getattr(event, "sub_account_id", "") == "alice"]
    assert told_of.account.balance == 0, "what is shown of him is from behind the payment"
