"""The books, folded from the journal's text by somebody who knows its format and nothing else.

On purpose none of the engine's code: rows are read as JSON, amounts as decimals, and the newest row of
a key wins. Each entry is handed out with the state before it and the state after it.
"""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

HOUSE, INSURANCE = "house", "insurance"
ZERO = Decimal(0)
OVER = frozenset({"filled", "cancelled", "expired", "rejected", "void"})


@dataclass(slots=True)
class Held:
    """A position: quantity signed, and what was paid for it, signed alike."""

    quantity: Decimal = ZERO
    cost: Decimal = ZERO

    def share(self, part: Decimal) -> Decimal:
        """The cost of a signed part: all of it for the whole, else to eight decimals, half to even."""
        return self.cost if part == self.quantity else cents(self.cost * part / self.quantity)


@dataclass(slots=True)
class Books:
    """Balances, tiers, positions and live orders after an entry."""

    balances: dict[str, Decimal] = field(default_factory=dict)
    tiers: dict[str, int] = field(default_factory=dict)
    held: dict[str, dict[str, Held]] = field(default_factory=lambda: defaultdict(dict))
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    posted: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    #: Σ ledger lines, by account
    closing: dict[str, int] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    modes: dict[str, str] = field(default_factory=dict)
    #: how it is liquidated, by scope

    def take(self, rows: dict[str, Any]) -> None:
        """Put an entry's rows in place of those before."""
        for row in rows.get("sub_accounts", ()):
            self.balances[row["id"]] = Decimal(row["balance"])
            self.tiers[row["id"]] = int(row.get("tier", 0))
            self.closing[row["id"]] = int(row.get("closing", 0))
            self.groups[row["id"]] = row.get("group", "default")
        for row in rows.get("limits", ()):
            if row["name"] == "liquidation.mode":
                self.modes[row["scope"]] = row["value"] or ""
        for row in rows.get("positions", ()):
            held = Held(Decimal(row["quantity"]), Decimal(row["cost"]))
            if held.quantity:
                self.held[row["sub_account_id"]][row["symbol"]] = held
            else:
                self.held[row["sub_account_id"]].pop(row["symbol"], None)
        for row in rows.get("orders", ()):
            if row["state"].lower() in OVER:
                self.orders.pop(row["client_order_id"], None)
            else:
                self.orders[row["client_order_id"]] = row
        for row in rows.get("ledger", ()):
            if row["asset"] == "USDT":
                self.posted[row["sub_account_id"]] += Decimal(row["amount"])

    def of(self, account: str) -> Standing:
        """One account's part, as a copy that stays."""
        held = {symbol: Held(each.quantity, each.cost) for symbol, each in self.held[account].items()}
        scopes = (account, f"group:{self.groups.get(account, 'default')}", "*")
        mode = next((self.modes[scope] for scope in scopes if self.modes.get(scope)), "transfer")
        return Standing(
            self.balances.get(account, ZERO),
            self.tiers.get(account, 0),
            held,
            closing=self.closing.get(account, 0),
            market=mode == "market",
        )


@dataclass(slots=True)
class Standing:
    """What an account has."""

    balance: Decimal
    tier: int
    held: dict[str, Held]
    closing: int = 0
    #: the level for which it is being closed at market
    market: bool = False
    #: its group wants that

    def copy(self) -> Standing:
        return deepcopy(self)


@dataclass(frozen=True, slots=True)
class Step:
    """An entry: the accounts that it touched, before and after, and its rows."""

    seq: int
    prev: int
    at: int
    kind: str
    rows: dict[str, Any]
    before: dict[str, Standing]
    after: dict[str, Standing]
    #: live orders of those accounts behind it
    live: tuple[dict[str, Any], ...]
    unsound: tuple[str, ...]
    #: accounts whose balance is not the sum of their lines


def cents(value: Decimal) -> Decimal:
    """An amount as it is booked."""
    return value.quantize(Decimal("0.00000001"), rounding=ROUND_HALF_EVEN)


def fold(entries: Iterable[dict[str, Any]]) -> Iterator[Step]:
    """Hand out each entry with what it changed."""
    books = Books()
    for entry in entries:
        rows = entry.get("rows", {})
        touched = _touched(rows)
        before = {account: books.of(account) for account in touched}
        books.take(rows)
        yield Step(
            seq=entry["seq"],
            prev=entry["prev"],
            at=entry["at"],
            kind=entry["kind"],
            rows=rows,
            before=before,
            after={account: books.of(account) for account in touched},
            live=tuple(row for row in books.orders.values() if row["sub_account_id"] in touched)
            if rows.get("liquidations") or _closing(rows)
            else (),
            unsound=tuple(
                account for account in touched if books.posted[account] != books.balances.get(account, ZERO)
            ),
        )


def _touched(rows: dict[str, Any]) -> list[str]:
    accounts = [row["id"] for row in rows.get("sub_accounts", ())]
    for table in ("positions", "ledger", "liquidations"):
        accounts += [row["sub_account_id"] for row in rows.get(table, ())]
    accounts += [row["sub_account_id"] for row in _closing(rows)]
    if rows.get("liquidations") or any(line["reason"] == "INSURANCE" for line in rows.get("ledger", ())):
        accounts += [HOUSE, INSURANCE]
    return list(dict.fromkeys(accounts))


def _closing(rows: dict[str, Any]) -> list[dict[str, Any]]:
    """The orders of an entry that liquidate."""
    return [row for row in rows.get("orders", ()) if row.get("origin") == "LIQUIDATION"]


def read_archive(directory: Path) -> list[dict[str, Any]]:
    """Every entry of the journal's archive, oldest first: a line is checksum, seq, prev, the entry."""
    entries = []
    for path in sorted([*directory.glob("*.log"), *directory.glob("*.log.gz")]):
        raw = path.read_bytes()
        for line in (gzip.decompress(raw) if path.suffix == ".gz" else raw).splitlines()[1:]:
            entries.append(json.loads(line.split(b" ", 3)[3]))
    return entries
