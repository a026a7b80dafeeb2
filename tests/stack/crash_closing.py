"""Accounts that are closed at market, before the judge: begun on time, never too much, and owing nothing.

mode          closed at market, or moved to the house, where its group wants the other
begun         the entry of the tick did not mark it, or did not name what is to be closed
overshoot     closing orders of one symbol, live and new, are for more than is held
order         an order that closes is no market order of the account itself that only reduces
insurance     what was owed was not paid when the last position went, or something else was
ended         called over with something held or living, or beyond its target; or in a wrong tier
unfinished    still being closed when the market had long been quiet
debt          without positions, and below zero
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from decimal import Decimal

from crash_books import HOUSE, INSURANCE, ZERO, Held, Standing, Step
from crash_money import Losses, Row
from crash_rules import ACTIONS, LEVELS, Prices, Rules, Weight, taking_price

Told = Iterator[tuple[str, str]]
DELEVERAGE, TAKEOVER = LEVELS["DELEVERAGE"], LEVELS["TAKEOVER"]


def level_of(row: Row) -> int:
    """The line that a row says was crossed; 0 is none. What begins a closing says it by its tier."""
    return int(row["tier"]) if row["action"] == "CLOSE" else LEVELS.get(row["action"], 0)


def closing_orders(step: Step, account: str) -> list[Row]:
    """The orders of an entry by which an account is closed."""
    return [
        row
        for row in step.rows.get("orders", ())
        if row.get("origin") == "LIQUIDATION" and row["sub_account_id"] == account
    ]


def roomy(step: Step, account: str, new: Sequence[Row]) -> Told:
    """live + unknown + next <= position, wherever closing orders are made."""
    for row in new:
        coid, symbol = row["client_order_id"], row["symbol"]
        held = step.after[account].held.get(symbol, Held()).quantity
        if (row["type"], row["reduce_only"]) != ("MARKET", True) or (row["side"] == "SELL") != (held > 0):
            yield "order", f"{coid} is a {row['type']} {row['side']}, {held} {symbol} is held"
        live = sum(
            (
                Decimal(order["quantity"]) - Decimal(order["filled_qty"])
                for order in step.live
                if (order["sub_account_id"], order["symbol"], order["side"]) == (account, symbol, row["side"])
            ),
            ZERO,
        )
        if live > abs(held):
            yield "overshoot", f"with {coid} {live} {symbol} may trade, {held} is held"


def begun(rules: Rules, step: Step, account: str, rows: Sequence[Row], prices: Prices) -> Told:
    """The entry that begins a closing: marks, names, and moves nothing but dust."""
    before, after = step.before[account], step.after[account]
    wanted = [row for row in rows if row["action"] == "CLOSE"]
    handed = [row for row in rows if row["action"] in ("DELEVERAGE", "TAKEOVER")]
    if not before.market and wanted:
        yield "mode", "it is closed at market, its group wants the book transfer"
    if before.market:
        for row in handed:
            worth = abs(Decimal(row["quantity"])) * Decimal(row["price"])
            if worth >= rules.least.get(row["symbol"], ZERO):
                yield "mode", f"{row['quantity']} {row['symbol']} went to the house, an order could take it"
    if not wanted:
        return
    level = max(int(row["tier"]) for row in wanted)
    if after.closing != level:
        yield "begun", f"{ACTIONS[level]} is told, its mark says {after.closing}"
    named = {row["symbol"]: Decimal(row["quantity"]) for row in (*wanted, *handed)}
    if any(row["price"] is not None or row["realized"] is not None for row in wanted):
        yield "begun", "a price is told of what has not traded"
    if level == TAKEOVER:
        held = {symbol: position.quantity for symbol, position in before.held.items()}
        if named != held:
            yield "begun", f"{named} is to be closed of {held}"
    else:
        yield from _least_parts(rules, before, named, prices)


def _least_parts(rules: Rules, before: Standing, parts: dict[str, Decimal], prices: Prices) -> Told:
    """A deleveraging: by loss, whole but for the last, and of that no step more than it takes."""
    taken = list(parts)
    due = rules.by_loss(before, prices)[: len(taken)]
    if taken != due:
        yield "begun", f"{taken} goes in this order, by loss it is {due}"
        return
    for symbol in taken[:-1]:
        if parts[symbol] != before.held[symbol].quantity:
            yield "begun", f"{parts[symbol]} {symbol} goes, not all, before the next symbol"
    left = _without(rules, before, parts, prices)
    if left is not None and left.crossed(rules.back_to) and left.ratio != rules.back_to:
        yield "begun", f"too little is to be closed: {left}"
    last = taken[-1]
    step = rules.steps[last] if parts[last] > 0 else -rules.steps[last]
    spared = _without(rules, before, {**parts, last: parts[last] - step}, prices)
    if spared is not None and not spared.crossed(rules.back_to):
        yield "begun", f"a step of {last} less would do: {spared}"


def _without(rules: Rules, before: Standing, parts: dict[str, Decimal], prices: Prices) -> Weight | None:
    """The account as it would be without these parts; None without any position."""
    standing = before.copy()
    for symbol, part in parts.items():
        held = standing.held[symbol]
        share = held.share(part)
        standing.balance += part * taking_price(held.quantity, prices[symbol]) - share
        held.quantity, held.cost = held.quantity - part, held.cost - share
        if not held.quantity:
            del standing.held[symbol]
    return rules.weigh(standing.balance, standing.held, prices) if standing.held else None


def covered(step: Step, account: str, losses: Losses) -> Told:
    """An entry that is no decision: a debt is paid in it if and only if it closed the last position."""
    before, after = step.before[account], step.after[account]
    lines: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for line in step.rows.get("ledger", ()):
        lines[line["sub_account_id"], line["reason"]] += Decimal(line["amount"])
    own = sum((n for (who, why), n in lines.items() if who == account and why != "INSURANCE"), ZERO)
    without = before.balance + own
    owed = max(ZERO, -without) if before.closing and not after.held else ZERO
    if lines[account, "INSURANCE"] != owed:
        yield "insurance", f"it owed {owed} and was given {lines[account, 'INSURANCE']}"
    if after.balance != without + owed:
        yield "money", f"balance {before.balance} became {after.balance}, and should be {without + owed}"
    if not owed:
        return
    fund = max(ZERO, step.before[INSURANCE].balance)
    paid = -lines[INSURANCE, "INSURANCE"]
    if paid != min(owed, fund):
        yield "insurance", f"the fund had {fund} for {owed} and paid {paid}"
    if lines[HOUSE, "INSURANCE"] != paid - owed:
        yield "insurance", f"the house had to pay {owed - paid} and paid {-lines[HOUSE, 'INSURANCE']}"
    losses.owed += owed
    losses.insured += paid
    losses.housed += owed - paid


def conserved(step: Step) -> Told:
    """What the exchange paid for an entry's trades is what all its lines add up to."""
    paid = ZERO
    for fill in step.rows.get("fills", ()):
        if fill["commission_asset"] != "USDT":
            return
        paid += Decimal(fill["venue_realized_pnl"]) - Decimal(fill["commission"])
    lines = sum(
        (Decimal(line["amount"]) for line in step.rows.get("ledger", ()) if line["asset"] == "USDT"), ZERO
    )
    if lines != paid:
        yield "money", f"its lines add up to {lines}, the exchange moved {paid}"


def ended(rules: Rules, step: Step, account: str, row: Row) -> Told:
    """The entry that calls a closing over: it is, and the account is in the tier where it belongs."""
    before, after = step.before[account], step.after[account]
    if not before.closing or after.closing:
        yield "ended", f"CLOSED is told, its mark was {before.closing} and is {after.closing}"
    alive = [order for order in step.live if order["sub_account_id"] == account]
    if closing := [order["client_order_id"] for order in alive if order.get("origin") == "LIQUIDATION"]:
        yield "ended", f"{', '.join(closing)} lives"
    if not after.held:
        if alive:
            yield "ended", f"{alive[0]['client_order_id']} lives and could open again"
        if after.tier:
            yield "ended", f"it holds nothing and is in tier {after.tier}"
        return
    tops = json.loads(row["tops"], parse_float=Decimal)
    prices = {s: (Decimal(str(top["bid"])), Decimal(str(top["ask"]))) for s, top in tops.items()}
    if before.closing != DELEVERAGE or after.held.keys() - prices.keys():
        yield "ended", f"it holds {', '.join(after.held)} still"
        return
    weight = rules.weigh(after.balance, after.held, prices)
    if weight.crossed(rules.back_to) and weight.ratio != rules.back_to:
        yield "ended", f"its target is {rules.back_to}: {weight}"
    if after.tier != rules.level(before.tier, weight):
        yield "ended", f"it came out in tier {after.tier} at {weight}"
