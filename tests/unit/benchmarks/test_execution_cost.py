"""What an execution cost, by hand: a lane that traded this, against a price that did that."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

from benchmarks.execution_basket import Basket, baskets
from benchmarks.execution_cost import cost, mean, together
from benchmarks.execution_lanes import Lane
from benchmarks.execution_outcome import Outcome, Trade
from benchmarks.execution_table import basket_table, table, wrong_as_a_whole
from benchmarks.execution_ways import WAYS, Side
from benchmarks.tape import Tape

TAPE = Tape("BTCUSDT", Path("none"), 60.0, Decimal(100), Decimal("0.1"), Decimal("0.001"))
ARRIVAL = Decimal(10_000)
NAMED = {way.name: way for way in WAYS}


def trade(number: int, side: Side, quantity: str, price: str, *, maker: bool = True) -> Trade:
    notional = Decimal(quantity) * Decimal(price)
    fee = notional * (Decimal("0.0002") if maker else Decimal("0.0005"))
    return Trade(f"o{number}", number, side, Decimal(price), Decimal(quantity), fee, maker, number)


def outcome(name: str, side: Side, trades: tuple[Trade, ...], *, last: str) -> Outcome:
    """A lane of size 2 whose three witnesses agree."""
    quantity = sum((each.quantity for each in trades), Decimal(0))
    quote = sum((each.quantity * each.price for each in trades), Decimal(0))
    return Outcome(
        Lane(NAMED[name], side, TAPE, "BTC0USDT", Decimal(2), "BTC0"),
        ARRIVAL,
        Decimal(last),
        trades,
        booked=frozenset(trades),
        told=frozenset(trades),
        filled=quantity,
        quote=quote,
        fees=sum((each.commission for each in trades), Decimal(0)),
        maker=sum((each.quantity for each in trades if each.maker), Decimal(0)),
        side="" if NAMED[name].round_trip else side,
        shown={"filled": quantity},
        slots=(SimpleNamespace(slot=0, filled=quantity, target=Decimal(2)),),
        orders=(SimpleNamespace(filled_qty=quantity),),
        target=Decimal(2),
        status="finished",
        reason=None,
        reprices=3,
        lasted_ms=2_500,
    )


def test_what_is_bought_dearer_and_what_is_not_bought_at_all_cost_both() -> None:
    told = cost(outcome("chase touch", "BUY", (trade(1, "BUY", "1", "10001"),), last="10010"))
    assert (told.filled, told.slippage, told.maker, told.fees) == (Decimal("0.5"), 1, 1, 2)
    # 1 of the one bought, 10 of the one missed, and the fee of 2.0002, over 20,000
    assert told.shortfall == (1 + 10 + Decimal("2.0002")) * 10_000 / 20_000
    assert (told.seconds, told.reprices) == (Decimal("2.5"), 3)


def test_a_sale_is_the_reverse_and_the_mean_of_both_sides_knows_no_drift() -> None:
    bought = (trade(1, "BUY", "2", "10004", maker=False),)
    sold = (trade(1, "SELL", "2", "10004", maker=False),)
    sides = [
        cost(outcome("market order", "BUY", bought, last="10004")),
        cost(outcome("market order", "SELL", sold, last="10004")),
    ]
    assert [each.slippage for each in sides] == [4, -4]
    assert (mean(sides).slippage, mean(sides).maker, mean(sides).fees) == (0, 0, 5)


def test_nothing_traded_has_no_slippage_but_costs_what_the_price_has_run() -> None:
    told = cost(outcome("limit at the touch", "SELL", (), last="9990"))
    assert (told.filled, told.slippage, told.maker, told.fees) == (0, None, None, None)
    assert told.shortfall == 10


def test_a_round_trip_loses_what_it_sold_below_what_it_bought() -> None:
    there_and_back = (trade(1, "BUY", "2", "10005"), trade(2, "SELL", "2", "9995"))
    told = cost(outcome("scalper", "BUY", there_and_back, last="5"))
    assert (told.filled, told.slippage) == (1, Decimal(20) * 10_000 / 40_000)
    assert told.shortfall == 5 + 2
    # What is still held at the end is worth the last mid.
    held = cost(outcome("scalper", "BUY", there_and_back[:1], last="10005"))
    assert (held.filled, held.slippage) == (Decimal("0.5"), 0)


def test_each_witness_that_says_something_else_is_named() -> None:
    trades = (trade(1, "BUY", "1", "10001"), trade(2, "BUY", "1", "10002", maker=False))
    right = outcome("chase touch", "BUY", trades, last="10000")
    assert right.disagreements() == []
    penny = Decimal("0.00000001")
    for wrong in (
        replace(right, filled=right.filled + penny),
        replace(right, quote=right.quote - penny),
        replace(right, fees=Decimal(0)),
        replace(right, maker=Decimal(2)),
        replace(right, shown={"filled": Decimal(1)}),
        replace(right, orders=(SimpleNamespace(filled_qty=Decimal(1)),)),
        replace(right, booked=frozenset(trades[:1])),
        replace(right, booked=frozenset((trades[0], replace(trades[1], maker=True)))),
        replace(right, target=Decimal("1.999")),
        replace(right, slots=(SimpleNamespace(slot=0, filled=Decimal(2), target=Decimal(1)),)),
    ):
        assert len(wrong.disagreements()) == 1, wrong


def test_the_table_has_a_line_a_way_fits_a_terminal_and_says_how_many_agree() -> None:
    bought, sold = (trade(1, "BUY", "2", "10004", maker=False),), (trade(1, "SELL", "2", "9999"),)
    both: tuple[tuple[Side, tuple[Trade, ...]], ...] = (("BUY", bought), ("SELL", sold))
    found = [outcome(way.name, side, trades, last="10010") for way in WAYS for side, trades in both]
    found[0] = replace(found[0], booked=frozenset())
    lines = table(TAPE, found)
    assert max(map(len, lines)) <= 80
    assert [line[:20].strip() for line in lines[2:-1] if line != "there and back"] == [
        way.name for way in WAYS
    ]
    assert lines[2].split()[2:] == ["100", "2.50", "50", "3.50", "6.00", "2.5", "1", "3"]
    assert lines[-1].endswith(f"{len(found) - 1} of {len(found)}")


ETH = Tape("ETHUSDT", Path("none"), 35.0, Decimal(100), Decimal("0.01"), Decimal("0.001"))
PLAIN = [NAMED[name] for name in ("market order", "limit at the touch")]


def basket_found() -> tuple[list[Basket], list[Outcome]]:
    """Two baskets bought, each leg for 2, filled 5 above its start; and plain orders beside them."""
    sides: dict[str, Side] = {"BTCUSDT": "BUY", "ETHUSDT": "BUY"}
    made = baskets([TAPE, ETH], Decimal(2), sides=[sides], first=0)
    bought = outcome("chase touch", "BUY", (trade(1, "BUY", "2", "10005"),), last="10005")
    found = [
        replace(bought, lane=leg, shown={"filled": Decimal(2), "arrivalPrice": ARRIVAL})
        for basket in made
        for leg in basket.legs
    ]
    for basket in made:
        # Of each leg 2 for 20,010 that were worth 20,000; all of it as a maker, for 4.002.
        count = len(basket.legs)
        worth, fees = Decimal(20_000) * count, Decimal("4.002") * count
        basket.shown = {"filled": worth, "fees": fees, "makerShare": Decimal(1), "slippageBps": Decimal(5)}
    plain = [
        outcome(way.name, "BUY", (trade(1, "BUY", "2", "10004", maker=False),), last="10004") for way in PLAIN
    ]
    return made, [*plain, *found]


def test_what_is_told_of_a_whole_basket_must_follow_from_what_its_legs_traded() -> None:
    made, found = basket_found()
    assert wrong_as_a_whole(made, found) == {}
    for name in ("filled", "fees", "makerShare", "slippageBps"):
        basket = replace(made[0], shown={**made[0].shown, name: Decimal("0.99999999")})
        assert len(wrong_as_a_whole([basket], found)[basket.account]) == 1, name


def test_legs_together_weigh_what_each_is_worth() -> None:
    large = outcome("chase touch", "BUY", (trade(1, "BUY", "2", "10005"),), last="10005")
    small = replace(large, arrival=Decimal(2_500), trades=(), last_mid=Decimal(2_500), lasted_ms=9_000)
    told = together([large, small])
    assert (told.filled, told.slippage, told.maker) == (Decimal("0.8"), 5, 1)
    assert told.shortfall == (Decimal(10) + Decimal("4.002")) * 10_000 / 25_000
    assert (told.seconds, told.orders, told.reprices) == (9, 2, 6)
    half = outcome("chase touch", "BUY", (trade(1, "BUY", "1", "10010"),), last="10010")
    assert together([large, half]).slippage == Decimal(5 * 20_000 + 10 * 10_000) / 30_000


def test_the_baskets_table_fits_a_terminal_and_doubts_all_legs_of_a_whole_that_is_wrong() -> None:
    made, found = basket_found()
    lines = basket_table(made, found)
    assert max(map(len, lines)) <= 80
    assert lines[-1].endswith(f"{len(found)} of {len(found)}")
    whole = next(line for line in lines if line.startswith("all of it"))
    assert whole.split()[3:7] == ["100", "5.00", "100", "2.00"]
    made[0].shown["fees"] = Decimal(1)
    assert basket_table(made, found)[-1].endswith(f"{len(found) - len(made[0].legs)} of {len(found)}")
