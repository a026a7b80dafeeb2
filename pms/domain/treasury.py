"""The treasury: sums over all accounts, other assets, and what the exchange's money histories told.

The sums are kept as rows are drafted and loaded, so that a check costs the same for ten accounts as
for ten thousand. `recount` adds up anew what they claim.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from pms.contract.journal import (
    AssetRow,
    FeeRow,
    FundingRow,
    IncomeRow,
    MoveRow,
    PositionRow,
    ProgressRow,
    Rows,
)
from pms.contract.names import BOTH, LONG, SHORT
from pms.domain.positions import Place
from pms.domain.posting import Draft

ZERO = Decimal(0)
WALLET = "USDT"
HOUR_MS = 3_600_000
INCOME = "income"
KEPT_FUNDINGS = 48
"""Per symbol: two days of the shortest interval; a fill that is later still is an incident."""
SAME_MS = 60_000
"""Binance's funding times are off the hour by milliseconds."""
MISSING_AFTER_MS = 600_000
"""A funding that the exchange does not list for so long never was, or an operator is told of it."""

KEPT_FOREIGN = 10_000
"""Orders of others that were alarmed about; an older one would be again."""

IncomeKey = tuple[str, int, str, str]
FeeKey = tuple[str, int, int]


class Move(NamedTuple):
    """One change of a position, by whatever made it."""

    at: int
    sub_account_id: str
    quantity: Decimal
    position_side: str = BOTH


class Rate(NamedTuple):
    """One funding of a symbol that is booked: the exchange's time, rate and mark price."""

    at: int
    rate: Decimal
    mark: Decimal


@dataclass(slots=True)
class Treasury:
    """What the desk knows of money besides each account's own balance."""

    total: Decimal = ZERO
    #: of all balances
    assets: dict[str, Decimal] = field(default_factory=dict)
    #: the house's, other than USDT
    net: dict[str, Decimal] = field(default_factory=dict)
    #: of all accounts, by symbol
    quantities: dict[Place, Decimal] = field(default_factory=dict)
    moves: dict[str, list[Move]] = field(default_factory=dict)
    #: by symbol, since its last funding
    progress: dict[str, int] = field(default_factory=dict)
    incomes: dict[IncomeKey, int] = field(default_factory=dict)
    #: booked, by time; as far back as the history will be read again
    fundings: dict[str, list[Rate]] = field(default_factory=dict)
    next_fundings: dict[str, int] = field(default_factory=dict)
    #: by symbol, when its next funding is, or the last one was that is not booked yet; 0 where none is known.
    #: One that is still to come says that all before it are booked
    unpaid: dict[FeeKey, FeeRow] = field(default_factory=dict)
    #: fees in another asset that wait for a price
    foreign: OrderedDict[tuple[str, int], None] = field(default_factory=OrderedDict)
    #: orders of others that an operator was told of

    # --- positions ---

    def note(self, draft: Draft) -> None:
        """Take in the positions that a draft leaves; what its fills do not explain becomes a move."""
        traded: dict[Place, Decimal] = {}
        for fill in draft.fills:
            place = fill.sub_account_id, fill.symbol, fill.position_side
            traded[place] = traded.get(place, ZERO) + signed(fill.side, fill.quantity)
        for place, row in draft.positions.items():
            change = self._hold(row)
            if not change:
                continue
            self._begin_funding(draft, row.symbol)
            self._moved(row.symbol, Move(draft.at, row.sub_account_id, change, row.position_side))
            if other := change - traded.get(place, ZERO):
                draft.moves.append(
                    MoveRow(
                        seq=draft.first_seq,
                        line=len(draft.moves),
                        sub_account_id=row.sub_account_id,
                        symbol=row.symbol,
                        quantity=other,
                        at=draft.at,
                        position_side=row.position_side,
                    )
                )

    def held_at(self, symbol: str, at: int) -> dict[tuple[str, str], Decimal]:
        """What each position of a symbol was at a time since the symbol's last funding, `at` included.

        By account and position side.
        """
        held = {
            (account, side): quantity
            for (account, of, side), quantity in self.quantities.items()
            if of == symbol
        }
        for move in self.moves.get(symbol, ()):
            if move.at > at:
                key = move.sub_account_id, move.position_side
                held[key] = held.get(key, ZERO) - move.quantity
        return {key: quantity for key, quantity in held.items() if quantity}

    def concerned(self) -> list[str]:
        """The symbols whose next funding may concern an account: held, or traded since the last one."""
        held = {symbol for (_, symbol, _), quantity in self.quantities.items() if quantity}
        return sorted(held | {symbol for symbol, moves in self.moves.items() if moves})

    # --- fundings ---

    def funded_until(self, symbol: str) -> int:
        """Up to when a symbol's fundings are booked; the books' whole past where none ever was."""
        return self.progress.get(funding_name(symbol), 0)

    def is_booked(self, symbol: str, due: int) -> bool:
        """Whether the funding of a time is booked."""
        return self.funded_until(symbol) >= due - SAME_MS

    def owes(self, account: str, *, exchange_now: int) -> str | None:
        """What is still to be paid by an account: a fee without a price, a funding that is not booked."""
        for fee in self.unpaid.values():
            if fee.sub_account_id == account:
                return f"a fee in {fee.asset} of {account} waits for its price"
        for symbol, due in [*self.next_fundings.items(), *self._perhaps_over(exchange_now)]:
            if not 0 < due <= exchange_now or self.is_booked(symbol, due):
                continue
            if self._held_by(account, symbol, due):
                return f"the funding of {symbol} is over and not booked yet"
        return None

    def _perhaps_over(self, exchange_now: int) -> list[tuple[str, int]]:
        """The symbols whose next funding nobody knows: there may have been one at the last whole hour.

        Trap: a position that was opened just before it, and closed just behind, is of a symbol nobody asked
        about. What is said of its next funding afterwards is silent on the one that is over.
        """
        hour = exchange_now - exchange_now % HOUR_MS
        if exchange_now - hour >= MISSING_AFTER_MS:
            return []
        told = self.next_fundings
        return [
            (symbol, hour)
            for symbol in {**self.net, **self.moves}
            if symbol not in told or 0 < told[symbol] <= exchange_now
        ]

    def _held_by(self, account: str, symbol: str, at: int) -> bool:
        """Whether an account held something of a symbol at a time since the symbol's last funding."""
        held = {side: self.quantities.get((account, symbol, side), ZERO) for side in (BOTH, LONG, SHORT)}
        for move in self.moves.get(symbol, ()):
            if move.at > at and move.sub_account_id == account:
                held[move.position_side] -= move.quantity
        return any(held.values())

    def funded(self, symbol: str, rate: Rate) -> None:
        """Take in a funding that is booked: positions before it are of no more interest."""
        rates = self.fundings.setdefault(symbol, [])
        if rate not in rates:
            rates.append(rate)
            rates.sort()
            del rates[:-KEPT_FUNDINGS]
        self.moves[symbol] = [move for move in self.moves.get(symbol, ()) if move.at > rate.at]

    def funded_since(self, symbol: str, at: int) -> list[Rate]:
        """The booked fundings that a trade of that time took part in."""
        return [rate for rate in self.fundings.get(symbol, ()) if rate.at >= at]

    # --- the rest ---

    def first_foreign(self, symbol: str, exchange_order_id: int) -> bool:
        """Whether an order of others is new here; remembers it."""
        key = symbol, exchange_order_id
        if key in self.foreign:
            return False
        self.foreign[key] = None
        if len(self.foreign) > KEPT_FOREIGN:
            self.foreign.popitem(last=False)
        return True

    def move_asset(self, draft: Draft, *, asset: str, amount: Decimal) -> None:
        """Move what the house holds of another asset; the ledger line is the caller's."""
        self.assets[asset] = self.assets.get(asset, ZERO) + amount
        draft.assets[asset] = AssetRow(asset=asset, balance=self.assets[asset], updated_at=draft.at)

    def reach(self, draft: Draft, name: str, at: int) -> None:
        """Note that a history is booked up to a time."""
        self.progress[name] = at
        draft.progress.append(ProgressRow(name=name, at=at))

    def forget_incomes(self, before: int) -> None:
        """Drop the keys of incomes that no reading will meet again."""
        self.incomes = {key: at for key, at in self.incomes.items() if at >= before}

    def load(self, rows: Rows) -> None:
        """Lay an entry's rows, or a whole state's, over what is known."""
        for position in rows.positions:
            self._hold(position)
        for fill in rows.fills:
            move = Move(
                fill.venue_time, fill.sub_account_id, signed(fill.side, fill.quantity), fill.position_side
            )
            self._moved(fill.symbol, move)
        for row in rows.moves:
            self._moved(row.symbol, Move(row.at, row.sub_account_id, row.quantity, row.position_side))
        for progress in rows.progress:
            self.progress[progress.name] = progress.at
        for income in rows.incomes:
            self.incomes[income_key(income)] = income.at
        for asset in rows.assets:
            self.assets[asset.asset] = asset.balance
        for fee in rows.fees:
            if fee.price is None:
                self.unpaid[fee_key(fee)] = fee
            else:
                self.unpaid.pop(fee_key(fee), None)
        self._load_fundings(rows.fundings)

    def recount(self, balances: Iterable[Decimal], positions: Mapping[Place, Decimal]) -> list[str]:
        """Name the sums that are not what their parts add up to: a bug, never the world's doing."""
        wrong = []
        if (total := sum(balances, ZERO)) != self.total:
            wrong.append(f"balances add up to {total}, the running sum is {self.total}")
        net: dict[str, Decimal] = {}
        for (_, symbol, _), quantity in positions.items():
            net[symbol] = net.get(symbol, ZERO) + quantity
        for symbol in net.keys() | self.net.keys():
            if net.get(symbol, ZERO) != self.net.get(symbol, ZERO):
                wrong.append(f"{symbol} adds up to {net.get(symbol, ZERO)}, the running sum is other")
        return wrong

    def _hold(self, row: PositionRow) -> Decimal:
        place = row.sub_account_id, row.symbol, row.position_side
        change = row.quantity - self.quantities.get(place, ZERO)
        if row.quantity:
            self.quantities[place] = row.quantity
        else:
            self.quantities.pop(place, None)
        self.net[row.symbol] = self.net.get(row.symbol, ZERO) + change
        return change

    def _moved(self, symbol: str, move: Move) -> None:
        if move.at > self.funded_until(symbol):
            self.moves.setdefault(symbol, []).append(move)

    def _begin_funding(self, draft: Draft, symbol: str) -> None:
        """A symbol's first position ever: its fundings count from here, with room for a late fill."""
        name = funding_name(symbol)
        if name not in self.progress:
            self.reach(draft, name, draft.at - HOUR_MS)

    def _load_fundings(self, rows: Iterable[FundingRow]) -> None:
        for row in rows:
            self.funded(row.symbol, Rate(row.at, row.rate, row.mark))


def funding_name(symbol: str) -> str:
    """The name under which a symbol's funding progress is kept."""
    return f"funding:{symbol}"


def signed(side: str, quantity: Decimal) -> Decimal:
    """A quantity with the sign of its side."""
    return quantity if side == "BUY" else -quantity


def income_key(row: IncomeRow) -> IncomeKey:
    """Binance: a transaction id is unique within its kind only."""
    return row.kind, row.tran_id, row.asset, row.symbol


def fee_key(row: FeeRow) -> FeeKey:
    """One side of one trade."""
    return row.symbol, row.exchange_order_id, row.trade_id
