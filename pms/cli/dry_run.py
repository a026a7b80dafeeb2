"""`pms trade --dry-run`: what an order would cost and what would be sent, without sending it.

The very admission that the engine runs, on a desk built from what it has booked and the prices it
publishes: so it refuses here what it would refuse there.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn
from uuid import uuid4

import click

from pms.binance.instruments import parse_instruments
from pms.cli.exchange import ExchangeReader
from pms.cli.output import refusal_told, refused
from pms.cli.session import Session
from pms.contract import names
from pms.contract.codes import Refusal
from pms.contract.commands import Trade
from pms.contract.halts import read_standing
from pms.contract.journal import HaltRow, OrderRow, Rows
from pms.contract.money import booked, decode_object, encode, encode_canonical, plain
from pms.contract.names import Task
from pms.contract.reading import read_command
from pms.db import queries
from pms.db.load import day_results
from pms.domain.admission import admit
from pms.domain.decisions import Asked
from pms.domain.desk import Desk, Top
from pms.domain.headroom import SymbolSetting

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What an admitted order would cost at this moment's price."""

    order: OrderRow
    price: Decimal
    taker: bool
    fee_rate: Decimal
    margin: Decimal
    available: Decimal

    @property
    def notional(self) -> Decimal:
        return booked(self.order.quantity * self.price)

    @property
    def fee(self) -> Decimal:
        return booked(self.order.quantity * self.price * self.fee_rate)


async def dry_run(session: Session, fields: dict[str, Any], *, as_json: bool) -> None:
    """Print the estimate; exits with 1 when the engine would refuse the order."""
    try:
        estimate = await _estimate(session, fields)
    except Refusal as refusal:
        print_refused(refusal, as_json=as_json)
    click.echo(encode(_as_object(estimate)) if as_json else _text(estimate))


def print_refused(refusal: Refusal, *, as_json: bool) -> NoReturn:
    """Tell what the engine would refuse; ends with exit code 1."""
    told = {"dryRun": True, **refusal_told(refusal)}
    click.echo(
        encode(told) if as_json else click.style(f"would be {refused(told)}", fg="red"), err=not as_json
    )
    raise click.exceptions.Exit(1) from None


async def _estimate(session: Session, fields: dict[str, Any]) -> Estimate:
    request_id = str(uuid4())
    text = encode_canonical({"requestId": request_id, **{k: v for k, v in fields.items() if v is not None}})
    command = read_command(Task.TRADE, text)
    assert isinstance(command, Trade)
    now = time.time_ns() // 1_000_000
    async with ExchangeReader(session.settings) as reader:
        desk = await desk_as_booked(
            session, reader, {command.symbol}, account=command.sub_account_id, now=now
        )
        rates = await _rates(reader, command.symbol)
    before = desk.snapshot(command.sub_account_id).available_margin if _known(desk, command) else ZERO
    posting = admit(
        desk,
        Asked(
            request_id=request_id,
            command=Task.TRADE,
            text=text.decode(),
            at=now,
            deadline=now,
            now=now,
            closed_because=await closed_because(session),
            live_guard=not session.settings.orders_allowed,
            default_leverage=session.settings.default_leverage,
        ),
        command,
    )
    [order] = posting.entry.rows.orders
    top = desk.tops[command.symbol]
    touch = top.ask if order.side == "BUY" else top.bid
    taker = order.price is None or (order.price >= touch if order.side == "BUY" else order.price <= touch)
    return Estimate(
        order=order,
        price=touch if order.price is None else order.price,
        taker=taker,
        fee_rate=rates["taker" if taker else "maker"],
        margin=before - desk.snapshot(command.sub_account_id).available_margin,
        available=before,
    )


async def desk_as_booked(
    session: Session, reader: ExchangeReader, symbols: Iterable[str], *, account: str, now: int
) -> Desk:
    """The trading state as PostgreSQL has it, priced by what the engine publishes.

    Halts are those that the send right finds, of everything and of `account`; what the exchange account
    carries, and how it is set up, is as the exchange tells it now: orders on their way are not yet in it.
    """
    desk = Desk(epoch="dry run")
    info, brackets = (
        await reader.public("/fapi/v1/exchangeInfo"),
        await reader.signed("/fapi/v1/leverageBracket"),
    )
    desk.instruments = parse_instruments(info, brackets)
    positions = [
        row for row in await queries.position_rows(session.database) if row.quantity or row.leverage_set
    ]
    for priced in {*symbols, *(row.symbol for row in positions)}:
        text = await session.redis.get(names.price_key(priced))
        if text is not None:
            price = decode_object(text)
            desk.tops[priced] = Top(
                Decimal(price["bid"]), ZERO, Decimal(price["ask"]), ZERO, int(price["ts"])
            )
    desk.load(
        Rows(
            sub_accounts=tuple(await queries.accounts(session.database)),
            limits=tuple(await queries.limits(session.database)),
            positions=tuple(positions),
            orders=tuple(await queries.orders(session.database, open_only=True, limit=None)),
        )
    )
    for result in await day_results(session.database, now=now):
        desk.results.add(result)
    for halt in await _halts(session, account, now=now):
        desk.note_halt(halt)
    configs, money = await reader.signed("/fapi/v1/symbolConfig"), await reader.signed("/fapi/v3/account")
    desk.headroom.wanted_leverage = session.settings.exchange_leverage
    desk.headroom.settings = {
        row["symbol"]: SymbolSetting(row["marginType"], int(row["leverage"])) for row in configs
    }
    desk.headroom.told(Decimal(money["availableBalance"]), counted=())
    return desk


async def _halts(session: Session, account: str, *, now: int) -> list[HaltRow]:
    """What stands in an account's way at the send right."""
    scopes = (names.EVERYTHING, account)
    texts = await session.redis.mget([names.halt_key(scope) for scope in scopes])
    return [
        read_standing(scope, text, now=now)
        for scope, text in zip(scopes, texts, strict=True)
        if text is not None
    ]


async def _rates(reader: ExchangeReader, symbol: str) -> dict[str, Decimal]:
    rates = await reader.signed("/fapi/v1/commissionRate", symbol=symbol)
    return {kind: Decimal(rates[f"{kind}CommissionRate"]) for kind in ("maker", "taker")}


async def closed_because(session: Session) -> str | None:
    """Why nothing would be admitted now, by what the engine tells of itself."""
    text = await session.redis.get(names.HEALTH)
    if text is None:
        return "the engine is not running"
    health = decode_object(text)
    return None if health.get("admission") else str(health.get("reason") or health.get("state"))


def _known(desk: Desk, command: Trade) -> bool:
    return command.sub_account_id in desk.accounts


def _as_object(estimate: Estimate) -> dict[str, Any]:
    order = estimate.order
    return {
        "success": True,
        "dryRun": True,
        "sent": dict(_sent(order)),
        "price": estimate.price,
        "notional": estimate.notional,
        "leverage": order.leverage,
        "margin": estimate.margin,
        "availableMargin": estimate.available,
        "fee": estimate.fee,
        "feeRate": estimate.fee_rate,
        "liquidity": "taker" if estimate.taker else "maker",
    }


def _text(estimate: Estimate) -> str:
    order = estimate.order
    kind = "taker" if estimate.taker else "maker"
    sent = " ".join(f"{name}={value}" for name, value in _sent(order))
    rows = [
        ("would send", f"POST /fapi/v1/order {sent}"),
        ("price", f"{plain(estimate.price)}{' (market, at the touch)' if order.price is None else ''}"),
        ("notional", plain(estimate.notional)),
        (
            "margin",
            f"{plain(estimate.margin)} at {order.leverage}x, of {plain(estimate.available)} available",
        ),
        ("fee", f"{plain(estimate.fee)} ({plain(estimate.fee_rate * 100)} % {kind})"),
    ]
    return "\n".join(f"{name:<11} {value}" for name, value in rows) + "\nnothing was sent (dry run)"


def _sent(order: OrderRow) -> Iterable[tuple[str, str]]:
    """The parameters that would be signed and sent; the timestamp is the sender's."""
    yield "symbol", order.symbol
    yield "side", order.side
    yield "type", order.type
    yield "quantity", plain(order.quantity)
    if order.price is not None:
        yield "price", plain(order.price)
        yield "timeInForce", order.time_in_force or "GTC"
    yield "newClientOrderId", order.client_order_id
