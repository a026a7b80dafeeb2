"""A market with a trader who holds a position: what she has by the exchange's own reckoning, and may sell.

`spare` is what she would have left if everything that may still close her position did: below zero somebody
has sold the same thing twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from market_world import SYMBOL, ZERO, AtExchange, MarketWorld

from pms.contract.codes import Refusal
from pms.contract.names import HOUSE
from pms.domain.algos.algo import Status
from pms.domain.desk import Top
from pms.domain.handing import hand_orders, hand_position
from pms.domain.positions import Position
from pms.domain.posting import Posting


@dataclass(slots=True)
class PositionWorld(MarketWorld):
    """Alice's position, and whatever she does with it besides."""

    holds: Decimal = ZERO
    #: signed, silent trades included

    # --- what she does ---

    def by_hand(self, side: str, quantity: str | Decimal, **terms: object) -> str | None:
        """An order of hers, acknowledged; one at market trades at once. None if it is refused."""
        fields = {"symbol": SYMBOL, "side": side, "quantity": str(quantity), "leverage": 10, **terms}
        try:
            posting = self.ask("pms.trade", **fields)
        except Refusal:
            return None
        (row,) = posting.entry.rows.orders
        self.ack(row.client_order_id)
        if row.price is None:
            self.trade(row.client_order_id, row.quantity)
        return row.client_order_id

    def cancel_by_hand(self, coid: str) -> None:
        """She cancels an order, and the exchange does."""
        self.desk.orders[coid].cancel_wanted = True
        self.end(coid, "CANCELED")

    def pause_or_resume(self, algo_id: str, action: str) -> None:
        """She pauses an algo or lets it go on, if it is neither over nor ending."""
        status = self.desk.algos.every[algo_id].status
        if (action, status) in {("pause", Status.RUNNING), ("resume", Status.PAUSED)}:
            self.ask("pms.algo", None, algoId=algo_id, action=action)

    def touch(self, bid: str, ask: str) -> None:
        """Put the book where it is wanted."""
        self.mid = Decimal(bid)
        self.desk.price(SYMBOL, Top(Decimal(bid), Decimal(1), Decimal(ask), Decimal(1), self.now))

    def taken_over(self, part: Decimal | None = None) -> None:
        """Her position goes to the house with her orders, or a part of it does."""
        held = self.position
        if held is None:
            return
        hers = self.hers()
        draft = self.desk.draft("liquidation", at=self.now)
        hand_orders(self.desk, draft, "alice", SYMBOL)
        quantity = held.quantity if part is None else min(part, abs(held.quantity)).copy_sign(held.quantity)
        hand_position(self.desk, draft, held, quantity, self.mid, reference="test")
        self._journal(Posting(entry=self.desk.sealed(draft).entry()))
        for order in hers:
            if order.row.sub_account_id != "alice":
                order.hers = order.told
        self.holds = self.desk.quantity(("alice", SYMBOL, "BOTH"))

    # --- judging ---

    @property
    def position(self) -> Position | None:
        return self.desk.holds(("alice", SYMBOL, "BOTH"))

    @property
    def position_id(self) -> str:
        assert self.position is not None
        return self.position.id

    def hers(self) -> list[AtExchange]:
        return [order for order in self.orders.values() if order.row.sub_account_id == "alice"]

    def spare(self, side: str = "SELL") -> Decimal:
        """Her position less all that orders of the side that closes it may still take."""
        taking = (order.exposed - order.filled for order in self.hers() if order.row.side == side)
        return (self.holds if side == "SELL" else -self.holds) - sum(taking, ZERO)

    def trade_silently(self, coid: str, quantity: Decimal) -> None:
        order = self.orders[coid]
        before = order.filled
        MarketWorld.trade_silently(self, coid, quantity)
        if order.row.sub_account_id != HOUSE:
            traded = order.filled - before
            self.holds += traded if order.row.side == "BUY" else -traded
