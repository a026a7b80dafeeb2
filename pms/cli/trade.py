"""Trading by hand: `pms trade`, `amend`, `cancel`, `close`, each through the same door as a gateway's."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import click

from pms.cli.amounts import AMOUNT
from pms.cli.dry_run import dry_run as show_dry_run
from pms.cli.output import print_result, print_results
from pms.cli.session import Failed, Session, run, warn_if_live
from pms.contract.names import Task
from pms.db import queries
from pms.db.queries import OpenPosition

SIDES = click.Choice(["buy", "sell", "long", "short"], case_sensitive=False)
TIME_IN_FORCE = click.Choice(["GTC", "IOC", "FOK", "GTX"], case_sensitive=False)


@click.command()
@click.argument("symbol", type=str.upper)
@click.argument("side", type=SIDES, metavar="SIDE")
@click.argument("quantity", type=AMOUNT)
@click.option("--account", required=True, help="The sub-account that trades.")
@click.option("--price", type=AMOUNT, help="A limit order at this price; without it, at market.")
@click.option("--tif", type=TIME_IN_FORCE, help="Time in force of a limit order; GTC.")
@click.option("--reduce-only", is_flag=True, help="Only reduce the sub-account's own position.")
@click.option(
    "--position-side",
    type=click.Choice(["BOTH", "LONG", "SHORT"], case_sensitive=False),
    help="In hedge mode: which position it is for.",
)
@click.option("--leverage", type=click.IntRange(1, 150), help="The sub-account's leverage in this symbol.")
@click.option("--ttl-ms", type=click.IntRange(100, 60_000), help="Deadline after arrival.")
@click.option("--request-id", help="Repeat a command whose answer was lost: it makes one order.")
@click.option("--dry-run", is_flag=True, help="Show fee, margin and what would be sent; send nothing.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON.")
def trade(
    *,
    symbol: str,
    side: str,
    quantity: Decimal,
    account: str,
    price: Decimal | None,
    tif: str | None,
    reduce_only: bool,
    position_side: str | None,
    leverage: int | None,
    ttl_ms: int | None,
    request_id: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Place one order, e.g. `pms trade BTCUSDT buy 0.01 --account alice --price 60000`."""
    fields = {
        "subAccountId": account,
        "symbol": symbol,
        "side": {"LONG": "BUY", "SHORT": "SELL"}.get(side.upper(), side.upper()),
        "type": "LIMIT" if price is not None else "MARKET",
        "quantity": quantity,
        "price": price,
        "timeInForce": tif.upper() if tif else None,
        "reduceOnly": reduce_only or None,
        "positionSide": position_side,
        "leverage": leverage,
        "ttlMs": ttl_ms,
    }

    async def work(session: Session) -> dict[str, Any] | None:
        warn_if_live(session.settings)
        if dry_run:
            await show_dry_run(session, fields, as_json=as_json)
            return None
        return await session.send(Task.TRADE, fields, request_id=request_id)

    result = run(work)
    if result is not None:
        print_result(result, as_json=as_json)


@click.command()
@click.argument("order", required=False)
@click.option("--all", "every", is_flag=True, help="Every live order.")
@click.option("--account", help="With --all: only this sub-account's.")
@click.option("--symbol", type=str.upper, help="With --all: only in this symbol.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON.")
def cancel(order: str | None, every: bool, account: str | None, symbol: str | None, as_json: bool) -> None:
    """Cancel one order, by our id or the exchange's, or all of them."""
    if every == bool(order):
        raise click.UsageError("name an order, or say --all")
    if order and (account or symbol):
        raise click.UsageError("--account and --symbol go with --all")

    async def work(session: Session) -> dict[str, Any]:
        warn_if_live(session.settings)
        if order:
            return await session.send(Task.CANCEL, {"orderId": order})
        return await session.send(Task.CANCEL_ALL, {"subAccountId": account, "symbol": symbol})

    print_result(run(work), as_json=as_json)


@click.command()
@click.argument("order")
@click.option("--quantity", type=AMOUNT, help="The TOTAL quantity, what is filled included.")
@click.option("--price", type=AMOUNT, help="The limit price.")
@click.option("--ttl-ms", type=click.IntRange(100, 60_000), help="Deadline after arrival.")
@click.option("--request-id", help="Repeat a command whose answer was lost: it amends once.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON.")
def amend(
    *,
    order: str,
    quantity: Decimal | None,
    price: Decimal | None,
    ttl_ms: int | None,
    request_id: str | None,
    as_json: bool,
) -> None:
    """Change a resting order; what is not named stays as it is."""
    if quantity is None and price is None:
        raise click.UsageError("name --quantity, --price, or both")
    fields = {"orderId": order, "quantity": quantity, "price": price, "ttlMs": ttl_ms}

    async def work(session: Session) -> dict[str, Any]:
        warn_if_live(session.settings)
        return await session.send(Task.AMEND, fields, request_id=request_id)

    print_result(run(work), as_json=as_json)


@click.command()
@click.argument("position", required=False)
@click.option("--all", "every", is_flag=True, help="Every open position but the house's.")
@click.option("--account", help="Only this sub-account's.")
@click.option("--symbol", type=str.upper, help="Only in this symbol.")
@click.option("--json", "as_json", is_flag=True, help="The results as JSON, one a line.")
def close(position: str | None, every: bool, account: str | None, symbol: str | None, as_json: bool) -> None:
    """Close a position at market: its id or the id's beginning, or --all."""
    if every == bool(position):
        raise click.UsageError("name a position (`pms positions` lists them), or say --all")

    async def work(session: Session) -> list[dict[str, Any]]:
        warn_if_live(session.settings)
        if position is not None:
            found = await _named(session, position, account=account, symbol=symbol)
            return [await session.send(Task.CLOSE, {"positionId": found.id})]
        result = await session.send(Task.CLOSE_ALL, {"subAccountId": account, "symbol": symbol})
        closes = (result.get("details") or {}).get("orders")
        if closes == []:
            raise Failed("no open positions")
        return closes or [result]

    print_results(run(work), as_json=as_json)


async def _named(
    session: Session, beginning: str, *, account: str | None, symbol: str | None
) -> OpenPosition:
    """The one open position whose id begins so."""
    found = await queries.positions(session.database, sub_account_id=account, symbol=symbol)
    named = [one for one in found if one.id.startswith(beginning.lower())]
    if len(named) != 1:
        what = "no open position's id begins" if not named else f"{len(named)} positions' ids begin"
        raise Failed(f"{what} with {beginning}; `pms positions` lists them")
    return named[0]
