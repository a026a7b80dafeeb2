"""What must hold in each entry of a liquidation, and of what the house does with what it took over.

Judged from the books before and behind the entry, in the arithmetic of `lines`: each line was crossed on
the prices that the row names, fired once until it was armed again, and did all of what it does at once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pms.contract.journal import Entry, LiquidationRow, OrderRow
from pms.contract.names import HOUSE, INSURANCE
from pms.domain.orders import State
from pms.sim.judges.algos import ENDED
from pms.sim.judges.owed import Owed, behind, house_holds, owed
from pms.sim.lines import EVERYBODYS, LEVELS, ZERO, Held, Lines, Weight, cents, read_lines, weigh
from pms.sim.machines.books import Fold

ENTRY = "a liquidation is one entry"
ONCE = "a tier fires once until armed"
OWED = "the house owes what it took over"
PAID = "debts are paid once"
CANCELS = {"CANCEL", "TAKEOVER"}
"""The actions behind which no order of the account is wanted."""

Fail = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Standing:
    """An account as the books have it."""

    balance: Decimal = ZERO
    tier: int = 0
    held: dict[tuple[str, str], Held] = field(default_factory=dict)
    lines: Lines = field(default_factory=lambda: read_lines(EVERYBODYS))

    def weigh(self, mids: dict[str, Decimal]) -> Weight:
        """Its weight at these prices."""
        held = ((symbol, each) for (symbol, _), each in self.held.items())
        return weigh(self.balance, held, mids, self.lines)


def lines_of(books: Fold, account: str) -> Lines:
    """The lines that hold for an account: its group's, or everybody's."""
    row = books.tables["sub_accounts"].get((account,))
    own = books.tables["limits"].get((f"group:{row.group}", "liquidation.tiers", "")) if row else None
    return read_lines(own.value if own else EVERYBODYS)


def standing(books: Fold, account: str) -> Standing:
    """What an account has."""
    row = books.tables["sub_accounts"].get((account,))
    if row is None:
        return Standing()
    held = {
        (symbol, side): Held(each.quantity, each.cost)
        for (owner, symbol, side), each in books.tables["positions"].items()
        if owner == account and each.quantity
    }
    return Standing(row.balance, row.tier, held, lines_of(books, account))


def live_orders(books: Fold, account: str) -> Iterator[OrderRow]:
    """The orders of an account that are not over."""
    for row in books.tables["orders"].values():
        if row.sub_account_id == account and not State(row.state).terminal:
            yield row


def came_with_a_position(row: OrderRow) -> bool:
    """Whether an order of the house's was another account's: it bears that account's name."""
    return row.cancel_wanted and row.client_order_id.split("_")[1] != HOUSE


@dataclass(slots=True)
class Liquidations:
    """Judges entries; `checked` counts what was looked at."""

    fail: Fail
    checked: Callable[[str], None]
    _before: dict[str, Standing] = field(default_factory=dict)
    _owed: dict[str, Owed] = field(default_factory=dict)
    #: by symbol that the entry is about
    _cancelled_in: dict[str, int] = field(default_factory=dict)
    #: by account, the entry in which its orders were last cancelled by a tier
    _since: dict[str, int] = field(default_factory=dict)
    #: by order, the entry that brought it

    def before(self, books: Fold, entry: Entry) -> None:
        """Look at the books as they are before an entry."""
        rows, orders = entry.rows, books.tables["orders"]
        told = {row.sub_account_id for row in rows.liquidations}
        for account in rows.sub_accounts:
            known = books.tables["sub_accounts"].get((account.id,))
            if known is not None and known.tier != account.tier and account.id not in told:
                detail = f"{account.id} went from tier {known.tier} to {account.tier}, and nothing tells why"
                self.fail(ONCE, f"entry {entry.seq}: {detail}")
        for order in rows.orders:
            was = orders.get((order.client_order_id,))
            self._since.setdefault(order.client_order_id, entry.seq)
            if was is None and order.sub_account_id == HOUSE and order.origin == "LIQUIDATION":
                self._next_order(books, order)
            if was is None or was.sub_account_id == order.sub_account_id:
                continue
            if not order.cancel_wanted or order.sub_account_id != HOUSE or was.sub_account_id not in told:
                detail = f"{order.client_order_id} went from {was.sub_account_id} to {order.sub_account_id}"
                self.fail(ENTRY, f"entry {entry.seq}: {detail}", order.client_order_id)
        if told or any(line.reason == "INSURANCE" for line in rows.ledger):
            accounts = {*told, HOUSE, INSURANCE, *(line.sub_account_id for line in rows.ledger)}
            accounts |= {row.sub_account_id for row in rows.positions}
            self._before = {account: standing(books, account) for account in accounts}
        self._owed = {symbol: owed(books, symbol) for symbol in _of_the_house(entry)}

    def after(self, books: Fold, entry: Entry) -> None:
        """Judge an entry by what it made of them."""
        rows = entry.rows
        for symbol, was in self._owed.items():
            self._house(books, entry, symbol, was)
        told = dict.fromkeys(row.sub_account_id for row in rows.liquidations)
        for account in told:
            self.checked(ENTRY)
            self.checked(ONCE)
            mine = [row for row in rows.liquidations if row.sub_account_id == account]
            if any(row.action in CANCELS for row in mine):
                self._cancelled_in[account] = entry.seq
            for fault in (
                *self._lines(books, account, mine),
                *self._moved(books, account, mine),
                *self._orders_of(books, account, mine),
            ):
                self.fail(fault[0], f"entry {entry.seq}, {account}: {fault[1]}")
        if any(line.reason == "INSURANCE" for line in rows.ledger):
            self._insured(books, entry)

    # --- the house ---

    def _next_order(self, books: Fold, order: OrderRow) -> None:
        """The house has one order of its own a symbol, and never for more than it is left with and holds.

        What came with a position may live for as long as its end is unknown. It holds its own part only:
        together they may close what is left, and no more.
        """
        self.checked(OWED)
        coid, left, has = (
            order.client_order_id,
            owed(books, order.symbol).left,
            house_holds(books, order.symbol),
        )
        together = order.quantity
        for other in live_orders(books, HOUSE):
            if other.symbol != order.symbol:
                continue
            if not came_with_a_position(other):
                self.fail(OWED, f"{coid} follows {other.client_order_id}, which is {other.state}", coid)
            elif other.side == order.side:
                together += max(other.quantity, other.amend_quantity or ZERO) - other.filled_qty
        signed = together if order.side == "SELL" else -together
        for what, most in (("what is left is", left), ("it holds", has)):
            if signed * most <= 0 or abs(signed) > abs(most):
                detail = f"{coid} is {order.side} {order.quantity}, with others {together}, {what} {most}"
                self.fail(OWED, detail, coid)

    def _house(self, books: Fold, entry: Entry, symbol: str, was: Owed) -> None:
        """What it has to close is what it took over and has not closed, as far as it holds that."""
        self.checked(OWED)
        now, should = owed(books, symbol), behind(was, entry, books, symbol)
        if now != should:
            self.fail(OWED, f"entry {entry.seq}, {symbol}: it has {now}, and should have {should}")

    # --- one liquidation ---

    def _lines(self, books: Fold, account: str, rows: list[LiquidationRow]) -> Iterator[tuple[str, str]]:
        """Which line was crossed on the prices that are told, and where the account stands then."""
        was, now = self._before[account], standing(books, account)
        mids = {symbol: (bid + ask) / 2 for symbol, (bid, ask) in _tops(rows[0]).items()}
        weight = was.weigh(mids)
        if any((row.equity, row.maintenance) != (cents(weight.equity), cents(weight.need)) for row in rows):
            yield ENTRY, f"it was told {rows[0].equity} and {rows[0].maintenance}, and was {weight}"
        due = weight.level(was.tier)
        for row in rows:
            level = LEVELS.get(row.action)
            if level is None:
                if due >= was.tier:
                    yield ONCE, f"armed again in tier {was.tier} at {weight}"
            elif level <= was.tier and not (level == LEVELS["TAKEOVER"] and row.symbol):
                yield ONCE, f"{row.action} again, tier {was.tier}, {weight}"
            elif not weight.crossed(was.lines.fires[level - 1]):
                yield ONCE, f"{row.action} at {weight}"
        worst = max((LEVELS.get(row.action, 0) for row in rows), default=0)
        if worst and worst != due:
            yield ENTRY, f"level {worst} was done where {due} was due, {weight}"
        left = now.weigh(mids).level(due)
        if now.tier != left:
            yield ONCE, f"it came out in tier {now.tier}, and belongs in {left}"

    def _moved(self, books: Fold, account: str, rows: list[LiquidationRow]) -> Iterator[tuple[str, str]]:
        """Each part at its price, out of the account and into the house, and nothing else."""
        was, now, tops = self._before[account], standing(books, account), _tops(rows[0])
        held = dict(was.held)
        worth = ZERO
        for row in rows:
            if row.symbol is None or row.quantity is None:
                continue
            place = row.symbol, row.position_side
            before = held.get(place, Held(ZERO, ZERO))
            bid, ask = tops[row.symbol]
            if row.price != (bid if before.quantity > 0 else ask):
                yield ENTRY, f"{row.quantity} {row.symbol} was taken at {row.price}, the book had {bid} {ask}"
            if before.quantity * row.quantity <= 0 or abs(row.quantity) > abs(before.quantity):
                yield ENTRY, f"{row.quantity} {row.symbol} was taken of {before.quantity}"
            left = before.quantity - row.quantity
            worth += row.quantity * (row.price or ZERO)
            held[place] = Held(left, now.held.get(place, Held(ZERO, ZERO)).cost)
        if {place: each for place, each in held.items() if each.quantity} != now.held:
            yield ENTRY, f"it holds {now.held}, and its rows leave {held}"
        cost = sum((each.cost for each in was.held.values()), ZERO) - sum(
            (each.cost for each in now.held.values()), ZERO
        )
        without = was.balance + worth - cost
        owed = max(ZERO, -without) if not now.held else ZERO
        if now.balance != without + owed:
            yield ENTRY, f"its balance became {now.balance}, and should be {without + owed}"
        if any(row.action == "TAKEOVER" for row in rows) and now.held:
            yield ENTRY, f"a takeover left {now.held}"
        if any(row.action == "DELEVERAGE" for row in rows) and now.held:
            mids = {symbol: (bid + ask) / 2 for symbol, (bid, ask) in tops.items()}
            weight = now.weigh(mids)
            if weight.crossed(now.lines.back_to) and weight.need != now.lines.back_to * weight.equity:
                yield ENTRY, f"too little was taken: {weight}"

    def _orders_of(self, books: Fold, account: str, rows: list[LiquidationRow]) -> Iterator[tuple[str, str]]:
        """Behind a tier that cancels no order is wanted and no algo runs; what went keeps no order.

        One that was admitted since can but close, and may go on while the account is deleveraged.
        """
        if not any(LEVELS.get(row.action, 0) >= LEVELS["CANCEL"] for row in rows):
            return
        gone = {row.symbol for row in rows if row.quantity}
        for order in live_orders(books, account):
            if order.symbol in gone:
                yield ENTRY, f"{order.client_order_id} is still its own, and {order.symbol} is not"
            since = self._since.get(order.client_order_id, 0)
            if not order.cancel_wanted and since <= self._cancelled_in.get(account, 0):
                yield ENTRY, f"{order.client_order_id} is still wanted"
        for algo in books.tables["algos"].values():
            if algo.sub_account_id == account and algo.status not in ENDED:
                yield ENTRY, f"{algo.kind} {algo.id} is still {algo.status}"

    def _insured(self, books: Fold, entry: Entry) -> None:
        """A debt is paid once, in the entry that left nothing but it: by the insurance, then by the house."""
        self.checked(PAID)
        paid: dict[str, Decimal] = {}
        moved: dict[str, Decimal] = {}
        for line in entry.rows.ledger:
            sums = paid if line.reason == "INSURANCE" else moved
            sums[line.sub_account_id] = sums.get(line.sub_account_id, ZERO) + line.amount
        # What was taken over, or handed on, at its very cost moved no money, and left a debt all the same.
        left_flat = {*moved, *(row.sub_account_id for row in entry.rows.liquidations)} - {HOUSE, INSURANCE}
        left_flat |= {row.sub_account_id for row in entry.rows.positions} - {HOUSE, INSURANCE}
        owed = {
            name: -(self._before[name].balance + moved.get(name, ZERO))
            for name in sorted(left_flat)
            if not standing(books, name).held
        }
        wanted = {name: amount for name, amount in owed.items() if amount > 0}
        fund = min(sum(wanted.values(), ZERO), max(ZERO, self._before[INSURANCE].balance))
        shares = {INSURANCE: -fund, HOUSE: fund - sum(wanted.values(), ZERO)}
        wanted |= {name: amount for name, amount in shares.items() if amount}
        if paid != wanted:
            self.fail(PAID, f"entry {entry.seq} paid {paid}, and {wanted} was owed")


def _of_the_house(entry: Entry) -> set[str]:
    """The symbols in which an entry concerns what the house holds, or should."""
    rows = entry.rows
    return {
        *(row.symbol for row in rows.unwinds),
        *(row.symbol for row in rows.positions if row.sub_account_id == HOUSE),
        *(row.symbol for row in rows.liquidations if row.symbol and row.quantity),
    }


def _tops(row: LiquidationRow) -> dict[str, tuple[Decimal, Decimal]]:
    """The prices that a row says it was decided on: bid and ask."""
    told: dict[str, Any] = json.loads(row.tops, parse_float=Decimal, parse_int=Decimal)
    return {symbol: (Decimal(top["bid"]), Decimal(top["ask"])) for symbol, top in told.items()}
