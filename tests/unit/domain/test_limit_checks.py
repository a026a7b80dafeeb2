"""Each limit refuses what breaches it, says how far, and never what only reduces."""

from __future__ import annotations

from dataclasses import replace

import pytest
from desk_maker import BTC, D, decide, desk_at, move_price, trade

from pms.contract.codes import Code, Refusal
from pms.contract.journal import OrderRow, Rows
from pms.contract.reading import command_from
from pms.domain.admission import admit
from pms.domain.booking import Trade, book, observe
from pms.domain.day_results import DAY_MS
from pms.domain.decisions import Asked
from pms.domain.desk import Desk, Top
from pms.domain.orders import Order, Seen
from pms.domain.posting import Posting

WHO = {"actor": "ann", "reason": "a test"}
ETH = replace(BTC, symbol="ETHUSDT", base_asset="ETH")


def limited(
    desk: Desk, limit: str, value: object, *, scope: str = "alice", symbol: str | None = None
) -> Desk:
    decide(desk, "pms.limits", action="set", scope=scope, limit=limit, value=value, symbol=symbol, **WHO)
    return desk


def order_of(desk: Desk, posting: Posting) -> Order:
    return desk.orders[posting.entry.rows.orders[0].client_order_id]


def fill(
    desk: Desk, posting: Posting, *, price: str = "60000", at: int = 2000, commission: str = "0"
) -> None:
    """Let the exchange fill an admitted order completely."""
    order, number = order_of(desk, posting), desk.last_seq
    spec = order.spec
    done = Trade(
        symbol=spec.symbol,
        exchange_order_id=number,
        trade_id=number,
        client_order_id=spec.client_order_id,
        side=spec.side,
        price=D(price),
        quantity=order.quantity,
        commission=D(commission),
        commission_asset="USDT",
        realized_pnl=D(0),
        maker=False,
        at=at,
    )
    assert book(desk, done, fact=Seen(number, "FILLED", order.quantity)) is not None


def resting(desk: Desk, account: str = "alice", **fields: object) -> Order:
    """A LIMIT buy of 0.01 that the exchange has confirmed."""
    posting = trade(desk, account, **{"type": "LIMIT", "price": "59000", **fields})
    order = order_of(desk, posting)
    observe(desk, order, Seen(desk.last_seq, "NEW", D(0)), at=2000)
    return order


def holding(quantity: str = "0.1", *, side: str = "BUY", account: str = "alice") -> Desk:
    """A desk with two symbols where alice holds BTC."""
    desk = desk_at()
    desk.instruments["ETHUSDT"] = ETH
    desk.tops["ETHUSDT"] = Top(D(3000), D(1), D("3000.1"), D(1), 1)
    fill(desk, trade(desk, account, side=side, quantity=quantity))
    return desk


def refused(desk: Desk, *args: object, **fields: object) -> tuple[str, str | None, str | None, str | None]:
    """What a trade is refused for; nothing may have changed."""
    before = (desk.last_seq, sorted(desk.orders), desk.snapshot("alice"), desk.snapshot("bob"))
    with pytest.raises(Refusal) as found:
        trade(desk, *args, **fields)  # type: ignore[arg-type]
    assert (desk.last_seq, sorted(desk.orders), desk.snapshot("alice"), desk.snapshot("bob")) == before
    told = found.value
    return told.code.value, told.field, told.limit, told.actual


LIMIT_BUY = {"type": "LIMIT", "price": "59000"}

FIELDS = {
    "LEVERAGE_LIMIT": "leverage",
    "TRADING_STATE": "symbol",
    "SYMBOL_NOT_ALLOWED": "symbol",
    "SIDE_NOT_ALLOWED": "side",
    "PRICE_THROUGH": "price",
    "SPREAD_WIDE": "type",
    "OPEN_ORDERS": "subAccountId",
    "OPEN_ORDERS_SYMBOL": "subAccountId",
}
ONE_ETH = {"symbol": "ETHUSDT", "quantity": "1"}
COLLARED = {"type": "LIMIT", "price": "60600.2"}

CASES = [
    ("order.quantity", "0.01", {"quantity": "0.011"}, ("ORDER_QUANTITY", "0.01", "0.011")),
    ("order.notional", "600.001", {}, None),
    ("order.notional", "600", {}, ("ORDER_NOTIONAL", "600", "600.001")),
    ("order.notional", "589.99", LIMIT_BUY, ("ORDER_NOTIONAL", "589.99", "590")),
    ("position.quantity", "0.11", {}, None),
    ("position.quantity", "0.109", {}, ("POSITION_QUANTITY", "0.109", "0.11")),
    (
        "position.quantity",
        "0.01",
        {"side": "SELL", "quantity": "0.111"},
        ("POSITION_QUANTITY", "0.01", "0.011"),
    ),
    # held at mid, orders at mid or at a price that is more
    ("position.notional", "6600.0055", LIMIT_BUY, None),
    ("position.notional", "6600", LIMIT_BUY, ("POSITION_NOTIONAL", "6600", "6600.0055")),
    ("position.notional", "6600.006", {}, None),
    ("position.notional", "6600.0059", {}, ("POSITION_NOTIONAL", "6600.0059", "6600.006")),
    ("exposure", "6600.0055", LIMIT_BUY, None),
    ("exposure", "6600", LIMIT_BUY, ("EXPOSURE", "6600", "6600.0055")),
    ("exposure", "9000", ONE_ETH, ("EXPOSURE", "9000", "9000.105")),
    ("exposure", "9000.105", ONE_ETH, None),
    ("concentration.equity", "65.9", LIMIT_BUY, ("CONCENTRATION_EQUITY", "65.9", "66.000022")),
    ("concentration.equity", "66.1", LIMIT_BUY, None),
    ("concentration.exposure", "99", LIMIT_BUY, ("CONCENTRATION_EXPOSURE", "99", "100")),
    ("concentration.exposure", "34", ONE_ETH, None),
    ("concentration.exposure", "33", ONE_ETH, ("CONCENTRATION_EXPOSURE", "33", "33.33405555")),
    ("leverage", "9.5", {}, ("LEVERAGE_LIMIT", "9.5", "10")),
    ("leverage", "10", {}, None),
    ("leverage", "5", {"leverage": None}, ("LEVERAGE_LIMIT", "5", "10")),
    ("leverage", "5", {"leverage": None, **ONE_ETH}, None),
    ("trading.state", "REDUCE_ONLY", {}, ("TRADING_STATE", "REDUCE_ONLY", "BUY")),
    ("trading.state", "HALTED", {"side": "SELL"}, ("TRADING_STATE", "HALTED", "SELL")),
    ("trading.symbols", "ETHUSDT", {}, ("SYMBOL_NOT_ALLOWED", "ETHUSDT", "BTCUSDT")),
    ("trading.symbols", "ETHUSDT,BTCUSDT", {}, None),
    ("trading.sides", "SELL", {}, ("SIDE_NOT_ALLOWED", "SELL", "BUY")),
    ("trading.sides", "BUY", {}, None),
    ("price.collar", "1", COLLARED, ("PRICE_THROUGH", "60600.101", "60600.2")),
    ("price.collar", "1", {"type": "LIMIT", "price": "60600.1"}, None),
    ("price.collar", "1", {**LIMIT_BUY, "side": "SELL"}, ("PRICE_THROUGH", "59400", "59000")),
    ("price.spread", "0.0001", {}, ("SPREAD_WIDE", "0.0001", "0.00016667")),
    ("price.spread", "0.0001", LIMIT_BUY, None),
    ("orders.open", "0", LIMIT_BUY, ("OPEN_ORDERS", "0", "0")),
    ("orders.open_symbol", "0", LIMIT_BUY, ("OPEN_ORDERS_SYMBOL", "0", "0")),
]


@pytest.mark.parametrize(("limit", "value", "fields", "told"), CASES)
def test_what_breaches_a_limit_is_refused_and_what_keeps_it_is_not(
    limit: str, value: str, fields: dict[str, object], told: tuple[str, ...] | None
) -> None:
    desk = limited(holding(), limit, value)
    if told is not None:
        code, field, *rest = refused(desk, **fields)
        assert (code, *rest) == told
        assert field == FIELDS.get(code, "quantity")
        assert trade(desk, "bob", **fields).entry.kind == "admitted", "a limit is its sub-account's"
    else:
        assert trade(desk, **fields).entry.kind == "admitted"


RISK = [
    ("order.quantity", "0"),
    ("order.notional", "0"),
    ("position.quantity", "0"),
    ("position.notional", "0"),
    ("exposure", "0"),
    ("concentration.equity", "0"),
    ("concentration.exposure", "0"),
    ("leverage", "0"),
    ("trading.state", "REDUCE_ONLY"),
    ("trading.symbols", "ETHUSDT"),
    ("trading.sides", "BUY"),
    ("loss.daily", "0"),
    ("orders.rate", "1"),
    ("price.spread", "0"),
    ("price.age", "0"),
]


def lossy(desk: Desk) -> Desk:
    """Bring alice a loss today."""
    fill(desk, trade(desk, quantity="0.001"), commission="5", at=900)
    return desk


@pytest.mark.parametrize("side", ["BUY", "SELL"])
@pytest.mark.parametrize(("limit", "value"), RISK)
def test_no_limit_on_risk_keeps_anybody_in_a_position(limit: str, value: str, side: str) -> None:
    """By order, by close, with and without reduceOnly, in a batch, and however much of it."""
    desk = lossy(holding("0.2", side="SELL" if side == "BUY" else "BUY"))
    back = {"side": side, "exchange_now": 10**12}
    limited(desk, limit, "SELL" if (limit, side) == ("trading.sides", "SELL") else value)
    limited(desk, "trading.sides", "SELL" if side == "BUY" else "BUY")
    assert soon(desk, quantity="0.01", **back).entry.kind == "admitted"
    assert soon(desk, quantity="0.01", reduceOnly=True, **back).entry.kind == "admitted"
    price = "59000" if side == "BUY" else "61000"
    assert soon(desk, quantity="0.01", type="LIMIT", price=price, **back).entry.kind == "admitted"
    legs = [{"symbol": "BTCUSDT", "side": side, "quantity": "0.01"}] * 2
    batch = decide(desk, "pms.batch", subAccountId="alice", orders=legs)
    assert len(batch.entry.rows.orders) == 2
    closed = decide(desk, "pms.close", positionId=desk.position("alice", "BTCUSDT").id)
    assert closed.entry.kind == "admitted"
    if limit not in {"orders.rate"}:
        with pytest.raises(Refusal):
            soon(desk, quantity="0.001", leverage=10, **back)


def soon(desk: Desk, *, exchange_now: int = 0, now: int = 1000, **fields: object) -> Posting:
    """A trade of alice, with the exchange's clock known."""
    number = desk.last_seq
    command = {
        "requestId": f"00000000-0000-0000-0001-{number:012d}",
        "subAccountId": "alice",
        "symbol": "BTCUSDT",
        **fields,
    }
    asked = Asked(
        request_id=str(command["requestId"]),
        command="pms.trade",
        text="{}",
        at=now,
        deadline=now + 5000,
        now=now,
        exchange_now=exchange_now,
    )
    return admit(desk, asked, command_from("pms.trade", command))


def test_an_order_that_turns_a_position_over_is_judged_by_what_it_opens() -> None:
    desk = limited(holding("0.1"), "position.quantity", "0.05")
    assert refused(desk, side="SELL", quantity="0.151")[0] == "POSITION_QUANTITY"
    trade(desk, side="SELL", quantity="0.15")


def test_open_orders_count_by_their_worse_side() -> None:
    desk = limited(desk_at(), "position.quantity", "0.02")
    resting(desk)
    resting(desk, side="SELL", price="61000", quantity="0.02")
    resting(desk)
    assert refused(desk, quantity="0.001") == ("POSITION_QUANTITY", "quantity", "0.02", "0.021")
    assert refused(desk, quantity="0.001", side="SELL")[0] == "POSITION_QUANTITY"


def test_a_lowered_limit_refuses_more_and_takes_nothing_away() -> None:
    desk = limited(holding("0.1"), "position.quantity", "0.05")
    assert refused(desk, quantity="0.001")[0] == "POSITION_QUANTITY"
    assert desk.position("alice", "BTCUSDT").quantity == D("0.1")


def test_the_narrowest_limit_judges() -> None:
    desk = limited(desk_at(), "order.quantity", "0.001", scope="*")
    assert refused(desk)[0] == refused(desk, "bob")[0] == "ORDER_QUANTITY"
    limited(desk, "order.quantity", "1", scope="alice", symbol="BTCUSDT")
    trade(desk)
    assert refused(desk, "bob")[0] == "ORDER_QUANTITY"


def test_an_equity_that_is_gone_carries_nothing() -> None:
    desk = limited(holding("1"), "concentration.equity", "100000")
    fill(desk, trade(desk, "bob"))
    move_price(desk, "40000")
    with pytest.raises(Refusal) as found:
        trade(desk, quantity="0.001")
    assert (found.value.code, found.value.actual) == (Code.CONCENTRATION_EQUITY, "all")


def test_concentration_is_judged_from_an_exposure_on() -> None:
    desk = limited(desk_at(), "concentration.exposure", "60")
    limited(desk, "concentration.from", "1000")
    trade(desk)
    assert refused(desk)[0] == "CONCENTRATION_EXPOSURE"


def test_the_rest_of_the_day_is_for_reducing_after_the_daily_loss() -> None:
    """Realised, fees and funding; of today alone."""
    desk = desk_at()
    fill(desk, trade(desk, quantity="0.1"), at=DAY_MS + 1, commission="3")
    limited(desk, "loss.daily", "9")
    fill(desk, soon(desk, side="SELL", quantity="0.05", now=DAY_MS + 2), price="59880", at=DAY_MS + 2)
    with pytest.raises(Refusal) as found:
        soon(desk, side="BUY", quantity="0.001", now=DAY_MS + 3)
    assert (found.value.code, found.value.limit, found.value.actual) == (Code.DAILY_LOSS, "9", "9")


def test_the_daily_loss_survives_a_restart_and_ends_at_midnight_utc() -> None:
    desk = desk_at()
    opening = desk.last_seq
    entries = []
    for side, price in (("BUY", "60000"), ("SELL", "59000")):
        posting = soon(desk, side=side, quantity="0.01", now=DAY_MS)
        entries.append(posting.entry)
        order, number = order_of(desk, posting), desk.last_seq
        done = Trade(
            symbol="BTCUSDT",
            exchange_order_id=number,
            trade_id=number,
            client_order_id=order.spec.client_order_id,
            side=side,
            price=D(price),
            quantity=order.quantity,
            commission=D("0.5"),
            commission_asset="USDT",
            realized_pnl=D(0),
            maker=False,
            at=2 * DAY_MS - 1,
        )
        booked = book(desk, done)
        assert booked is not None
        entries.append(booked.entry)
    assert opening < entries[0].seq
    assert desk.results.of("alice", 2 * DAY_MS - 1) == D(-11)
    again = Desk(epoch="e2")
    again.load(Rows(sub_accounts=tuple(account.row() for account in desk_at().accounts.values())))
    for entry in entries:
        again.load(entry.rows)
    assert again.results.of("alice", 2 * DAY_MS - 1) == D(-11)
    assert again.results.of("alice", 2 * DAY_MS) == again.results.of("alice", DAY_MS - 1) == 0
    limited(desk, "loss.daily", "11")
    with pytest.raises(Refusal) as found:
        soon(desk, side="BUY", quantity="0.001", now=2 * DAY_MS - 1)
    assert found.value.code is Code.DAILY_LOSS
    assert soon(desk, side="BUY", quantity="0.001", now=2 * DAY_MS).entry.kind == "admitted"


def test_a_gain_and_a_loss_of_nothing_is_no_loss() -> None:
    desk = limited(desk_at(), "loss.daily", "0")
    assert trade(desk).entry.kind == "admitted"


def test_open_orders_are_counted_by_symbol_and_as_a_whole() -> None:
    desk = limited(limited(holding(), "orders.open_symbol", "2"), "orders.open", "3")
    first, _ = resting(desk), resting(desk)
    assert refused(desk, **LIMIT_BUY) == ("OPEN_ORDERS_SYMBOL", "subAccountId", "2", "2")
    resting(desk, symbol="ETHUSDT", price="2900")
    assert refused(desk, symbol="ETHUSDT", quantity="1") == ("OPEN_ORDERS", "subAccountId", "3", "3")
    assert refused(desk, side="SELL", type="LIMIT", price="61000", reduceOnly=True)[0] == "OPEN_ORDERS"
    assert trade(desk, side="SELL", reduceOnly=True).entry.kind == "admitted", "it cannot rest"
    observe(desk, first, Seen(first.exchange_order_id or 0, "CANCELED", D(0)), at=3000)
    assert desk.pending["alice"]["BTCUSDT", "BOTH"].orders == 2
    observe(desk, next(iter(desk.live.values())), Seen(10**6, "CANCELED", D(0)), at=3000)
    resting(desk)


def test_the_rate_counts_what_was_admitted_in_the_window() -> None:
    desk = limited(limited(desk_at(), "orders.rate", "2"), "orders.rate_window", "500")
    for now in (1000, 1200):
        soon(desk, side="BUY", quantity="0.001", now=now)
    with pytest.raises(Refusal) as found:
        soon(desk, side="BUY", quantity="0.001", now=1499)
    told = found.value
    assert (told.code, told.limit, told.actual) == (Code.ORDER_RATE, "2 in 500 ms", "3 in 500 ms")
    soon(desk, side="BUY", quantity="0.001", now=1500)
    with pytest.raises(Refusal):
        soon(desk, side="BUY", quantity="0.001", now=1699)
    trade(desk, "bob", now=1699)
    soon(desk, side="BUY", quantity="0.001", now=1700)


def test_what_is_refused_counts_for_no_rate() -> None:
    desk = limited(desk_at(), "orders.rate", "1")
    for _ in range(3):
        assert refused(desk, quantity="10")[0] == "MARGIN"
    trade(desk)


def test_amendments_count_for_the_rate() -> None:
    desk = limited(desk_at(), "orders.rate", "2")
    order = resting(desk)
    decide(desk, "pms.amend", orderId=order.spec.client_order_id, price="58000")
    assert refused(desk)[0] == "ORDER_RATE"


def test_rate_and_repeats_are_known_again_after_a_restart() -> None:
    desk = limited(limited(desk_at(), "orders.rate", "3"), "orders.duplicate", "1000")
    rows = [trade(desk, quantity=f"0.00{n}", now=1000 + n).entry.rows.orders[0] for n in (1, 2, 3)]
    for order in ([rows[1], rows[2], rows[0]], rows[::-1], rows):
        again = loaded(desk, order)
        with pytest.raises(Refusal) as found:
            trade(again, quantity="0.004", now=2000)
        assert found.value.code is Code.ORDER_RATE
        with pytest.raises(Refusal) as found:
            trade(again, quantity="0.003", now=2002)
        assert found.value.code is Code.DUPLICATE_ORDER
        trade(again, quantity="0.004", now=2001)


def loaded(desk: Desk, orders: list[OrderRow]) -> Desk:
    again = Desk(epoch="e2", instruments=dict(desk.instruments), tops=dict(desk.tops))
    accounts = tuple(account.row() for account in desk.accounts.values())
    again.load(Rows(sub_accounts=accounts, limits=tuple(desk.limits.rows.values())))
    again.load(Rows(orders=tuple(orders)))
    again.load(Rows(orders=tuple(orders)))
    return again


def test_the_same_order_twice_in_a_moment_is_refused_if_asked_for() -> None:
    desk = desk_at()
    trade(desk), trade(desk)
    limited(desk, "orders.duplicate", "500")
    first = order_of(desk, trade(desk, now=1000))
    with pytest.raises(Refusal) as found:
        trade(desk, now=1499)
    told = found.value
    assert (told.code, told.limit, told.actual) == (Code.DUPLICATE_ORDER, "500", "499")
    assert first.spec.client_order_id in told.error
    for other in ({"quantity": "0.011"}, {"side": "SELL"}, LIMIT_BUY):
        trade(desk, now=1001, **other)
    trade(desk, "bob", now=1001)
    trade(desk, now=1500)


def test_an_order_that_came_to_nothing_may_be_sent_again() -> None:
    desk = limited(desk_at(), "orders.duplicate", "500")
    first = order_of(desk, trade(desk))
    observe(desk, first, Seen(5, "REJECTED", D(0)), at=1000)
    second = order_of(desk, trade(desk))
    desk.forget_order(second)
    trade(desk)


def test_a_price_of_any_age_is_judged_by_the_exchange_s_clock() -> None:
    desk = limited(desk_at(), "price.age", "100")
    at = desk.tops["BTCUSDT"].at
    soon(desk, side="BUY", quantity="0.01", exchange_now=at + 100)
    with pytest.raises(Refusal) as found:
        soon(desk, side="BUY", quantity="0.01", exchange_now=at + 101)
    told = found.value
    assert (told.code, told.field, told.limit, told.actual) == (Code.PRICE_STALE, "symbol", "100", "101")


def test_siblings_are_priced_one_tick_apart_where_it_is_set() -> None:
    desk = limited(desk_at(), "orders.siblings", "APART")
    resting(desk, "bob", side="SELL", price="60000.1")
    posting = trade(desk, type="LIMIT", price="60010")
    assert posting.entry.rows.orders[0].price == D(60000)
    assert '"details":{"pricedApart":"60000"}' in posting.entry.rows.commands[0].answer
    assert refused(desk)[0] == "SELF_MATCH", "a MARKET order has no price to give way with"
    resting(desk, "bob", side="BUY", price="59990")
    order = resting(desk, side="SELL", price="60100")
    entry = decide(desk, "pms.amend", orderId=order.spec.client_order_id, price="59000.5").entry
    assert entry.rows.orders[0].amend_price == D("60000.1"), "above alice's own bid, too"
    assert refused(desk, "bob", type="LIMIT", price="60100.1")[0] == "SELF_MATCH"


def amended(desk: Desk, order: Order, **fields: object) -> str | None:
    """The code for which an amendment is refused."""
    try:
        decide(desk, "pms.amend", orderId=order.spec.client_order_id, **fields)
    except Refusal as refusal:
        return refusal.code.value
    return None


@pytest.mark.parametrize(
    ("limit", "value", "fields", "code"),
    [
        ("order.quantity", "0.01", {"quantity": "0.011"}, "ORDER_QUANTITY"),
        ("order.notional", "590", {"price": "59000.1"}, "ORDER_NOTIONAL"),
        ("order.notional", "1", {"price": "58000"}, None),
        ("position.quantity", "0.01", {"quantity": "0.011"}, "POSITION_QUANTITY"),
        ("position.quantity", "0", {"price": "59100"}, None),
        ("position.notional", "600.0005", {"price": "60000"}, None),
        ("position.notional", "600.0005", {"price": "60000.1"}, "POSITION_NOTIONAL"),
        ("position.notional", "0", {"price": "59000.1"}, None),
        ("exposure", "590", {"quantity": "0.011"}, "EXPOSURE"),
        ("exposure", "0", {"quantity": "0.009"}, None),
        ("concentration.equity", "5.9", {"quantity": "0.011"}, "CONCENTRATION_EQUITY"),
        ("price.collar", "1", {"price": "60700"}, "PRICE_THROUGH"),
        ("trading.state", "REDUCE_ONLY", {"price": "58000"}, "TRADING_STATE"),
        ("trading.state", "REDUCE_ONLY", {"quantity": "0.009"}, None),
        ("trading.state", "HALTED", {"quantity": "0.009"}, "TRADING_STATE"),
        ("trading.symbols", "ETHUSDT", {"quantity": "0.011"}, "SYMBOL_NOT_ALLOWED"),
        ("trading.symbols", "ETHUSDT", {"quantity": "0.009"}, None),
        ("orders.rate", "1", {"quantity": "0.009"}, None),
        ("orders.open", "0", {"quantity": "0.011"}, None),
    ],
)
def test_an_amendment_is_judged_by_what_it_can_breach(
    limit: str, value: str, fields: dict[str, object], code: str | None
) -> None:
    desk = desk_at()
    desk.instruments["ETHUSDT"] = ETH
    order = resting(desk)
    limited(desk, limit, value)
    assert amended(desk, order, **fields) == code


def test_an_amendment_in_flight_holds_the_larger_terms() -> None:
    desk = limited(desk_at(), "position.quantity", "0.02")
    order = resting(desk, quantity="0.01")
    assert amended(desk, order, quantity="0.015") is None
    assert refused(desk, quantity="0.006") == ("POSITION_QUANTITY", "quantity", "0.02", "0.021")
    trade(desk, quantity="0.005")


def test_a_batch_is_judged_order_by_order() -> None:
    desk = limited(desk_at(), "position.quantity", "0.015")
    legs = [{"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.01"}] * 2
    posting = decide(desk, "pms.batch", subAccountId="alice", orders=legs)
    assert len(posting.entry.rows.orders) == 1
    assert '"code":"POSITION_QUANTITY"' in posting.entry.rows.commands[0].answer


def test_the_default_leverage_is_lowered_to_the_limit() -> None:
    desk = limited(desk_at(), "leverage", "3.9")
    assert trade(desk, leverage=None).entry.rows.orders[0].leverage == 3


def test_a_position_is_reduced_at_the_leverage_it_has_whatever_the_order_says() -> None:
    desk = limited(holding("0.1"), "leverage", "5")
    was = desk.position("alice", "BTCUSDT").leverage
    for said in (None, 20, 5, 1):
        posting = trade(desk, side="SELL", leverage=said, quantity="0.02")
        assert (posting.entry.rows.orders[0].leverage, posting.entry.rows.positions) == (was, ())
    assert refused(desk, side="SELL", leverage=20, quantity="0.2")[0] == "LEVERAGE_LIMIT"
