"""What is shown of an account is what is journaled: with each entry, in each view, and at the end."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from pms.contract import names
from pms.contract.journal import Entry
from pms.contract.names import LONG
from pms.sim.judges.liquidations import standing
from pms.sim.machines.books import Fold
from pms.sim.machines.redis.server import Server

SHOWN = "what is shown is what is journaled"
RISK = names.risk_key("").encode()


@dataclass(slots=True)
class Shown:
    """Judges the views of accounts: money and positions; what depends on prices is of a moment."""

    server: Server
    fail: Callable[..., None]
    checked: Callable[[str], None]
    _owed: set[str] = field(default_factory=set)
    #: shown as they were before the last entry

    def journaled(self, entry: Entry) -> None:
        """An entry was written; what it made untrue is to go with it, before the next one comes."""
        self.kept_up()
        moved = {row.id for row in entry.rows.sub_accounts}
        moved |= {row.sub_account_id for row in entry.rows.positions}
        self._owed = {account for account in moved if self._raw(account) is not None}

    def kept_up(self) -> None:
        """Nothing is shown any more of what the last entry made untrue."""
        if self._owed:
            self.fail(SHOWN, f"an entry moved {sorted(self._owed)}, which are shown as before")
        self._owed = set()

    def written(self, books: Fold, key: bytes) -> None:
        """A view was written or deleted."""
        account = key.removeprefix(RISK).decode()
        self._owed.discard(account)
        self._look(books, account)

    def settled(self, books: Fold) -> None:
        """Every view that exists."""
        self.kept_up()
        for (account,) in list(books.tables["sub_accounts"]):
            self._look(books, account)

    def lost(self) -> None:
        """Redis forgot entries, and with them what they showed: whoever leads next makes up for it."""
        self._owed = set()

    def _raw(self, account: str) -> bytes | None:
        return self.server.keys.of_kind(names.risk_key(account).encode(), bytes)

    def _look(self, books: Fold, account: str) -> None:
        raw = self._raw(account)
        if raw is None:
            return
        self.checked(SHOWN)
        shown = json.loads(raw, parse_float=Decimal)
        positions = {
            (each["symbol"], each["positionSide"]): Decimal(each["quantity"])
            * (1 if each["side"] == LONG else -1)
            for each in shown["positions"]
        }
        ours = standing(books, account)
        held = {place: each.quantity for place, each in ours.held.items()}
        if (Decimal(shown["balance"]), positions) != (ours.balance, held):
            detail = f"{account} has {ours.balance} and {held}, shown {shown['balance']} and {positions}"
            self.fail(SHOWN, detail)
