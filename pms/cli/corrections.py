"""An operator's corrections: `pms resolve`, `pms adjust`, `pms reassign`; each journaled with who and why."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import click

from pms.cli.amounts import AMOUNT
from pms.cli.attempts import attempts
from pms.cli.confirming import actor, confirm, correcting
from pms.cli.output import print_result, print_results
from pms.cli.session import Failed, Session, run
from pms.contract.journal import FillRow
from pms.contract.money import plain
from pms.contract.names import HOUSE
from pms.db import queries

OUTCOMES = ("not-executed", "cancelled", "expired", "filled")


@click.command()
@click.argument("order")
@click.option("--as", "outcome", required=True, type=click.Choice(OUTCOMES), help="What became of it.")
@correcting
def resolve(
    *, order: str, outcome: str, reason: str, yes: bool, request_id: str | None, as_json: bool
) -> None:
    """End an order whose outcome nobody can prove, by your word.

    Evidence stands against a word: no fill is made up or taken back, and what the exchange says later
    supersedes it.
    """
    confirm("resolve", f"This ends {order} as {outcome}, and frees what it holds back.", yes=yes)
    fields = {"orderId": order, "outcome": outcome}
    _send("pms.resolve", fields, reason=reason, request_id=request_id, as_json=as_json)


@click.command()
@click.argument("account")
@click.option("--amount", type=AMOUNT, help="Balance, signed.")
@click.option("--symbol", type=str.upper, help="With --quantity: a position.")
@click.option("--quantity", type=AMOUNT, help="What the position changes by, signed.")
@click.option("--price", type=AMOUNT, help="At which it changes hands; the mid price.")
@click.option(
    "--position-side",
    type=click.Choice(["LONG", "SHORT"], case_sensitive=False),
    help="In hedge mode: which.",
)
@correcting
def adjust(
    *,
    account: str,
    amount: Decimal | None,
    symbol: str | None,
    quantity: Decimal | None,
    price: Decimal | None,
    position_side: str | None,
    reason: str,
    yes: bool,
    request_id: str | None,
    as_json: bool,
) -> None:
    """Correct a sub-account's balance or position; the house gives it or takes it."""
    if (amount is None) == (symbol is None or quantity is None):
        raise click.UsageError("say --amount, or --symbol and --quantity")
    what = f"{plain(amount)} USDT" if amount is not None else f"{plain(quantity or Decimal(0))} {symbol}"
    confirm("adjust", f"This books {what} to {account}, from the house.", yes=yes)
    fields = {
        "subAccountId": account,
        "amount": amount,
        "symbol": symbol,
        "quantity": quantity,
        "price": price,
        "positionSide": position_side,
    }
    _send("pms.adjust", fields, reason=reason, request_id=request_id, as_json=as_json)


@click.command()
@click.argument("symbol", type=str.upper)
@click.option("--from", "giver", default=HOUSE, show_default=True, help="Who gives.")
@click.option("--to", "taker", default=HOUSE, show_default=True, help="Who takes; one of them is the house.")
@click.option("--quantity", type=AMOUNT, help="Signed as the position is; all of it.")
@click.option("--price", type=AMOUNT, help="At which it changes hands; the giver's average entry.")
@click.option("--order", type=int, help="Instead: all trades of this exchange order, each at its price.")
@click.option("--trade", type=int, help="With --order: only this trade.")
@click.option(
    "--position-side",
    type=click.Choice(["LONG", "SHORT"], case_sensitive=False),
    help="In hedge mode: which.",
)
@correcting
def reassign(
    *,
    symbol: str,
    giver: str,
    taker: str,
    quantity: Decimal | None,
    price: Decimal | None,
    order: int | None,
    trade: int | None,
    position_side: str | None,
    reason: str,
    yes: bool,
    request_id: str | None,
    as_json: bool,
) -> None:
    """Hand a position, or what an order traded, from the house to a sub-account or back."""
    if order is not None and (quantity is not None or price is not None or request_id):
        raise click.UsageError("--order knows its own quantity, price and ids")
    if trade is not None and order is None:
        raise click.UsageError("--trade goes with --order")
    what = f"the trades of order {order}" if order is not None else str(quantity or "all")
    confirm("reassign", f"This hands {what} of {symbol} from {giver} to {taker}.", yes=yes)
    fields: dict[str, Any] = {
        "fromAccountId": giver,
        "toAccountId": taker,
        "symbol": symbol,
        "positionSide": position_side,
    }
    if order is None:
        fields |= {"quantity": quantity, "price": price}
        _send("pms.reassign", fields, reason=reason, request_id=request_id, as_json=as_json)
        return

    async def work(session: Session) -> list[dict[str, Any]]:
        fills = await queries.fills(session.database, symbol=symbol, exchange_order_id=order, limit=None)
        chosen = [fill for fill in fills if trade in (None, fill.trade_id)]
        if not chosen:
            raise Failed(f"no such trade of {symbol} order {order} is booked; `pms house` lists them")
        return [await _one(session, fill, fields, reason=reason) for fill in reversed(chosen)]

    print_results(run(work), as_json=as_json)


async def _one(session: Session, fill: FillRow, fields: dict[str, Any], *, reason: str) -> dict[str, Any]:
    """Reassign one trade, unless it was: for it to go once more the same way it must have come back.

    It is whose it was booked to, or the house's, before the first time.
    """
    key = f"{fill.symbol}:{fill.exchange_order_id}:{fill.trade_id}"
    signed = fill.quantity if fill.side == "BUY" else -fill.quantity
    command = {
        **fields,
        "exchangeOrderId": fill.exchange_order_id,
        "tradeId": fill.trade_id,
        "quantity": signed,
        "price": fill.price,
        "commission": fill.commission if fill.commission_asset == "USDT" else Decimal(0),
        "actor": actor(),
        "reason": reason,
    }
    giver, taker = fields["fromAccountId"], fields["toAccountId"]
    there = await attempts(session, partial(_request_id, f"reassign:{key}:{giver}:{taker}"))
    back = await attempts(session, partial(_request_id, f"reassign:{key}:{taker}:{giver}"))
    first = fill.sub_account_id if fill.sub_account_id in {giver, taker} else HOUSE
    taken = there.admitted - back.admitted + (first == taker)
    if there.answer is not None and taken > 0:
        return {**there.answer, "state": "was done"}
    again = "Type it again as it was: what was done is not done twice"
    return await session.send("pms.reassign", command, request_id=there.open_id, again=again)


def _request_id(name: str, attempt: int) -> str:
    """The first one has no number: so older releases named theirs."""
    return str(uuid5(NAMESPACE_OID, f"{name}:{attempt}" if attempt else name))


def _send(
    command: str, fields: dict[str, Any], *, reason: str, request_id: str | None, as_json: bool
) -> None:
    whole = {**fields, "actor": actor(), "reason": reason}
    print_result(run(lambda s: s.send(command, whole, request_id=request_id)), as_json=as_json)
