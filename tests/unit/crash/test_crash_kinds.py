"""The judge of the crash knows hedged accounts and groups with lines of their own."""

from __future__ import annotations

import json
from decimal import Decimal as D
from typing import Any

import pytest
from crash_books import HOUSE
from hypothesis import given, settings
from hypothesis import strategies as st
from scribe import A, B, Entry, Scribe
from spoiling import row_of, told, with_row

LONG, SHORT = f"{A} LONG", f"{A} SHORT"
TIGHT = "0.5,0.6,0.7,0.55,0.8,0.05"


def acts(scribe: Scribe) -> list[tuple[str, str | None, str | None]]:
    """What was done, to which side, how much."""
    return [
        (row["action"], row["position_side"], row["quantity"])
        for entry in scribe.entries
        for row in entry["rows"].get("liquidations", ())
    ]


def hedged(*prices: str) -> Scribe:
    """Long 10 and short 4 at 100 with 60: both sides need their own margin, 14 at 100."""
    scribe = Scribe().begin()
    scribe.account("anna", "60", **{LONG: ("10", "100"), SHORT: ("-4", "100")})
    for price in ("100", *prices):
        scribe.tick(A, price)
    return scribe


def test_both_sides_of_a_hedged_account_are_weighed_and_the_loser_goes_first() -> None:
    # At 92.2: equity 60 - 46.8 = 13.2, maintenance 14 x 0.922 = 12.908
    scribe = hedged("96", "93", "92.2")
    assert acts(scribe) == [("WARN", "BOTH", None), ("DELEVERAGE", "LONG", "3.29")]
    assert told(scribe.judged()) == ""


def test_a_gap_takes_both_sides_each_at_its_own_price() -> None:
    scribe = hedged("90")
    assert {act[1:] for act in acts(scribe)} == {("LONG", "10"), ("SHORT", "-4")}
    prices = {row["position_side"]: row["price"] for row in scribe.entries[-1]["rows"]["liquidations"]}
    assert prices == {"LONG": "89.99", "SHORT": "90.01"}
    assert scribe.books.held[HOUSE][A].quantity == 6
    assert told(scribe.judged()) == ""


def test_a_part_of_the_wrong_side_is_seen() -> None:
    scribe = hedged("90")
    scribe.entries[-1] = with_row(scribe.entries[-1], position_side="LONG")
    assert {"doubled", "money"} <= scribe.judged().rules


def test_the_winning_side_must_not_go_first() -> None:
    scribe = hedged("92.2")
    act = scribe.entries[-1]
    assert acts(scribe)[-1][:2] == ("DELEVERAGE", "LONG")
    rows = act["rows"]
    part = {**row_of(act), "position_side": "SHORT", "quantity": "-2"}
    scribe.entries[-1] = {**act, "rows": {**rows, "liquidations": [part]}}
    assert "order" in scribe.judged().rules


def test_netting_both_sides_before_they_are_weighed_would_be_late() -> None:
    """With margin for 6 alone nothing would be due before 89.4."""
    scribe = Scribe().begin()
    scribe.account("anna", "60", **{LONG: ("10", "100"), SHORT: ("-4", "100")})
    scribe.blind = True
    for price in ("100", "92.1", "92", "91.9", "91.8"):
        scribe.tick(A, price)
    assert scribe.judged().rules == {"missing"}


def ruled(scope: str, *prices: str) -> Scribe:
    """Long 10 at 100 with 50, where `scope` has lines of its own."""
    scribe = Scribe().begin()
    scribe.rule(scope, TIGHT)
    scribe.account("anna", "50", AUSDT=("10", "100"))
    for price in ("100", *prices):
        scribe.tick(A, price)
    return scribe


@pytest.mark.parametrize("scope", ["anna", "group:ann", "*"])
def test_a_group_is_judged_by_its_own_lines(scope: str) -> None:
    # At 97: equity 20, maintenance 9.7, ratio 0.485; at 96.9: 0.510; at 96: 0.96
    scribe = ruled(scope, "97", "96.9", "96.2")
    assert [act[0] for act in acts(scribe)] == ["WARN", "TAKEOVER"]
    assert told(scribe.judged()) == ""


def test_another_groups_lines_are_not_its_own() -> None:
    scribe = ruled("group:bob", "96.9", "96.2")
    assert [act[0] for act in acts(scribe)] == ["CANCEL"]
    assert told(scribe.judged()) == ""


def without_lines(entries: list[Entry]) -> list[Entry]:
    """The same journal, where nobody ever set any lines."""
    kept = [{**each, "rows": {**each["rows"], "limits": []}} for each in entries]
    return json.loads(json.dumps(kept))  # type: ignore[no-any-return]


def test_lines_of_its_own_that_nobody_set_are_early() -> None:
    scribe = ruled("group:ann", "97", "96.9")
    scribe.entries = without_lines(scribe.entries)
    assert scribe.judged().rules >= {"early"}


def test_everybodys_lines_where_the_group_has_its_own_are_late() -> None:
    scribe = Scribe().begin()
    scribe.account("anna", "50", AUSDT=("10", "100"))
    scribe.tick(A, "100")
    rule: dict[str, Any] = {"scope": "group:ann", "name": "liquidation.tiers", "symbol": "", "value": TIGHT}
    scribe.now += 10_000
    scribe.write("limits", limits=[rule])
    scribe.now += 10_000
    scribe.blind = True
    for price in ("96.9", "96.8", "96.7", "96.6"):
        scribe.tick(A, price)
    assert scribe.judged().rules == {"missing"}


def test_lines_that_are_taken_back_are_everybodys_again() -> None:
    scribe = ruled("group:ann", "97")
    scribe.rule("group:ann", None)
    scribe.tick(A, "96.9")
    assert acts(scribe) == []
    assert told(scribe.judged()) == ""


WALK = st.lists(
    st.tuples(st.sampled_from((A, B)), st.integers(-60, 55), st.sampled_from((1, 1, 1, 9))),
    min_size=5,
    max_size=40,
)
SIDES = st.lists(
    st.tuples(st.integers(1, 900), st.integers(1, 900), st.integers(15, 600)), min_size=1, max_size=3
)


@settings(max_examples=25, deadline=None)
@given(SIDES, WALK, st.sampled_from((None, TIGHT)))
def test_hedged_accounts_under_any_lines_are_acquitted(
    holdings: list[tuple[int, int, int]], walk: list[tuple[str, int, int]], lines: str | None
) -> None:
    scribe = Scribe().begin(fund="40")
    if lines is not None:
        scribe.rule("group:acc", lines)
    for number, (long, short, cushion) in enumerate(holdings):
        held = {LONG: (str(D(long) / 10), "100"), SHORT: (str(-D(short) / 10), "100"), B: (str(short), "10")}
        balance = (D(long) * 10 + D(short) * 20) * cushion / 10_000
        scribe.account(f"acc{number}", str(balance), **held)
    prices = {A: D(100), B: D(10)}
    for symbol in (A, B):
        scribe.tick(symbol, str(prices[symbol]))
    for symbol, change, gap in walk:
        prices[symbol] = max(D("0.5"), prices[symbol] * (1000 + change * gap) / 1000).quantize(D("0.01"))
        scribe.tick(symbol, str(prices[symbol]))
    verdict = scribe.judged()
    assert told(verdict) == ""
