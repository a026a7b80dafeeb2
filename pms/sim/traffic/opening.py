"""The books of a world as it begins: nothing has happened yet, but all have their money."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

from pms.contract.journal import (
    FORMAT,
    CursorRow,
    Entry,
    LedgerRow,
    LimitRow,
    MoveRow,
    PositionRow,
    ProgressRow,
    Rows,
    SubAccountRow,
)
from pms.contract.limits import DEFAULT_GROUP, TIERS, scope_of_group
from pms.contract.names import HOUSE
from pms.domain.rows import position_id
from pms.domain.treasury import INCOME
from pms.sim.machines.exchange import SYMBOLS, WALLET
from pms.sim.traffic.algo_scene import HEDGED
from pms.sim.traffic.storm import LEVERAGE, POOR, TIGHT, TIGHT_LINES, Storm
from pms.sim.traffic.workload import ACCOUNTS, FUNDS

BEGAN_MS = 1_767_571_251_000
"""A fixed moment, 51 s into a minute: within the run a minute and tens of seconds turn."""


@lru_cache(maxsize=8)
def opening(storm: Storm | None, own: tuple[str, ...] = ()) -> Entry:
    """The books as they stand when the world begins: funded sub-accounts, and the house with the rest."""
    at, seq = BEGAN_MS - 10_000, (BEGAN_MS - 10_000) * 1000
    others = dict.fromkeys(ACCOUNTS, FUNDS)
    if storm is not None:
        others = {**dict.fromkeys(ACCOUNTS, POOR), **storm.balances}
    others |= dict.fromkeys(own, FUNDS)
    balances = {HOUSE: WALLET - sum(others.values(), Decimal(0)), **others}
    held = storm.held if storm is not None else {}
    return Entry(
        v=FORMAT,
        seq=seq,
        prev=0,
        at=at,
        kind="opening",
        rows=Rows(
            sub_accounts=tuple(
                SubAccountRow(
                    id=name,
                    label="",
                    status="ACTIVE",
                    balance=balance,
                    created_at=at,
                    group=TIGHT if storm is not None and name in storm.tight else DEFAULT_GROUP,
                    hedge=name in HEDGED,
                )
                for name, balance in balances.items()
            ),
            ledger=tuple(
                _funded(seq, line, name, balance, at) for line, (name, balance) in enumerate(balances.items())
            ),
            positions=tuple(
                PositionRow(
                    sub_account_id=account,
                    symbol=symbol,
                    id=position_id(account, symbol, "LONG" if each.quantity > 0 else "SHORT", seq),
                    quantity=each.quantity,
                    cost=each.cost,
                    leverage=LEVERAGE,
                    opened_seq=seq,
                    realized_pnl=Decimal(0),
                    updated_at=at,
                    position_side=side,
                )
                for (account, symbol, side), each in held.items()
            ),
            moves=tuple(
                MoveRow(
                    seq=seq,
                    line=line,
                    sub_account_id=account,
                    symbol=symbol,
                    quantity=each.quantity,
                    at=at,
                    position_side=side,
                )
                for line, ((account, symbol, side), each) in enumerate(held.items())
            ),
            limits=(_lines(at),) if storm is not None else (),
            cursors=tuple(CursorRow(symbol=symbol, trade_id=0, updated_at=at) for symbol in SYMBOLS),
            # The deposit of the exchange's first moment is what these books begin with.
            progress=(ProgressRow(name=INCOME, at=BEGAN_MS + 1),),
        ),
    )


def _lines(at: int) -> LimitRow:
    return LimitRow(
        scope=scope_of_group(TIGHT),
        name=TIERS.name,
        symbol="",
        value=TIGHT_LINES,
        actor="the world",
        reason="",
        at=at,
        request_id="",
    )


def _funded(seq: int, line: int, account: str, amount: Decimal, at: int) -> LedgerRow:
    return LedgerRow(
        seq=seq,
        line=line,
        sub_account_id=account,
        asset="USDT",
        amount=amount,
        reason="OPENING",
        reference=None,
        at=at,
    )
