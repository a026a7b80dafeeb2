"""A falling market with one account in it, and ways to spoil what is journaled of it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal as D
from typing import Any

from crash_verdict import Verdict
from scribe import A, Entry, Scribe

FALL = ("100", "98", "96.30", "96.15", "96.00", "95.98", "95.90", "95.80", "95.70", "95.60")
"""Long 10 at 100 with 50: warned at 96.377, orders cancelled at 96.203, deleveraged at 96.067."""


def fallen(*prices: str, spoil: Callable[[Entry], Entry | None] = lambda entry: entry) -> Scribe:
    """One account whose market falls; `spoil` meets the liquidation entries."""
    scribe = Scribe().begin()
    scribe.account("anna", "50", AUSDT=("10", "100"))
    scribe.spoil = lambda entry: spoil(entry) if entry["rows"].get("liquidations") else entry
    for price in prices or FALL:
        scribe.tick(A, price)
    return scribe


def row_of(entry: Entry) -> dict[str, Any]:
    return dict(entry["rows"]["liquidations"][0])


def with_row(entry: Entry, **changed: Any) -> Entry:
    """The entry with other words in its liquidation rows."""
    rows = [{**row, **changed} for row in entry["rows"]["liquidations"]]
    return {**entry, "rows": {**entry["rows"], "liquidations": rows}}


def with_ledger(entry: Entry, *lines: tuple[str, str, str]) -> Entry:
    """The entry with further lines, and the balances that they leave."""
    rows = entry["rows"]
    more = [{"sub_account_id": a, "amount": n, "reason": r, "asset": "USDT"} for a, n, r in lines]
    moved = {account: D(amount) for account, amount, _ in lines}
    accounts = [
        {**row, "balance": str(D(row["balance"]) + moved.get(row["id"], D(0)))}
        for row in rows["sub_accounts"]
    ]
    return {**entry, "rows": {**rows, "ledger": [*rows["ledger"], *more], "sub_accounts": accounts}}


def only(action: str, change: Callable[[Entry], Entry | None]) -> Callable[[Entry], Entry | None]:
    return lambda entry: change(entry) if row_of(entry)["action"] == action else entry


def told(verdict: Verdict) -> str:
    return "\n".join(map(str, verdict.findings))
