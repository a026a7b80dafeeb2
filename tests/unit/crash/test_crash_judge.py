"""The judge of the crash on hand-made markets: an engine without a fault is acquitted."""

from __future__ import annotations

from decimal import Decimal as D

from crash_rules import Bracket, Rules, ladders
from hypothesis import given, settings
from hypothesis import strategies as st
from scribe import A, B, Scribe
from spoiling import fallen, row_of, told


def test_the_tiers_fall_where_the_sums_say() -> None:
    scribe = fallen()
    acts = [row_of(entry) for entry in scribe.entries if entry["rows"].get("liquidations")]
    assert [(row["action"], row["tier"]) for row in acts[:3]] == [
        ("WARN", 1),
        ("CANCEL", 2),
        ("DELEVERAGE", 1),
    ]
    # At 96: equity 50 - 40 = 10, maintenance 9.6; a bid of 95.99 makes it (9.6 - 0.96 x) / (10 - 0.01 x)
    assert (D(acts[2]["equity"]), D(acts[2]["maintenance"])) == (D(10), D("9.6"))
    assert (acts[2]["quantity"], acts[2]["price"]) == ("2.21", "95.99")
    assert D(acts[2]["realized"]) == D("-8.8621")
    verdict = scribe.judged()
    assert told(verdict) == ""
    assert verdict.lateness.keys() == {0}
    assert verdict.actions["DELEVERAGE"] >= 1


def test_a_gap_takes_all_and_the_fund_bears_what_is_owed() -> None:
    scribe = fallen("100", "93")
    (act,) = [entry for entry in scribe.entries if entry["rows"].get("liquidations")]
    assert (row_of(act)["action"], row_of(act)["realized"]) == ("TAKEOVER", "-70.10")
    verdict = scribe.judged()
    assert told(verdict) == ""
    assert verdict.liquidated == {"anna"}
    assert (verdict.losses.owed, verdict.losses.insured, verdict.losses.housed) == (D("20.1"), D("20.1"), 0)


def test_an_empty_fund_leaves_the_rest_to_the_house() -> None:
    scribe = Scribe().begin(fund="5")
    scribe.account("anna", "50", AUSDT=("10", "100"))
    for price in ("100", "93"):
        scribe.tick(A, price)
    verdict = scribe.judged()
    assert told(verdict) == ""
    assert (verdict.losses.insured, verdict.losses.housed) == (D(5), D("15.1"))


def test_the_largest_loss_goes_first_and_a_short_at_the_ask() -> None:
    scribe = Scribe().begin()
    scribe.account("anna", "60", AUSDT=("2", "100"), BUSDT=("-100", "10"))
    for price in ("10", "10.30", "10.455"):
        scribe.tick(A, "99.5")
        scribe.tick(B, price)
    taken = [row_of(entry) for entry in scribe.entries if entry["rows"].get("liquidations")]
    assert [(row["action"], row["symbol"], row["price"]) for row in taken][-1] == ("DELEVERAGE", B, "10.465")
    assert told(scribe.judged()) == ""


WALK = st.lists(
    st.tuples(st.sampled_from((A, B)), st.integers(-60, 55), st.sampled_from((1, 1, 1, 1, 9))),
    min_size=5,
    max_size=60,
)
HOLDINGS = st.lists(
    st.tuples(st.integers(-900, 900).filter(bool), st.integers(-900, 900), st.integers(15, 600)),
    min_size=1,
    max_size=4,
)


def walked(holdings: list[tuple[int, int, int]], walk: list[tuple[str, int, int]]) -> Scribe:
    scribe = Scribe().begin(fund="40")
    for number, (first, second, cushion) in enumerate(holdings):
        held = {A: (str(D(first) / 10), "100"), B: (str(second), "10")}
        balance = (abs(D(first)) * 10 + abs(second) * 10) * cushion / 10_000
        scribe.account(f"acc{number}", str(balance), **{s: p for s, p in held.items() if D(p[0])})
    at = {A: D(100), B: D(10)}
    for symbol in (A, B):
        scribe.tick(symbol, str(at[symbol]), spread="0.002")
    for symbol, move, gap in walk:
        at[symbol] = round(max(at[symbol] * (1 + D(move * gap) / 10_000), D(1)), 3)
        scribe.tick(symbol, str(at[symbol]), spread="0.002")
    return scribe


@settings(max_examples=150, deadline=None)
@given(HOLDINGS, WALK)
def test_over_random_walks_with_gaps_an_honest_engine_is_acquitted(
    holdings: list[tuple[int, int, int]], walk: list[tuple[str, int, int]]
) -> None:
    verdict = walked(holdings, walk).judged()
    assert told(verdict) == ""
    assert set(verdict.lateness) <= {0}


@settings(max_examples=100, deadline=None)
@given(HOLDINGS, WALK, st.integers(0, 10**6))
def test_over_random_walks_no_act_can_be_left_out_unseen(
    holdings: list[tuple[int, int, int]], walk: list[tuple[str, int, int]], which: int
) -> None:
    honest = walked(holdings, walk)
    acts = [n for n, entry in enumerate(honest.entries) if entry["rows"].get("liquidations")]
    if not acts:
        return
    # From the chosen act on nothing is done: that is found unless the tape ends within a tick
    place = acts[which % len(acts)]
    account, at = row_of(honest.entries[place])["sub_account_id"], honest.entries[place]["at"]
    seen = honest.books.__class__()
    for entry in honest.entries[:place]:
        seen.take(entry["rows"])
    symbols = seen.held[account].keys()
    behind = sum(tick.at > at and tick.symbol in symbols for tick in honest.ticks)
    honest.entries = honest.entries[:place]
    found = {finding.account for finding in honest.judged().findings if finding.rule == "missing"}
    assert (account in found) == (behind > 1)


def test_the_ladders_are_read_as_the_exchange_tells_them() -> None:
    rows = [
        {
            "bracket": 2,
            "notionalCap": 800000,
            "notionalFloor": 300000,
            "maintMarginRatio": D("0.005"),
            "cum": D("300.0"),
        },
        {
            "bracket": 1,
            "notionalCap": 300000,
            "notionalFloor": 0,
            "maintMarginRatio": D("0.004"),
            "cum": D("0.0"),
        },
    ]
    found = ladders([{"symbol": "BTCUSDT", "brackets": rows}])
    assert found["BTCUSDT"][0] == Bracket(D(300_000), D("0.004"), D(0))
    rules = Rules(brackets=found, steps={})
    # Both brackets say the same where they meet; beyond the last one it goes on
    assert rules.maintenance("BTCUSDT", D(300_000)) == 1200
    assert rules.maintenance("BTCUSDT", D(300_001)) == D("1200.005")
    assert rules.maintenance("BTCUSDT", D(900_000)) == 4200
