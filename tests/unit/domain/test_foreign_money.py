"""Money and positions are conserved, per asset, whatever comes from outside and in whatever order."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest
from desk_maker import D, desk_at, move_price
from desk_maker import trade as trade_command
from hypothesis import given, settings
from hypothesis import strategies as st

from pms.contract.journal import decode_entry, encode_entry
from pms.contract.names import BOTH, HOUSE
from pms.domain.booking import Trade, book, observe
from pms.domain.desk import Desk, Top
from pms.domain.fees import settle_open
from pms.domain.funding import allot, share
from pms.domain.income import Income, book_incomes
from pms.domain.orders import Refused, State
from pms.domain.positions import Position
from pms.domain.posting import Posting
from pms.domain.treasury import Rate

HOUR = 3_600_000
BNB = Top(D("599.9"), D(1), D("600.1"), D(1), 1)
CENT = D("0.00000001")
OWNERS = {"alice": "PMS_alice_M_x", "bob": "PMS_bob_M_x", "hand": "web_1", "adl": "adl_autoclose"}


@dataclass
class Exchange:
    """The exchange's side: one net position, wallets by asset, and the histories that it tells."""

    wallets: dict[str, Decimal] = field(default_factory=lambda: {"USDT": D(100_000), "BNB": D(0)})
    net: Position = field(default_factory=lambda: Position("x", "BTCUSDT", leverage=20))
    clock: int = 10 * HOUR
    trades: list[Trade] = field(default_factory=list)
    incomes: list[Income] = field(default_factory=list)
    rates: list[Rate] = field(default_factory=list)
    held: dict[str, Decimal] = field(default_factory=dict)
    owed: dict[str, Decimal] = field(default_factory=dict)

    def trade(self, owner: str, lots: int, price: Decimal, asset: str) -> None:
        self.clock += 1000
        quantity = D(lots) / 1000
        realized = self.net.trade(quantity, price).realized
        commission = (abs(quantity) * price * D("0.0005")).quantize(CENT)
        paid = commission if asset == "USDT" else (commission / 600).quantize(CENT)
        self.wallets["USDT"] += realized
        self.wallets[asset] -= paid
        self.held[owner] = self.held.get(owner, D(0)) + quantity
        number = len(self.trades) + 1
        self.trades.append(
            Trade(
                symbol="BTCUSDT",
                exchange_order_id=number,
                trade_id=number,
                client_order_id=OWNERS[owner],
                side="BUY" if lots > 0 else "SELL",
                price=price,
                quantity=abs(quantity),
                commission=paid,
                commission_asset=asset,
                realized_pnl=realized,
                maker=False,
                at=self.clock,
            )
        )

    def income(self, kind: str, asset: str, amount: Decimal) -> None:
        self.clock += 1000
        self.wallets[asset] += amount
        number = len(self.incomes) + 1
        self.incomes.append(Income(kind, number, asset, "", amount, self.clock))

    def fund(self, basis_points: int) -> None:
        self.clock += 1000
        rate = Rate(self.clock, D(basis_points) / 10_000, D("60000.5"))
        self.rates.append(rate)
        for owner, quantity in self.held.items():
            self.owed[owner] = self.owed.get(owner, D(0)) + share(quantity, rate)
        if self.net.quantity:
            self.income("FUNDING_FEE", "USDT", share(self.net.quantity, rate))


steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("trade"),
            st.sampled_from(sorted(OWNERS)),
            st.integers(-40, 40).filter(bool),
            st.integers(590_000, 610_000),
            st.sampled_from(["USDT", "BNB"]),
        ),
        st.tuples(st.just("fund"), st.integers(-30, 30).filter(bool)),
        st.tuples(
            st.just("income"),
            st.sampled_from(["TRANSFER", "INSURANCE_CLEAR"]),
            st.sampled_from(["USDT", "BNB"]),
            st.integers(-500, 500).filter(bool),
        ),
    ),
    min_size=1,
    max_size=14,
)


def play(exchange: Exchange, story: list[tuple]) -> None:
    for what, *rest in story:
        if what == "trade":
            owner, lots, cents, asset = rest
            exchange.trade(owner, lots, D(cents) / 10, asset)
        elif what == "fund":
            exchange.fund(*rest)
        else:
            kind, asset, amount = rest
            exchange.income(kind, asset, D(amount) / 4)


def told(desk: Desk, word: Trade | Income | Rate | Top | None) -> Posting | None:
    """Let the desk hear one word."""
    match word:
        case Trade():
            return book(desk, word)
        case Income():
            return book_incomes(desk, [word, word], at=word.at)
        case Rate():
            return allot(desk, "BTCUSDT", word)
        case Top():
            desk.tops["BNBUSDT"] = word
            return settle_open(desk, at=1)
        case None:
            desk.tops.pop("BNBUSDT", None)
            return None


def conserved(desk: Desk, exchange: Exchange) -> None:
    assert sum((each.balance for each in desk.accounts.values()), D(0)) == exchange.wallets["USDT"]
    assert desk.treasury.total == exchange.wallets["USDT"]
    assert desk.treasury.assets.get("BNB", D(0)) == exchange.wallets["BNB"]
    assert desk.treasury.net.get("BTCUSDT", D(0)) == exchange.net.quantity
    balances = [each.balance for each in desk.accounts.values()]
    places = {place: position.quantity for place, position in desk.positions.items()}
    assert desk.treasury.recount(balances, places) == []


def funding_of(postings: list[Posting], account: str) -> Decimal:
    return sum(
        (
            line.amount
            for posting in postings
            for line in posting.entry.rows.ledger
            if line.sub_account_id == account and line.reason == "FUNDING"
        ),
        D(0),
    )


@settings(max_examples=150, deadline=None)
@given(steps, st.data())
def test_any_order_with_repeats_conserves_positions_and_money(
    story: list[tuple], data: st.DataObject
) -> None:
    exchange, desk = Exchange(), desk_at()
    play(exchange, story)
    # Fundings are booked in the order of their times; everything else comes as it likes, twice.
    others = [*exchange.trades, *exchange.incomes, BNB, None]
    words = data.draw(st.permutations([*others, *data.draw(st.lists(st.sampled_from(others), max_size=6))]))
    for rate in reversed(exchange.rates):
        words.insert(data.draw(st.integers(0, len(words))), rate)
    ordered = iter(exchange.rates)
    words = [next(ordered) if isinstance(word, Rate) else word for word in words]
    postings = [posting for word in (*words, BNB) if (posting := told(desk, word))]
    conserved(desk, exchange)
    assert not desk.treasury.unpaid
    for account in ("alice", "bob"):
        # A trade that comes late is settled by itself, so each may round once more.
        slack = CENT * len(exchange.trades) * len(exchange.rates)
        assert abs(funding_of(postings, account) - exchange.owed.get(account, D(0))) <= slack
    rebuilt = desk_at()
    for posting in postings:
        rebuilt.load(decode_entry(encode_entry(posting.entry)).rows)
    conserved(rebuilt, exchange)
    assert rebuilt.treasury.progress == desk.treasury.progress
    assert rebuilt.treasury.incomes == desk.treasury.incomes
    assert rebuilt.treasury.fundings == desk.treasury.fundings
    assert all(told(rebuilt, word) is None for word in (*exchange.trades, *exchange.rates))


def opened() -> tuple[Exchange, Desk]:
    exchange, desk = Exchange(), desk_at()
    exchange.trade("alice", 10_000, D(60_000), "USDT")
    exchange.trade("bob", -10_000, D(60_000), "USDT")
    for trade in exchange.trades:
        told(desk, trade)
    return exchange, desk


def test_9_a_flat_net_pays_nothing_and_a_still_pays_b() -> None:
    exchange, desk = opened()
    exchange.fund(1)
    assert exchange.incomes == []
    before = {name: account.balance for name, account in desk.accounts.items()}
    posting = told(desk, exchange.rates[0])
    assert posting is not None
    moved = {name: account.balance - before[name] for name, account in desk.accounts.items()}
    assert moved == {"alice": D("-60.0005"), "bob": D("60.0005"), HOUSE: D(0)}
    assert [(row.sub_account_id, row.quantity) for row in posting.entry.rows.fundings] == [
        ("alice", D(10)),
        ("bob", D(-10)),
        (HOUSE, D(0)),
    ]
    assert told(desk, exchange.rates[0]) is None
    conserved(desk, exchange)


def test_a_trade_of_before_a_funding_that_comes_after_it_pays_its_part() -> None:
    exchange, desk = opened()
    exchange.trade("alice", 1000, D(60_000), "USDT")
    exchange.fund(10)
    told(desk, exchange.rates[0])
    late = told(desk, exchange.trades[-1])
    assert late is not None
    part = [line for line in late.entry.rows.ledger if line.reason == "FUNDING"]
    assert [(line.sub_account_id, line.amount) for line in part] == [
        ("alice", D("-60.0005")),
        (HOUSE, D("60.0005")),
    ]
    told(desk, exchange.incomes[0])
    conserved(desk, exchange)


def test_a_trade_after_the_funding_is_not_asked_to_pay() -> None:
    exchange, desk = opened()
    exchange.fund(10)
    exchange.trade("alice", -10_000, D(60_000), "USDT")
    told(desk, exchange.trades[-1])
    posting = told(desk, exchange.rates[0])
    assert posting is not None
    assert next(row.quantity for row in posting.entry.rows.fundings) == D(10)


def test_a_fee_without_a_price_waits_and_alarms_once() -> None:
    desk, exchange = desk_at(), Exchange()
    exchange.trade("alice", 10, D(60_000), "BNB")
    exchange.trade("alice", 10, D(60_000), "BNB")
    first, second = (told(desk, trade) for trade in exchange.trades)
    assert first is not None
    assert second is not None
    kinds = [incident.kind for incident in first.entry.rows.incidents]
    assert kinds.count("fee_unpriced") == 1
    assert not [each for each in second.entry.rows.incidents if each.kind == "fee_unpriced"]
    assert [fee.price for fee in first.entry.rows.fees] == [None]
    assert len(desk.treasury.unpaid) == 2
    balance = desk.accounts["alice"].balance
    paid = told(desk, BNB)
    assert paid is not None
    assert {fee.price for fee in paid.entry.rows.fees} == {D("600.1")}
    assert balance - desk.accounts["alice"].balance == 2 * (D("0.0005") * D("600.1")).quantize(CENT)
    assert told(desk, BNB) is None
    conserved(desk, exchange)


@pytest.mark.parametrize(
    ("client_order_id", "kind"),
    [
        ("web_abc", "foreign_trade"),
        ("autoclose-1600", "exchange_liquidation"),
        ("adl_autoclose", "exchange_adl"),
        ("settlement_autoclose-1", "exchange_settlement"),
    ],
)
def test_what_others_trade_is_the_house_s_and_told_once_an_order(client_order_id: str, kind: str) -> None:
    desk, exchange = desk_at(), Exchange()
    exchange.trade("hand", 10, D(60_000), "USDT")
    (part,) = exchange.trades
    incidents = {}
    for number in (1, 2, 3):
        posting = book(desk, replace(part, client_order_id=client_order_id, trade_id=number))
        assert posting is not None
        assert {fill.sub_account_id for fill in posting.entry.rows.fills} == {HOUSE}
        incidents |= {row.seq: row for row in posting.entry.rows.incidents}
    (told,) = incidents.values()
    assert told.kind == kind
    assert json.loads(told.evidence)["trades"] == [1, 2, 3]


def test_f9_a_fill_that_fits_nothing_is_booked_and_told_never_dropped() -> None:
    """Of a refused order, of a forgotten one, without a client id, of an instrument that nobody lists."""
    desk, exchange = desk_at(), Exchange()
    refused = trade_command(desk).entry.rows.orders[0].client_order_id
    observe(desk, desk.orders[refused], Refused("-2019: Margin is insufficient."), at=1)
    assert desk.orders[refused].state is State.REJECTED
    exchange.trade("alice", 10, D(60_000), "USDT")
    (fill,) = exchange.trades
    cases = (
        (replace(fill, client_order_id=refused), "alice", "late_fill"),
        (replace(fill, client_order_id="PMS_alice_M_forgotten"), "alice", "foreign_trade"),
        (replace(fill, client_order_id=None), HOUSE, "foreign_trade"),
        (replace(fill, symbol="NEWUSDT", client_order_id="web_1"), HOUSE, "foreign_trade"),
    )
    for number, (case, owner, kind) in enumerate(cases, start=10):
        posting = book(desk, replace(case, exchange_order_id=number, trade_id=number))
        assert posting is not None
        assert [row.sub_account_id for row in posting.entry.rows.fills] == [owner]
        assert kind in [incident.kind for incident in posting.entry.rows.incidents]
    assert desk.treasury.net == {"BTCUSDT": D("0.03"), "NEWUSDT": D("0.01")}
    assert "not listed" in posting.entry.rows.incidents[0].detail


def test_an_income_is_booked_once_and_strange_kinds_are_told() -> None:
    desk = desk_at()
    strange = Income("INSURANCE_CLEAR", 7, "USDT", "BTCUSDT", D(-5), 99)
    posting = book_incomes(desk, [strange], proven=50, at=100)
    assert posting is not None
    assert [line.reason for line in posting.entry.rows.ledger] == ["INSURANCE_CLEAR"]
    assert [incident.kind for incident in posting.entry.rows.incidents] == ["income"]
    assert book_incomes(desk, [strange], proven=50, at=100) is None
    # An id is unique within its kind only.
    assert book_incomes(desk, [replace(strange, kind="TRANSFER")], at=100) is not None


def test_a_position_that_is_handed_over_counts_from_then_on() -> None:
    _, desk = opened()
    move_price(desk, "60000")
    held = desk.treasury.held_at("BTCUSDT", 1)
    assert held == {}
    assert desk.treasury.held_at("BTCUSDT", 11 * HOUR) == {("alice", BOTH): D(10), ("bob", BOTH): D(-10)}
