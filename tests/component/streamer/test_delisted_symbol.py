"""A symbol that was traded, and that the exchange lists no more: all others are caught up with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
import pytest_asyncio
from house_at_venue import BTCUSDT, D, Life, Place, place, send

from pms.binance.client import PlaceOrder
from pms.binance.errors import Refused, Unknown
from pms.bus.inbox import Reconcile
from pms.domain.orders import State
from pms.streamer.reconcile import Reconciler

ETHUSDT = "ETHUSDT"


@pytest_asyncio.fixture
async def venue(redis_url: str) -> AsyncIterator[Place]:
    async with place(redis_url) as there:
        yield there


def order(name: str, side: str, price: str | None = None) -> PlaceOrder:
    return PlaceOrder(
        symbol=ETHUSDT,
        side=side,
        type="LIMIT" if price else "MARKET",
        quantity=D("0.5"),
        price=D(price) if price else None,
        time_in_force="GTC" if price else None,
        client_order_id=name,
    )


async def resting(there: Place) -> Life:
    """A life with an order of alice's in BTCUSDT, and a trade of hers in ETHUSDT that it has not heard of."""
    life = Life(there.ours, [])
    await life.begin()
    await life.open(alice="10000")
    price = str((await there.mark() * D("0.98")).quantize(D(1)))
    life.price(price)
    command = {"symbol": BTCUSDT, "side": "BUY", "quantity": "0.01", "type": "LIMIT", "price": price}
    posting = life.command("pms.trade", subAccountId="alice", leverage=10, **command)
    placed = life.desk.orders[posting.entry.rows.orders[0].client_order_id]
    await life.send(placed)
    await there.ours.cancel(symbol=BTCUSDT, client_order_id=placed.spec.client_order_id)
    mark = str((await there.ours.premium_index(ETHUSDT)).mark_price.quantize(D("0.1")))
    await send(there.other, order("web_1", "SELL", mark))
    await send(there.ours, order("PMS_alice_M_1", "BUY"))
    return life


def delist(there: Place) -> object:
    return there.venue.venue.symbols.by_name.pop(BTCUSDT)


def told(life: Life) -> list[tuple[str, str, str]]:
    return [(row.kind, row.subject, row.severity) for row in life.desk.incidents.of_kind("symbol_refused")]


async def test_a_start_catches_up_with_all_other_symbols_and_tells_of_it(venue: Place) -> None:
    before = await resting(venue)
    await before.die()
    delist(venue)
    life = Life(venue.ours, before.journal.entries)
    await life.begin()
    await life.heard()
    assert life.desk.position("alice", ETHUSDT).quantity == D("0.5")
    assert told(life) == [("symbol_refused", BTCUSDT, "critical")], "an order of ours may still live there"
    await life.die()


async def test_a_pass_of_reconciliation_ends_as_well(venue: Place) -> None:
    life = await resting(venue)
    delist(venue)
    nobody = cast(Any, None)
    passes = Reconciler(life.engine, venue.ours, life.catch_up, nobody, now_ms=lambda: life.now)
    report = await passes.reconcile(Reconcile("one"))
    assert report.fault is None
    assert life.desk.position("alice", ETHUSDT).quantity == D("0.5")
    assert told(life) == [("symbol_refused", BTCUSDT, "critical")]
    await life.die()


async def test_where_it_is_listed_again_it_is_caught_up_with_and_the_incident_ends(venue: Place) -> None:
    life = await resting(venue)
    listed = delist(venue)
    await life.heard()
    venue.venue.venue.symbols.by_name[BTCUSDT] = cast(Any, listed)
    await life.heard()
    assert told(life) == []
    (known,) = [each for each in life.desk.orders.values() if each.spec.symbol == BTCUSDT]
    assert known.state is State.CANCELLED
    await life.die()


@pytest.mark.parametrize(
    "fault", [Unknown("no answer"), Refused("Illegal characters found in parameter.", code=-1100)]
)
async def test_another_fault_is_no_word_about_the_symbol(
    venue: Place, fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = await resting(venue)

    async def fails(**_: object) -> None:
        raise fault

    monkeypatch.setattr(life.client, "user_trades", fails)
    with pytest.raises(type(fault)):
        await life.catch_up.run()
    assert told(life) == []
    await life.die()
