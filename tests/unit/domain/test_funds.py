"""Money between the house and the sub-accounts: both sides in one entry, never more than can be spared."""

from __future__ import annotations

import pytest
from desk_maker import BTC, D, decide, desk_at, move_price, trade
from filling import fill

from pms.contract.codes import Code, Refusal
from pms.contract.journal import Rows
from pms.domain.booking import observe
from pms.domain.custody import open_books
from pms.domain.desk import Desk, Top
from pms.domain.fees import settle_open
from pms.domain.funding import allot
from pms.domain.handing import hand_position
from pms.domain.orders import Seen
from pms.domain.treasury import SAME_MS, Rate, funding_name


def refused(desk: Desk, name: str, **fields: object) -> Refusal:
    """A command that must be refused, and then change nothing."""
    before = {name: account.balance for name, account in desk.accounts.items()}, desk.last_seq
    closed = fields.pop("closed", None)
    with pytest.raises(Refusal) as found:
        decide(desk, name, closed_because=None if closed is None else str(closed), **fields)
    assert ({name: account.balance for name, account in desk.accounts.items()}, desk.last_seq) == before
    return found.value


def test_a_deposit_is_two_lines_of_one_entry() -> None:
    desk = desk_at()
    posting = decide(desk, "pms.deposit", subAccountId="alice", amount="12.5")
    lines = [(line.sub_account_id, line.amount, line.reason) for line in posting.entry.rows.ledger]
    assert lines == [("house", D("-12.5"), "DEPOSIT"), ("alice", D("12.5"), "DEPOSIT")]
    assert desk.accounts["alice"].balance == D("10012.5")
    assert {account for account, _ in posting.snapshots} == {"alice"}


def test_a_withdrawal_gives_it_back() -> None:
    desk = desk_at()
    posting = decide(desk, "pms.withdraw", subAccountId="alice", amount="10000")
    lines = [(line.sub_account_id, line.amount, line.reason) for line in posting.entry.rows.ledger]
    assert lines == [("alice", D(-10000), "WITHDRAW"), ("house", D(10000), "WITHDRAW")]
    assert (desk.accounts["alice"].balance, desk.accounts["house"].balance) == (0, D(90000))


def test_the_house_gives_what_it_holds_and_no_more() -> None:
    desk = desk_at()
    refusal = refused(desk, "pms.deposit", subAccountId="alice", amount="80000.00000001")
    assert (refusal.code, refusal.field, refusal.limit) == (Code.BALANCE, "amount", "80000")
    decide(desk, "pms.deposit", subAccountId="alice", amount="80000")


@pytest.mark.parametrize("amount", ["0", "-1", "0.000000001"])
@pytest.mark.parametrize("name", ["pms.deposit", "pms.withdraw"])
def test_an_amount_must_be_one_that_can_be_booked(name: str, amount: str) -> None:
    refusal = refused(desk_at(), name, subAccountId="alice", amount=amount)
    assert (refusal.code, refusal.field) == (Code.BAD_FIELD, "amount")


@pytest.mark.parametrize("name", ["pms.deposit", "pms.withdraw"])
def test_the_house_is_the_other_side(name: str) -> None:
    assert refused(desk_at(), name, subAccountId="house", amount="1").code is Code.HOUSE_ONLY
    assert refused(desk_at(), name, subAccountId="nobody", amount="1").code is Code.UNKNOWN_ACCOUNT


def test_margin_and_unrealised_profit_stay() -> None:
    desk = desk_at()
    fill(desk, trade(desk, quantity="1", leverage=10), price="60000")
    assert refused(desk, "pms.withdraw", subAccountId="alice", amount="4000.1").code is Code.BALANCE
    move_price(desk, "70000")
    refusal = refused(desk, "pms.withdraw", subAccountId="alice", amount="10000.01")
    assert refusal.limit == "10000", "the profit is not realised: no more than the balance"
    decide(desk, "pms.withdraw", subAccountId="alice", amount="10000")
    move_price(desk, "60000")
    assert desk.snapshot("alice").available_margin < 0


def test_an_open_order_s_margin_stays() -> None:
    desk = desk_at()
    trade(desk, type="LIMIT", price="59000", quantity="1", leverage=10)
    assert refused(desk, "pms.withdraw", subAccountId="alice", amount="4100.01").limit == "4100"


def test_the_margin_of_an_order_in_flight_stays_while_its_symbol_has_no_price() -> None:
    desk = desk_at()
    posting = trade(desk, quantity="1", leverage=10)
    order = desk.orders[posting.entry.rows.orders[0].client_order_id]
    used = desk.margin_used("alice")
    del desk.tops["BTCUSDT"]
    observe(desk, order, Seen(7, "NEW", D(0)), at=2000)
    assert desk.margin_used("alice") == used == D("6000.01")
    refusal = refused(desk, "pms.withdraw", subAccountId="alice", amount="10000")
    assert refusal.limit == "3999.99"


def test_the_margin_of_an_order_in_flight_is_held_behind_a_start_from_the_first_price_on() -> None:
    desk, again = desk_at(), Desk(epoch="e2")
    posting = trade(desk, quantity="1", leverage=10)
    again.load(Rows(sub_accounts=tuple(account.row() for account in desk.accounts.values())))
    again.load(posting.entry.rows)
    again.price("BTCUSDT", desk.tops["BTCUSDT"])
    assert again.margin_used("alice") == desk.margin_used("alice") == D("6000.01")


def test_nothing_leaves_a_frozen_account_and_everything_may_come() -> None:
    desk = desk_at()
    decide(desk, "pms.freeze", subAccountId="alice")
    assert refused(desk, "pms.withdraw", subAccountId="alice", amount="1").code is Code.ACCOUNT_FROZEN
    moving = {"fromAccountId": "alice", "toAccountId": "bob", "amount": "1"}
    assert refused(desk, "pms.transfer", **moving).code is Code.ACCOUNT_FROZEN
    decide(desk, "pms.deposit", subAccountId="alice", amount="1")


def test_nothing_leaves_while_trades_may_be_unbooked() -> None:
    desk, closed = desk_at(), "the streamer is recovering"
    assert (
        refused(desk, "pms.withdraw", subAccountId="alice", amount="1", closed=closed).code is Code.NOT_READY
    )
    decide(desk, "pms.deposit", subAccountId="alice", amount="1", closed_because=closed)


def test_nothing_leaves_while_a_loss_is_unknown() -> None:
    desk = desk_at()
    fill(desk, trade(desk), price="60000")
    desk.tops.clear()
    refusal = refused(desk, "pms.withdraw", subAccountId="alice", amount="1")
    assert (refusal.code, refusal.actual) == (Code.PRICE_STALE, "BTCUSDT")
    decide(desk, "pms.withdraw", subAccountId="bob", amount="1")
    decide(desk, "pms.deposit", subAccountId="alice", amount="1")


def test_a_halt_stops_no_money() -> None:
    desk = desk_at()
    decide(desk, "pms.halt", reason="r", actor="a")
    decide(desk, "pms.deposit", subAccountId="alice", amount="1")
    decide(desk, "pms.withdraw", subAccountId="alice", amount="1")


def house_with(quantity: str, *, at: str = "60000", wallet: str = "100000") -> Desk:
    """Books that begin with a position of the exchange account: the house's, at leverage 1."""
    desk = Desk(epoch="e1")
    desk.instruments["BTCUSDT"] = BTC
    move_price(desk, at)
    position = ("BTCUSDT", D(quantity), D(at))
    open_books(desk, at=1, wallet=D(wallet), positions=[position], cursors={"BTCUSDT": 0})
    decide(desk, "pms.create_account", subAccountId="alice")
    return desk


def taken_over(desk: Desk, account: str = "alice") -> Desk:
    """The house takes over what an account holds."""
    held, draft = desk.position(account, "BTCUSDT"), desk.draft("liquidation", at=1000)
    hand_position(desk, draft, held, held.quantity, desk.tops["BTCUSDT"].bid, reference="test")
    desk.sealed(draft)
    return desk


def levered() -> Desk:
    """Alice holds more than the house could margin at leverage 1."""
    desk = desk_at()
    fill(desk, trade(desk, quantity="1.5", leverage=20), price="60000")
    return desk


def test_what_the_house_holds_keeps_no_deposit_back() -> None:
    desk = house_with("5")
    assert desk.available_margin("house") < 0
    decide(desk, "pms.deposit", subAccountId="alice", amount="1000")
    assert desk.accounts["alice"].balance == D(1000)


def test_nor_does_what_it_took_over() -> None:
    desk = taken_over(levered())
    assert desk.available_margin("house") < 0
    decide(desk, "pms.deposit", subAccountId="alice", amount="1000")


def test_nor_what_it_gave_to_a_levered_account_that_was_imported() -> None:
    desk = house_with("0.001")
    bringing = {"symbol": "BTCUSDT", "quantity": "5", "entryPrice": "60000", "leverage": 50}
    decide(desk, "pms.import_position", subAccountId="alice", **bringing)
    decide(desk, "pms.transfer", fromAccountId="house", toAccountId="alice", amount="20000")


def test_the_house_s_loss_is_not_given_away_nor_is_its_profit() -> None:
    desk = house_with("5")
    move_price(desk, "50000")
    assert refused(desk, "pms.deposit", subAccountId="alice", amount="50000.26").limit == "50000.25"
    move_price(desk, "70000")
    assert refused(desk, "pms.deposit", subAccountId="alice", amount="100000.01").limit == "100000"


def out_of_sync(desk: Desk) -> None:
    """The feed is lost: what it said last is known, and no more."""
    desk.last_tops.update(desk.tops)
    desk.tops.clear()


def test_out_of_sync_the_last_price_still_says_what_the_house_has_lost() -> None:
    desk = house_with("5")
    move_price(desk, "50000")
    out_of_sync(desk)
    assert refused(desk, "pms.deposit", subAccountId="alice", amount="50000.26").limit == "50000.25"
    desk.last_tops.clear()
    decide(desk, "pms.deposit", subAccountId="alice", amount="100000")


def test_out_of_sync_no_profit_of_the_house_pays_for_a_loss_elsewhere() -> None:
    desk = house_with("5", wallet="300000")
    gaining = desk.position("house", "ETHUSDT")
    gaining.quantity, gaining.cost = D(10), D(30000)
    desk.touch_position(gaining)
    desk.last_tops["ETHUSDT"] = desk.tops["BTCUSDT"]
    move_price(desk, "50000")
    assert refused(desk, "pms.deposit", subAccountId="alice", amount="250000.26").limit == "250000.25"
    decide(desk, "pms.deposit", subAccountId="alice", amount="250000.25")


def traded_in(asset: str) -> Desk:
    """A sub-account that was in the market, and out again, with fees in an asset."""
    desk = desk_at()
    for side in ("BUY", "SELL"):
        fill(desk, trade(desk, quantity="0.1", side=side), price="60000", paid="0.01", asset=asset)
    return desk


def test_nothing_goes_out_while_a_fee_waits_for_its_price() -> None:
    desk = traded_in("BNB")
    for name, field in (("pms.withdraw", "subAccountId"), ("pms.transfer", "fromAccountId")):
        other = {} if name == "pms.withdraw" else {"toAccountId": "bob"}
        refusal = refused(desk, name, **{field: "alice"}, amount="1", **other)
        assert (refusal.code, refusal.field) == (Code.NOT_READY, field)
    decide(desk, "pms.withdraw", subAccountId="bob", amount="1")
    decide(desk, "pms.deposit", subAccountId="alice", amount="1")
    desk.price("BNBUSDT", Top(D(600), D(1), D(600), D(1), 5_000))
    settle_open(desk, at=5_000)
    decide(desk, "pms.withdraw", subAccountId="alice", amount="1")


def test_nothing_goes_out_while_a_funding_is_over_and_not_booked() -> None:
    desk, due = desk_at(), 2_000
    fill(desk, trade(desk, quantity="0.1"), price="60000", at=1_000)
    desk.treasury.progress[funding_name("BTCUSDT")] = 1
    desk.treasury.next_fundings["BTCUSDT"] = due + SAME_MS
    fill(desk, trade(desk, quantity="0.1", side="SELL"), price="60000", at=due + SAME_MS + 1_000)
    decide(desk, "pms.withdraw", subAccountId="alice", amount="1", exchange_now=due)
    over = due + SAME_MS + 2_000
    refusal = refused(desk, "pms.withdraw", subAccountId="alice", amount="1", exchange_now=over)
    assert (refusal.code, refusal.field) == (Code.NOT_READY, "subAccountId")
    decide(desk, "pms.withdraw", subAccountId="bob", amount="1", exchange_now=over)
    allot(desk, "BTCUSDT", Rate(due + SAME_MS, D("0.001"), D(60000)))
    decide(desk, "pms.withdraw", subAccountId="alice", amount="1", exchange_now=over)
