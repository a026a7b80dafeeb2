"""`pms watch`: events and prices as they happen, a line each."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from decimal import Decimal
from typing import Any

import click

from pms.cli.output import clock
from pms.cli.session import Session, run
from pms.contract import names
from pms.contract.money import decode_object, encode, plain

PRICE_EVERY_S = 1.0
COLOURS = {
    "order_filled": "green",
    "order_partially_filled": "green",
    "order_failed": "red",
    "order_cancelled": "yellow",
    "liquidation": "red",
    "risk": "yellow",
}


@click.command()
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="Stop after this long.")
@click.option("--account", help="Only this sub-account's events.")
@click.option("--symbol", type=str.upper, help="Only this symbol.")
@click.option("--prices/--no-prices", default=True, help="Prices too, at most one a second and symbol.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def watch(
    seconds: float | None, account: str | None, symbol: str | None, prices: bool, as_json: bool
) -> None:
    """Follow events and prices live until Ctrl-C."""

    async def work(session: Session) -> None:
        watcher = Watcher(session, account=account, symbol=symbol, as_json=as_json)
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        tasks = [asyncio.create_task(watcher.events())]
        if prices:
            tasks.append(asyncio.create_task(watcher.prices()))
        stopping = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait([*tasks, stopping], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in (*tasks, stopping):
            task.cancel()
        for task in tasks:
            if task in done:
                await task  # it ended by itself: say why
            with suppress(asyncio.CancelledError):
                await task

    run(work)


class Watcher:
    """What one `pms watch` shows."""

    def __init__(self, session: Session, *, account: str | None, symbol: str | None, as_json: bool) -> None:
        self._session = session
        self._account = account
        self._symbol = symbol
        self._as_json = as_json

    async def events(self) -> None:
        """Print every event that is wanted."""
        async for event in live_events(self._session):
            if self._wants(event):
                self._say({"event": event}, describe(event), COLOURS.get(event.get("type", "")))

    async def prices(self) -> None:
        """Print each symbol's price when it has changed, at most once a second."""
        last: dict[str, bytes] = {}
        symbols = [self._symbol] if self._symbol else self._session.settings.symbol_list
        while True:
            texts = await self._session.redis.mget([names.price_key(symbol) for symbol in symbols])
            for symbol, text in zip(symbols, texts, strict=True):
                if text is not None and text != last.get(symbol):
                    last[symbol] = text
                    price = decode_object(text)
                    self._say({"price": {"symbol": symbol, **price}}, _price(symbol, price), "bright_black")
            await asyncio.sleep(PRICE_EVERY_S)

    def _wants(self, event: dict[str, Any]) -> bool:
        symbol = event.get("symbol") or (event.get("position") or {}).get("symbol")
        return self._account in (None, event.get("subAccountId")) and self._symbol in (None, symbol)

    def _say(self, fields: dict[str, Any], line: str, colour: str | None) -> None:
        if self._as_json:
            click.echo(encode(fields))
        else:
            click.secho(line, fg=colour)


async def live_events(session: Session) -> AsyncIterator[dict[str, Any]]:
    """Every event from now on, as it is published."""
    async with session.redis.pubsub() as listener:
        await listener.psubscribe(names.event_channel("*"))
        while True:
            message = await listener.get_message(ignore_subscribe_messages=True, timeout=1.0)
            if message is not None:
                yield decode_object(message["data"])


def describe(event: dict[str, Any]) -> str:
    """One line for people: when, whose, what, and the numbers that changed."""
    at = clock(int(Decimal(event.get("timestamp", 0)) * 1000))
    what, _, word = str(event.get("type", "event")).partition("_")
    if what == "risk":
        told = f"{event['measure']} {_number(event['actual'])}, limit {_number(event['limit'])}"
        return f"{at} {event['name']:<8} {'risk ' + event['state']:<16} {told}"
    told = _order(event) if what == "order" else f"{what} {_position(event)}"
    return f"{at} {event.get('subAccountId', ''):<8} {word.replace('_', ' '):<16} {told}".rstrip()


def _order(event: dict[str, Any]) -> str:
    """Filled of wanted, at which price, and the last fill."""
    price, filled = event.get("price"), event.get("filledQty")
    quantity = _number(event.get("quantity"))
    parts = [
        f"{event.get('side')} {f'{_number(filled)}/' if filled else ''}{quantity} {event.get('symbol')}",
        f"@ {_number(price)}" if price is not None else "@ market",
    ]
    if event.get("lastFillQty") is not None:
        parts.append(f"({_number(event['lastFillQty'])} @ {_number(event['lastFillPrice'])})")
    if event.get("reason"):
        parts.append(f"[{event['reason']}]")
    return " ".join(parts)


def _position(event: dict[str, Any]) -> str:
    position = event.get("position") or {}
    parts = [f"{position.get('side', '')} {_number(position.get('quantity'))} {position.get('symbol', '')}"]
    parts.append(f"@ {_number(position.get('entryPrice'))}")
    if event.get("closedQty"):
        parts.append(f"(closed {_number(event['closedQty'])}, P&L {_number(event.get('realizedPnl'))})")
    return " ".join(parts)


def _price(symbol: str, price: dict[str, Any]) -> str:
    bid, ask = _number(price.get("bid")), _number(price.get("ask"))
    return f"{clock(int(price.get('ts', 0)))} {symbol:<8} {'price':<16} {bid} / {ask}"


def _number(value: Any) -> str:
    if isinstance(value, Decimal | int):
        return plain(Decimal(value))
    return "" if value is None else str(value)
