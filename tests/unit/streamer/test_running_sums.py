"""Drift: told once, with its figures, when it has lasted; and a lost word is asked for at once."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, cast

from pms.contract.names import HOUSE
from pms.domain.custody import open_books
from pms.domain.desk import Desk
from pms.domain.incidents import incident, settled
from pms.streamer.conservation import Conservation, differences, money_differs
from pms.streamer.engine import Engine, Venue

D = Decimal


class Alarms:
    """What the streamer's engine does with an alarm: an incident of the desk, told when it is new."""

    def __init__(self, desk: Desk, venue: Venue) -> None:
        self.desk, self.venue = desk, venue
        self.told: list[str] = []
        self.looked = 0

    def money_missed(self) -> None:
        self.looked += 1

    def trades_missed(self, symbol: str) -> None:
        self.looked += 1

    def raise_incident(self, kind: str, severity: str, detail: str, **more: Any) -> None:
        if incident(self.desk, at=1, kind=kind, severity=severity, detail=detail, **more) is not None:
            self.told.append(detail)

    def settle_incident(self, kind: str, subject: str, how: str) -> None:
        settled(self.desk, at=1, kind=kind, subject=subject, how=how)

    def check(self, watch: Conservation, *, now: int) -> list[str]:
        """The incidents that one check tells."""
        watch.check(cast(Engine, self), now=now)
        told, self.told = self.told, []
        return told


def books() -> tuple[Desk, Venue]:
    """A house with 100 USDT, 2 BNB and 0.5 BTC, and an exchange that says the same."""
    desk = Desk(epoch="e")
    open_books(
        desk,
        at=1,
        wallet=D(100),
        positions=[("BTCUSDT", D("0.5"), D(60_000))],
        cursors={},
        assets={"BNB": D(2)},
    )
    return desk, Venue(wallets={"USDT": D(100), "BNB": D(2)}, positions={"BTCUSDT": D("0.5")})


def test_books_that_agree_have_no_drift() -> None:
    desk, venue = books()
    assert differences(desk, venue) == []
    assert differences(desk, Venue()) == [], "nothing before the exchange has spoken"


def test_a_difference_that_lasts_is_told_once_and_names_the_figures() -> None:
    (desk, venue), watch = books(), Conservation()
    alarms = Alarms(desk, venue)
    venue.positions["BTCUSDT"] = D("0.501")
    assert alarms.check(watch, now=0) == []
    assert watch.now == {"BTCUSDT": D("-0.001")}
    assert alarms.check(watch, now=2999) == []
    (told,) = alarms.check(watch, now=3000)
    assert told == "BTCUSDT: all accounts hold 0.5, the exchange says 0.501: -0.001 too little"
    assert alarms.check(watch, now=9000) == []
    venue.positions["BTCUSDT"] = D("0.5")
    assert alarms.check(watch, now=9001) == []
    assert watch.now == {}
    venue.positions["BTCUSDT"] = D("0.501")
    alarms.check(watch, now=9002)
    assert len(alarms.check(watch, now=13_000)) == 1, "a new drift is told anew"


def test_each_asset_is_compared_and_an_income_on_its_way_is_waited_for() -> None:
    (desk, venue), watch = books(), Conservation()
    alarms = Alarms(desk, venue)
    venue.wallets |= {"BNB": D(3), "USDC": D(1)}
    venue.income_heard = 1_000_000
    assert money_differs(desk, venue)
    alarms.check(watch, now=1_000_000)
    assert watch.now == {"BNB": D(-1), "USDC": D(-1)}
    assert alarms.check(watch, now=1_010_000) == []
    assert alarms.looked == 2, "the history is asked meanwhile, once an asset"
    told = alarms.check(watch, now=1_061_000)
    assert [line.split(":")[0] for line in told] == ["BNB", "USDC"]


def test_when_time_goes_on_what_was_touched_must_agree_or_is_asked_for() -> None:
    (desk, venue), watch, asked = books(), Conservation(), []

    def passes(now: int) -> None:
        watch.time_passed(desk, venue, now=now, behind=lambda: asked.append(now))

    passes(100_000)
    venue.positions["BTCUSDT"] = D("0.4")
    passes(101_000)
    assert asked == [], "nobody spoke of it"
    for now in (102_000, 103_000, 120_000):
        venue.touched.add("BTCUSDT")
        passes(now)
    assert asked == [102_000, 120_000], "not more often than every ten seconds"


def test_running_sums_are_recounted_now_and_then() -> None:
    (desk, venue), watch = books(), Conservation()
    alarms = Alarms(desk, venue)
    desk.accounts[HOUSE].balance += 1
    found = [line for turn in range(20) for line in alarms.check(watch, now=turn)]
    assert found == ["balances add up to 101, the running sum is 100"]
