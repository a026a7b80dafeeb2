"""What the exchange has forgotten is proven over; what traded, is young, or was missed once is not."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pms.domain.facts import Accepted, Fact, Filled, Seen, Voided
from pms.domain.forgetting import (
    ALL_KEPT_MS,
    EMPTY_KEPT_MS,
    LIST_STALE_MS,
    MARGIN_MS,
    ended_unseen,
    proves_over,
)
from pms.domain.order_table import PRICE, SPEC
from pms.domain.orders import Order, State

ZERO = Decimal(0)
PLACED = 1_700_000_000_000
OLD = PLACED + EMPTY_KEPT_MS + MARGIN_MS + 1
RESTS = Seen(7, "NEW", ZERO, None, SPEC.quantity, PRICE, PLACED)


def heard(*facts: Fact) -> Order:
    order = Order(
        spec=replace(SPEC, admitted_at=PLACED - 100, deadline=PLACED - 50),
        quantity=SPEC.quantity,
        price=PRICE,
    )
    for fact in facts:
        order.receive(fact)
    return order


def test_an_order_that_is_missing_long_enough_and_old_enough_is_over() -> None:
    order = heard(RESTS)
    assert proves_over(order, unlisted_from=OLD - LIST_STALE_MS, unlisted_until=OLD)
    order.receive(ended_unseen(order))
    assert (order.state, order.leaves) == (State.CANCELLED, 0)
    assert order.why is not None
    assert order.why.startswith("proven: ")


@pytest.mark.parametrize(
    "facts",
    [
        (),
        (Accepted(7),),
        (Voided("no right"),),
        (RESTS, Seen(7, "PARTIALLY_FILLED", Decimal(1))),
        (RESTS, Filled(7, Decimal(1), PRICE)),
        (Filled(7, Decimal(1), PRICE),),
        (RESTS, Seen(7, "CANCELED", Decimal(1))),
        (RESTS, Seen(7, "CANCELED", ZERO)),
    ],
    ids=[
        "never heard of",
        "taken by REST alone",
        "void",
        "a trade is counted",
        "a trade is booked",
        "known by a trade alone",
        "ended with a trade missing",
        "over",
    ],
)
def test_nothing_is_proven_of(facts: tuple[Fact, ...]) -> None:
    order = heard(*facts)
    assert not proves_over(order, unlisted_from=PLACED, unlisted_until=OLD)


@given(
    terms_at=st.integers(0, ALL_KEPT_MS),
    missing=st.integers(0, 4 * LIST_STALE_MS),
    now=st.integers(0, 2 * ALL_KEPT_MS),
)
def test_a_moment_too_early_or_too_late_proves_nothing(terms_at: int, missing: int, now: int) -> None:
    order = heard(replace(RESTS, at=PLACED + terms_at))
    at = PLACED + now
    age = now - terms_at
    kept_to = ALL_KEPT_MS - MARGIN_MS - (PLACED - order.spec.admitted_at)
    due = age > EMPTY_KEPT_MS + MARGIN_MS and now < kept_to and missing >= LIST_STALE_MS
    before = copy(order)
    assert proves_over(order, unlisted_from=at - missing, unlisted_until=at) is due
    assert order == before


@pytest.mark.parametrize("late", ["deadline", "admitted_at"])
def test_without_terms_its_age_counts_from_the_last_moment_it_could_arrive(late: str) -> None:
    order = heard(Seen(7, "NEW", ZERO))
    assert proves_over(order, unlisted_from=PLACED, unlisted_until=OLD)
    order.spec = replace(order.spec, **{late: PLACED + 10})
    assert not proves_over(order, unlisted_from=PLACED, unlisted_until=OLD)
