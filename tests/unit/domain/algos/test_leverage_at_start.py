"""A leverage that the symbol does not permit is told at the start, as its first order would be told."""

from __future__ import annotations

from dataclasses import replace

import pytest
from market_world import BTC, SYMBOL, D, MarketWorld

from pms.contract.codes import Code, Refusal

SELL = {"side": "SELL", "quantity": "0.05"}
KINDS: dict[str, dict[str, object]] = {
    "pms.chase": SELL,
    "pms.twap": {"side": "SELL", "totalSize": "0.05", "lots": 5, "duration": 50},
    "pms.bracket": {**SELL, "takeProfit": "59000"},
    "pms.scalper": {"quantity": "0.01", "layers": 2, "baseOffsetPct": "0.1"},
}


def market(*, permits: int) -> MarketWorld:
    world = MarketWorld()
    world.desk.instruments[SYMBOL] = replace(BTC, max_leverage=permits)
    world.move(0)
    return world


def holding(quantity: str) -> MarketWorld:
    """Alice is long with leverage 10, of which the exchange has taken back all beyond 5."""
    world = market(permits=125)
    posting = world.ask("pms.trade", symbol=SYMBOL, side="BUY", quantity=quantity, leverage=10)
    (row,) = posting.entry.rows.orders
    world.ack(row.client_order_id)
    world.trade(row.client_order_id, D(quantity))
    world.desk.instruments[SYMBOL] = replace(BTC, max_leverage=5)
    return world


@pytest.mark.parametrize("leverage", [{"leverage": 126}, {}], ids=["named", "usual"])
@pytest.mark.parametrize("kind", KINDS)
def test_more_than_the_symbol_permits_is_refused(kind: str, leverage: dict[str, object]) -> None:
    world = market(permits=125 if leverage else 5)
    with pytest.raises(Refusal) as refused:
        world.start(kind, symbol=SYMBOL, **KINDS[kind], **leverage)
    assert (refused.value.code, refused.value.field) == (Code.LEVERAGE_RANGE, "leverage")
    assert world.desk.algos.every == {}


def test_what_could_open_is_refused_beside_a_position_that_keeps_its_own() -> None:
    world = holding("0.02")
    with pytest.raises(Refusal) as refused:
        world.start("pms.chase", symbol=SYMBOL, **SELL)
    assert refused.value.code == Code.LEVERAGE_RANGE


@pytest.mark.parametrize("reduce_only", [True, False])
def test_what_closes_keeps_the_positions_own(reduce_only: bool) -> None:
    world = holding("0.05")
    algo = world.start("pms.chase", symbol=SYMBOL, leverage=10, reduceOnly=reduce_only, **SELL)
    world.conduct(algo.id)
    (order,) = world.of(algo.id)
    assert order.total == D("0.05")
