"""What `pms bench admission` measures is admitted, under as many limits as it says, and taken back."""

from __future__ import annotations

from benchmarks.admission import OTHERS, SIXTEEN, _series
from pms.contract.names import HOUSE


def test_every_order_is_admitted_and_taken_back() -> None:
    series = _series(3, SIXTEEN, others=OTHERS)
    desk = series.desk
    assert len(SIXTEEN) == 16
    assert len(desk.limits.rows) == 100
    accounts = [account for account in desk.accounts if account != HOUSE]
    before = {account: desk.available_margin(account) for account in accounts}
    series.turn(accounts)
    assert len(series.taken.taken) == len(desk.requests) == 3
    assert (desk.live, desk.pending, desk.reserved) == ({}, {account: {} for account in accounts}, {})
    assert {account: desk.available_margin(account) for account in accounts} == before
