"""Reading what another system exported: accounts, balances, positions, from CSV or JSON.

Everything is checked before anything is done: a file with one bad row imports nothing.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from pms.cli.session import Failed
from pms.contract.codes import Refusal
from pms.contract.commands import CreateAccount, ImportPosition
from pms.contract.money import canonical
from pms.contract.reading import command_from

COLUMNS = ("account", "label", "balance", "symbol", "side", "quantity", "entryPrice", "leverage")
_ANY_ID = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True)
class ImportedPosition:
    """One position: quantity signed, negative for a short."""

    symbol: str
    quantity: Decimal
    entry_price: Decimal
    leverage: int | None


@dataclass(slots=True)
class ImportedAccount:
    """One sub-account with what it brings along."""

    id: str
    label: str = ""
    balance: Decimal | None = None
    positions: list[ImportedPosition] = field(default_factory=list)


def read_accounts(path: Path) -> list[ImportedAccount]:
    """Read the file by its ending; raises Failed with the row and the field at fault."""
    try:
        rows = _csv_rows(path) if path.suffix.lower() == ".csv" else _json_rows(path)
    except (OSError, UnicodeDecodeError, ValueError, csv.Error) as error:
        raise Failed(f"{path.name} cannot be read: {error}") from None
    accounts: dict[str, ImportedAccount] = {}
    for place, row in rows:
        try:
            _take(accounts, row)
        except (Refusal, ValueError) as error:
            raise Failed(f"{path.name}, {place}: {error}; nothing was imported") from None
    if not accounts:
        raise Failed(f"{path.name} holds no account")
    return list(accounts.values())


def _csv_rows(path: Path) -> Iterable[tuple[str, dict[str, Any]]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, strict=True)
        unknown = set(reader.fieldnames or ()) - set(COLUMNS)
        if "account" not in (reader.fieldnames or ()) or unknown:
            raise ValueError(
                f"the columns are {', '.join(COLUMNS)}; found {', '.join(reader.fieldnames or ())}"
            )
        rows = [dict(row) for row in reader]
    if any(None in row or None in row.values() for row in rows):
        raise ValueError("a row has more or fewer values than the header")
    return [(f"line {number}", row) for number, row in enumerate(rows, start=2)]


def _json_rows(path: Path) -> Iterable[tuple[str, dict[str, Any]]]:
    """`[{account, label, balance, positions: [{symbol, side, quantity, entryPrice, leverage}]}]`."""
    accounts = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    if not isinstance(accounts, list) or not all(isinstance(row, dict) for row in accounts):
        raise ValueError("expected a list of accounts")
    rows = []
    for number, account in enumerate(accounts, start=1):
        positions = account.pop("positions", [])
        if not isinstance(positions, list) or not all(isinstance(row, dict) for row in positions):
            raise ValueError(f"account {number}: positions is not a list of objects")
        rows.append((f"account {number}", account))
        rows += [(f"account {number}", {"account": account.get("account"), **row}) for row in positions]
    return rows


def _take(accounts: dict[str, ImportedAccount], row: Mapping[str, Any]) -> None:
    row = {name: value for name, value in row.items() if value not in (None, "")}
    unknown = row.keys() - set(COLUMNS)
    if unknown:
        raise ValueError(f"there is no field {', '.join(sorted(unknown))}; fields are {', '.join(COLUMNS)}")
    created = command_from(
        "pms.create_account",
        {"requestId": _ANY_ID, "subAccountId": row.get("account"), "label": row.get("label", "")},
    )
    assert isinstance(created, CreateAccount)
    account = accounts.setdefault(created.sub_account_id, ImportedAccount(created.sub_account_id))
    account.label = created.label or account.label
    if "balance" in row:
        account.balance = _balance(account, row["balance"])
    if "symbol" in row:
        position = _position(row)
        if any(held.symbol == position.symbol for held in account.positions):
            raise ValueError(f"{account.id} has {position.symbol} twice")
        account.positions.append(position)
    elif row.keys() & {"side", "quantity", "entryPrice", "leverage"}:
        raise ValueError("a position needs a symbol")


def _balance(account: ImportedAccount, value: Any) -> Decimal:
    try:
        balance = canonical(Decimal(str(value)))
    except ArithmeticError:
        raise ValueError(f"balance {value!r} is not a number") from None
    if not balance.is_finite() or balance < 0:
        raise ValueError(f"balance {value!r} must be zero or above")
    if account.balance not in (None, balance):
        raise ValueError(f"{account.id} has two balances, {account.balance} and {balance}")
    return balance


def _position(row: Mapping[str, Any]) -> ImportedPosition:
    side = str(row.get("side", "")).upper()
    if side not in {"", "LONG", "SHORT", "BUY", "SELL"}:
        raise ValueError(f"side {row['side']!r} is not LONG or SHORT")
    fields = {
        "requestId": _ANY_ID,
        "subAccountId": row.get("account"),
        "symbol": row["symbol"],
        "quantity": row.get("quantity"),
        "entryPrice": row.get("entryPrice"),
        "leverage": _whole(row.get("leverage")),
    }
    command = command_from("pms.import_position", {k: v for k, v in fields.items() if v is not None})
    assert isinstance(command, ImportPosition)
    quantity = command.quantity
    if side and quantity < 0:
        raise ValueError("a quantity with a side is written without a sign")
    if not quantity:
        raise ValueError("quantity is zero")
    signed = -quantity if side in {"SHORT", "SELL"} else quantity
    return ImportedPosition(command.symbol, signed, command.entry_price, command.leverage)


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isdigit() else value
