"""Every interleaving of what can be heard about an order ends in the same state, equal to the exchange's."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from order_maker import D, fresh

from pms.domain.orders import (
    Accepted,
    Amended,
    Amendment,
    Doubtful,
    Fact,
    Filled,
    NotExecuted,
    Order,
    Refused,
    Seen,
    State,
    Voided,
    known_word,
)
from pms.domain.rows import order_from, order_row


def after(*facts: Fact) -> Order:
    order = fresh()
    for fact in facts:
        order.receive(fact)
    return order


FILLED = [
    Accepted(7),
    Seen(7, "NEW", D(0)),
    Filled(7, D("0.4"), D("100")),
    Seen(7, "PARTIALLY_FILLED", D("0.4")),
    Filled(7, D("0.6"), D("99")),
    Seen(7, "FILLED", D("1.0")),
]
CANCELLED = [
    Accepted(7),
    Seen(7, "NEW", D(0)),
    Filled(7, D("0.4"), D("100")),
    Seen(7, "PARTIALLY_FILLED", D("0.4")),
    Seen(7, "CANCELED", D("0.4")),
]


def test_every_order_of_a_fill_s_facts_ends_filled() -> None:
    for facts in permutations(FILLED):
        order = after(*facts)
        assert order.state is State.FILLED
        assert order.filled_quote == D("99.4")


def test_every_order_of_a_cancelled_partial_fill_s_facts_ends_cancelled() -> None:
    for facts in permutations(CANCELLED):
        order = after(*facts)
        assert order.state is State.CANCELLED
        assert order.filled_qty == D("0.4")


@given(st.lists(st.sampled_from([f for f in FILLED if not isinstance(f, Filled)]), max_size=12), st.data())
def test_repeated_words_change_nothing(extra: list[Fact], data: st.DataObject) -> None:
    facts = data.draw(st.permutations(FILLED + extra))
    assert after(*facts).state is State.FILLED


@given(st.permutations([*CANCELLED, Doubtful(), Refused("-2019"), NotExecuted("x")]))
def test_evidence_of_life_outweighs_every_refusal(facts: list[Fact]) -> None:
    order = after(*facts)
    assert order.state is State.CANCELLED
    assert order.leaves == 0


def test_rest_never_moves_an_order_past_placing() -> None:
    assert after(Accepted(7)).state is State.PLACING
    assert after(Doubtful()).state is State.UNKNOWN
    assert after(Doubtful(), Accepted(7)).state is State.PLACING


def test_unknown_is_left_only_on_evidence() -> None:
    unknown = after(Doubtful())
    assert not unknown.receive(Doubtful())
    assert unknown.state is State.UNKNOWN
    unknown.receive(Seen(7, "NEW", D(0)))
    assert unknown.state is State.ACTIVE


def test_a_terminal_word_with_trades_missing_does_not_close_the_order() -> None:
    order = after(Seen(7, "NEW", D(0)), Seen(7, "FILLED", D("1.0")))
    assert order.trades_missing
    assert not order.state.terminal
    order.receive(Filled(7, D("1.0"), D("100")))
    assert order.state is State.FILLED


def test_a_void_or_refused_order_that_trades_is_alive() -> None:
    for end in (Voided("never sent"), Refused("-2019"), NotExecuted("proven")):
        order = after(end, Filled(7, D("0.4"), D("100")))
        assert order.state is State.PARTIALLY_FILLED


def test_why_it_ended_is_what_was_told_first() -> None:
    order = after(Doubtful(), NotExecuted("proven"))
    assert not order.receive(Refused("-1003"))
    assert (order.state, order.why) == (State.REJECTED, "proven")


def test_an_amendment_carries_the_total_quantity_and_the_newest_wins() -> None:
    order = after(
        Filled(7, D("0.6"), D("100")), Amended(7, D("1.2"), D("101"), 20), Amended(7, D("1.1"), D("99"), 10)
    )
    assert (order.quantity, order.price) == (D("1.2"), D("101"))
    assert order.leaves == D("0.6")


def test_a_resting_order_that_was_never_acknowledged_is_placing() -> None:
    assert fresh().state is State.PLACING


def test_a_word_that_nobody_documented_is_an_order_that_lives() -> None:
    order = after(Seen(7, known_word("PENDING_CANCEL"), D("0.4")))
    assert not order.state.terminal
    order.receive(Seen(7, known_word("CANCELED"), D("0.4")))
    assert order.venue_filled == D("0.4")


@pytest.mark.parametrize("proof", [Voided("no right"), NotExecuted("absent"), Refused("no")])
def test_an_id_of_the_exchange_refutes_every_proof_that_it_was_never_there(proof: Fact) -> None:
    for facts in ((Accepted(7), proof), (proof, Accepted(7))):
        assert after(*facts).state is State.PLACING
        assert after(*facts, Seen(7, "EXPIRED", D(0))).state is State.EXPIRED


def test_a_row_that_is_void_with_an_id_is_asked_about_behind_a_restart() -> None:
    row = replace(order_row(after(Voided("no right"))), exchange_order_id=7)
    assert order_from(row).state is State.PLACING


def test_a_wish_taken_back_leaves_nothing_to_trade_that_is_filled_already() -> None:
    order = after(Accepted(7), Seen(7, "NEW", D(0)))
    order.want_amended(Amendment(1, D("2.0"), D("100"), None, "epoch", 0, 0))
    order.receive(Filled(7, D("1.0"), D("100")))
    assert order.state is State.PARTIALLY_FILLED
    order.withdraw_amend()
    assert (order.state, order.leaves) == (State.FILLED, D(0))
