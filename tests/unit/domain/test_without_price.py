"""A position in a symbol that trades no more keeps no account from being liquidated."""

from __future__ import annotations

from dataclasses import replace

import pytest
from closing_maker import actions, at_ratio, go_on, hold, limit, ordered, tell, tick, watching
from desk_maker import BTC, D, desk_at, trade

from pms.contract.names import BOTH
from pms.domain.desk import Desk, Mark, Top
from pms.domain.posting import Posting
from pms.domain.risk_watch import RiskWatch
from pms.domain.symbol_rules import take_rules
from pms.domain.tiers import Tier
from pms.domain.weighing import weigh_account

GONE = "GONEUSDT"


def hold_gone(desk: Desk, quantity: str, cost: str, *, last: str | None = None, side: str = BOTH) -> None:
    """Alice holds a symbol that the exchange does not list any more."""
    position = desk.position("alice", GONE, side)
    position.quantity, position.cost = D(quantity), D(cost)
    desk.touch_position(position)
    desk.unweighed.add("alice")
    if last is not None:
        desk.last_tops[GONE] = Top(D(last), D(1), D(last), D(1), 1)


@pytest.fixture
def desk() -> Desk:
    desk = desk_at()
    hold(desk, "alice", "3")
    hold_gone(desk, "100", "1000")
    return desk


def kept(posting: Posting | None) -> list[str]:
    rows = posting.entry.rows.incidents if posting else ()
    return [row.subject for row in rows if row.kind == "position_kept"]


@pytest.mark.parametrize("status", [None, "SETTLING"])
def test_what_has_a_price_is_taken_over_and_the_rest_is_told(desk: Desk, status: str | None) -> None:
    if status:
        desk.instruments[GONE] = replace(BTC, symbol=GONE, status=status)
    watch = watching(desk)
    posting = tick(desk, watch, "56000")
    assert actions(posting)[-1] == "TAKEOVER"
    assert list(desk.held["alice"]) == [(GONE, BOTH)]
    assert (desk.unwinds["BTCUSDT"].quantity, kept(posting)) == (3, [f"alice:{GONE}"])
    assert desk.accounts["alice"].tier == Tier.TAKEOVER
    assert tick(desk, watch, "55000") is None, "not twice"


def test_a_deleveraging_leaves_it_alone(desk: Desk) -> None:
    posting = at_ratio(desk, watching(desk), "0.9")
    assert actions(posting)[-1] == "DELEVERAGE"
    assert desk.quantity(("alice", GONE, BOTH)) == 100
    assert 0 < desk.quantity(("alice", "BTCUSDT", BOTH)) < 3


def test_it_counts_for_its_loss_and_for_no_profit(desk: Desk) -> None:
    equity = weigh_account(desk, "alice").weight.equity
    for last, less in (("15", 0), ("4", 600)):
        desk.last_tops[GONE] = Top(D(last), D(1), D(last), D(1), 1)
        assert weigh_account(desk, "alice").weight.equity == equity - less
    hold_gone(desk, "-100", "-1000", last="4")
    assert weigh_account(desk, "alice").weight.equity == equity, "a short of it has won"


def test_a_symbol_that_trades_and_has_no_price_is_waited_for(desk: Desk) -> None:
    desk.instruments[GONE] = replace(BTC, symbol=GONE)
    watch = watching(desk)
    desk.price("BTCUSDT", Top(D(56_000), D(1), D(56_000), D(1), 1))
    assert "alice" in watch.due("BTCUSDT", D(56_000))
    assert watch.judge("alice", now=3000) == f"{GONE} has no price in sync"


def test_nobody_is_judged_by_a_torn_book_beside_it(desk: Desk) -> None:
    watch = watching(desk)
    desk.price("BTCUSDT", Top(D(56_000), D(1), D(56_000), D(1), 1))
    desk.marks["BTCUSDT"] = Mark(D(60_000), 3000)
    watch.due("BTCUSDT", D(56_000))
    assert isinstance(watch.judge("alice", now=3000), str)
    assert list(watch.waiting) == ["BTCUSDT"]


def test_who_holds_nothing_else_waits(desk: Desk) -> None:
    watch = watching(desk)
    tick(desk, watch, "56000")
    desk.accounts["alice"].tier = 0
    assert watch.judge("alice", now=3000) == f"{GONE} has no price in sync"


def test_closed_at_market_it_is_over_when_nothing_else_is_left() -> None:
    desk = desk_at()
    limit(desk, "liquidation.mode", "market", "group:default")
    hold(desk, "alice", "3")
    hold_gone(desk, "100", "1000")
    posting = tick(desk, watching(desk), "56000")
    assert actions(posting) == ["WARN", "CANCEL", "CLOSE"]
    assert kept(posting) == [f"alice:{GONE}"]
    (row,) = ordered(posting)
    assert actions(tell(desk, row, "56000")) == ["CLOSED"]
    assert desk.accounts["alice"].closing == 0
    assert go_on(desk) is None


ETH = "ETHUSDT"


def priced(desk: Desk, watch: RiskWatch, symbol: str, price: str) -> list[str]:
    """What befalls alice with a symbol's next price."""
    desk.price(symbol, Top(D(price), D(1), D(price), D(1), 1))
    done = [watch.judge(account, now=3000) for account in watch.due(symbol, D(price)) if account == "alice"]
    return [action for posting in done if isinstance(posting, Posting) for action in actions(posting)]


def test_what_was_kept_is_taken_over_as_soon_as_it_trades_again(desk: Desk) -> None:
    watch = watching(desk)
    tick(desk, watch, "56000")
    take_rules(desk, {**desk.instruments, GONE: replace(BTC, symbol=GONE)})
    assert priced(desk, watch, GONE, "6") == ["TAKEOVER"]
    assert not desk.held["alice"]
    assert desk.accounts["alice"].balance == 0, "what it lacks is paid"
    assert desk.accounts["alice"].tier == Tier.NONE


def on_its_way(desk: Desk, quantity: str) -> Posting:
    """Alice's order from when the exchange still had a price of what is gone: none would be taken since."""
    desk.last_tops[GONE] = Top(D(10), D(1), D(10), D(1), 1)
    late = trade(desk, symbol=ETH, side="BUY", quantity=quantity, leverage=50)
    del desk.last_tops[GONE]
    return late


@pytest.mark.parametrize("begins_anew", [False, True])
def test_what_an_order_on_its_way_brings_behind_a_takeover_is_taken_over(
    desk: Desk, begins_anew: bool
) -> None:
    desk.instruments[ETH] = replace(BTC, symbol=ETH)
    watch = watching(desk)
    priced(desk, watch, ETH, "3000")
    late = on_its_way(desk, "1")
    tick(desk, watch, "56000")
    tell(desk, late.entry.rows.orders[0], "3000")
    watch = watching(desk) if begins_anew else watch
    assert priced(desk, watch, ETH, "2999") == ["TAKEOVER"]
    assert list(desk.held["alice"]) == [(GONE, BOTH)]
    assert priced(desk, watch, ETH, "2998") == [], "not twice"


def test_who_was_taken_over_and_stands_again_waits_for_the_line(desk: Desk) -> None:
    desk.instruments[ETH] = replace(BTC, symbol=ETH)
    watch = watching(desk)
    priced(desk, watch, ETH, "3000")
    late = on_its_way(desk, "10")
    tick(desk, watch, "56000")
    tell(desk, late.entry.rows.orders[0], "3000")
    weight = weigh_account(desk, "alice").weight
    # Beyond no line, and the tier is not left: 0.97 of its equity.
    desk.accounts["alice"].balance += weight.maintenance / D("0.97") - weight.equity
    assert priced(desk, watch, ETH, "3000") == []
    assert desk.accounts["alice"].tier == Tier.TAKEOVER
    assert priced(desk, watch, ETH, "2980") == ["TAKEOVER"]


def test_who_wins_by_it_is_weighed_without_that_as_soon_as_its_price_is_lost() -> None:
    desk = desk_at()
    hold(desk, "alice", "3")
    hold_gone(desk, "1000", "10000")
    desk.instruments[GONE] = replace(BTC, symbol=GONE)
    watch = watching(desk)
    priced(desk, watch, GONE, "20")
    assert tick(desk, watch, "57500") is None
    take_rules(desk, {**desk.instruments, GONE: replace(BTC, symbol=GONE, status="SETTLING")})
    assert tick(desk, watch, "57490") is None, "it has a price still"
    desk.lose_price(GONE)
    assert actions(tick(desk, watch, "57480"))[-1] == "TAKEOVER"


def test_who_holds_what_has_no_price_is_weighed_anew_when_it_stops_trading(desk: Desk) -> None:
    hold_gone(desk, "1000", "10000", last="20")
    desk.instruments[GONE] = replace(BTC, symbol=GONE)
    watch = watching(desk)
    desk.unweighed.clear()
    take_rules(desk, {**desk.instruments, GONE: replace(BTC, symbol=GONE, status="SETTLING")})
    assert desk.unweighed == {"alice"}
    assert actions(tick(desk, watch, "57500"))[-1] == "TAKEOVER"
