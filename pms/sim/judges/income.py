"""What must hold of money that moves without a trade: the exchange's incomes, and each account's fundings.

Judged by the exchange's own history and by what each account held, and not by the domain's arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal

from pms.contract.journal import Entry, IncomeRow
from pms.contract.names import HOUSE
from pms.domain.treasury import funding_name
from pms.sim.machines.books import Fold
from pms.sim.machines.exchange import SimExchange
from pms.venue.state import WALLET, Funding, Income

BOOKED, SHARED = "each income is booked once", "each pays the funding of what it held"
CONSERVED = "all balances are the wallet"
SELDOM = {BOOKED, CONSERVED}
"""What a single lost word may leave wrong until the wallets are read again, where nothing moves behind it."""
TRADED = {"REALIZED_PNL", "COMMISSION"}
ZERO, UNIT = Decimal(0), Decimal("1e-8")
TAKEN_WITHIN_MS = 6_000
"""A takeover bears our clock, a funding the exchange's: which came first is not certain so near."""


@dataclass(slots=True)
class Incomes:
    """Looks at each entry, and at all of it once all is quiet."""

    exchange: SimExchange
    fail: Callable[..., None]
    checked: Callable[[str], None]
    _begun: dict[str, int] = field(default_factory=dict)
    #: by symbol, since when its fundings concern these books

    def before(self, books: Fold, entry: Entry) -> None:
        """The books as they were: what an entry books is the exchange's, and new."""
        for row in entry.rows.incomes:
            self.checked(BOOKED)
            if (row.kind, row.tran_id, row.asset, row.symbol) in books.tables["incomes"]:
                self.fail(BOOKED, f"{row.kind} {row.tran_id} is booked again")
            if not any(_same(row, each) for each in reversed(self.exchange.account.incomes)):
                self.fail(BOOKED, f"{row} is booked, the exchange has no such income")
        if not entry.rows.fundings:
            for progress in entry.rows.progress:
                self._begun.setdefault(progress.name, progress.at)

    def forgotten(self, books: Fold) -> None:
        """Redis lost its tail: books that forgot their beginning begin anew."""
        self._begun = {name: at for name, at in self._begun.items() if (name,) in books.tables["progress"]}

    def moved(self, entry: Entry) -> Decimal:
        """By how much the exchange's wallet moved for what an entry books."""
        return sum((row.amount for row in entry.rows.incomes if row.asset == WALLET), ZERO)

    def settled(self, books: Fold) -> None:
        """All is quiet: no account's share of a funding is missing."""
        for symbol, market in self.exchange.venue.exchange.markets.items():
            for funding in market.fundings:
                if funding.time > self._begun.get(funding_name(symbol), funding.time):
                    self._shared(books, funding)

    def complete(self, books: Fold, *, since: int) -> None:
        """All is quiet: nothing of the exchange's history since a time is missing, nor of its wallet."""
        known = {(row.kind, row.tran_id) for row in books.tables["incomes"].values()}
        for each in self.exchange.account.incomes:
            if (
                each.type not in TRADED
                and each.time > since
                and (each.type, each.transaction_id) not in known
            ):
                self.fail(BOOKED, f"{each.type} {each.transaction_id} of {each.amount} is not booked")
        self.checked(CONSERVED)
        ours = sum((row.balance for row in books.tables["sub_accounts"].values()), ZERO)
        theirs = self.exchange.account.wallet.balance
        if ours != theirs:
            self.fail(CONSERVED, f"all balances make {ours}, the wallet is {theirs}")

    def _shared(self, books: Fold, funding: Funding) -> None:
        self.checked(SHARED)
        owed: dict[str, Decimal] = {}
        for (account, _), quantity in _held(books, funding).items():
            amount = (-quantity * funding.mark * funding.rate).quantize(UNIT, rounding=ROUND_HALF_EVEN)
            owed[account] = owed.get(account, ZERO) + amount
        paid: dict[str, Decimal] = {}
        pieces: dict[str, int] = {}
        name = f"{funding.symbol}:{funding.time}"
        for line in books.tables["ledger"].values():
            if line.reason == "FUNDING" and line.reference in (name, f"{name}:late"):
                paid[line.sub_account_id] = paid.get(line.sub_account_id, ZERO) + line.amount
                pieces[line.sub_account_id] = pieces.get(line.sub_account_id, 0) + 1
        doubtful = {
            move.sub_account_id
            for move in books.tables["moves"].values()
            if move.symbol == funding.symbol and abs(move.at - funding.time) < TAKEN_WITHIN_MS
        }
        for account in (owed.keys() | paid.keys()) - doubtful - {HOUSE}:
            # Each piece of what came late is rounded for itself.
            most_off = UNIT * pieces.get(account, 0)
            if abs(paid.get(account, ZERO) - owed.get(account, ZERO)) > most_off:
                told = f"{name}: {account} paid {paid.get(account)}, for what it held {owed.get(account)}"
                self.fail(SHARED, told, account)
        if sum(paid.values(), ZERO):
            self.fail(SHARED, f"{name}: what is paid and received differs: {paid}")


def _held(books: Fold, funding: Funding) -> dict[tuple[str, str], Decimal]:
    """What each account held of a symbol when it was funded, by position side."""
    held: dict[tuple[str, str], Decimal] = {}
    for fill in books.tables["fills"].values():
        if fill.symbol == funding.symbol and fill.venue_time <= funding.time:
            place = fill.sub_account_id, fill.position_side
            held[place] = held.get(place, ZERO) + (fill.quantity if fill.side == "BUY" else -fill.quantity)
    for move in books.tables["moves"].values():
        if move.symbol == funding.symbol and move.at <= funding.time:
            place = move.sub_account_id, move.position_side
            held[place] = held.get(place, ZERO) + move.quantity
    return held


def _same(row: IncomeRow, each: Income) -> bool:
    theirs = each.type, each.transaction_id, each.asset, each.amount, each.symbol
    return theirs == (row.kind, row.tran_id, row.asset, row.amount, row.symbol)
