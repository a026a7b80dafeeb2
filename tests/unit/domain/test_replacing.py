"""A replacement never trades beyond its target, whatever the child did while it was cancelled."""

from __future__ import annotations

from dataclasses import replace as changed
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from order_maker import SPEC, D

from pms.domain.orders import Amendment, Doubtful, Filled, Order, Seen
from pms.domain.replacing import Cancel, Done, Place, Wait, exposed, replace, room

LOT = D("0.1")


def child(quantity: Decimal, number: int) -> Order:
    spec = changed(SPEC, client_order_id=f"c{number}", quantity=quantity)
    return Order(spec=spec, quantity=quantity, price=spec.price)


def fill(order: Order, quantity: Decimal, number: int) -> None:
    order.receive(Filled(number, quantity, D(100)))


def step_of(target: Decimal, children: list[Order]) -> object:
    return replace(target, children, step=LOT, least=LOT)


def test_the_remainder_is_placed_only_when_the_old_order_is_over() -> None:
    old = child(D(1), 1)
    old.receive(Seen(1, "NEW", D(0)))
    fill(old, D("0.6"), 1)
    assert step_of(D(1), [old]) == Cancel("c1")
    old.cancel_wanted = True
    assert step_of(D(1), [old]) == Wait()
    old.receive(Seen(1, "CANCELED", D("0.7")))
    assert step_of(D(1), [old]) == Wait(), "the exchange counts a trade that is not booked"
    fill(old, D("0.1"), 1)
    assert step_of(D(1), [old]) == Place(D("0.3"))


def test_an_order_of_unknown_outcome_counts_in_full() -> None:
    lost = child(D("0.4"), 1)
    lost.receive(Doubtful())
    assert room(D(1), [lost]) == D("0.6")
    lost.cancel_wanted = True
    assert step_of(D(1), [lost]) == Wait()


def test_an_amendment_in_flight_counts_with_the_larger_total() -> None:
    order = child(D("0.4"), 1)
    order.receive(Seen(1, "NEW", D(0)))
    order.want_amended(Amendment(1, D("0.9"), D(100), None, "e", 0, 0))
    assert exposed([order]) == D("0.9")


def test_what_is_too_small_to_order_is_left() -> None:
    order = child(D("0.95"), 1)
    fill(order, D("0.95"), 1)
    assert step_of(D(1), [order]) == Done(D("0.05"))
    fill(order, D("0.2"), 1)
    assert step_of(D(1), [order]) == Done(D(0)), "overfilled"


@given(st.integers(1, 40), st.lists(st.integers(0, 10), max_size=12))
def test_the_target_is_never_exceeded(lots: int, fills: list[int]) -> None:
    target, children = LOT * lots, list[Order]()
    for number, part in enumerate(fills, start=1):
        step = step_of(target, children)
        if isinstance(step, Done):
            break
        assert isinstance(step, Place)
        assert exposed(children) + step.quantity <= target
        order = child(step.quantity, number)
        children.append(order)
        assert exposed(children) <= target
        order.receive(Seen(number, "NEW", D(0)))
        traded = min(LOT * part, step.quantity)
        if traded:
            fill(order, traded, number)
        order.cancel_wanted = True
        order.receive(Seen(number, "CANCELED" if traded < step.quantity else "FILLED", traded))
        assert exposed(children) <= target
    assert sum((order.filled_qty for order in children), D(0)) <= target
