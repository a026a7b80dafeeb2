"""`pms house`: what the house holds, and how it came by it."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Any

import click

from pms.cli.output import Column, console, instant, number, print_list
from pms.cli.session import Session, run
from pms.contract.journal import FillRow
from pms.contract.money import decode_object, encode, plain
from pms.contract.names import HOUSE
from pms.db import queries

WHY = {
    "OPENING": "the exchange account as it stood when the books were opened",
    "NETTING": "what the exchange paid on the net, less what the sub-accounts' own positions earned",
    "TRANSFER": "moved to sub-accounts and back",
    "REALIZED_PNL": "earned by the house's own positions",
    "COMMISSION": "paid for trades that are the house's",
    "ADJUSTMENT": "corrections by an operator",
    "IMPORT": "remainders of imported positions",
    "FUNDING_FEE": "funding that the exchange paid or took",
    "DEPOSIT": "money that came to the exchange account, less what sub-accounts were given",
    "WITHDRAW": "money that left the exchange account, less what sub-accounts gave back",
}
CORRECTIONS = ("pms.adjust", "pms.reassign")
POSITIONS = (
    Column("symbol", "symbol"),
    number("quantity", "quantity"),
    number("traded", "foreign trades"),
    number("handed", "handed over"),
    number("residue", "opening, imports, residues"),
)
MONEY = (number("amount", "USDT"), Column("reason", "reason"), Column("why", "why", long=True))
FOREIGN = (
    instant("venueTime", "time"),
    Column("symbol", "symbol"),
    Column("side", "side"),
    number("quantity", "quantity"),
    number("price", "price"),
    Column("exchangeOrderId", "order", right=True),
    Column("tradeId", "trade", right=True),
    Column("clientOrderId", "client order id", long=True),
    Column("handedTo", "handed to", long=True),
)


@click.command()
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="Foreign trades shown.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def house(limit: int, as_json: bool) -> None:
    """What the house holds, and why: foreign trades, what was handed over, residues, netting."""
    found = run(_read)
    if as_json:
        click.echo(encode(found))
        return
    click.echo(f"balance {plain(found['balance'])} USDT")
    print_list(found["money"], MONEY, form=None, empty="no movement yet")
    click.echo("")
    print_list(found["positions"], POSITIONS, form=None, empty="the house holds no position")
    if found["foreign"]:
        click.echo(
            "\ntrades of orders that are nobody's (`pms reassign SYMBOL --order ID --to ACCOUNT --reason …`):"
        )
        print_list(found["foreign"][:limit], FOREIGN, form=None, empty="")
        if len(found["foreign"]) > limit:
            console().print(f"{len(found['foreign']) - limit} older")


async def _read(session: Session) -> dict[str, Any]:
    sums = await queries.ledger_sums(session.database, sub_account_id=HOUSE)
    fills = await queries.fills(session.database, sub_account_id=HOUSE, limit=None)
    commands = await queries.commands(session.database, decision="admitted", named=CORRECTIONS, limit=None)
    answers = [decode_object(row.answer) for row in commands]
    handed, owners = _handed(answers), _owners(answers)
    rows = await queries.position_rows(session.database, open_only=True)
    held = {row.symbol: row.quantity for row in rows if row.sub_account_id == HOUSE}
    return {
        "balance": sum((each.amount for each in sums), Decimal(0)),
        "money": [
            {"amount": each.amount, "reason": each.reason, "why": WHY.get(each.reason, "")} for each in sums
        ],
        "positions": [
            _position(symbol, quantity, fills, handed.get(symbol, Decimal(0)))
            for symbol, quantity in sorted(held.items())
        ],
        "foreign": [_trade(fill, owners) for fill in fills],
    }


def _handed(answers: list[dict[str, Any]]) -> dict[str, Decimal]:
    """By symbol: what corrections moved to the house, less what they moved from it."""
    moved: dict[str, Decimal] = defaultdict(Decimal)
    for answer in answers:
        told = answer.get("details") or {}
        if "price" in told:
            quantity = Decimal(told["quantity"])
            moved[answer["symbol"]] += quantity if told["to"] == HOUSE else -quantity
    return moved


def _owners(answers: list[dict[str, Any]]) -> dict[tuple[str, str], str]:
    """Who was given which trade last; the answers come newest first."""
    told = [(answer["symbol"], answer.get("details") or {}) for answer in reversed(answers)]
    return {(symbol, details["trade"]): details["to"] for symbol, details in told if "trade" in details}


def _position(symbol: str, quantity: Decimal, fills: list[FillRow], handed: Decimal) -> dict[str, Any]:
    """What is neither traded nor handed over was there at the opening, or was imported from it."""
    traded = sum(
        (fill.quantity if fill.side == "BUY" else -fill.quantity for fill in fills if fill.symbol == symbol),
        Decimal(0),
    )
    return {
        "symbol": symbol,
        "quantity": quantity,
        "traded": traded,
        "handed": handed,
        "residue": quantity - traded - handed,
    }


def _trade(fill: FillRow, owners: dict[tuple[str, str], str]) -> dict[str, Any]:
    """A foreign trade, with whom it was handed to since; `house` where it was handed back."""
    return {
        "venueTime": fill.venue_time,
        "symbol": fill.symbol,
        "side": fill.side,
        "quantity": fill.quantity,
        "price": fill.price,
        "commission": fill.commission,
        "exchangeOrderId": str(fill.exchange_order_id),
        "tradeId": str(fill.trade_id),
        "clientOrderId": fill.client_order_id or "",
        "handedTo": owners.get((fill.symbol, f"{fill.exchange_order_id}:{fill.trade_id}"), ""),
    }
