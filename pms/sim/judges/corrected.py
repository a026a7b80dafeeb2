"""What must hold of corrections: each moves just what was asked for, between the two whom it names, once.

Judged from the command's own words, entry by entry; what positions and balances come to follows from it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pms.contract.journal import Entry
from pms.contract.names import BOTH, HOUSE
from pms.sim.judges.owed import CORRECTED
from pms.sim.machines.books import Fold, Tables
from pms.sim.machines.exchange import SimExchange

AS_ASKED = "a correction moves what was asked for"
ZERO = Decimal(0)
Words = dict[str, Any]
Place = tuple[str, str, str]


@dataclass(slots=True)
class Corrected:
    """Looks at each entry that an operator has caused, and remembers at which price."""

    exchange: SimExchange
    fail: Callable[..., None]
    checked: Callable[[str], None]
    _prices: dict[int, Decimal] = field(default_factory=dict)
    _commissions: dict[int, dict[str, Decimal]] = field(default_factory=dict)
    #: by the seq of their moves; what Redis forgot has none any more

    def before(self, books: Fold, entry: Entry) -> None:
        """The books as they were: an entry does what its command says, at a price that is told."""
        if entry.kind not in CORRECTED:
            return
        self.checked(AS_ASKED)
        [command] = entry.rows.commands
        words, answer = _read(command.text), _read(command.answer)
        details = answer["details"]
        moved = {
            (row.sub_account_id, row.symbol, row.position_side): row.quantity for row in entry.rows.moves
        }
        meant, paid = _meant(books.tables, words), _sums(entry, "ADJUSTMENT")
        if moved != meant:
            self.fail(AS_ASKED, f"entry {entry.seq} moves {moved}, asked for was {meant}", command.request_id)
        wanted = (
            {words["subAccountId"]: words["amount"], HOUSE: -words["amount"]} if "amount" in words else {}
        )
        if paid != wanted:
            self.fail(AS_ASKED, f"entry {entry.seq} pays {paid}, asked for was {wanted}", command.request_id)
        if not moved:
            return
        price = self._prices[entry.rows.moves[0].seq] = Decimal(details["price"])
        if price != words.get("price", price):
            told = f"entry {entry.seq} is at {price}, asked for was {words['price']}"
            self.fail(AS_ASKED, told, command.request_id)
        if entry.kind == "reassigned" and "price" not in words and not self._as_entered(books, words, price):
            self.fail(
                AS_ASKED, f"entry {entry.seq} is at {price}, which is not what was paid", command.request_id
            )
        commission = words.get("commission", ZERO)
        handed = {words["fromAccountId"]: commission, words["toAccountId"]: -commission} if commission else {}
        self._commissions[entry.rows.moves[0].seq] = handed
        if _sums(entry, "COMMISSION") != handed:
            told = (
                f"entry {entry.seq} hands over fees {_sums(entry, 'COMMISSION')}, of the trade are {handed}"
            )
            self.fail(AS_ASKED, told, command.request_id)

    def _as_entered(self, books: Fold, words: Words, price: Decimal) -> bool:
        """Whether a price is what the giver has paid on average, to the tick."""
        giver = words["fromAccountId"]
        side = BOTH if giver == HOUSE else words.get("positionSide", BOTH)
        held = books.tables["positions"][giver, words["symbol"], side]
        tick = self.exchange.venue.exchange.markets[words["symbol"]].symbol.tick
        return bool(abs(price - held.cost / held.quantity) <= tick)

    def paid(self, books: Fold) -> dict[str, Decimal]:
        """What each account has paid for all that was handed over, or was paid."""
        sums: dict[str, Decimal] = {}
        for (seq, _), move in books.tables["moves"].items():
            if seq in self._prices:
                sums[move.sub_account_id] = (
                    sums.get(move.sub_account_id, ZERO) - move.quantity * self._prices[seq]
                )
        for seq, handed in self._commissions.items():
            if any(known == seq for known, _ in books.tables["moves"]):
                for account, amount in handed.items():
                    sums[account] = sums.get(account, ZERO) + amount
        return sums

    def concerns(self, books: Fold, symbol: str) -> bool:
        """Whether the house gave or took of a symbol."""
        return any(
            seq in self._prices and move.symbol == symbol for (seq, _), move in books.tables["moves"].items()
        )


def _read(text: str) -> Words:
    words: Words = json.loads(text, parse_float=Decimal, parse_int=Decimal)
    return words


def _sums(entry: Entry, reason: str) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for line in entry.rows.ledger:
        if line.reason == reason:
            sums[line.sub_account_id] = sums.get(line.sub_account_id, ZERO) + line.amount
    return sums


def _meant(tables: Tables, words: Words) -> dict[Place, Decimal]:
    """What a command says that positions change by."""
    if "amount" in words:
        return {}
    giver: str = words.get("fromAccountId", HOUSE)
    taker: str = words.get("toAccountId") or words["subAccountId"]
    giving, taking = (
        (name, words["symbol"], BOTH if name == HOUSE else words.get("positionSide", BOTH))
        for name in (giver, taker)
    )
    held = tables["positions"].get(giving)
    quantity: Decimal = words.get("quantity", held.quantity if held else ZERO)
    return {giving: -quantity, taking: quantity}
