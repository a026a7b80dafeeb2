"""`pms venue fund`: a deposit to an account of our own exchange, by its operator's face."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import click

from pms.cli.amounts import AMOUNT
from pms.cli.session import Failed
from pms.cli.venue_face import address, ask, url_option


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("account")
@click.argument("amount", type=AMOUNT)
@click.option("--asset", type=str.upper, default="USDT", show_default=True)
@url_option
def fund(account: str, amount: Decimal, asset: str, url: str | None) -> None:
    """Deposit AMOUNT to ACCOUNT of our own exchange; a negative one is taken out.

    The account hears of it on its user stream, as of any transfer.
    """
    if not amount:
        raise Failed("AMOUNT must not be 0")
    base = address(url)
    body = {"account": account, "amount": format(amount, "f"), "asset": asset}
    answer = asyncio.run(ask(base, "POST", "/venue/admin/deposit", body=body))
    click.echo(f"{account}  balance {answer['balance']} {asset}")
