"""The judge of what may only reduce: it passes what makes way, and finds what stays behind its position."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "domain"))

from desk_maker import D, desk_at, note_position, trade
from filling import fill

from pms.domain import booking
from pms.domain.booking import note, observe
from pms.domain.orders import Seen
from pms.sim.judges.reducing import FITS, Reducing
from pms.sim.machines.books import Fold

TARGET = {"side": "SELL", "type": "LIMIT", "price": "61000", "quantity": "0.06", "reduceOnly": True}


@pytest.mark.parametrize("planted", [False, True])
def test_it_finds_what_stays_and_nothing_else(planted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    desk, books, found = desk_at(), Fold(), list[str]()
    judge = Reducing(lambda invariant, detail, *orders: found.append(invariant), lambda _: None)
    fill(desk, trade(desk, quantity="0.1"), price="60000")
    order = desk.orders[trade(desk, **TARGET).entry.rows.orders[0].client_order_id]
    observe(desk, order, Seen(70, "NEW", D(0)), at=10)
    for posting in (note(desk, order, at=10), note_position(desk, ("alice", "BTCUSDT", "BOTH"), at=10)):
        books.take(posting.entry)
    if planted:
        monkeypatch.setattr(booking, "fit_to", lambda *_: None)
    for sold, left_over in (("0.04", False), ("0.01", True)):
        entry = fill(desk, trade(desk, side="SELL", quantity=sold), price="60000").entry
        judge.before(books, entry)
        books.take(entry)
        judge.after(books, entry)
        assert found == [FITS] * (planted and left_over)
