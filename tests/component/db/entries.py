"""Journal entries for the tests: a chain, and rows with everything that a test does not care about."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from redis.asyncio import Redis

from pms.contract import names
from pms.contract.journal import (
    FORMAT,
    CommandRow,
    Entry,
    FeeRow,
    FillRow,
    FundingRow,
    LedgerRow,
    OrderRow,
    PositionRow,
    Rows,
    SubAccountRow,
    encode_entry,
)

D = Decimal


def account(id: str = "alice", **more: Any) -> SubAccountRow:
    return SubAccountRow(
        **{"id": id, "label": id, "status": "ACTIVE", "balance": D(0), "created_at": 1, **more}
    )


def order(id: str = "PMS_alice_M_1", **more: Any) -> OrderRow:
    fields: dict[str, Any] = {
        "client_order_id": id,
        "sub_account_id": "alice",
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "quantity": D("1.5"),
        "price": D("50000.10"),
        "time_in_force": "GTC",
        "reduce_only": False,
        "leverage": 10,
        "origin": "MANUAL",
        "parent_id": None,
        "request_id": None,
        "state": "placing",
        "reason": None,
        "exchange_order_id": None,
        "filled_qty": D(0),
        "filled_quote": D(0),
        "cancel_wanted": False,
        "epoch": "e",
        "deadline": 1,
        "admitted_at": 1,
        "updated_at": 1,
    }
    return OrderRow(**{**fields, **more})


def fill(trade_id: int = 1, **more: Any) -> FillRow:
    fields: dict[str, Any] = {
        "symbol": "BTCUSDT",
        "exchange_order_id": 7,
        "trade_id": trade_id,
        "client_order_id": "PMS_alice_M_1",
        "sub_account_id": "alice",
        "side": "BUY",
        "price": D("50000.10"),
        "quantity": D("0.001"),
        "commission": D("0.02000004"),
        "commission_asset": "USDT",
        "realized_pnl": D(0),
        "venue_realized_pnl": D(0),
        "maker": False,
        "venue_time": 1,
    }
    return FillRow(**{**fields, **more})


def position(**more: Any) -> PositionRow:
    fields: dict[str, Any] = {
        "sub_account_id": "alice",
        "symbol": "BTCUSDT",
        "id": "p1",
        "quantity": D("1.5"),
        "cost": D("75000.15"),
        "leverage": 10,
        "opened_seq": 1,
        "realized_pnl": D(0),
        "updated_at": 1,
    }
    return PositionRow(**{**fields, **more})


def line(seq: int, amount: str, **more: Any) -> LedgerRow:
    fields: dict[str, Any] = {
        "seq": seq,
        "line": 0,
        "sub_account_id": "alice",
        "asset": "USDT",
        "amount": D(amount),
        "reason": "DEPOSIT",
        "reference": None,
        "at": 1,
    }
    return LedgerRow(**{**fields, **more})


def fee(trade_id: int, price: str | None) -> FeeRow:
    return FeeRow(
        symbol="BTCUSDT",
        exchange_order_id=7,
        trade_id=trade_id,
        sub_account_id="alice",
        asset="BNB",
        commission=D("0.01"),
        price=None if price is None else D(price),
        amount=None if price is None else D(price) / 100,
        at=1,
    )


def funding(account: str, at: int) -> FundingRow:
    return FundingRow(
        symbol="BTCUSDT",
        at=at,
        sub_account_id=account,
        rate=D("0.0001"),
        mark=D(60_000),
        quantity=D(1),
        amount=D(-6),
    )


def command(request_id: str = "r1", **more: Any) -> CommandRow:
    fields: dict[str, Any] = {
        "request_id": request_id,
        "command": "pms.trade",
        "sub_account_id": "alice",
        "text": "{}",
        "decision": "admitted",
        "code": None,
        "client_order_id": "PMS_alice_M_1",
        "answer": "{}",
        "received_at": 1,
        "decided_at": 1,
    }
    return CommandRow(**{**fields, **more})


def entry(seq: int, *, prev: int | None = None, at: int = 1, **rows: Any) -> Entry:
    return Entry(
        v=FORMAT, seq=seq, prev=seq - 1 if prev is None else prev, at=at, kind="test", rows=Rows(**rows)
    )


async def journal(redis: Redis, entries: Sequence[Entry]) -> None:
    """Write entries as the streamer does: id `{seq}-0`, field `e`."""
    pipeline = redis.pipeline(transaction=False)
    for one in entries:
        pipeline.xadd(names.JOURNAL, {"e": encode_entry(one)}, id=f"{one.seq}-0")
    await pipeline.execute()
