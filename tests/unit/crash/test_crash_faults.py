"""Faults planted into the journal of a crash: the judge finds each, and names the rule."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal as D

import pytest
from crash_books import HOUSE, INSURANCE
from crash_verdict import Verdict
from scribe import RULES, A, B, Entry, Scribe
from spoiling import FALL, fallen, only, row_of, told, with_ledger, with_row


def late(ticks: int) -> Scribe:
    """The takeover comes so many ticks after the one that crossed the line."""
    scribe = Scribe().begin()
    scribe.account("anna", "50", AUSDT=("10", "100"))
    scribe.tick(A, "100")
    scribe.blind = True
    for number in range(ticks):
        scribe.tick(A, f"95.{50 - number}")
    scribe.blind = False
    for price in ("95.2", "95.1", "95.0"):
        scribe.tick(A, price)
    return scribe


def test_one_tick_late_is_in_time_and_two_are_not() -> None:
    assert told(late(0).judged()) == ""
    assert told(late(1).judged()) == ""
    verdict = late(2).judged()
    assert verdict.rules == {"late"}
    assert "TAKEOVER was due" in told(verdict)
    assert "it came 2 ticks later" in told(verdict)


def test_what_crossed_and_came_back_had_to_be_done_all_the_same() -> None:
    scribe = Scribe().begin()
    scribe.account("anna", "50", AUSDT=("10", "100"))
    scribe.blind = True
    for price in ("100", "95", "99", "99.1", "99.2"):
        scribe.tick(A, price)
    assert scribe.judged().rules == {"missing"}


def test_done_under_fresh_prices_but_under_an_old_name_is_seen() -> None:
    scribe = late(3)
    act = next(entry for entry in scribe.entries if entry["rows"].get("liquidations"))
    tops = {A: {"bid": "95.49", "ask": "95.51", "at": scribe.ticks[1].at}}
    place = scribe.entries.index(act)
    # It claims the tick that crossed, and takes over at a later one's price
    scribe.entries[place] = with_row(act, tops=json.dumps(tops))
    assert {"price", "numbers"} <= scribe.judged().rules


def test_a_takeover_done_twice() -> None:
    scribe = fallen("100", "95")
    act = scribe.entries[-1]
    again = json.loads(json.dumps(act))
    again["seq"], again["prev"] = act["seq"] + 1, act["seq"]
    scribe.entries.append(again)
    for price in ("94.9", "94.8"):
        scribe.tick(A, price)
    verdict = scribe.judged()
    assert "doubled" in verdict.rules
    assert "was taken of 0" in told(verdict)
    assert {"money", "ledger"} <= verdict.rules


def test_a_warning_repeated_without_having_been_armed_again() -> None:
    scribe = fallen("100", "96.3")
    warned = scribe.entries[-1]
    scribe.tick(A, "96.31")
    standing = scribe.books.of("anna")
    weight = RULES.weigh(standing.balance, standing.held, {A: (D("96.30"), D("96.32"))})
    scribe.act("anna", "WARN", {}, weight, tier=1)
    assert row_of(warned)["action"] == "WARN"
    assert scribe.judged().rules == {"doubled"}


def test_a_warning_armed_again_may_be_repeated_and_must_be() -> None:
    scribe = fallen("100", "96.3", "96.8", "96.3")
    assert [row_of(e)["action"] for e in scribe.entries if e["rows"].get("liquidations")] == [
        "WARN",
        "REARM",
        "WARN",
    ]
    assert told(scribe.judged()) == ""
    scribe.blind = True
    for price in ("99", "98.9", "98.8"):
        scribe.tick(A, price)
    assert "REARM was due" in told(scribe.judged())


def test_a_warning_where_nothing_was_crossed() -> None:
    scribe = fallen("100", "97")
    standing = scribe.books.of("anna")
    weight = RULES.weigh(standing.balance, standing.held, {A: (D("96.99"), D("97.01"))})
    scribe.act("anna", "WARN", {}, weight, tier=1)
    assert scribe.judged().rules == {"early", "tier"}


def test_a_milder_tier_than_the_one_that_was_crossed() -> None:
    scribe = Scribe().begin()
    scribe.account("anna", "50", AUSDT=("10", "100"))
    scribe.tick(A, "100")
    scribe.blind = True
    scribe.tick(A, "95")
    standing = scribe.books.of("anna")
    weight = RULES.weigh(standing.balance, standing.held, {A: (D("94.99"), D("95.01"))})
    scribe.act("anna", "WARN", {}, weight, tier=1)
    assert "WARN where TAKEOVER was due" in told(scribe.judged())


def spoilt(action: str, change: Callable[[Entry], Entry | None], *prices: str) -> Verdict:
    return fallen(*(prices or FALL), spoil=only(action, change)).judged()


def at_mid(entry: Entry) -> Entry:
    """Taken at mid instead of at the bid, and booked consistently so."""
    row = row_of(entry)
    part, gain = D(row["quantity"]), D("0.01") * D(row["quantity"])
    better = with_row(entry, price=str(D(row["price"]) + D("0.01")), realized=str(D(row["realized"]) + gain))
    assert part > 0
    return with_ledger(better, ("anna", str(gain), "LIQUIDATION"), (HOUSE, str(-gain), "NETTING"))


def test_a_wrong_price_even_if_it_is_booked_consistently() -> None:
    verdict = spoilt("TAKEOVER", at_mid, "100", "95.7")
    assert verdict.rules == {"price"}
    assert "was taken at 95.70, the book had 95.69" in told(verdict)


def less_realized(entry: Entry) -> Entry:
    return with_row(entry, realized=str(D(row_of(entry)["realized"]) - 1))


def uncovered(entry: Entry) -> Entry:
    """The fund pays a unit less than is owed, the account stays below zero."""
    return with_ledger(entry, ("anna", "-1", "INSURANCE"), (INSURANCE, "1", "INSURANCE"))


def given_too_much(entry: Entry) -> Entry:
    return with_ledger(entry, ("anna", "1", "INSURANCE"), (INSURANCE, "-1", "INSURANCE"))


def house_pays_instead(entry: Entry) -> Entry:
    """The house bears what the fund had enough for."""
    return with_ledger(entry, (INSURANCE, "7", "INSURANCE"), (HOUSE, "-7", "INSURANCE"))


def lost_on_the_way(entry: Entry) -> Entry:
    return with_ledger(entry, (HOUSE, "-0.00000001", "NETTING"))


def forged_balance(entry: Entry) -> Entry:
    rows = entry["rows"]
    accounts = [{**row, "balance": str(D(row["balance"]) + 1)} for row in rows["sub_accounts"]]
    return {**entry, "rows": {**rows, "sub_accounts": accounts}}


def house_gets_less(entry: Entry) -> Entry:
    rows = entry["rows"]
    positions = [
        {**row, "quantity": str(D(row["quantity"]) - 1)} if row["sub_account_id"] == HOUSE else row
        for row in rows["positions"]
    ]
    return {**entry, "rows": {**rows, "positions": positions}}


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        (less_realized, {"insurance", "money"}),
        (uncovered, {"insurance", "money", "debt"}),
        (given_too_much, {"insurance", "money"}),
        (house_pays_instead, {"insurance"}),
        (lost_on_the_way, {"money"}),
        (forged_balance, {"ledger"}),
        (house_gets_less, {"money"}),
        (lambda entry: with_row(entry, equity="-19"), {"numbers"}),
        (lambda entry: with_row(entry, maintenance="9.31"), {"numbers"}),
    ],
)
def test_money_that_nothing_explains(change: Callable[[Entry], Entry], rules: set[str]) -> None:
    verdict = spoilt("TAKEOVER", change, "100", "93")
    assert verdict.findings
    assert rules <= verdict.rules, told(verdict)
    assert verdict.rules <= rules | {"money", "ledger"}


def one_step_more(entry: Entry) -> Entry:
    row = row_of(entry)
    return with_row(entry, quantity=str(D(row["quantity"]) + D("0.01")))


def test_more_was_deleveraged_than_it_took() -> None:
    scribe = fallen("100", "96.30", "96.15")
    scribe.blind = True
    scribe.tick(A, "96.00")
    standing = scribe.books.of("anna")
    weight = RULES.weigh(standing.balance, standing.held, {A: (D("95.99"), D("96.01"))})
    for part, word in (("2.22", "a step of AUSDT less would have done"), ("2.20", "too little was taken")):
        trial = Scribe(entries=list(scribe.entries), ticks=list(scribe.ticks), now=scribe.now)
        for entry in trial.entries:
            trial.books.take(entry["rows"])
        trial.act("anna", "DELEVERAGE", {A: D(part)}, weight, tier=2)
        verdict = trial.judged()
        assert word in told(verdict)
        assert "amount" in verdict.rules


def test_the_smaller_loss_went_first() -> None:
    scribe = Scribe().begin()
    scribe.account("anna", "60", AUSDT=("2", "100"), BUSDT=("-100", "10"))
    scribe.blind = True
    scribe.tick(A, "99.5")
    scribe.tick(B, "10.455")
    standing = scribe.books.of("anna")
    prices = {A: (D("99.49"), D("99.51")), B: (D("10.445"), D("10.465"))}
    weight = RULES.weigh(standing.balance, standing.held, prices)
    scribe.act("anna", "DELEVERAGE", {A: D(2)}, weight, tier=3)
    assert "order" in scribe.judged().rules


def test_prices_that_the_market_never_showed() -> None:
    def dreamt(entry: Entry) -> Entry:
        return with_row(entry, tops=json.dumps({A: {"bid": "92.99", "ask": "93.02", "at": entry["at"]}}))

    assert "tops" in spoilt("TAKEOVER", dreamt, "100", "93").rules
    nameless = with_row
    verdict = spoilt("TAKEOVER", lambda entry: nameless(entry, tops="{}"), "100", "93")
    assert "no price of AUSDT is told" in told(verdict)


def test_prices_of_two_symbols_that_never_stood_beside_each_other() -> None:
    scribe = Scribe().begin()
    scribe.account("anna", "60", AUSDT=("5", "100"), BUSDT=("50", "10"))
    old = None
    for price in ("100", "99", "90"):
        scribe.tick(B, "10")
        scribe.tick(A, price)
        old = old or scribe.ticks[0]
    act = scribe.entries[-1]
    tops = json.loads(row_of(act)["tops"])
    assert old is not None
    tops[B] = {"bid": str(old.bid), "ask": str(old.ask), "at": old.at}
    scribe.entries[-1] = with_row(act, tops=json.dumps(tops))
    assert "was old when it decided" in told(scribe.judged())


def test_an_order_that_stays_wanted() -> None:
    order = {
        "client_order_id": "PMS_anna_M_1",
        "sub_account_id": "anna",
        "state": "active",
        "cancel_wanted": False,
    }

    def forget(entry: Entry) -> Entry:
        return {**entry, "rows": {**entry["rows"], "orders": []}}

    for spoil, rules in ((lambda entry: entry, set()), (forget, {"orders"})):
        scribe = Scribe().begin()
        scribe.account("anna", "50", AUSDT=("10", "100"))
        scribe.write("order", orders=[order])
        scribe.spoil = spoil
        for price in ("100", "96.30", "96.15"):
            scribe.tick(A, price)
        assert scribe.judged().rules == rules


def test_a_position_or_a_tier_that_changes_without_a_word() -> None:
    scribe = fallen("100", "99")
    scribe.write("fill", tiers={"anna": 1})
    assert scribe.judged().rules == {"unexplained"}
    scribe = fallen("100", "99")
    left = scribe.books.of("anna").held[A]
    left.quantity -= 1
    scribe.write("order", positions={("anna", A): left})
    assert "AUSDT went from 10 to 9" in told(scribe.judged())


def test_an_entry_that_is_not_there() -> None:
    scribe = fallen()
    del scribe.entries[1]
    assert "chain" in scribe.judged().rules
