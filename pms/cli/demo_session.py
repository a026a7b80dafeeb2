"""The trading session that the demo plays, through the same door as a gateway's."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_DOWN, Decimal
from typing import Any
from uuid import uuid4

import click

from pms.cli.exchange import ExchangeReader
from pms.cli.feed import Event, Feed
from pms.cli.output import accepted, refused
from pms.cli.session import Failed, Session
from pms.contract.names import HOUSE, Task

PATIENCE_S = 15.0
TRIES = 8
SYMBOL, OTHER = "BTCUSDT", "ETHUSDT"
TICK = Decimal("0.1")
MORE = Decimal("0.050")
"""By how much an order exceeds what stands at the best ask, so that a rest of it rests."""


async def play(session: Session, feed: Feed) -> None:
    """Play every scene; raises Failed when one does not go as told."""
    scenes = Scenes(session, feed)
    await scenes.open_accounts()
    await scenes.market_order()
    await scenes.resting_limit_and_cancel()
    await scenes.partial_fill()
    await scenes.short_on_the_other_account()
    await scenes.close()
    await scenes.refused_command()
    await scenes.repeated_command()


class Scenes:
    """What happens, in order."""

    def __init__(self, session: Session, feed: Feed) -> None:
        self._session = session
        self._feed = feed

    async def open_accounts(self) -> None:
        self._title("Two sub-accounts, funded from the house")
        for account, amount in (("alice", "40000"), ("bob", "10000")):
            await self._send("pms.create_account", subAccountId=account, label=account.title())
            await self._send("pms.transfer", fromAccountId=HOUSE, toAccountId=account, amount=amount)

    async def market_order(self) -> None:
        self._title("Alice buys at market")
        result = await self._trade("alice", "BUY", quantity="0.010", leverage=10)
        await self._order_is(result["orderId"], "order_filled")

    async def resting_limit_and_cancel(self) -> None:
        self._title("Bob's limit order rests two percent below the market; he cancels it")
        ask, _ = await self._best_ask(SYMBOL)
        price = (ask * Decimal("0.98")).quantize(TICK, rounding=ROUND_DOWN)
        result = await self._trade("bob", "BUY", quantity="0.020", type="LIMIT", price=price)
        await self._order_is(result["orderId"], "order_active")
        await self._send(Task.CANCEL, orderId=result["orderId"])
        await self._order_is(result["orderId"], "order_cancelled")

    async def partial_fill(self) -> None:
        """A limit order at the best ask, larger than what stands there: it takes that and rests."""
        self._title("Alice's limit order is larger than the best ask: a partial fill; she cancels the rest")
        for _ in range(TRIES):
            price, quantity = await self._best_ask(SYMBOL)
            result = await self._trade(
                "alice", "BUY", quantity=quantity + MORE, type="LIMIT", price=price, leverage=20
            )
            order = result["orderId"]
            partly = await self._feed.until(_of(order, "order_partially_filled"), timeout_s=1.0)
            await self._send(Task.CANCEL, may_be_refused=True, orderId=order)
            await self._order_is(order, "order_cancelled", "order_filled")
            if partly is not None:
                return
        raise Failed(f"no order was filled partly in {TRIES} tries")

    async def short_on_the_other_account(self) -> None:
        self._title("Bob sells what he does not have: the exchange sees only the net of all accounts")
        for symbol, quantity in ((OTHER, "0.500"), (SYMBOL, "0.020")):
            result = await self._trade("bob", "SELL", symbol=symbol, quantity=quantity, leverage=5)
            await self._order_is(result["orderId"], "order_filled")

    async def close(self) -> None:
        self._title("Bob closes his position in the one symbol, and keeps the other")
        opened = await self._heard(
            lambda event: (
                event["type"] == "position_updated"
                and event["subAccountId"] == "bob"
                and event["position"]["symbol"] == OTHER
            )
        )
        result = await self._send(Task.CLOSE, positionId=opened["position"]["id"])
        await self._order_is(result["orderId"], "order_filled")
        await self._heard(
            lambda event: (
                event["type"] == "position_closed" and event["position"]["id"] == opened["position"]["id"]
            )
        )

    async def refused_command(self) -> None:
        self._title("Commands that are refused, and change nothing")
        for fields in (
            {"subAccountId": "alice", "quantity": "0"},
            {"subAccountId": "alice", "quantity": "0.0015"},
            {"subAccountId": "bob", "quantity": "50", "leverage": 20},
            {"subAccountId": "carol", "quantity": "1"},
        ):
            result = await self._session.send(Task.TRADE, {"symbol": SYMBOL, "side": "BUY", **fields})
            if result["success"]:
                raise Failed(f"{fields} was not refused")
            click.echo(f"  {refused(result)}")

    async def repeated_command(self) -> None:
        self._title("The same command twice, as after a lost reply: one order, one answer")
        request_id = str(uuid4())
        fields = {"subAccountId": "alice", "symbol": SYMBOL, "side": "SELL", "quantity": "0.010"}
        first, second = [
            await self._session.send(Task.TRADE, fields, request_id=request_id) for _ in range(2)
        ]
        click.echo(f"  {accepted(first)}\n  {accepted(second)}")
        if not first["success"] or first != second:
            raise Failed("a repeated command got another answer")
        await self._order_is(first["orderId"], "order_filled")

    async def _trade(self, account: str, side: str, *, symbol: str = SYMBOL, **fields: Any) -> dict[str, Any]:
        return await self._send(Task.TRADE, subAccountId=account, symbol=symbol, side=side, **fields)

    async def _send(self, command: str, *, may_be_refused: bool = False, **fields: Any) -> dict[str, Any]:
        result = await self._session.send(command, fields)
        if result["success"]:
            click.echo(f"  {accepted(result)}")
        elif may_be_refused:
            click.echo(f"  {refused(result)}")
        else:
            raise Failed(refused(result))
        return result

    async def _best_ask(self, symbol: str) -> tuple[Decimal, Decimal]:
        async with ExchangeReader(self._session.settings) as reader:
            depth = await reader.public("/fapi/v1/depth", symbol=symbol, limit=5)
        price, quantity = depth["asks"][0]
        return Decimal(price), Decimal(quantity)

    async def _order_is(self, order: str, *kinds: str) -> Event:
        return await self._heard(_of(order, *kinds), what=f"{' or '.join(kinds)} of {order}")

    async def _heard(self, wanted: Callable[[Event], bool], *, what: str = "the position's event") -> Event:
        event = await self._feed.until(wanted, timeout_s=PATIENCE_S)
        if event is None:
            raise Failed(f"{what} was not heard within {PATIENCE_S:g} s")
        return event

    def _title(self, text: str) -> None:
        click.secho(f"\n{text}", bold=True)


def _of(order: str, *kinds: str) -> Callable[[Event], bool]:
    return lambda event: event.get("clientOrderId") == order and event["type"] in kinds
