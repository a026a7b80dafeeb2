"""The desk of the crash: the same for the same seed, possible accounts, and divided by the fall as meant."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal as D

import pytest
from crash_books import Held
from crash_desk import ACCOUNTS, GROUP, LEVERAGES, POSITIONS, Listed, Member, make_desk, net
from crash_rules import Bracket, Rules

from pms.venue.background.synthetic import START_PRICES
from pms.venue.brackets import brackets_of
from pms.venue.symbols import SHIPPED, SymbolTable

SYMBOLS = SymbolTable.load(SHIPPED)
LISTED = [
    Listed(
        symbol=name,
        price=START_PRICES[name],
        tick=SYMBOLS[name].tick,
        step=SYMBOLS[name].step,
        least=SYMBOLS[name].min_notional,
        most=SYMBOLS[name].market_lot.most,
        brackets=[Bracket(each.cap, each.ratio, each.cum) for each in brackets_of(name)],
        leverages=[each.leverage for each in brackets_of(name)],
    )
    for name in SYMBOLS.by_name
]
RULES = Rules({each.symbol: each.brackets for each in LISTED}, {each.symbol: each.step for each in LISTED})


def ratio_after(member: Member, fall: D) -> D | None:
    prices = {each.symbol: each.price * (1 - fall) for each in LISTED}
    held = {each.place: Held(each.quantity, each.cost) for each in member.positions}
    return RULES.weigh(member.balance, held, {s: (p, p) for s, p in prices.items()}).ratio


@pytest.mark.parametrize("seed", range(5))
def test_a_desk_is_whole_and_each_account_possible(seed: int) -> None:
    desk = make_desk(LISTED, seed)
    assert desk == make_desk(LISTED, seed)
    assert len(desk) == len({member.id for member in desk}) == ACCOUNTS
    assert sum(len(member.positions) for member in desk) == POSITIONS
    listed = {each.symbol: each for each in LISTED}
    for member in desk:
        assert len({each.place for each in member.positions}) == len(member.positions)
        margin = sum((abs(each.cost) / each.leverage for each in member.positions), D(0))
        assert 0 < margin <= member.balance
        for each in member.positions:
            assert each.quantity
            assert not each.quantity % listed[each.symbol].step
            assert not each.entry % listed[each.symbol].tick
            assert each.leverage in LEVERAGES
        assert len({(each.symbol, each.leverage) for each in member.positions}) == len(
            {each.symbol for each in member.positions}
        )
    kinds = Counter((member.hedged, member.group) for member in desk)
    assert all(kinds[hedged, group] > 3 for hedged in (True, False) for group in ("default", GROUP)), kinds
    # Three of them, one after the other, fit into an exchange account of twenty millions
    assert sum(member.balance for member in desk) < 2_000_000
    value = {symbol: quantity * listed[symbol].price for symbol, quantity in net(desk).items()}
    assert sum(abs(each) for each in value.values()) < 3_000_000


@pytest.mark.parametrize("seed", range(5))
def test_the_fall_divides_it(seed: int) -> None:
    desk = make_desk(LISTED, seed)
    fates = Counter(member.fate for member in desk)
    assert fates["doomed"] == ACCOUNTS // 2
    for member in desk:
        now, bottom = ratio_after(member, D(0)), ratio_after(member, D("0.35"))
        assert now is not None
        assert now < D("0.6")
        if member.fate == "doomed":
            assert bottom is None or bottom > 1
        else:
            assert bottom is not None
            assert bottom < 1
    sides = Counter(each.quantity > 0 for member in desk for each in member.positions)
    assert min(sides.values()) > POSITIONS // 5
    assert len({each.leverage for member in desk for each in member.positions}) == len(LEVERAGES)
    assert len({each.symbol for member in desk for each in member.positions}) == len(LISTED)
    assert make_desk(LISTED, seed + 1) != desk
