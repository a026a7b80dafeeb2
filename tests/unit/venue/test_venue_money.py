"""Entry price, realized profit, break-even, margin and liquidation, to the last digit."""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pms.venue.account import Account
from pms.venue.brackets import brackets_of, maintenance_margin, max_notional
from pms.venue.ledger import apply_fill, break_even, unrealized
from pms.venue.margin import account_margin, liquidation_price, required
from pms.venue.market import Market
from pms.venue.restore import Remembered
from pms.venue.state import Fact, Position, Wallet
from pms.venue.symbols import SHIPPED, SymbolTable

SYMBOLS = SymbolTable.load(SHIPPED)
STEP = D("0.001")


def position(symbol: str = "BTCUSDT") -> Position:
    return Position(account="a", symbol=symbol, leverage=20)


def fill(held: Position, lots: int, price: str, commission: str = "0") -> D:
    return apply_fill(held, lots=lots, price=D(price), step=STEP, commission=D(commission))


def test_increasing_averages_and_reducing_keeps_the_entry() -> None:
    held = position()
    assert fill(held, 1000, "100") == 0
    assert fill(held, 3000, "104") == 0
    assert held.entry == 103
    assert fill(held, -1000, "110") == 7
    assert (held.entry, held.lots) == (103, 3000)
    assert unrealized(held, mark=D(101), step=STEP) == -6


def test_crossing_zero_realizes_the_closed_part_and_starts_anew() -> None:
    held = position()
    fill(held, -2000, "50")
    assert fill(held, 5000, "40") == 20
    assert (held.lots, held.entry) == (3000, 40)
    assert fill(held, -3000, "41") == 3
    assert (held.lots, held.entry, break_even(held, STEP)) == (0, 0, 0)


@pytest.mark.parametrize(
    ("price", "rate", "expected"),
    [("91739.9", "0.0005", "91785.76995"), ("84146.5", "0.0004", "84180.1586")],
)
def test_break_even_of_captured_positions(price: str, rate: str, expected: str) -> None:
    held = position()
    fill(held, 3, price, str(D(price) * STEP * 3 * D(rate)))
    assert break_even(held, STEP) == D(expected)
    short = position()
    fill(short, -3, price, str(D(price) * STEP * 3 * D(rate)))
    assert break_even(short, STEP) == 2 * D(price) - D(expected)


@given(st.lists(st.tuples(st.integers(-500, 500).filter(bool), st.integers(1, 10**6)), min_size=1))
def test_profit_and_open_profit_are_what_the_cash_flow_says(fills: list[tuple[int, int]]) -> None:
    held, realized, cash = position(), D(0), D(0)
    for lots, ticks in fills:
        price = D(ticks) / 10
        realized += apply_fill(held, lots=lots, price=price, step=STEP, commission=D(0))
        cash -= price * lots * STEP
    mark = D(1234)
    worth = cash + mark * held.lots * STEP
    total = realized + unrealized(held, mark=mark, step=STEP)
    assert held.lots == sum(lots for lots, _ in fills)
    # Each realization is rounded to eight decimals
    assert abs(worth - total) <= len(fills) * D("0.00000001")
    assert held.accumulated == realized


def market(symbol: str, mark: str) -> Market:
    made = Market(SYMBOLS[symbol], start_price=1)
    made.last_price = made.symbol.nearest_ticks(D(mark))
    return made


@pytest.mark.parametrize(
    ("symbol", "quantity", "entry", "wallet", "expected"),
    [
        ("BTCUSDT", "0.1", "65000", 1000, "55220.88353414"),
        ("BTCUSDT", "-20", "65000", 100_000, "69622.45404868"),
        ("ETHUSDT", "10", "3500", 5000, "3012.04819277"),
    ],
)
def test_worked_liquidation_prices(
    symbol: str, quantity: str, entry: str, wallet: int, expected: str
) -> None:
    held = position(symbol)
    fill(held, int(D(quantity) / STEP), entry)
    account = Account(Wallet(account="a", balance=D(wallet), updated=0))
    account.restore(held)
    markets = {symbol: market(symbol, entry)}
    price = liquidation_price(account, account_margin(account, markets), markets[symbol])
    assert price is not None
    assert price.quantize(D("0.00000001")) == D(expected)
    notional = price * abs(D(quantity))
    equity = wallet + (price - D(entry)) * D(quantity)
    assert abs(equity - maintenance_margin(symbol, notional)) < D("0.00001")


def test_a_rich_account_has_no_liquidation_price() -> None:
    held = position()
    fill(held, 1, "100")
    account = Account(Wallet(account="a", balance=D(10_000), updated=0))
    account.restore(held)
    markets = {"BTCUSDT": market("BTCUSDT", "100")}
    assert liquidation_price(account, account_margin(account, markets), markets["BTCUSDT"]) is None


def hedged(wallet: int, sides: dict[str, tuple[int, int]]) -> Account:
    """An account with positions of so many lots at so many dollars."""
    account = Account(Wallet(account="a", balance=D(wallet), updated=0, hedge=True))
    for side, (lots, entry) in sides.items():
        held = position()
        held.position_side = side
        fill(held, lots, str(entry))
        account.restore(held)
    return account


@given(
    st.integers(1_000, 100_000_000),
    st.integers(1, 300_000),
    st.integers(1, 300_000),
    st.integers(50_000, 70_000),
    st.integers(50_000, 70_000),
)
def test_at_a_hedged_accounts_liquidation_price_its_equity_is_its_maintenance_margin(
    wallet: int, longs: int, shorts: int, bought: int, sold: int
) -> None:
    account = hedged(wallet, {"LONG": (longs, bought), "SHORT": (-shorts, sold)})
    markets = {"BTCUSDT": market("BTCUSDT", "60000")}
    price = liquidation_price(account, account_margin(account, markets), markets["BTCUSDT"])
    if price is None:
        return
    equity, needed = D(wallet), D(0)
    for leg in account.every_leg():
        equity += unrealized(leg.position, mark=price, step=STEP)
        needed += maintenance_margin("BTCUSDT", price * STEP * abs(leg.position.lots))
    assert abs(equity - needed) < D("0.00001")


def test_of_two_positions_side_by_side_the_larger_says_where_it_ends() -> None:
    markets = {"BTCUSDT": market("BTCUSDT", "60000")}
    found = []
    for longs, shorts in ((1000, 400), (400, 1000)):
        account = hedged(5_000, {"LONG": (longs, 60_000), "SHORT": (-shorts, 60_000)})
        price = liquidation_price(account, account_margin(account, markets), markets["BTCUSDT"])
        assert price is not None
        found.append(price.quantize(D("0.01")))
    # (5000 - 1000 x 60 + 400 x 60) / (1.4 x 0.004 - 1 + 0.4), and the same with sides changed
    assert found == [D("52153.43"), D("67701.45")]
    even = hedged(100, {"LONG": (1000, 60_000), "SHORT": (-1000, 60_000)})
    price = liquidation_price(even, account_margin(even, markets), markets["BTCUSDT"])
    # What is hedged in full ends only as its notional grows: 100 / (2 x 0.004)
    assert price == 12_500


def test_a_row_written_before_there_were_sides_is_the_net_position() -> None:
    line = (
        b'[{"k":"wallet","account":"a","balance":"5","updated":1},'
        b'{"k":"position","account":"a","symbol":"BTCUSDT","leverage":9,"lots":4,"entry":"7"}]'
    )
    memory = Remembered.fold(msgspec.json.Decoder(list[Fact]).decode(line))
    assert memory.positions["a", "BTCUSDT", "BOTH"].lots == 4
    assert not memory.wallets["a"].hedge


def test_brackets_are_the_published_ones() -> None:
    assert [str(each.cum.normalize()) for each in brackets_of("ETHUSDT")][-2:] == ["3.82E+5", "2.007E+6"]
    assert max_notional("BTCUSDT", 20) == 100_000_000
    assert max_notional("BTCUSDT", 21) == 70_000_000
    for name in ("BTCUSDT", "ETHUSDT", "SUSHIUSDT"):
        for lower, upper in zip(brackets_of(name), brackets_of(name)[1:], strict=False):
            assert lower.cap * lower.ratio - lower.cum == lower.cap * upper.ratio - upper.cum


def test_margin_is_that_of_the_worse_side() -> None:
    assert required(D(100), bids=D(50), asks=D(120), leverage=10) == 15
    assert required(D(-100), bids=D(50), asks=D(120), leverage=10) == 22
    assert required(D(0), bids=D(0), asks=D(0), leverage=10) == 0
