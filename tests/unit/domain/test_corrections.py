"""Corrections by an operator: refused against evidence, superseded by it, and conserving everything."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal

import pytest
from desk_maker import D, decide, desk_at, trade
from filling import fill as traded
from hypothesis import given, settings
from hypothesis import strategies as st

from pms.contract.codes import Code, Refusal
from pms.contract.names import HOUSE
from pms.domain.booking import Trade, book, observe
from pms.domain.desk import Desk
from pms.domain.orders import Accepted, Doubtful, Filled, Order, Refused, Seen, State
from pms.domain.rows import order_from, order_row

WHO = {"actor": "eve@desk", "reason": "seen on the exchange's page"}
LATER = {"now": 60_000}


def sums(desk: Desk) -> tuple[Decimal, Decimal]:
    """All balances, and all of the one symbol: what the exchange must hold."""
    held = [p.quantity for positions in desk.held.values() for p in positions.values()]
    return sum((a.balance for a in desk.accounts.values()), D(0)), sum(held, D(0))


def sent(desk: Desk, *, exchange_id: int | None = None) -> Order:
    """An order that left, and of which nothing certain was heard unless it has an id."""
    order = desk.orders[trade(desk).entry.rows.orders[0].client_order_id]
    observe(desk, order, Doubtful() if exchange_id is None else Accepted(exchange_id), at=2000)
    if exchange_id is not None:
        observe(desk, order, Seen(exchange_id, "NEW", D(0)), at=2000)
    return order


def resolved(desk: Desk, order: Order, outcome: str, *, now: int = 60_000) -> None:
    decide(desk, "pms.resolve", now=now, orderId=order.spec.client_order_id, outcome=outcome, **WHO)


def refused(desk: Desk, order: Order, outcome: str, *, now: int = 60_000) -> Code:
    before = order_row(order), desk.last_seq
    with pytest.raises(Refusal) as refusal:
        resolved(desk, order, outcome, now=now)
    assert (order_row(order), desk.last_seq) == before
    return refusal.value.code


def fill(order: Order, trade_id: int = 1, quantity: str = "0.01", side: str = "BUY") -> Trade:
    return Trade(
        symbol="BTCUSDT",
        exchange_order_id=order.exchange_order_id or 5,
        trade_id=trade_id,
        client_order_id=order.spec.client_order_id,
        side=side,
        price=D(60000),
        quantity=D(quantity),
        commission=D("0.3"),
        commission_asset="USDT",
        realized_pnl=D(0),
        maker=False,
        at=70_000,
    )


def test_an_unknown_order_ends_by_an_operators_word_and_its_margin_is_free() -> None:
    desk = desk_at()
    before = desk.snapshot("alice").available_margin
    order = sent(desk)
    assert order.state is State.UNKNOWN
    resolved(desk, order, "not-executed")
    assert order.state is State.REJECTED
    assert order.why == "operator eve@desk: seen on the exchange's page"
    assert desk.snapshot("alice").available_margin == before


def test_a_fill_supersedes_the_word_that_nothing_was_executed() -> None:
    desk = desk_at()
    order = sent(desk)
    resolved(desk, order, "not-executed")
    book(desk, fill(order))
    assert order.state is State.FILLED
    assert desk.position("alice", "BTCUSDT").quantity == D("0.01")


@pytest.mark.parametrize("restarted", [False, True])
def test_the_exchange_saying_that_it_lives_supersedes_a_cancel_by_word(restarted: bool) -> None:
    desk = desk_at()
    order = sent(desk, exchange_id=5)
    resolved(desk, order, "cancelled")
    assert order.state is State.CANCELLED
    if restarted:
        order = order_from(order_row(order))
        desk.add_order(order)
    observe(desk, order, Seen(5, "NEW", D(0)), at=70_000)
    assert order.state is State.ACTIVE
    assert order.spec.client_order_id in desk.live


def test_a_part_traded_after_a_cancel_by_word_brings_the_order_to_life() -> None:
    desk = desk_at()
    order = sent(desk, exchange_id=5)
    resolved(desk, order, "cancelled")
    book(desk, fill(order, quantity="0.004"))
    assert order.state is State.PARTIALLY_FILLED


def test_nobody_ends_an_order_of_which_there_was_news_a_moment_ago() -> None:
    desk = desk_at()
    order = sent(desk, exchange_id=5)
    assert refused(desk, order, "cancelled", now=11_999) is Code.EVIDENCE
    resolved(desk, order, "expired", now=12_000)
    assert order.state is State.EXPIRED


def test_nor_one_whose_cancel_was_wanted_a_moment_ago_because_there_is_less_to_reduce() -> None:
    desk = desk_at()
    traded(desk, trade(desk, quantity="0.01"), price="60000")
    target = {"side": "SELL", "type": "LIMIT", "price": "61000", "quantity": "0.01", "reduceOnly": True}
    order = desk.orders[trade(desk, **target).entry.rows.orders[0].client_order_id]
    observe(desk, order, Seen(5, "NEW", D(0)), at=2_000)
    later = 3_600_000
    why = {"actor": "ann", "reason": "handed away"}
    decide(desk, "pms.adjust", subAccountId="alice", symbol="BTCUSDT", quantity="-0.005", now=later, **why)
    assert order.cancel_wanted
    assert refused(desk, order, "cancelled", now=later + 500) is Code.EVIDENCE
    resolved(desk, order, "cancelled", now=later + 10_000)


@pytest.mark.parametrize("exchange_id", [None, 5])
def test_one_that_was_rejected_stays_so_behind_a_restart(exchange_id: int | None) -> None:
    desk = desk_at()
    order = sent(desk, exchange_id=exchange_id)
    observe(desk, order, Refused("-2019") if exchange_id is None else Seen(5, "REJECTED", D(0)), at=3_000)
    assert order.state is State.REJECTED
    again = order_from(order_row(order))
    again.receive(Doubtful())
    assert again.state is State.REJECTED


def test_evidence_stands_against_a_word() -> None:
    desk = desk_at()
    unknown = sent(desk)
    assert refused(desk, unknown, "not-executed", now=15_999) is Code.EVIDENCE
    assert refused(desk, unknown, "cancelled") is Code.EVIDENCE
    assert refused(desk, unknown, "filled") is Code.EVIDENCE
    live = sent(desk, exchange_id=5)
    assert refused(desk, live, "not-executed") is Code.EVIDENCE
    live.receive(Seen(5, "PARTIALLY_FILLED", D("0.004")))
    assert refused(desk, live, "cancelled") is Code.EVIDENCE
    live.receive(Filled(5, D("0.004"), D(60000)))
    live.receive(Seen(5, "CANCELED", D("0.004")))
    assert refused(desk, live, "cancelled") is Code.ORDER_CLOSED


def test_every_correction_says_who_and_why() -> None:
    desk = desk_at()
    posting = decide(desk, "pms.adjust", subAccountId="alice", amount="-1.5", **WHO)
    assert posting.entry.note == WHO
    lines = [(row.sub_account_id, row.amount, row.reason) for row in posting.entry.rows.ledger]
    assert lines == [("alice", D("-1.5"), "ADJUSTMENT"), (HOUSE, D("1.5"), "ADJUSTMENT")]
    with pytest.raises(Refusal) as refusal:
        decide(desk, "pms.adjust", subAccountId="alice", amount="1", actor="eve@desk")
    assert refusal.value.code is Code.MISSING_FIELD


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"amount": "0"}, Code.BAD_FIELD),
        ({"amount": "0.000000001"}, Code.BAD_FIELD),
        ({"amount": "-10000.01"}, Code.BALANCE),
        ({}, Code.BAD_FIELD),
        ({"symbol": "BTCUSDT"}, Code.BAD_FIELD),
        ({"symbol": "BTCUSDT", "quantity": "0.0005"}, Code.QUANTITY_STEP),
        ({"symbol": "BTCUSDT", "quantity": "0.001", "price": "60000.05"}, Code.PRICE_TICK),
        ({"symbol": "NOPE", "quantity": "1"}, Code.UNKNOWN_SYMBOL),
        ({"amount": "1", "subAccountId": "house"}, Code.HOUSE_ONLY),
        ({"amount": "1", "subAccountId": "nobody"}, Code.UNKNOWN_ACCOUNT),
        ({"symbol": "BTCUSDT", "quantity": "1", "subAccountId": "insurance"}, Code.HOUSE_ONLY),
    ],
)
def test_a_wrong_adjustment_is_refused_and_changes_nothing(fields: dict[str, str], code: Code) -> None:
    desk = desk_at()
    decide(desk, "pms.transfer", fromAccountId="house", toAccountId="insurance", amount="100")
    before = sums(desk), desk.last_seq
    with pytest.raises(Refusal) as refusal:
        decide(desk, "pms.adjust", **{"subAccountId": "alice", **WHO, **fields})
    assert refusal.value.code is code
    assert (sums(desk), desk.last_seq) == before


def test_an_account_below_zero_is_given_less_than_it_owes() -> None:
    desk = desk_at()
    desk.accounts["alice"].balance = D("-989")
    decide(desk, "pms.adjust", subAccountId="alice", amount="500", **WHO)
    assert desk.accounts["alice"].balance == D("-489")
    with pytest.raises(Refusal) as refusal:
        decide(desk, "pms.adjust", subAccountId="alice", amount="-1", **WHO)
    assert refusal.value.code is Code.BALANCE


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"toAccountId": "bob"}, Code.HOUSE_ONLY),
        ({"quantity": "0.02"}, Code.QUANTITY_MAX),
        ({"quantity": "-0.01"}, Code.QUANTITY_MAX),
        ({"fromAccountId": "house", "toAccountId": "bob"}, Code.UNKNOWN_POSITION),
        (
            {"exchangeOrderId": 5, "tradeId": 77, "quantity": "0.01", "price": "60000"},
            Code.UNKNOWN_TRADE,
        ),
        ({"tradeId": 1}, Code.MISSING_FIELD),
    ],
)
def test_a_wrong_reassignment_is_refused_and_changes_nothing(fields: dict[str, object], code: Code) -> None:
    desk = desk_at()
    book(desk, fill(sent(desk, exchange_id=5)))
    before = sums(desk), desk.last_seq
    with pytest.raises(Refusal) as refusal:
        decide(
            desk,
            "pms.reassign",
            **{"fromAccountId": "alice", "toAccountId": "house", "symbol": "BTCUSDT", **WHO, **fields},
        )
    assert refusal.value.code is code
    assert (sums(desk), desk.last_seq) == before


def test_a_foreign_trade_that_finds_its_owner_ends_the_incident() -> None:
    desk = desk_at()
    for trade_id, quantity in ((1, "0.01"), (2, "0.02")):
        book(desk, by_hand(trade_id, quantity))
    assert desk.position(HOUSE, "BTCUSDT").quantity == D("0.03")
    before = sums(desk)
    for trade_id, quantity in ((1, "0.01"), (2, "0.02")):
        assert desk.incidents.get("foreign_trade", "BTCUSDT:99") is not None
        decide(
            desk,
            "pms.reassign",
            fromAccountId="house",
            toAccountId="alice",
            symbol="BTCUSDT",
            exchangeOrderId=99,
            tradeId=trade_id,
            quantity=quantity,
            price="60000",
            commission="0.3",
            **WHO,
        )
    assert desk.incidents.get("foreign_trade", "BTCUSDT:99") is None
    assert desk.position(HOUSE, "BTCUSDT").quantity == 0
    alice = desk.position("alice", "BTCUSDT")
    assert (alice.quantity, alice.entry_price, alice.leverage) == (D("0.03"), D(60000), 10)
    assert desk.accounts["alice"].balance == D("9999.4")
    assert sums(desk) == before


def by_hand(trade_id: int, quantity: str) -> Trade:
    return Trade(
        symbol="BTCUSDT",
        exchange_order_id=99,
        trade_id=trade_id,
        client_order_id="by-hand",
        side="BUY",
        price=D(60000),
        quantity=D(quantity),
        commission=D("0.3"),
        commission_asset="USDT",
        realized_pnl=D(0),
        maker=False,
        at=2000,
    )


prices = st.integers(500_000, 700_000).map(lambda ticks: str(D(ticks) / 10))
steps = st.integers(-50, 50).filter(bool).map(lambda lots: str(D(lots) / 1000))
amounts = st.integers(-(10**11), 10**11).filter(bool).map(lambda units: str(D(units) / 10**8))
accounts = st.sampled_from(["alice", "bob"])
actions = st.one_of(
    st.tuples(st.just("money"), accounts, amounts),
    st.tuples(st.just("quantity"), accounts, steps, prices),
    st.tuples(st.just("take"), accounts, prices),
    st.tuples(st.just("give"), accounts, prices),
    st.tuples(st.just("import"), accounts, steps, prices),
    st.tuples(st.just("foreign"), steps, prices),
)


@given(st.lists(actions, min_size=1, max_size=25))
@settings(max_examples=150, deadline=None)
def test_any_sequence_of_corrections_conserves_positions_and_money(
    sequence: list[tuple[str, ...]],
) -> None:
    desk = desk_at()
    wallet, net = sums(desk)
    for number, action in enumerate(sequence):
        try:
            match action:
                case ("money", account, amount):
                    decide(desk, "pms.adjust", subAccountId=account, amount=amount, **WHO)
                case ("quantity", account, quantity, price):
                    decide(
                        desk,
                        "pms.adjust",
                        subAccountId=account,
                        symbol="BTCUSDT",
                        quantity=quantity,
                        price=price,
                        **WHO,
                    )
                case ("take" | "give" as way, account, price):
                    giver, taker = (account, HOUSE) if way == "take" else (HOUSE, account)
                    decide(
                        desk,
                        "pms.reassign",
                        fromAccountId=giver,
                        toAccountId=taker,
                        symbol="BTCUSDT",
                        price=price,
                        **WHO,
                    )
                case ("import", account, quantity, price):
                    decide(
                        desk,
                        "pms.import_position",
                        subAccountId=account,
                        symbol="BTCUSDT",
                        quantity=quantity,
                        entryPrice=price,
                    )
                case ("foreign", quantity, price):
                    signed = D(quantity)
                    side = "BUY" if signed > 0 else "SELL"
                    booked = Trade(
                        symbol="BTCUSDT",
                        exchange_order_id=99,
                        trade_id=number + 1,
                        client_order_id=None,
                        side=side,
                        price=D(price),
                        quantity=abs(signed),
                        commission=D("0.1"),
                        commission_asset="USDT",
                        realized_pnl=D(0),
                        maker=False,
                        at=2000,
                    )
                    book(desk, booked)
                    net += signed
                    wallet -= D("0.1")
        except Refusal:
            pass
        assert sums(desk) == (wallet, net)
        for positions in desk.held.values():
            for position in positions.values():
                assert position.cost == position.cost.quantize(D("0.00000001"))


LOTS = D("0.005")
TAKER = [
    ("seen", "NEW", 0),
    ("trade", 1, 1),
    ("seen", "PARTIALLY_FILLED", 1),
    ("trade", 2, 2),
]
COURSES = [
    [*TAKER, ("seen", "FILLED", 2)],
    [*TAKER[:3], ("seen", "CANCELED", 1)],
    [*TAKER[:1], ("seen", "EXPIRED", 0)],
]


@given(
    course=st.sampled_from(COURSES),
    outcome=st.sampled_from(["not-executed", "cancelled", "expired", "filled"]),
    data=st.data(),
)
@settings(max_examples=150, deadline=None)
def test_whatever_the_exchange_says_after_an_operators_word_makes_it_as_if_never_said(
    course: list[tuple[str, object, int]], outcome: str, data: st.DataObject
) -> None:
    said = data.draw(st.permutations(course), label="order")
    when = data.draw(st.integers(0, len(said) - 1), label="facts before the word")

    def told(word_at: int | None) -> tuple[Order, Desk]:
        desk = desk_at()
        order = sent(desk)
        for number, (kind, what, lots) in enumerate(said):
            if number == word_at:
                with suppress(Refusal):
                    resolved(desk, order, outcome)
            if kind == "seen":
                observe(desk, order, Seen(5, str(what), D(lots) * LOTS), at=70_000)
            else:
                book(desk, fill(order, trade_id=lots, quantity=str(LOTS)))
        return order, desk

    (spoken, with_word), (silent, without) = told(when), told(None)
    assert (spoken.state, spoken.filled_qty) == (silent.state, silent.filled_qty)
    assert sums(with_word) == sums(without)
    assert with_word.reserved_margin("alice") == without.reserved_margin("alice")


def held_unlisted(quantity: str = "0.015") -> Desk:
    """Alice's position in a symbol that a restart finds listed no more."""
    desk = desk_at()
    decide(
        desk, "pms.adjust", subAccountId="alice", symbol="BTCUSDT", quantity=quantity, price="60000", **WHO
    )
    desk.instruments.clear()
    desk.tops.clear()
    return desk


def test_what_is_held_and_listed_no_more_goes_to_the_house_at_the_operators_price() -> None:
    desk = held_unlisted()
    before = sums(desk)
    fields = {"fromAccountId": "alice", "toAccountId": HOUSE, "symbol": "BTCUSDT", "price": "61000.123"}
    decide(desk, "pms.reassign", **fields, **WHO)
    assert desk.position("alice", "BTCUSDT").quantity == 0
    assert desk.accounts["alice"].balance == D(10_000) + D("0.015") * D("1000.123")
    assert sums(desk) == before
    with pytest.raises(Refusal) as refusal:
        decide(desk, "pms.reassign", **fields, **WHO)
    assert refusal.value.code is Code.UNKNOWN_SYMBOL, "the house had sold it: nobody holds it now"


def test_an_adjustment_of_what_is_listed_no_more_needs_a_price_and_keeps_to_its_step() -> None:
    desk = held_unlisted()
    fields = {"subAccountId": "alice", "symbol": "BTCUSDT"}
    for wrong, code in (
        ({"quantity": "-0.005"}, Code.PRICE_STALE),
        ({"quantity": "-0.0005", "price": "60000"}, Code.QUANTITY_STEP),
        ({"quantity": "-0.005", "price": "60000.000001"}, Code.PRICE_TICK),
    ):
        with pytest.raises(Refusal) as refusal:
            decide(desk, "pms.adjust", **fields, **wrong, **WHO)
        assert refusal.value.code is code
    decide(desk, "pms.adjust", **fields, quantity="-0.005", price="60000", **WHO)
    assert desk.position("alice", "BTCUSDT").quantity == D("0.01")
    with pytest.raises(Refusal) as refusal:
        decide(desk, "pms.adjust", **(fields | {"symbol": "XYZUSDT"}), quantity="1", price="1", **WHO)
    assert refusal.value.code is Code.UNKNOWN_SYMBOL


def test_a_large_quantity_of_what_is_listed_no_more_is_moved_in_whole_pieces() -> None:
    desk = held_unlisted("100")
    fields = {"fromAccountId": "alice", "toAccountId": HOUSE, "symbol": "BTCUSDT"}
    decide(desk, "pms.reassign", **fields, quantity="30", **WHO)
    assert desk.position("alice", "BTCUSDT").quantity == 70


@pytest.mark.parametrize("price", ["0", "0.9", "1000000.1", "3000000000", "999999999999999"])
def test_an_import_at_a_price_that_none_can_have_moves_nothing(price: str) -> None:
    desk = desk_at()
    with pytest.raises(Refusal) as refusal:
        decide(
            desk, "pms.import_position", subAccountId="bob", symbol="BTCUSDT", quantity="1", entryPrice=price
        )
    assert (refusal.value.code, refusal.value.field) == (Code.PRICE_RANGE, "entryPrice")
    assert not desk.held
    desk.snapshot("bob")


def test_an_import_at_an_average_between_two_ticks_is_told_as_it_is() -> None:
    desk = desk_at()
    decide(
        desk,
        "pms.import_position",
        subAccountId="bob",
        symbol="BTCUSDT",
        quantity="0.003",
        entryPrice="59999.123456789",
    )
    (view,) = desk.snapshot("bob").positions
    assert view.entry_price == D("59999.12345667")
