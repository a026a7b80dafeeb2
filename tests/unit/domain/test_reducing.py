"""An order that may only reduce is unwanted as soon as there is less to be reduced, whoever took it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from desk_maker import D, decide, desk_at, note_position, trade
from filling import fill

from pms.contract.journal import Rows, decode_entry, encode_entry
from pms.contract.names import HOUSE, LONG, SHORT
from pms.domain.booking import observe
from pms.domain.desk import Desk
from pms.domain.orders import Order, Seen
from pms.domain.posting import Posting
from pms.domain.reducing import BEYOND
from pms.domain.rows import order_row

WHO = {"actor": "ann", "reason": "a test"}


def holding(quantity: str = "0.1", side: str = "BUY") -> Desk:
    desk = desk_at()
    fill(desk, trade(desk, quantity=quantity, side=side), price="60000")
    return desk


def resting(desk: Desk, quantity: str, *, number: int = 70, now: int = 1000, **fields: Any) -> Order:
    """A target that may only reduce, and which the exchange has confirmed."""
    terms: dict[str, Any] = {"side": "SELL", "price": "61000", "reduceOnly": True, **fields}
    command = {"symbol": "BTCUSDT", "type": "LIMIT", "quantity": quantity, **terms}
    posting = decide(desk, "pms.trade", now=now, subAccountId="alice", **command)
    order = order_of(desk, posting)
    observe(desk, order, Seen(number, "NEW", D(0), None, order.quantity, order.price, 10), at=10)
    return order


def order_of(desk: Desk, posting: Posting) -> Order:
    return desk.orders[posting.entry.rows.orders[0].client_order_id]


def unwanted(posting: Posting) -> list[str]:
    return [row.client_order_id for row in posting.entry.rows.orders if row.cancel_wanted]


def held(desk: Desk, side: str = "BOTH") -> Decimal:
    return desk.position("alice", "BTCUSDT", side).quantity


def test_what_closes_the_position_takes_the_target_with_it() -> None:
    desk = holding()
    target = resting(desk, "0.1")
    closed = fill(desk, trade(desk, side="SELL", quantity="0.1"), price="60000")
    assert held(desk) == 0
    assert unwanted(closed) == [target.spec.client_order_id]
    ended = observe(desk, target, Seen(70, "CANCELED", D(0)), at=30)
    assert ended is not None
    [event] = ended.events
    assert (event.type, getattr(event, "reason", None)) == ("order_cancelled", BEYOND)


def test_as_much_goes_as_no_longer_fits_the_newest_first() -> None:
    desk = holding()
    old = resting(desk, "0.04", number=70, now=1000)
    middle = resting(desk, "0.03", number=71, now=1001)
    new = resting(desk, "0.03", number=72, now=1002)
    posting = fill(desk, trade(desk, side="SELL", quantity="0.02"), price="60000")
    assert unwanted(posting) == [new.spec.client_order_id]
    posting = fill(desk, trade(desk, side="SELL", quantity="0.01"), price="60000")
    assert unwanted(posting) == [], "what goes already counts no more"
    posting = fill(desk, trade(desk, side="SELL", quantity="0.001"), price="60000")
    assert unwanted(posting) == [middle.spec.client_order_id]
    assert not old.cancel_wanted


def test_its_own_trades_take_nothing_from_it() -> None:
    desk = holding()
    placed = trade(desk, side="SELL", type="LIMIT", price="61000", quantity="0.06", reduceOnly=True)
    other = resting(desk, "0.04")
    for part in ("0.02", "0.04"):
        assert unwanted(fill(desk, placed, price="61000", quantity=part)) == []
    assert (held(desk), other.cancel_wanted) == (D("0.04"), False)


def test_a_close_takes_what_the_target_leaves_and_both_stand() -> None:
    desk = holding()
    target = resting(desk, "0.06")
    position = desk.position("alice", "BTCUSDT")
    posting = fill(desk, decide(desk, "pms.close", positionId=position.id), price="60000")
    assert (held(desk), unwanted(posting), target.cancel_wanted) == (D("0.06"), [], False)


def test_what_is_at_market_takes_room_first() -> None:
    desk = holding()
    target = resting(desk, "0.05")
    closing = decide(desk, "pms.close", positionId=desk.position("alice", "BTCUSDT").id)
    posting = fill(desk, trade(desk, side="SELL", quantity="0.02"), price="60000")
    assert unwanted(posting) == [target.spec.client_order_id]
    assert not order_of(desk, closing).cancel_wanted
    assert unwanted(fill(desk, closing, price="60000")) == []


def test_a_position_that_turns_leaves_nothing_to_be_reduced() -> None:
    desk = holding("0.1", side="SELL")
    target = resting(desk, "0.1", side="BUY", price="59000")
    posting = fill(desk, trade(desk, quantity="0.3"), price="60000")
    assert held(desk) == D("0.2")
    assert unwanted(posting) == [target.spec.client_order_id]


def test_plain_orders_stay() -> None:
    desk = holding()
    plain = order_of(desk, trade(desk, side="SELL", type="LIMIT", price="61000", quantity="0.1"))
    fill(desk, trade(desk, side="SELL", quantity="0.1"), price="60000")
    assert not plain.cancel_wanted
    assert desk.reserved_margin("alice") == D("610")


@pytest.mark.parametrize("hedge", [False, True])
@pytest.mark.parametrize("name", ["pms.adjust", "pms.reassign"])
def test_corrections_take_it_along(name: str, hedge: bool) -> None:
    desk = desk_at()
    if hedge:
        decide(desk, "pms.position_mode", subAccountId="alice", hedge=True)
    sided = {"positionSide": LONG} if hedge else {}
    fill(desk, trade(desk, quantity="0.1", **sided), price="60000")
    if hedge:
        fill(desk, trade(desk, side="SELL", quantity="0.1", positionSide=SHORT), price="60000")
        other = resting(desk, "0.1", number=71, side="BUY", price="59000", positionSide=SHORT)
    target = resting(desk, "0.1", **sided)
    parties: dict[str, object] = (
        {"subAccountId": "alice", "quantity": "-0.04"}
        if name == "pms.adjust"
        else {"fromAccountId": "alice", "toAccountId": HOUSE, "quantity": "0.04"}
    )
    posting = decide(desk, name, symbol="BTCUSDT", **parties, **sided, **WHO)
    assert unwanted(posting) == [target.spec.client_order_id]
    assert not hedge or not other.cancel_wanted


def test_what_is_unproven_is_unwanted_too() -> None:
    desk = desk_at()
    fill(desk, trade(desk, quantity="0.1"), price="60000")
    placed = trade(desk, side="SELL", type="LIMIT", price="61000", quantity="0.1", reduceOnly=True)
    posting = fill(desk, trade(desk, side="SELL", quantity="0.1"), price="60000")
    target = order_of(desk, placed)
    assert (target.unproven, unwanted(posting)) == (True, [target.spec.client_order_id])


def test_an_amendment_to_more_counts_until_it_is_over() -> None:
    desk = holding()
    target = resting(desk, "0.05")
    decide(desk, "pms.amend", orderId=target.spec.client_order_id, quantity="0.1")
    posting = fill(desk, trade(desk, side="SELL", quantity="0.02"), price="60000")
    assert unwanted(posting) == [target.spec.client_order_id]


def test_the_next_life_wants_it_too_and_sees_to_the_rest() -> None:
    desk = holding()
    old = resting(desk, "0.05", number=70, now=1000)
    new = resting(desk, "0.05", number=71, now=1001)
    shrunk = fill(desk, trade(desk, side="SELL", quantity="0.05"), price="60000")
    assert unwanted(shrunk) == [new.spec.client_order_id]
    again = desk_at()
    again.load(note_position(desk, ("alice", "BTCUSDT", "BOTH"), at=2000).entry.rows)
    again.load(Rows(orders=(order_row(old), order_row(new))))
    again.load(decode_entry(encode_entry(shrunk.entry)).rows)
    later = again.orders[new.spec.client_order_id]
    assert (later.cancel_wanted, later.reason) == (True, BEYOND)
    posting = fill(again, trade(again, side="SELL", quantity="0.05"), price="60000")
    assert unwanted(posting) == [old.spec.client_order_id]


def test_nothing_is_noted_of_what_is_over() -> None:
    desk = holding()
    target = resting(desk, "0.1")
    assert list(desk.reducing) == [target.spec.place]
    observe(desk, target, Seen(70, "CANCELED", D(0)), at=30)
    assert not desk.reducing
