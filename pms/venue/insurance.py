"""The insurance fund: an account of the exchange's own, which takes over what a liquidation cannot sell.

Its wallet takes clearance fees and pays what liquidated accounts owe beyond their balance, so it may be below
zero, and what it holds it holds until an operator trades it away. It pays no commission and is never
liquidated. As it is an account like any other, nothing of it needs a journal or a restart of its own.
"""

from __future__ import annotations

from decimal import Decimal

from pms.venue import user_events
from pms.venue.account import Account
from pms.venue.exchange import Exchange
from pms.venue.ledger import to_cents
from pms.venue.market import Market
from pms.venue.matching import BookOrder, Fill
from pms.venue.state import ZERO, Order
from pms.venue.transaction import Transaction

FUND = "insurance-fund"
CLEARANCE_FEE = Decimal("0.0125")


class Insurance:
    """What the fund does for the exchange, each time within the change that needs it."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    @property
    def account(self) -> Account:
        """The fund's account, opened when it is first needed."""
        found = self._exchange.accounts.get(FUND)
        if found is None:
            found = self._exchange.open_account(FUND, ZERO)
            found.wallet.maker_rate = found.wallet.taker_rate = ZERO
        return found

    def take_over(
        self, tx: Transaction, market: Market, order: Order, *, price: int, announce: bool = False
    ) -> None:
        """Be the counterparty of what is left of an order, at a price; `announce` as in Settlement.settle."""
        account, name, lots = self.account, market.symbol.name, order.remaining
        leg, order_id = account.leg(name), market.take_order_id()
        taken = Order(
            account=FUND,
            symbol=name,
            order_id=order_id,
            client_order_id=f"{FUND}-{order_id}",
            side=-order.side,
            type="LIMIT",
            time_in_force="IOC",
            price=price,
            quantity=lots,
            reduce_only=False,
            self_trade="NONE",
            created=tx.time,
            updated=tx.time,
        )
        account.remember(taken)
        maker = BookOrder(order_id, leg.seat, taken.client_order_id, taken.side, price, 0, key=taken)
        fill = Fill(maker=maker, price=price, quantity=lots, taker_side=order.side)
        self._exchange.settlement.settle(tx, market, fill, order, announce=announce, kind="INSURANCE_FUND")
        self._exchange.position_moved(tx, market, leg)

    def clear(self, tx: Transaction, account: Account, symbol: str, notional: Decimal) -> None:
        """Take the clearance fee of what was closed, as far as there is something; or pay what is owed.

        Trap: only once all that shall be closed is closed, since the last of it may be what pays the rest.
        For an account that still holds something the fund pays nothing.
        """
        balance = account.wallet.balance
        if balance < 0 and any(leg.position.lots for leg in account.every_leg()):
            return
        fee = min(to_cents(notional * CLEARANCE_FEE), balance)
        if not fee:
            return
        for payer, amount in ((account, -fee), (self.account, fee)):
            self._exchange.settlement.credit(tx, payer, amount, type_="INSURANCE_CLEAR", symbol=symbol)
            update = user_events.account_update(
                payer, time=tx.time, reason="INSURANCE_CLEAR", change=amount, positions=[]
            )
            tx.tell(payer.name, "ACCOUNT_UPDATE", update)
