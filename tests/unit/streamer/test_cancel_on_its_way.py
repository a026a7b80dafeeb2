"""A cancel that is decided and not journaled yet: what is written of its order meanwhile does not lose it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "domain"))

from desk_maker import D, desk_at, request_id, trade

from pms.bus.inbox import Arrived
from pms.contract.journal import Rows, decode_entry, encode_entry
from pms.domain.desk import Desk
from pms.domain.orders import Seen
from pms.domain.posting import Posting
from pms.streamer.engine import Engine, Gate
from pms.streamer.outbox import Outbox


class OnTheirWay(Outbox):
    """Keeps what is to be journaled until the journal answers."""

    def __init__(self) -> None:
        Outbox.__init__(self, cast("Any", None), withdraw=lambda _: None, sleep=asyncio.sleep)
        self.told = list[tuple[Posting, Callable[[bool], None] | None]]()

    def add(self, posting: Posting | None, confirmed: Callable[[bool], None] | None = None) -> None:
        if posting is not None:
            self.told.append((posting, confirmed))

    def answer(self, request: str, *, held: bool) -> None:
        """The journal has this command's decision, or refused it."""
        for posting, confirmed in list(self.told):
            if any(row.request_id == request for row in posting.entry.rows.commands) and confirmed:
                confirmed(held)


class Life:
    """An engine with one resting order."""

    def __init__(self) -> None:
        self.desk = desk_at()
        self.first = Rows(sub_accounts=tuple(account.row() for account in self.desk.accounts.values()))
        self.outbox = OnTheirWay()
        self.engine = Engine(
            self.desk, self.outbox, gate=Gate(closed_because=None), redis_now_ms=lambda: 1_000
        )
        self.engine.agenda = cast("Any", SimpleNamespace(put=lambda coid, *, in_s: None))
        admitted = trade(self.desk, type="LIMIT", price="59000")
        self.outbox.add(admitted)
        self.coid = admitted.entry.rows.orders[0].client_order_id
        self.order = self.desk.orders[self.coid]
        self.engine.observe(self.order, Seen(1, "NEW", D(0), at=1_000))

    def ask(self, name: str, **fields: object) -> str:
        """A command is decided, and its entry is on its way."""
        request = request_id()
        text = json.dumps({"requestId": request, **fields})
        self.engine.decide(Arrived(request, name, text, at=1_000, deadline=6_000))
        return request

    def moves(self) -> None:
        """The exchange tells something of the order: its row is written behind the decision."""
        self.engine.observe(self.order, Seen(1, "PARTIALLY_FILLED", D("0.001"), at=1_000))

    def next_desk(self) -> Desk:
        """What the next life reads of all that was written, if this one ends now."""
        desk = Desk(epoch="e2")
        desk.instruments, desk.tops = self.desk.instruments, self.desk.tops
        desk.load(self.first)
        for posting, _ in self.outbox.told:
            desk.load(decode_entry(encode_entry(posting.entry)).rows)
        return desk


CANCELS = [("pms.cancel", True), ("pms.cancel_all", False)]


@pytest.mark.parametrize(("name", "named"), CANCELS)
def test_the_next_life_knows_of_a_cancel_behind_which_its_order_moved(name: str, named: bool) -> None:
    life = Life()
    life.ask(name, **({"orderId": life.coid} if named else {}))
    life.moves()
    assert life.next_desk().orders[life.coid].cancel_wanted
    assert not life.order.cancel_wanted


@pytest.mark.parametrize(("name", "named"), CANCELS)
def test_it_is_wanted_from_when_the_journal_has_it(name: str, named: bool) -> None:
    life = Life()
    request = life.ask(name, **({"orderId": life.coid} if named else {}))
    life.moves()
    life.outbox.answer(request, held=True)
    assert life.order.cancel_wanted
    assert life.order.cancel_asked is None
    assert life.next_desk().orders[life.coid].cancel_wanted


def test_one_that_did_not_stand_is_taken_out_of_the_rows_that_told_of_it() -> None:
    life = Life()
    request = life.ask("pms.cancel", orderId=life.coid)
    life.moves()
    life.outbox.answer(request, held=False)
    assert not life.order.cancel_wanted
    assert not life.next_desk().orders[life.coid].cancel_wanted


def test_an_amendment_decided_meanwhile_takes_no_cancel_that_did_not_stand() -> None:
    life = Life()
    cancel = life.ask("pms.cancel", orderId=life.coid)
    amend = life.ask("pms.amend", orderId=life.coid, price="59500")
    life.outbox.answer(cancel, held=False)
    life.outbox.answer(amend, held=True)
    assert life.order.amend is not None
    assert not life.order.cancel_wanted
    assert not life.next_desk().orders[life.coid].cancel_wanted


@pytest.mark.parametrize("stands", [0, 1])
def test_of_two_the_one_that_stands_holds(stands: int) -> None:
    life = Life()
    requests = [life.ask("pms.cancel", orderId=life.coid), life.ask("pms.cancel_all")]
    life.moves()
    for number, request in enumerate(requests):
        life.outbox.answer(request, held=number == stands)
    assert life.order.cancel_wanted
    assert life.next_desk().orders[life.coid].cancel_wanted
