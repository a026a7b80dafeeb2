"""Live orders that the exchange no longer lists, and those of them that it has forgotten.

Nobody hears of an order that ends while we are away; after three days its end cannot be asked for either.
Every reading of the open orders goes through here, so that two of them can witness together.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import structlog

from pms.binance.client import ExchangeClient, OrderAnswer
from pms.binance.errors import NotFound
from pms.binance.windows import Lane
from pms.domain.forgetting import acknowledged, ended_unseen, proves_over
from pms.domain.orders import Order
from pms.streamer.attention import seen_from
from pms.streamer.engine import Engine

log = structlog.get_logger()


@dataclass(slots=True)
class Forgotten:
    """Remembers since when an order has been missing from the list of open orders."""

    engine: Engine
    client: ExchangeClient
    _missing: dict[str, int] = field(default_factory=dict)
    #: by order, the exchange time at which the first list without it had come
    _asked_at: int = 0
    #: exchange time at which the newest list was asked for

    async def open_orders(self, *, lane: Lane = "query") -> list[OrderAnswer]:
        """Read the list of open orders, and note which of ours it lacks."""
        live = {coid: order for coid, order in self.engine.desk.live.items() if acknowledged(order)}
        asked_at = self.client.exchange_now_ms()
        listed = await self.client.open_orders(lane=lane)
        self._asked_at, now = asked_at, self.client.exchange_now_ms()
        shown = {(answer.symbol, answer.order_id) for answer in listed}
        self._missing = {
            coid: self._missing.get(coid, now)
            for coid, order in live.items()
            if (order.spec.symbol, order.exchange_order_id) not in shown
        }
        return listed

    async def settles(self, order: Order) -> bool:
        """Settle an order that is not found by our id, where that is possible; asks for the last witnesses.

        Trap: while they are asked the feed may tell of it; so the proof is judged once they have answered.
        """
        symbol, number = order.spec.symbol, order.exchange_order_id
        if number is None or not self._proven(order):
            return False
        try:
            answer = await self.client.query_order(symbol=symbol, order_id=number)
        except NotFound:
            trades = await self.client.user_trades(symbol=symbol, order_id=number)
        else:
            self.engine.observe(order, seen_from(answer), at=answer.update_time)
            return True
        if trades or not self._proven(order):
            return False
        log.warning("order_forgotten", order=order.spec.client_order_id)
        self.engine.observe(order, ended_unseen(order))
        return True

    def _proven(self, order: Order) -> bool:
        missing = self._missing.get(order.spec.client_order_id)
        return missing is not None and proves_over(
            order, unlisted_from=missing, unlisted_until=self._asked_at
        )
