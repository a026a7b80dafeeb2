"""Acts of the exchange itself: funding, transfers of any asset, liquidation, ADL, settlement.

None of them is asked for by the account that they befall. An operator steers them over rest/admin.py;
fundings also come by themselves (funding.py).
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from pms.venue import errors, user_events
from pms.venue.account import Account
from pms.venue.exchange import Exchange
from pms.venue.insurance import Insurance
from pms.venue.ledger import to_cents
from pms.venue.matching import BUY, SELL, Fill
from pms.venue.state import BOTH, WALLET, ZERO, Funding, Order

ACCOUNT_LIQUIDATED, DELISTED = 5, 7


MOST_NAMED = 10**15
"""An order's id is cut to so many digits in its name: the longest name is then 36 characters."""


class Closing(StrEnum):
    """Why the exchange closes a position, by the client id that it gives such an order."""

    LIQUIDATION = "autoclose-"
    ADL = "adl_autoclose"
    SETTLEMENT = "settlement_autoclose-"

    def named(self, order_id: int) -> str:
        """The client id of one order: at most 36 characters, or nobody could ask for it. ADL has but one."""
        return str(self) if self is Closing.ADL else f"{self}{order_id % MOST_NAMED}"


class Acts:
    """What the exchange does to accounts; each call is one transaction."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._insurance = Insurance(exchange)

    def fund(self, symbol: str, rate: Decimal) -> Funding:
        """Let longs pay shorts (or, negative, be paid) quantity x mark x rate; the history keeps it."""
        exchange = self._exchange
        market = exchange.markets[symbol]
        with exchange.transaction() as tx:
            mark = to_cents(market.mark)
            funding = Funding(symbol=symbol, rate=rate, mark=mark, time=tx.time)
            market.fundings.append(funding)
            tx.record(funding)
            for account in exchange.accounts.values():
                for leg in account.legs.get(symbol, {}).values():
                    if not leg.position.lots:
                        continue
                    amount = to_cents(-market.symbol.step * leg.position.lots * mark * rate)
                    exchange.settlement.credit(tx, account, amount, type_="FUNDING_FEE", symbol=symbol)
                    update = user_events.account_update(
                        account, time=tx.time, reason="FUNDING_FEE", change=amount, positions=[]
                    )
                    tx.tell(account.name, "ACCOUNT_UPDATE", update)
        return funding

    def transfer(self, account: Account, asset: str, amount: Decimal) -> None:
        """Move an asset in (or, negative, out)."""
        exchange = self._exchange
        with exchange.transaction() as tx:
            exchange.settlement.credit(tx, account, amount, type_="TRANSFER", asset=asset)
            update = user_events.account_update(
                account,
                time=tx.time,
                reason="DEPOSIT" if amount > 0 else "WITHDRAW",
                change=amount,
                positions=[],
                assets=(asset,),
            )
            tx.tell(account.name, "ACCOUNT_UPDATE", update)

    def close(
        self,
        account: Account,
        symbol: str,
        why: Closing,
        *,
        lots: int | None,
        price: int,
        position_side: str = BOTH,
    ) -> Order:
        """Close (some of) an account's position at a price, as the exchange does of its own accord.

        The book is not touched: the counterparty is the insurance fund, or whoever is deleveraged.
        A liquidation also expires the account's open orders in the symbol and takes a clearance fee.
        Trap: what the exchange does of its own accord (liquidation.py) goes into the book first.
        """
        exchange = self._exchange
        market, leg = exchange.markets[symbol], account.leg(symbol, position_side)
        position = leg.position
        if not position.lots:
            raise errors.refusal(-2022)
        lots = min(lots or abs(position.lots), abs(position.lots))
        side = SELL if position.lots > 0 else BUY
        with exchange.transaction() as tx:
            if why is not Closing.ADL:
                reason = ACCOUNT_LIQUIDATED if why is Closing.LIQUIDATION else DELISTED
                exchange.expire_open(tx, account, symbol, reason=reason)
            order_id = market.take_order_id()
            order = Order(
                account=account.name,
                symbol=symbol,
                order_id=order_id,
                client_order_id=why.named(order_id),
                side=side,
                type="LIQUIDATION" if why is Closing.LIQUIDATION else "MARKET",
                time_in_force="IOC" if why is Closing.LIQUIDATION else "GTC",
                price=price if why is Closing.LIQUIDATION else 0,
                quantity=lots,
                reduce_only=True,
                self_trade="NONE",
                created=tx.time,
                updated=tx.time,
                position_side=position_side,
            )
            account.remember(order)
            tx.record(order)
            if why is Closing.LIQUIDATION:
                self._insurance.take_over(tx, market, order, price=price, announce=True)
                tx.liquidated.append(order)
            else:
                fill = Fill(maker=None, price=price, quantity=lots, taker_side=side)
                adl = why is Closing.ADL
                exchange.settlement.settle(
                    tx,
                    market,
                    fill,
                    order,
                    announce=True,
                    execution="CALCULATED" if adl else "TRADE",
                    kind="ADL" if adl else "SETTLEMENT",
                )
            exchange.position_moved(tx, market, leg)
            if why is Closing.LIQUIDATION:
                self._insurance.clear(tx, account, symbol, market.symbol.notional(price, lots))
        return order

    def set_position_mode(self, account: Account, *, hedge: bool) -> None:
        """One net position a symbol, or a long and a short one; -4067 with open orders, -4068 with positions.

        Trap: conditional orders that wait are open orders, too; who asks knows of them.
        """
        if account.wallet.hedge == hedge:
            raise errors.refusal(-4059)
        if any(account.open.values()):
            raise errors.refusal(-4067)
        if any(leg.position.lots for leg in account.every_leg()):
            raise errors.refusal(-4068)
        with self._exchange.transaction() as tx:
            account.wallet.hedge = hedge
            account.wallet.updated = tx.time
            tx.record(account.wallet)

    def set_commission(self, account: Account, *, maker: Decimal | None, taker: Decimal | None) -> None:
        """Give an account rates of its own; None is the venue's."""
        with self._exchange.transaction() as tx:
            account.wallet.maker_rate, account.wallet.taker_rate = maker, taker
            account.wallet.updated = tx.time
            tx.record(account.wallet)

    def burn_fees(self, account: Account, *, on: bool) -> None:
        """Pay commissions in BNB, at a tenth less, as long as there is some."""
        with self._exchange.transaction() as tx:
            account.wallet.fee_burn = on
            account.wallet.updated = tx.time
            tx.record(account.wallet)


def held(account: Account, asset: str) -> Decimal:
    """What an account holds of an asset."""
    wallet = account.wallet
    return wallet.balance if asset == WALLET else wallet.assets.get(asset, ZERO)
