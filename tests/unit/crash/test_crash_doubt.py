"""What the judge cannot know from outside it gives to the engine, and no more than that."""

from __future__ import annotations

from decimal import Decimal as D

from crash_books import HOUSE, fold
from crash_judge import Judge
from crash_tape import Mark, Permit, Tape, Tick
from scribe import A, Scribe
from spoiling import fallen, told


def test_while_it_was_away_nothing_was_due_and_afterwards_all_is() -> None:
    for back, rules in ((True, set()), (False, {"missing"})):
        scribe = Scribe().begin()
        scribe.account("anna", "50", AUSDT=("10", "100"))
        scribe.tick(A, "100")
        gone = scribe.now + 1
        scribe.blind = True
        for price in ("95", "94", "93", "92"):
            scribe.tick(A, price)
        away = (gone, scribe.now)
        scribe.blind = not back
        for price in ("91", "90.9", "90.8"):
            scribe.tick(A, price)
        assert scribe.judged(away=[away]).rules == rules
        assert "late" in scribe.judged().rules or "missing" in scribe.judged().rules


def test_a_torn_price_must_not_be_acted_on_and_need_not_be() -> None:
    for acts, rules in ((False, set()), (True, {"blocked"})):
        scribe = Scribe().begin()
        scribe.account("anna", "50", AUSDT=("10", "100"))
        scribe.blind = True
        for number in range(60):
            if number % 10 == 0:
                scribe.mark(A, "100")
            scribe.blind = not acts or number < 30
            scribe.tick(A, "94" if number > 20 else "100")
        assert scribe.judged().rules == rules


def test_once_the_mark_has_followed_it_is_due() -> None:
    scribe = Scribe().begin()
    scribe.account("anna", "50", AUSDT=("10", "100"))
    scribe.blind = True
    for mark in ("100", "94", "94", "94", "94", "94"):
        scribe.mark(A, mark)
        for _ in range(10):
            scribe.tick(A, "94")
    assert scribe.judged().rules == {"missing"}


def test_a_mark_near_in_time_is_a_maybe_and_an_old_one_says_nothing() -> None:
    tape = Tape([], [Mark(A, 10_000, D(100)), Mark(A, 20_000, D(94))])

    def permit(at: int, price: str) -> Permit:
        return tape.permit(Tick(A, at, D(price), D(price)))

    assert permit(11_500, "94") is Permit.NO
    assert permit(11_500, "95") is Permit.YES
    assert permit(13_500, "94") is Permit.YES
    assert permit(9_500, "94") is Permit.MAYBE
    assert permit(20_500, "99") is Permit.MAYBE
    assert permit(21_500, "99") is Permit.NO


def test_around_a_change_that_no_tick_made_it_may_have_been_weighed_either_way() -> None:
    scribe = Scribe().begin()
    scribe.account("anna", "50", AUSDT=("10", "100"))
    scribe.tick(A, "100")
    scribe.blind = True
    scribe.tick(A, "95.9")
    # Money comes in just then: before it the takeover was due, after it nothing is
    scribe.write("transfer", ledger=[("anna", D(100), "TRANSFER"), (HOUSE, D(-100), "TRANSFER")])
    for _ in range(40):
        scribe.tick(A, "95.9")
    assert told(scribe.judged()) == ""


def test_what_lies_behind_the_horizon_is_not_due_yet_and_what_lies_before_since_is_read_only() -> None:
    scribe = Scribe().begin()
    scribe.account("anna", "50", AUSDT=("10", "100"))
    scribe.tick(A, "100")
    scribe.blind = True
    for price in ("95", "94", "93"):
        scribe.tick(A, price)
    tape = Tape(scribe.ticks, ())
    assert Judge(tape, scribe.rules, horizon=1).judge(fold(scribe.entries)).rules == set()
    assert Judge(tape, scribe.rules, horizon=3).judge(fold(scribe.entries)).rules == {"missing"}
    # A crash before this one is not on the tape; its entries say only where the accounts stand now
    earlier = fallen("100", "96.3", "96.15")
    since = earlier.entries[-1]["seq"]
    earlier.tick(A, "90")
    tape = Tape(earlier.ticks[-1:], ())
    assert Judge(tape, earlier.rules).judge(fold(earlier.entries)).rules == {"tops"}
    verdict = Judge(tape, earlier.rules).judge(fold(earlier.entries), since=since)
    assert (told(verdict), verdict.liquidated) == ("", {"anna"})
