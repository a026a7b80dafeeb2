"""The policies of unwinding: at once, passively first, in slices; changed and interrupted in the middle."""

from __future__ import annotations

import pytest
from desk_maker import D, decide, desk_at, move_price
from unwind_maker import BTCUSDT, acknowledge, come_to_nothing, fill, left, order_at, refuse, take

from pms.contract.codes import Code, Refusal
from pms.contract.journal import decode_entry, encode_entry
from pms.contract.limits import UNWIND, written
from pms.contract.unwind_policy import AtOnce, Passive, Timed
from pms.domain.booking import observe
from pms.domain.desk import Desk, Mark
from pms.domain.orders import Order, Refused, Seen, Voided
from pms.domain.posting import Posting
from pms.domain.unwinding import unwind


def policy(desk: Desk, value: str, *, symbol: str | None = None) -> None:
    more = {"symbol": symbol} if symbol else {}
    decide(
        desk,
        "pms.limits",
        action="set",
        scope="*",
        limit="liquidation.unwind",
        value=value,
        reason="r",
        actor="a",
        **more,
    )


def desk_with(value: str, quantity: str = "3") -> Desk:
    """The market at 60000 to 60000.1, and something to close since 1000."""
    desk = desk_at()
    policy(desk, value)
    take(desk, quantity, at=1000)
    return desk


def resting(desk: Desk, now: int = 1000) -> Order:
    order = order_at(desk, now)
    acknowledge(desk, order, at=now)
    return order


def withdrawn(posting: Posting | None) -> list[str]:
    """The orders that a step wants cancelled."""
    if posting is None:
        return []
    assert all(row.cancel_wanted for row in posting.entry.rows.orders)
    return [row.client_order_id for row in posting.entry.rows.orders]


def cancelled(desk: Desk, order: Order, *, at: int) -> None:
    observe(desk, order, Seen(order.exchange_order_id or 0, "CANCELED", order.filled_qty), at=at)


# --- the setting ---


@pytest.mark.parametrize(
    ("text", "value", "again"),
    [
        ("at_once", AtOnce(), "at_once"),
        (" passive, 30 ,0.50", Passive(D(30), D("0.5")), "passive,30,0.5"),
        ("timed,60,6", Timed(D(60), 6), "timed,60,6"),
    ],
)
def test_a_policy_is_written_as_it_is_read(text: str, value: object, again: str) -> None:
    assert UNWIND.read(text) == value
    assert written(value) == again
    assert UNWIND.read(again) == value


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("slowly", "at_once, or passive"),
        ("passive", "at_once, or passive"),
        ("passive,30", "at_once, or passive"),
        ("passive,0,1", "seconds of passive"),
        ("passive,soon,1", "seconds of passive"),
        ("passive,86401,1", "seconds of passive"),
        ("passive,30,0", "percent of passive"),
        ("passive,30,51", "percent of passive"),
        ("timed,-1,5", "seconds of timed"),
        ("timed,60,1", "slices of timed"),
        ("timed,60,2.5", "slices of timed"),
        ("timed,60,1001", "slices of timed"),
        ("timed,60,NaN", "slices of timed"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused_and_changes_nothing(text: str, named: str) -> None:
    desk = desk_at()
    with pytest.raises(Refusal) as refused:
        policy(desk, text)
    assert (refused.value.code, refused.value.field, refused.value.actual) == (Code.BAD_LIMIT, "value", text)
    assert named in refused.value.error
    assert desk.limits.of("house", UNWIND, BTCUSDT) == AtOnce()


def test_a_symbols_own_policy_goes_before_that_of_everything() -> None:
    desk = desk_with("passive,30,1")
    policy(desk, "at_once", symbol=BTCUSDT)
    assert order_at(desk, 1000).spec.type == "MARKET"


# --- passive ---


@pytest.mark.parametrize(("quantity", "side", "price"), [("3", "SELL", "60000.1"), ("-3", "BUY", "60000")])
def test_passive_rests_post_only_at_the_touch_of_its_own_side(quantity: str, side: str, price: str) -> None:
    order = order_at(desk_with("passive,30,1", quantity), 1000)
    assert (order.spec.side, order.spec.type, order.spec.time_in_force) == (side, "LIMIT", "GTX")
    assert (order.price, order.quantity) == (D(price), 3)


@pytest.mark.parametrize(("quantity", "away"), [("3", "59990"), ("-3", "60010")])
def test_it_goes_after_a_touch_that_moved_away_and_never_before_the_cancel_is_confirmed(
    quantity: str, away: str
) -> None:
    desk = desk_with("passive,30,1", quantity)
    order = resting(desk)
    move_price(desk, away)
    assert unwind(desk, BTCUSDT, now=1999) is None, "it rested less than a second"
    assert withdrawn(unwind(desk, BTCUSDT, now=2000)) == [order.spec.client_order_id]
    assert unwind(desk, BTCUSDT, now=2250) is None, "until the exchange says that it is over"
    fill(desk, order, "1", at=2300)
    cancelled(desk, order, at=2400)
    after = order_at(desk, 2500)
    assert after.quantity == 2, "less what traded on the way"
    assert after.price == (desk.tops[BTCUSDT].ask if left(desk) > 0 else desk.tops[BTCUSDT].bid)


def test_it_stays_where_it_is_while_it_is_first_in_line() -> None:
    desk = desk_with("passive,30,1")
    resting(desk)
    move_price(desk, "60050")
    for now in (5000, 20_000, 30_999):
        assert unwind(desk, BTCUSDT, now=now) is None


def test_when_time_is_over_the_rest_goes_to_the_market() -> None:
    desk = desk_with("passive,30,1")
    order = resting(desk)
    fill(desk, order, "1.2", at=20_000)
    assert unwind(desk, BTCUSDT, now=30_999) is None
    assert withdrawn(unwind(desk, BTCUSDT, now=31_000)) == [order.spec.client_order_id]
    cancelled(desk, order, at=31_100)
    rest = order_at(desk, 31_200)
    assert (rest.spec.type, rest.quantity) == ("MARKET", D("1.8"))


@pytest.mark.parametrize(("quantity", "fine", "away"), [("3", "59400", "59399"), ("-3", "60600", "60601")])
def test_when_the_mark_runs_away_the_rest_goes_to_the_market(quantity: str, fine: str, away: str) -> None:
    desk = desk_at()
    policy(desk, "passive,30,1")
    desk.marks[BTCUSDT] = Mark(D(60_000), 1000)
    take(desk, quantity, at=1000)
    order = resting(desk)
    desk.marks[BTCUSDT] = Mark(D(fine), 1500)
    assert unwind(desk, BTCUSDT, now=1500) is None
    desk.marks[BTCUSDT] = Mark(D(away), 1500)
    assert withdrawn(unwind(desk, BTCUSDT, now=1500)) == [order.spec.client_order_id]
    cancelled(desk, order, at=1600)
    assert order_at(desk, 1700).spec.type == "MARKET"


def test_by_a_torn_book_nothing_is_placed_or_moved_until_time_is_over() -> None:
    desk = desk_with("passive,30,1")
    order = resting(desk)
    desk.marks[BTCUSDT] = Mark(D(60_000), 5000)
    move_price(desk, "50000")
    assert unwind(desk, BTCUSDT, now=5000) is None
    cancelled(desk, order, at=5000)
    assert unwind(desk, BTCUSDT, now=5100) is None
    assert order_at(desk, 31_000).spec.type == "MARKET"


def test_post_only_refused_for_a_price_that_moved_is_no_refusal_of_the_house() -> None:
    desk = desk_with("passive,30,1")
    for now in (1000, 1250, 1500):
        order = order_at(desk, now)
        reason = (
            "-5022: Due to the order could not be executed as maker, the Post Only order will be rejected."
        )
        observe(desk, order, Refused(reason), at=now)
    assert desk.unwinds[BTCUSDT].refused == 0
    assert order_at(desk, 1750).price == D("60000.1")


def test_another_refusal_of_a_resting_order_counts() -> None:
    desk = desk_with("passive,30,1")
    refuse(desk, order_at(desk, 1000), "-2019: Margin is insufficient.", at=1000)
    assert unwind(desk, BTCUSDT, now=1249) is None
    assert order_at(desk, 1250).quantity == D("1.5")


def test_an_order_that_somebody_cancels_is_placed_again_and_counts_for_nothing() -> None:
    desk = desk_with("passive,30,1")
    order = resting(desk)
    cancelled(desk, order, at=1500)
    again = order_at(desk, 1600)
    assert (again.quantity, desk.unwinds[BTCUSDT].refused) == (3, 0)


def test_what_was_never_sent_is_counted_even_if_it_was_not_wanted_any_more() -> None:
    """A void may be taken back until its entry is confirmed: the count's own entry is what is waited for."""
    desk = desk_with("at_once")
    order = order_at(desk, 1000)
    order.cancel_wanted = True
    posting = come_to_nothing(desk, order, Voided("cancelled before it was sent"), at=1100)
    assert posting.entry.kind == "unwind_refused"


# --- the debt changes under a resting order ---


def test_a_resting_order_is_cancelled_when_another_takeover_leaves_nothing() -> None:
    desk = desk_with("passive,30,1")
    order = resting(desk)
    take(desk, "-3", at=1200)
    desk.tops.clear()
    assert withdrawn(unwind(desk, BTCUSDT, now=1200)) == [order.spec.client_order_id], "price or not"


def test_a_resting_order_of_the_wrong_side_is_cancelled_before_anything_else() -> None:
    desk = desk_with("passive,30,1")
    order = resting(desk)
    take(desk, "-5", at=1200)
    assert withdrawn(unwind(desk, BTCUSDT, now=1200)) == [order.spec.client_order_id]
    assert unwind(desk, BTCUSDT, now=1300) is None
    fill(desk, order, "1", at=1350)
    cancelled(desk, order, at=1400)
    after = order_at(desk, 1500)
    assert (after.spec.side, after.quantity) == ("BUY", 3), "what it still sold is bought back as well"
    assert desk.unwinds[BTCUSDT].began_at == 1200, "a debt of its own"


def test_a_resting_order_for_more_than_is_left_is_cancelled() -> None:
    desk = desk_with("passive,30,1")
    order = resting(desk)
    take(desk, "-1", at=1200)
    assert withdrawn(unwind(desk, BTCUSDT, now=1200)) == [order.spec.client_order_id]
    cancelled(desk, order, at=1300)
    assert order_at(desk, 1400).quantity == 2


def test_more_that_is_taken_over_waits_for_the_resting_order() -> None:
    desk = desk_with("passive,30,1")
    order = resting(desk)
    take(desk, "2", at=1200)
    assert unwind(desk, BTCUSDT, now=1300) is None
    fill(desk, order, at=1400)
    assert order_at(desk, 1500).quantity == 2


@pytest.mark.parametrize("value", ["at_once", "timed,60,6"])
def test_a_policy_that_rests_no_more_cancels_what_rests(value: str) -> None:
    desk = desk_with("passive,30,1")
    order = resting(desk)
    policy(desk, value)
    assert withdrawn(unwind(desk, BTCUSDT, now=1100)) == [order.spec.client_order_id]


def test_an_unproven_order_is_left_to_the_exchanges_word() -> None:
    desk = desk_with("passive,30,1")
    order_at(desk, 1000)
    take(desk, "-3", at=1200)
    assert unwind(desk, BTCUSDT, now=60_000) is None


# --- timed ---


def test_slices_are_of_equal_size_and_the_last_takes_what_is_left() -> None:
    desk = desk_with("timed,60,6", "1")
    sent = []
    for second in range(61):
        now = 1000 + second * 1000
        posting = unwind(desk, BTCUSDT, now=now)
        if posting is not None:
            order = desk.orders[posting.entry.rows.orders[0].client_order_id]
            assert order.spec.type == "MARKET"
            sent.append((second, order.quantity))
            fill(desk, order, at=now)
    assert sent == [
        (0, D("0.166")),
        (10, D("0.167")),
        (20, D("0.167")),
        (30, D("0.166")),
        (40, D("0.167")),
        (50, D("0.167")),
    ]
    assert left(desk) == 0


def test_what_a_slice_could_not_sell_the_next_makes_up() -> None:
    desk = desk_with("timed,60,6", "6")
    refuse(desk, order_at(desk, 1000), "-4131: no", at=1000)
    refuse(desk, order_at(desk, 1250), "-4131: no", at=11_000)
    assert order_at(desk, 11_500).quantity == 2


def test_more_that_is_taken_over_is_spread_over_the_same_time() -> None:
    desk = desk_with("timed,60,6", "6")
    fill(desk, order_at(desk, 1000), at=1000)
    take(desk, "6", at=2000)
    order = order_at(desk, 2000)
    assert order.quantity == 1, "its share of the first slice"
    fill(desk, order, at=2000)
    assert unwind(desk, BTCUSDT, now=10_999) is None
    assert order_at(desk, 11_000).quantity == 2


def test_what_the_other_side_takes_over_shrinks_the_slices() -> None:
    desk = desk_with("timed,60,6", "6")
    fill(desk, order_at(desk, 1000), at=1000)
    take(desk, "-2", at=2000)
    assert unwind(desk, BTCUSDT, now=2000) is None
    assert order_at(desk, 11_000).quantity == D("0.333"), "two of six sixths of four, less one that is sold"


def test_slices_below_the_symbols_least_are_gathered() -> None:
    desk = desk_with("timed,60,6", "0.003")
    sent = []
    for second in range(61):
        posting = unwind(desk, BTCUSDT, now=1000 + second * 1000)
        if posting is not None:
            order = desk.orders[posting.entry.rows.orders[0].client_order_id]
            sent.append((second, order.quantity))
            fill(desk, order)
    assert sent == [(10, D("0.001")), (30, D("0.001")), (50, D("0.001"))]


# --- a restart in the middle ---


@pytest.mark.parametrize("value", ["passive,30,1", "timed,60,6"])
def test_a_restart_in_the_middle_goes_on_in_the_middle(value: str) -> None:
    desk = desk_with(value, "6")
    entries = []
    posting = unwind(desk, BTCUSDT, now=1000)
    assert posting is not None
    entries.append(posting.entry)
    order = desk.orders[posting.entry.rows.orders[0].client_order_id]
    entries.append(fill(desk, order, "1", at=2000).entry)
    reborn = desk_at("59990")
    policy(reborn, value)
    for entry in entries:
        reborn.load(decode_entry(encode_entry(entry)).rows)
    assert reborn.unwinds == desk.unwinds
    move_price(desk, "59990")
    for now in (2500, 10_999, 11_000, 31_000):
        again, went_on = unwind(reborn, BTCUSDT, now=now), unwind(desk, BTCUSDT, now=now)
        assert (again and again.entry.rows.orders and again.entry.rows.orders[0].quantity) == (
            went_on and went_on.entry.rows.orders and went_on.entry.rows.orders[0].quantity
        )


def test_books_of_before_this_release_are_closed_at_once() -> None:
    desk = desk_with("passive,30,1")
    row = b'{"symbol":"BTCUSDT","quantity":"2","updated_at":9}'
    entry = b'{"v":1,"seq":9,"prev":8,"at":9,"kind":"liquidation","rows":{"unwinds":[%s]}}' % row
    desk.load(decode_entry(entry).rows)
    assert (order_at(desk, 1_000_000).spec.type, left(desk)) == ("MARKET", 2)


HOUR_MS = 3_600_000


def test_dust_that_was_left_long_ago_does_not_use_up_a_later_takeovers_patience() -> None:
    desk = desk_with("passive,30,5", "0.0004")
    take(desk, "50", at=HOUR_MS)
    assert (desk.unwinds[BTCUSDT].began_at, left(desk)) == (HOUR_MS, D("50.0004"))
    assert order_at(desk, HOUR_MS + 100).spec.type == "LIMIT"


def test_nor_does_it_put_all_slices_behind_it() -> None:
    desk = desk_with("timed,60,6", "60")
    for step in range(6):
        fill(desk, order_at(desk, 1000 + step * 10_000), at=1000 + step * 10_000)
    assert left(desk) == 0
    take(desk, "0.0004", at=90_000)
    take(desk, "60", at=HOUR_MS)
    assert order_at(desk, HOUR_MS + 100).quantity == 10


def test_what_an_order_could_be_sent_for_is_joined() -> None:
    desk = desk_with("passive,30,5", "0.001")
    take(desk, "50", at=20_000)
    assert desk.unwinds[BTCUSDT].began_at == 1000
