"""Behind a restart prices are gone, and losses are not: what is held is valued before anything is opened."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "domain"))

from desk_maker import BTC, D, decide, desk_at, trade
from filling import fill

from pms.binance.answers import PremiumIndex
from pms.binance.errors import Unsent
from pms.contract.codes import Code, Refusal
from pms.domain.booking import observe
from pms.domain.desk import Desk, Top
from pms.domain.funds import check_priced
from pms.domain.orders import Seen
from pms.streamer.start import price_held

ETH = Top(D(3000), D(1), D("3000.1"), D(1), 1)
OPENS = {"symbol": "ETHUSDT", "type": "LIMIT", "price": "3000", "quantity": "15", "leverage": 10}


class Exchange:
    """Its marks, if it answers at all."""

    def __init__(self, mark: str | None) -> None:
        self.mark = mark

    async def premium_indexes(self) -> list[PremiumIndex]:
        if self.mark is None:
            raise Unsent("away")
        mark = D(self.mark)
        rows = {"BTCUSDT": mark, "XXXUSDT": D(7)}
        return [PremiumIndex(symbol=name, mark_price=each, index_price=each) for name, each in rows.items()]


@pytest.fixture
def desk() -> Desk:
    """Alice is long of BTC in a life that knows the price of ETH alone."""
    desk = desk_at()
    desk.instruments["ETHUSDT"] = replace(BTC, symbol="ETHUSDT", base_asset="ETH")
    desk.price("ETHUSDT", ETH)
    fill(desk, trade(desk, quantity="1", leverage=100), price="60000")
    desk.tops.pop("BTCUSDT")
    desk.last_tops.pop("BTCUSDT")
    return desk


async def start(desk: Desk, mark: str | None) -> None:
    await price_held(desk, cast(Any, Exchange(mark)))


def refused(desk: Desk, name: str, **fields: object) -> Refusal:
    with pytest.raises(Refusal) as caught:
        decide(desk, name, **fields)
    return caught.value


async def test_a_loss_that_this_life_has_not_seen_is_no_money_to_open_with(desk: Desk) -> None:
    balance = desk.accounts["alice"].balance
    await start(desk, str(D(60_000) - balance + 700))
    assert desk.equity("alice") == 700
    refusal = refused(desk, "pms.trade", subAccountId="alice", side="BUY", **OPENS)
    assert refusal.code is Code.MARGIN


async def test_a_mark_is_no_price_to_act_on(desk: Desk) -> None:
    await start(desk, "59000")
    assert desk.last_tops.keys() == {"BTCUSDT", "ETHUSDT"}, "only of what is held"
    assert "BTCUSDT" not in desk.tops
    with pytest.raises(Refusal):
        check_priced(desk, "alice", field="subAccountId")
    desk.price("BTCUSDT", replace(ETH, bid=D(58_000), ask=D(58_000)))
    await start(desk, "1")
    assert desk.last_tops["BTCUSDT"].mid == 58_000


async def test_where_no_mark_is_known_nothing_is_opened_and_reducing_goes_on(desk: Desk) -> None:
    await start(desk, None)
    refusal = refused(desk, "pms.trade", subAccountId="alice", side="BUY", **OPENS)
    assert (refusal.code, refusal.field, refusal.actual) == (Code.PRICE_STALE, "symbol", "BTCUSDT")
    trade(desk, "bob", **OPENS)
    desk.price("BTCUSDT", replace(ETH, bid=D(60_000), ask=D(60_000)))
    trade(desk, "alice", side="SELL", quantity="0.5", leverage=100, reduceOnly=True)


@pytest.mark.parametrize(("quantity", "refused_as"), [("1.5", Code.PRICE_STALE), ("0.5", None)])
async def test_nor_is_a_resting_order_made_larger(desk: Desk, quantity: str, refused_as: Code | None) -> None:
    desk.price("BTCUSDT", replace(ETH, bid=D(60_000), ask=D(60_000)))
    posting = trade(desk, "alice", **{**OPENS, "quantity": "1"})
    order = desk.orders[posting.entry.rows.orders[0].client_order_id]
    observe(desk, order, Seen(77, "NEW", D(0), None, D(1), D(3000), 1500), at=1500)
    desk.tops.pop("BTCUSDT")
    desk.last_tops.pop("BTCUSDT")
    wish = {"orderId": order.spec.client_order_id, "quantity": quantity, "price": "3000"}
    if refused_as is None:
        decide(desk, "pms.amend", **wish)
        return
    assert refused(desk, "pms.amend", **wish).code is refused_as
    assert order.amend is None
