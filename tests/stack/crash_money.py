"""What one liquidation entry moved, against what it had to move: to the last digit, or it is told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from crash_books import HOUSE, INSURANCE, ZERO, Held, Standing, Step
from crash_rules import Prices, Rules, taking_price

Row = dict[str, Any]
Told = Iterator[tuple[str, str]]
"""The rule that is broken, and how."""


@dataclass(slots=True)
class Losses:
    """Who bore what, over all entries that were looked at."""

    realized: Decimal = ZERO
    #: by the accounts; the house has the other side
    owed: Decimal = ZERO
    #: more than accounts had
    insured: Decimal = ZERO
    #: of that, by the insurance account
    housed: Decimal = ZERO
    #: and by the house


def moved(rules: Rules, step: Step, account: str, rows: Sequence[Row], prices: Prices) -> Told:
    """Positions: each part at its price, out of the account and into the house, and nothing else."""
    left = step.before[account].copy()
    to_house: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        symbol, part = row["symbol"], Decimal(row["quantity"])
        held = left.held.get(symbol, Held())
        if part * held.quantity <= 0 or abs(part) > abs(held.quantity):
            yield "doubled", f"{part} {symbol} was taken of {held.quantity}"
            continue
        fair = taking_price(held.quantity, prices[symbol])
        if Decimal(row["price"]) != fair:
            yield "price", f"{part} {symbol} was taken at {row['price']}, the book had {fair}"
        share = held.share(part)
        realized = part * Decimal(row["price"]) - share
        if Decimal(row["realized"]) != realized:
            yield "money", f"{part} {symbol} realised {row['realized']}, its cost says {realized}"
        held.quantity, held.cost = held.quantity - part, held.cost - share
        if not held.quantity:
            del left.held[symbol]
        to_house[symbol] += part
    if step.after[account].held != left.held:
        yield "money", f"it was left with {step.after[account].held}, and should hold {left.held}"
    for symbol, part in to_house.items():
        came = _quantity(step.after.get(HOUSE), symbol) - _quantity(step.before.get(HOUSE), symbol)
        if came != part:
            yield "money", f"{part} {symbol} left the account, {came} reached the house"
    if any(row["action"] == "DELEVERAGE" for row in rows) and not step.before[account].market:
        yield from _deleveraged(rules, step, account, rows, prices)


def _deleveraged(rules: Rules, step: Step, account: str, rows: Sequence[Row], prices: Prices) -> Told:
    """The largest loss first, whole but for the last, and of that no step more than it takes."""
    before = step.before[account]
    taken = [row["symbol"] for row in rows]
    due = rules.by_loss(before, prices)[: len(taken)]
    if taken != due:
        yield "order", f"{', '.join(taken)} went in this order, by loss it is {', '.join(due)}"
        return
    for row in rows[:-1]:
        if Decimal(row["quantity"]) != before.held[row["symbol"]].quantity:
            yield "order", f"{row['quantity']} {row['symbol']} was taken, not all, before the next symbol"
    after = rules.weigh(
        before.balance + sum((Decimal(row["realized"]) for row in rows), ZERO),
        step.after[account].held,
        prices,
    )
    if step.after[account].held and after.crossed(rules.back_to) and after.ratio != rules.back_to:
        yield "amount", f"too little was taken: {after}, and it holds {list(step.after[account].held)} still"
    last = rows[-1]
    whole, symbol = Decimal(last["quantity"]), last["symbol"]
    less = whole - (rules.steps[symbol] if whole > 0 else -rules.steps[symbol])
    held, balance = before.copy().held, before.balance
    for row in rows[:-1]:
        balance += Decimal(row["realized"])
        del held[row["symbol"]]
    if less:
        share = held[symbol].share(less)
        balance += less * Decimal(last["price"]) - share
        held[symbol] = Held(held[symbol].quantity - less, held[symbol].cost - share)
    spared = rules.weigh(balance, held, prices)
    if not spared.crossed(rules.back_to):
        yield "amount", f"a step of {symbol} less would have done: {spared}"


def paid(step: Step, account: str, rows: Sequence[Row], losses: Losses) -> Told:
    """Money: the account's result, the insurance for what it cannot bear, the house for all else."""
    lines: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    total: dict[str, Decimal] = defaultdict(Decimal)
    for line in step.rows.get("ledger", ()):
        lines[line["sub_account_id"], line["reason"]] += Decimal(line["amount"])
        total[line["sub_account_id"]] += Decimal(line["amount"])
    realized = sum((Decimal(row["realized"]) for row in rows), ZERO)
    if lines[account, "LIQUIDATION"] != realized:
        yield "money", f"LIQUIDATION is {lines[account, 'LIQUIDATION']}, its rows realised {realized}"
    before, after = step.before[account], step.after[account]
    without = before.balance + realized
    owed = max(ZERO, -without) if not after.held else ZERO
    if lines[account, "INSURANCE"] != owed:
        yield "insurance", f"it owed {owed} and was given {lines[account, 'INSURANCE']}"
    if after.balance != without + owed:
        yield "money", f"balance {before.balance} became {after.balance}, and should be {without + owed}"
    fund = max(ZERO, step.before[INSURANCE].balance)
    paid_by_fund = -lines[INSURANCE, "INSURANCE"]
    if paid_by_fund != min(owed, fund):
        yield "insurance", f"the fund had {fund} for {owed} and paid {paid_by_fund}"
    if lines[HOUSE, "INSURANCE"] != paid_by_fund - owed:
        short = owed - paid_by_fund
        yield "insurance", f"the house had to pay {short} and paid {-lines[HOUSE, 'INSURANCE']}"
    if total[HOUSE] != -realized - (owed - paid_by_fund):
        yield "money", f"the house's lines are {total[HOUSE]} for a result of {realized}"
    if odd := set(total) - {account, HOUSE, INSURANCE}:
        yield "money", f"it moved money of {', '.join(sorted(odd))}"
    if sum(total.values()):
        yield "money", f"its lines add up to {sum(total.values())}, the exchange moved nothing"
    losses.realized += realized
    losses.owed += owed
    losses.insured += paid_by_fund
    losses.housed += owed - paid_by_fund


def _quantity(standing: Standing | None, symbol: str) -> Decimal:
    held = standing.held.get(symbol) if standing is not None else None
    return ZERO if held is None else held.quantity
