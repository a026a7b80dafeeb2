"""The house backs off where the exchange does not take its orders, tries less, and tells an operator once."""

from __future__ import annotations

import pytest
from desk_maker import BTC, D, desk_at
from hypothesis import given
from hypothesis import strategies as st
from unwind_maker import BTCUSDT, come_to_nothing, fill, left, order_at, refuse, take

from pms.contract.journal import Rows, UnwindRow, decode_entry, encode_entry
from pms.contract.money import decode_object
from pms.contract.names import HOUSE
from pms.domain.booking import observe
from pms.domain.desk import Desk
from pms.domain.least_order import least_quantity
from pms.domain.orders import Refused, Seen, Voided
from pms.domain.rows import position_row
from pms.domain.unwind_debt import REFUSED
from pms.domain.unwind_pace import MOST_WAIT_MS, due_at
from pms.domain.unwinding import unwind

PERCENT_PRICE = "-4131: The counterparty's best price does not meet the PERCENT_PRICE filter limit"
TOO_LARGE = "-2027: Exceeded the maximum allowable position at current leverage."


@pytest.fixture
def desk() -> Desk:
    desk = desk_at()
    take(desk, "8")
    return desk


def next_at(desk: Desk, *, after: int) -> int:
    """The first time at which the house sends again."""
    now = after
    while unwind(desk, BTCUSDT, now=now) is None:
        now += 50
    return now


def test_each_refusal_in_a_row_doubles_the_wait_up_to_half_a_minute(desk: Desk) -> None:
    waits, now = [], 10_000
    order = order_at(desk, now)
    for _ in range(10):
        refuse(desk, order, PERCENT_PRICE, at=now)
        sent = next_at(desk, after=now)
        waits.append(sent - now)
        now, order = sent, desk.orders[desk.unwinds[BTCUSDT].last_order or ""]
    assert waits == [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]
    assert order.quantity == 8, "time cures it, not a smaller order"


@given(st.integers(1, 10_000))
def test_the_wait_is_bounded_however_often_it_was_refused(times: int) -> None:
    row = UnwindRow(symbol=BTCUSDT, quantity=D(1), updated_at=0, refused=times, refused_at=7)
    assert 250 <= due_at(row) - 7 <= MOST_WAIT_MS


def test_an_order_that_nobody_sent_in_time_counts_as_well(desk: Desk) -> None:
    late = Voided("its deadline passed before it was sent")
    come_to_nothing(desk, order_at(desk, 1000), late, at=6000)
    assert next_at(desk, after=6000) == 6250


def test_a_market_order_that_found_nobody_counts_as_well(desk: Desk) -> None:
    come_to_nothing(desk, order_at(desk, 1000), Seen(7, "EXPIRED", D(0)), at=1100)
    assert next_at(desk, after=1100) == 1350


def test_an_operator_is_told_from_the_second_on_and_not_with_each(desk: Desk) -> None:
    now, told = 1000, []
    for _ in range(5):
        posting = refuse(desk, order_at(desk, now), PERCENT_PRICE, at=now)
        told.append(len(posting.entry.rows.incidents))
        now += MOST_WAIT_MS
    assert told == [0, 1, 0, 0, 0]
    incident = desk.incidents.get(REFUSED, BTCUSDT)
    assert incident is not None
    assert (incident.severity, decode_object(incident.evidence)) == (
        "critical",
        {"code": -4131, "left": "8", "reason": PERCENT_PRICE},
    )
    assert "cannot close 8 BTCUSDT" in incident.detail


def twice_refused(desk: Desk, reason: str = PERCENT_PRICE) -> None:
    for now in (1000, 2000):
        refuse(desk, order_at(desk, now), reason, at=now)
    assert desk.incidents.get(REFUSED, BTCUSDT)


def test_any_trade_ends_the_incident_and_the_waiting(desk: Desk) -> None:
    twice_refused(desk)
    order = order_at(desk, 60_000)
    posting = fill(desk, order, "0.5")
    assert [row.state for row in posting.entry.rows.incidents] == ["resolved"]
    assert (desk.unwinds[BTCUSDT].refused, desk.unwinds[BTCUSDT].closed) == (0, D("0.5"))
    observe(desk, order, Seen(order.exchange_order_id or 0, "EXPIRED", D("0.5")), at=60_000)
    assert order_at(desk, 60_000).quantity == D("7.5"), "what traded was taken"


def test_a_takeover_of_the_other_side_ends_the_incident_when_nothing_is_left(desk: Desk) -> None:
    twice_refused(desk)
    take(desk, "-3")
    assert desk.incidents.get(REFUSED, BTCUSDT), "some is left"
    take(desk, "-5")
    assert desk.incidents.get(REFUSED, BTCUSDT) is None
    take(desk, "1")
    assert order_at(desk, 2001).quantity == 1, "another debt has not been refused"


def test_dust_ends_the_incident(desk: Desk) -> None:
    twice_refused(desk)
    take(desk, "-7.9999")
    assert unwind(desk, BTCUSDT, now=60_000)
    assert desk.incidents.get(REFUSED, BTCUSDT) is None
    assert unwind(desk, BTCUSDT, now=60_000) is None


@pytest.mark.parametrize("reason", ["-2019: Margin is insufficient.", TOO_LARGE])
def test_what_a_smaller_order_cures_is_tried_with_half_down_to_the_symbols_least(
    desk: Desk, reason: str
) -> None:
    tried, now = [], 1000
    for _ in range(16):
        order = order_at(desk, now)
        tried.append(order.quantity)
        refuse(desk, order, reason, at=now)
        now += MOST_WAIT_MS + 1
    assert tried[:4] == [8, 4, 2, 1]
    assert tried[-2:] == [D("0.001")] * 2
    assert sorted(set(tried), reverse=True) == list(dict.fromkeys(tried)), "never more than the last"


def test_a_halved_order_grows_again_while_orders_trade(desk: Desk) -> None:
    for now in (1000, 2000, 3000):
        refuse(desk, order_at(desk, now), TOO_LARGE, at=now)
    sizes, now = [], 4000
    while left(desk):
        order = order_at(desk, now)
        sizes.append(order.quantity)
        fill(desk, order, at=now)
        now += 1000
    assert sizes == [1, 2, 2, 3]
    assert sum(sizes) == 8


def test_a_refused_probe_is_no_incident(desk: Desk) -> None:
    """An exchange that takes one at a time and refuses two: the house goes on, and nobody is called."""
    now, probes = 1000, 0
    while left(desk):
        order = order_at(desk, now)
        if order.quantity > 1:
            refuse(desk, order, TOO_LARGE, at=now)
            if left(desk) < 8:
                probes += 1
                assert desk.incidents.get(REFUSED, BTCUSDT) is None
        else:
            fill(desk, order, at=now)
        now += 1000
    assert probes > 2


def beginning(desk: Desk) -> Desk:
    """A next life with what the house holds, before it reads what was noted of its orders."""
    reborn = desk_at()
    reborn.load(Rows(positions=(position_row(desk.position(HOUSE, BTCUSDT)),)))
    return reborn


def test_a_restart_neither_hammers_nor_forgets(desk: Desk) -> None:
    now = 1000
    for _ in range(5):
        posting = refuse(desk, order_at(desk, now), TOO_LARGE, at=now)
        now += 10_000
    reborn = beginning(desk)
    reborn.load(decode_entry(encode_entry(posting.entry)).rows)
    row = reborn.unwinds[BTCUSDT]
    assert row == desk.unwinds[BTCUSDT]
    assert unwind(reborn, BTCUSDT, now=row.refused_at + 3999) is None
    assert order_at(reborn, row.refused_at + 4000).quantity == D("0.25")


def test_a_death_before_the_end_was_counted_counts_it_in_the_next_life(desk: Desk) -> None:
    posting = unwind(desk, BTCUSDT, now=1000)
    assert posting is not None
    order = desk.orders[posting.entry.rows.orders[0].client_order_id]
    refused = observe(desk, order, Refused(TOO_LARGE), at=1100)
    assert refused is not None
    reborn = beginning(desk)
    for entry in (posting.entry, refused.entry):
        reborn.load(decode_entry(encode_entry(entry)).rows)
    counted = unwind(reborn, BTCUSDT, now=9000)
    assert counted is not None
    assert (counted.entry.kind, reborn.unwinds[BTCUSDT].refused) == ("unwind_refused", 1)
    assert reborn.unwinds[BTCUSDT].order_most == 4


def test_rows_of_an_older_release_are_read(desk: Desk) -> None:
    desk.load(Rows(unwinds=(UnwindRow(symbol=BTCUSDT, quantity=D(2), updated_at=5),)))
    assert order_at(desk, 6).quantity == 2


@given(st.decimals("0.01", "100000", places=2))
def test_the_least_order_meets_the_symbols_least_value(price: object) -> None:
    assert least_quantity(BTC, D(str(price)), market=True) * D(str(price)) >= BTC.min_notional


def test_an_order_for_the_other_side_is_counted_before_the_next_one_goes_out(desk: Desk) -> None:
    """What proves that it was never sent may be taken back until its entry is confirmed."""
    order = order_at(desk, 1000)
    take(desk, "-9", at=1100)
    come_to_nothing(desk, order, Voided("its deadline passed before it was sent"), at=6000)
    assert (order_at(desk, 6250).spec.side, left(desk)) == ("BUY", -1)
