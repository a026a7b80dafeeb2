"""Fills into trades, positions, wallets and user events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from pms.venue import user_events
from pms.venue.account import Account
from pms.venue.ledger import apply_fill, to_cents
from pms.venue.market import Market
from pms.venue.matching import SELL, Fill
from pms.venue.state import WALLET, ZERO, Income, Order, Trade, Wallet
from pms.venue.transaction import Print, PrintKind, Transaction

BURNT = "BNB"
BURN_SHARE = Decimal("0.9")
"""What of a commission is left to pay when it is paid in BNB (Binance: 10 % off in USDⓈ-M futures)."""


@dataclass(frozen=True, slots=True)
class Fees:
    """Commission rates of every account that has none of its own, for all symbols."""

    maker: Decimal = Decimal("0.0002")
    taker: Decimal = Decimal("0.0005")

    def of(self, wallet: Wallet) -> Fees:
        """The rates that an account pays."""
        if wallet.maker_rate is None and wallet.taker_rate is None:
            return self
        return Fees(
            self.maker if wallet.maker_rate is None else wallet.maker_rate,
            self.taker if wallet.taker_rate is None else wallet.taker_rate,
        )


class Settlement:
    """Books fills. One transaction may hold many; events come in the order Binance sends them."""

    def __init__(self, accounts: Mapping[str, Account], fees: Fees, *, markets: Mapping[str, Market]) -> None:
        self.accounts = accounts
        self.fees = fees
        self.markets = markets

    def settle(
        self,
        tx: Transaction,
        market: Market,
        fill: Fill,
        taker: Order | None,
        *,
        announce: bool = False,
        execution: str = "TRADE",
        kind: PrintKind = "MARKET",
    ) -> None:
        """Book one fill on both sides; `taker` None or maker None is the anonymous market.

        `announce` tells of the taker's acceptance too, which Binance sends behind the first TRADE_LITE;
        `execution` is the taker's execution type: CALCULATED where the exchange itself traded. A fill of any
        other `kind` than the market's leaves the last price as it was.
        """
        trade_id = market.take_trade_id()
        if kind == "MARKET":
            market.last_price = fill.price
        name = market.symbol.name
        tx.touched.add(name)
        seller_takes = fill.taker_side == SELL
        tx.prints.append(Print(name, trade_id, fill.price, fill.quantity, seller_takes, tx.time, kind))
        if taker is not None:
            self._book(
                tx,
                market,
                taker,
                fill,
                trade_id=trade_id,
                maker=False,
                announce=announce,
                execution=execution,
            )
        if fill.maker is not None:
            maker = fill.maker.key
            assert isinstance(maker, Order)
            self._book(tx, market, maker, fill, trade_id=trade_id, maker=True)

    def _book(
        self,
        tx: Transaction,
        market: Market,
        order: Order,
        fill: Fill,
        *,
        trade_id: int,
        maker: bool,
        announce: bool = False,
        execution: str = "TRADE",
    ) -> None:
        account = self.accounts[order.account]
        leg = account.leg(order.symbol, order.position_side)
        symbol = market.symbol
        order.executed += fill.quantity
        order.quote += fill.price * fill.quantity
        order.status = "FILLED" if order.executed == order.quantity else "PARTIALLY_FILLED"
        order.updated = tx.time
        if maker and not order.reduce_only:
            freed = order.assumed * symbol.step * fill.quantity
            leg.exposure.add(order.side, -freed)
        if maker and order.status == "FILLED":
            account.close(order)
        fees = self.fees.of(account.wallet)
        rate = fees.maker if maker else fees.taker
        commission = to_cents(symbol.notional(fill.price, fill.quantity) * rate)
        paid, paid_in = self._payable(account, commission)
        position = leg.position
        realized = apply_fill(
            position,
            lots=fill.quantity * order.side,
            price=symbol.price(fill.price),
            step=symbol.step,
            commission=commission,
        )
        position.updated = tx.time
        trade = Trade(
            account=account.name,
            symbol=order.symbol,
            trade_id=trade_id,
            order_id=order.order_id,
            client_order_id=order.client_order_id,
            side=order.side,
            price=fill.price,
            quantity=fill.quantity,
            realized=realized,
            commission=paid,
            maker=maker,
            time=tx.time,
            commission_asset=paid_in,
            position_side=order.position_side,
        )
        account.trades[order.symbol].append(trade)
        for fact in (order, position, trade):
            tx.record(fact)
        if realized:
            self.credit(tx, account, realized, type_="REALIZED_PNL", trade=trade)
        self.credit(tx, account, -paid, type_="COMMISSION", trade=trade, asset=paid_in)
        self._tell(tx, market, account, order, trade, announce=announce, execution=execution)

    def _payable(self, account: Account, commission: Decimal) -> tuple[Decimal, str]:
        """A commission as it is paid: in BNB at its mark while fee burn is on and there is enough.

        A rebate is never paid out in BNB.
        """
        market = self.markets.get(BURNT + WALLET)
        if commission > 0 and account.wallet.fee_burn and market is not None and market.mark:
            burnt = to_cents(commission * BURN_SHARE / market.mark)
            if burnt <= account.wallet.assets.get(BURNT, ZERO):
                return burnt, BURNT
        return commission, WALLET

    def credit(
        self,
        tx: Transaction,
        account: Account,
        amount: Decimal,
        *,
        type_: str,
        trade: Trade | None = None,
        symbol: str = "",
        asset: str = WALLET,
    ) -> None:
        """Move an account's cash and note why in its income history."""
        wallet = account.wallet
        if asset == WALLET:
            wallet.balance += amount
        else:
            wallet.assets = wallet.assets | {asset: wallet.assets.get(asset, ZERO) + amount}
        wallet.updated = tx.time
        income = Income(
            account=account.name,
            symbol=trade.symbol if trade else symbol,
            type=type_,
            amount=amount,
            time=tx.time,
            transaction_id=wallet.next_transaction,
            trade_id=trade.trade_id if trade else None,
            asset=asset,
        )
        wallet.next_transaction += 1
        account.incomes.append(income)
        tx.record(wallet)
        tx.record(income)

    def _tell(
        self,
        tx: Transaction,
        market: Market,
        account: Account,
        order: Order,
        trade: Trade,
        *,
        announce: bool,
        execution: str,
    ) -> None:
        time = tx.time
        tx.tell(account.name, "TRADE_LITE", user_events.trade_lite(order, trade, market=market))
        if announce:
            self.tell_order(tx, market, order, execution="NEW", accepted=True)
        tx.tell(
            account.name,
            "ACCOUNT_UPDATE",
            user_events.account_update(
                account,
                time=time,
                reason="ORDER",
                change=ZERO,
                positions=[(account.position(order.symbol, order.position_side), market)],
                assets=(WALLET,) if trade.commission_asset == WALLET else (WALLET, trade.commission_asset),
            ),
        )
        self.tell_order(tx, market, order, execution=execution, trade=trade)

    def tell_order(
        self,
        tx: Transaction,
        market: Market,
        order: Order,
        *,
        execution: str,
        trade: Trade | None = None,
        expiry_reason: int = 0,
        accepted: bool = False,
    ) -> None:
        """Queue an ORDER_TRADE_UPDATE."""
        account = self.accounts[order.account]
        tx.tell(
            account.name,
            "ORDER_TRADE_UPDATE",
            user_events.order_update(
                order,
                market=market,
                account=account,
                time=tx.time,
                execution=execution,
                trade=trade,
                expiry_reason=expiry_reason,
                accepted=accepted,
            ),
        )
