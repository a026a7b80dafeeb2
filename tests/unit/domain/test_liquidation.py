"""Liquidation: tiers, takeovers, the insurance, the house's unwinding; and that every sum still holds."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from random import Random

import pytest
from desk_maker import BTC, D, decide, desk_at, move_price, trade
from hypothesis import given, settings
from hypothesis import strategies as st

from pms.contract.codes import Code, Refusal
from pms.contract.journal import Rows, decode_entry, encode_entry
from pms.contract.names import HOUSE, INSURANCE
from pms.domain.booking import Trade, book
from pms.domain.desk import Desk, Mark
from pms.domain.liquidation import liquidate
from pms.domain.orders import Order
from pms.domain.posting import Posting
from pms.domain.risk_watch import RiskWatch
from pms.domain.rows import position_row
from pms.domain.tiers import DEFAULT, Tier, Tiers, tiers_of
from pms.domain.unwinding import unwind
from pms.domain.weighing import blocked, weigh_account

_trade_id = 0


def fill(desk: Desk, order: Order, price: str, quantity: Decimal | None = None) -> Posting:
    """All of an order, or a part, trades at a price; the exchange pays what its own net realises."""
    global _trade_id  # noqa: PLW0603  ids must differ, not be random
    _trade_id += 1
    posting = book(
        desk,
        Trade(
            symbol=order.spec.symbol,
            exchange_order_id=order.exchange_order_id or 10_000 + _trade_id,
            trade_id=_trade_id,
            client_order_id=order.spec.client_order_id,
            side=order.spec.side,
            price=D(price),
            quantity=quantity or order.quantity,
            commission=D("0.01"),
            commission_asset="USDT",
            realized_pnl=D(0),
            maker=False,
            at=2000,
        ),
    )
    assert posting is not None
    return posting


def hold(desk: Desk, account: str, quantity: str, price: str = "60000", *, leverage: int = 50) -> None:
    """Let an account hold a position."""
    side = "BUY" if D(quantity) > 0 else "SELL"
    posting = trade(desk, account, side=side, quantity=str(abs(D(quantity))), leverage=leverage)
    (row,) = posting.entry.rows.orders
    fill(desk, desk.orders[row.client_order_id], price)


def judge(desk: Desk, account: str = "alice", tiers: Tiers = DEFAULT) -> Posting | None:
    return liquidate(desk, account, weigh_account(desk, account), tiers, now=3000)


def actions(posting: Posting | None) -> list[str]:
    return [] if posting is None else [row.action for row in posting.entry.rows.liquidations]


def price_at_ratio(desk: Desk, ratio: str) -> str:
    """The price at which alice's long has this maintenance over equity."""
    low, high = D(1), desk.tops["BTCUSDT"].mid
    for _ in range(60):
        middle = (low + high) / 2
        move_price(desk, str(middle.quantize(D("0.1"))))
        weight = weigh_account(desk, "alice").weight
        low, high = (middle, high) if weight.crossed(D(ratio)) else (low, middle)
    return str(low.quantize(D("0.1")))


def sums(desk: Desk) -> tuple[Decimal, Decimal]:
    """All balances together, and all quantities: what a liquidation must not change."""
    return (
        sum((account.balance for account in desk.accounts.values()), D(0)),
        sum((p.quantity for held in desk.held.values() for p in held.values()), D(0)),
    )


def left(desk: Desk) -> dict[str, Decimal]:
    """What the house has yet to close."""
    return {symbol: row.quantity for symbol, row in desk.unwinds.items()}


@pytest.fixture
def desk() -> Desk:
    desk = desk_at()
    hold(desk, "alice", "3")
    return desk


def test_each_tier_fires_once_on_its_line(desk: Desk) -> None:
    assert judge(desk) is None
    for ratio, expected in (("0.70", ["WARN"]), ("0.80", ["CANCEL"]), ("0.90", ["DELEVERAGE"])):
        at = price_at_ratio(desk, ratio)
        move_price(desk, str(D(at) + D("0.2")))
        assert judge(desk) is None, "not before its line"
        move_price(desk, at)
        assert actions(judge(desk)) == expected
        assert judge(desk) is None, "and not twice"


def test_deleveraging_brings_the_ratio_back_and_takes_no_more_than_that(desk: Desk) -> None:
    move_price(desk, price_at_ratio(desk, "0.90"))
    posting = judge(desk)
    assert posting is not None
    weight = weigh_account(desk, "alice").weight
    assert not weight.crossed(D("0.75")) or weight.slack(D("0.75")) == 0
    held = desk.position("alice", "BTCUSDT")
    assert 0 < held.quantity < 3
    held.quantity += BTC.step
    held.cost += BTC.step * held.entry_price
    assert weigh_account(desk, "alice").weight.crossed(D("0.75")), "a step less would not have done"


def test_a_takeover_moves_all_to_the_house_at_the_bid(desk: Desk) -> None:
    before = sums(desk)
    move_price(desk, price_at_ratio(desk, "1"))
    bid = desk.tops["BTCUSDT"].bid
    posting = judge(desk)
    assert actions(posting) == ["WARN", "CANCEL", "TAKEOVER"]
    assert posting is not None
    assert not desk.held["alice"]
    house = desk.position(HOUSE, "BTCUSDT")
    assert (house.quantity, house.cost) == (3, 3 * bid)
    assert left(desk) == {"BTCUSDT": D(3)}
    assert desk.accounts["alice"].tier == Tier.NONE
    assert sums(desk) == before
    assert [event.type for event in posting.events].count("liquidation") == 3
    assert {"position_closed"} <= {event.type for event in posting.events}
    assert judge(desk) is None


def test_a_short_goes_at_the_ask(desk: Desk) -> None:
    hold(desk, "bob", "-5")
    move_price(desk, "65000")
    judge(desk, "bob")
    assert desk.position(HOUSE, "BTCUSDT").cost == -5 * desk.tops["BTCUSDT"].ask


def test_a_gap_leaves_a_debt_that_the_insurance_pays_and_the_house_what_that_lacks(desk: Desk) -> None:
    decide(desk, "pms.transfer", fromAccountId=HOUSE, toAccountId=INSURANCE, amount="1000")
    before = sums(desk)
    move_price(desk, "56000")
    posting = judge(desk)
    assert posting is not None
    paid = {
        row.sub_account_id: row.amount
        for row in posting.entry.rows.ledger
        if row.reason == "INSURANCE" and row.sub_account_id != "alice"
    }
    assert desk.accounts["alice"].balance == 0
    assert paid[INSURANCE] == -1000
    assert paid[HOUSE] < 0
    assert desk.accounts[INSURANCE].balance == 0
    assert sums(desk) == before


def test_orders_in_the_symbol_go_with_the_position_unwanted(desk: Desk) -> None:
    posting = trade(desk, "alice", side="SELL", type="LIMIT", price="61000", quantity="1", leverage=50)
    coid = posting.entry.rows.orders[0].client_order_id
    move_price(desk, "56000")
    told = judge(desk)
    order = desk.orders[coid]
    assert (order.spec.sub_account_id, order.cancel_wanted) == (HOUSE, True)
    assert desk.orders_of("alice", None) == []
    assert desk.accounts["alice"].open_orders == 0
    assert desk.pending.get("alice", {}) == {}
    assert told is not None
    assert ("order_cancelled", "alice") in {(e.type, e.sub_account_id) for e in told.events}
    # What it still trades is the house's, and is unwound with the rest.
    fill(desk, order, "61000", D(1))
    assert desk.accounts["alice"].balance >= 0
    assert not desk.held["alice"]
    assert left(desk)["BTCUSDT"] == 2


def test_an_order_read_before_and_behind_its_handing_over_counts_once(desk: Desk) -> None:
    """A new life reads the order from PostgreSQL as alice's, then from the journal's tail as the house's."""
    posting = trade(desk, "alice", side="SELL", type="LIMIT", price="61000", quantity="1", leverage=50)
    rebuilt = Desk(epoch="e1")
    rebuilt.instruments = desk.instruments
    rebuilt.load(
        Rows(
            sub_accounts=tuple(account.row() for account in desk.accounts.values()),
            positions=tuple(position_row(p) for held in desk.held.values() for p in held.values()),
            orders=posting.entry.rows.orders,
        )
    )
    move_price(desk, "56000")
    taken = judge(desk)
    assert taken is not None
    rebuilt.load(taken.entry.rows)
    assert rebuilt.orders_of("alice", None) == []
    assert rebuilt.accounts["alice"].open_orders == 0
    assert {a: p for a, p in rebuilt.pending.items() if p} == {a: p for a, p in desk.pending.items() if p}


def test_at_the_cancel_tier_orders_stay_the_accounts_own(desk: Desk) -> None:
    posting = trade(desk, "alice", side="SELL", type="LIMIT", price="61000", quantity="1", leverage=50)
    coid = posting.entry.rows.orders[0].client_order_id
    move_price(desk, price_at_ratio(desk, "0.80"))
    assert actions(judge(desk)) == ["WARN", "CANCEL"]
    order = desk.orders[coid]
    assert (order.spec.sub_account_id, order.cancel_wanted) == ("alice", True)


def test_a_tier_is_armed_again_below_its_line(desk: Desk) -> None:
    move_price(desk, price_at_ratio(desk, "0.70"))
    assert actions(judge(desk)) == ["WARN"]
    move_price(desk, str(D(price_at_ratio(desk, "0.66"))))
    assert judge(desk) is None, "still within the hysteresis"
    move_price(desk, "60000")
    assert actions(judge(desk)) == ["REARM"]
    move_price(desk, price_at_ratio(desk, "0.70"))
    assert actions(judge(desk)) == ["WARN"]


def test_who_closed_all_just_before_a_life_ended_is_armed_again_in_the_next(desk: Desk) -> None:
    """It holds nothing, so that no tick would ever concern it."""
    move_price(desk, price_at_ratio(desk, "0.70"))
    assert actions(judge(desk)) == ["WARN"]
    hold(desk, "alice", "-3", str(desk.tops["BTCUSDT"].bid))
    later = Desk(epoch="e2")
    later.instruments, later.tops, later.last_tops = desk.instruments, desk.tops, desk.last_tops
    later.load(Rows(sub_accounts=tuple(account.row() for account in desk.accounts.values())))
    watch = RiskWatch(later, partial(tiers_of, later))
    watch.begin()
    assert watch.due("BTCUSDT", desk.tops["BTCUSDT"].mid) == ["alice"]
    done = watch.judge("alice", now=4000)
    assert isinstance(done, Posting)
    assert (actions(done), later.accounts["alice"].tier) == (["REARM"], Tier.NONE)


def test_a_torn_book_liquidates_nobody(desk: Desk) -> None:
    desk.marks["BTCUSDT"] = Mark(D(60_000), 1000)
    move_price(desk, "50000")
    assert blocked(desk, "BTCUSDT", now=2000) is not None
    told = blocked(desk, "BTCUSDT", now=2000)
    move_price(desk, "50100")
    assert blocked(desk, "BTCUSDT", now=2000) == told, "one incident, not one a tick"
    assert blocked(desk, "BTCUSDT", now=4001) is None, "an old mark says nothing"
    desk.tops.clear()
    assert blocked(desk, "BTCUSDT", now=4001) is not None


@pytest.mark.parametrize(
    "text",
    [
        "0.8,0.8,0.9,0.75,1,0.05",
        "0.7,0.8,0.9,0.75,1.1,0.05",
        "0.7,0.8,0.9,0.75,1,0",
        "0.7,0.8,0.9,0.86,1,0.05",
        "0.04,0.8,0.9,0.75,1,0.05",
        "0.7,0.8,0.9,0.75,1",
        "0.7,0.8,0.9,0.75,1,much",
    ],
)
def test_tiers_that_make_no_sense_are_refused(text: str) -> None:
    desk = desk_at()
    with pytest.raises(Refusal) as refused:
        limited(desk, "alice", text)
    assert (refused.value.code, refused.value.field) == (Code.BAD_LIMIT, "value")
    assert tiers_of(desk, "alice") is DEFAULT


def limited(desk: Desk, scope: str, text: str) -> None:
    decide(
        desk,
        "pms.limits",
        action="set",
        scope=scope,
        limit="liquidation.tiers",
        value=text,
        reason="r",
        actor="a",
    )


def test_a_group_has_tiers_of_its_own_and_they_hold_at_once(desk: Desk) -> None:
    watch = RiskWatch(desk, partial(tiers_of, desk))
    watch.begin()
    for account in watch.due("BTCUSDT", desk.tops["BTCUSDT"].mid):
        assert watch.judge(account, now=1) is None
    limited(desk, "group:careful", "0.30,0.40,0.60,0.35,0.70,0.02")
    decide(desk, "pms.group", subAccountId="alice", group="careful", reason="r", actor="a")
    assert tiers_of(desk, "bob") is DEFAULT
    assert watch.due("BTCUSDT", desk.tops["BTCUSDT"].mid) == ["alice"]
    assert actions(watch.judge("alice", now=2)) == ["WARN", "CANCEL"]  # type: ignore[arg-type]


class Market:
    """Accounts with positions in two symbols, a walking price with gaps, and what the books must keep."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.desk = desk_at(wallet="10000000")
        self.accounts = [f"a{number}" for number in range(6)]
        for account in self.accounts:
            decide(self.desk, "pms.create_account", subAccountId=account)
            amount = str(self.rng.randint(500, 20_000))
            decide(self.desk, "pms.transfer", fromAccountId=HOUSE, toAccountId=account, amount=amount)
            room = D(amount) / 60_000 * self.rng.choice((5, 20, 45))
            quantity = (room * self.rng.choice((-1, 1))).quantize(D("0.001"))
            if quantity:
                hold(self.desk, account, str(quantity), leverage=50)
        self.watch = RiskWatch(self.desk, lambda _: DEFAULT)
        self.watch.begin()
        self.entries: list[bytes] = []
        self.fired: list[tuple[str, str]] = []

    def tick(self) -> None:
        step = self.rng.choice((1, 1, 1, 5, 60)) * self.rng.randint(-25, 25)
        mid = self.desk.tops["BTCUSDT"].mid * (10_000 + D(step)) / 10_000
        move_price(self.desk, str(max(mid, D(100)).quantize(D("0.1"))))
        self.desk.last_tops["BTCUSDT"] = self.desk.tops["BTCUSDT"]
        expected = {account for account in self.accounts if self._moves(account)}
        seen = set()
        for account in self.watch.due("BTCUSDT", self.desk.tops["BTCUSDT"].mid):
            posting = self.watch.judge(account, now=3000)
            assert not isinstance(posting, str)
            if posting is not None:
                seen.add(account)
                self.entries.append(encode_entry(posting.entry))
        assert seen == expected

    def _moves(self, account: str) -> bool:
        tier = Tier(self.desk.accounts[account].tier)
        return DEFAULT.standing(weigh_account(self.desk, account).weight, tier) is not tier


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_the_watch_judges_on_the_tick_of_a_scan_and_the_sums_hold(seed: int) -> None:
    market = Market(seed)
    before = sums(market.desk)
    for _ in range(60):
        market.tick()
    assert sums(market.desk) == before
    desk = market.desk
    for account in market.accounts:
        weight = weigh_account(desk, account).weight
        assert not weight.crossed(D(1)), "nobody stays beyond the line"
        assert desk.accounts[account].balance >= 0 or desk.held[account]
    taken = sum(
        (
            row.quantity or D(0)
            for text in market.entries
            for row in decode_entry(text).rows.liquidations
            if row.symbol
        ),
        D(0),
    )
    assert left(desk).get("BTCUSDT", D(0)) == taken


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_the_journal_alone_rebuilds_what_a_liquidation_left(seed: int) -> None:
    market = Market(seed)
    rebuilt = Desk(epoch="e1")
    rebuilt.instruments = market.desk.instruments
    rebuilt.load(
        Rows(
            sub_accounts=tuple(account.row() for account in market.desk.accounts.values()),
            positions=tuple(position_row(p) for held in market.desk.held.values() for p in held.values()),
        )
    )
    for _ in range(60):
        market.tick()
    for text in market.entries:
        rebuilt.load(decode_entry(text).rows)
    assert {a.id: (a.balance, a.tier) for a in rebuilt.accounts.values()} == {
        a.id: (a.balance, a.tier) for a in market.desk.accounts.values()
    }
    assert rebuilt.unwinds == market.desk.unwinds
    assert _held(rebuilt) == _held(market.desk)


def _held(desk: Desk) -> dict[tuple[str, str], tuple[Decimal, Decimal, str]]:
    return {
        (account, symbol): (p.quantity, p.cost, p.id)
        for account, held in desk.held.items()
        for symbol, p in held.items()
    }


def test_a_hedged_account_is_taken_over_on_both_sides() -> None:
    desk = desk_at()
    decide(desk, "pms.position_mode", subAccountId="alice", hedge=True, reason="for the test")
    for side, quantity, position_side in (("BUY", "4", "LONG"), ("SELL", "1", "SHORT")):
        posting = trade(desk, "alice", side=side, quantity=quantity, leverage=50, positionSide=position_side)
        fill(desk, desk.orders[posting.entry.rows.orders[0].client_order_id], "60000")
    before = sums(desk)
    move_price(desk, "56000")
    told = judge(desk)
    assert told is not None
    taken = {row.position_side: row.quantity for row in told.entry.rows.liquidations if row.symbol}
    assert taken == {"LONG": 4, "SHORT": -1}
    assert not desk.held["alice"]
    assert left(desk) == {"BTCUSDT": D(3)}
    assert sums(desk) == before


def test_11_six_hundred_liquidations_on_one_tick_are_one_transfer_each_and_one_unwind_a_symbol() -> None:
    desk = desk_at(wallet="10000000")
    accounts = [f"n{number:07}" for number in range(600)]
    for number, account in enumerate(accounts):
        decide(desk, "pms.create_account", subAccountId=account)
        decide(desk, "pms.transfer", fromAccountId=HOUSE, toAccountId=account, amount="1000")
        hold(desk, account, "0.3" if number % 3 else "-0.3", leverage=50)
    watch = RiskWatch(desk, lambda _: DEFAULT)
    watch.begin()
    for account in watch.due("BTCUSDT", desk.tops["BTCUSDT"].mid):
        assert watch.judge(account, now=1) is None
    before = sums(desk)
    move_price(desk, "56000")
    due = watch.due("BTCUSDT", desk.tops["BTCUSDT"].mid)
    done = [watch.judge(account, now=2) for account in due]
    taken = [actions(each) for each in done if isinstance(each, Posting)]
    assert taken == [["WARN", "CANCEL", "TAKEOVER"]] * 400
    assert [account for account in accounts if not desk.held[account]] == [a for a in accounts if a in due]
    assert left(desk) == {"BTCUSDT": 400 * D("0.3")}
    assert sums(desk) == before
    orders = [unwind(desk, "BTCUSDT", now=3), unwind(desk, "BTCUSDT", now=3)]
    assert orders[0] is not None
    assert (orders[0].entry.rows.orders[0].quantity, orders[1]) == (100, None), "the market's largest order"
    move_price(desk, "64000")
    for account in watch.due("BTCUSDT", desk.tops["BTCUSDT"].mid):
        watch.judge(account, now=4)
    assert left(desk) == {"BTCUSDT": 200 * D("0.3")}, "the net of both"
    assert not any(desk.held[account] for account in accounts)
