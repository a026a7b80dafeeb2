"""What must hold of liquidations once all is quiet.

Nobody but the house is beyond a line or in debt, at the exchange's own prices; the house has closed all that
it can; and each unit that the accounts lost was paid by somebody who is named.
"""

from __future__ import annotations

from decimal import Decimal

from pms.contract.names import HOUSE, INSURANCE
from pms.sim.judges.invariants import Invariants
from pms.sim.judges.liquidations import OWED, PAID, standing
from pms.sim.lines import ZERO
from pms.sim.world import World

KEPT = "nobody is left beyond a line"


def unwinding(world: World) -> str | None:
    """What the house has yet to close, and could; None if there is nothing."""
    streamer = world.streamer
    if streamer is None:
        return None
    for symbol, row in streamer._desk.unwinds.items():
        left = row.quantity
        listed = world.exchange.venue.exchange.markets[symbol].symbol
        part = min(abs(left), listed.quantity(int(listed.market_lot.most / listed.step)))
        if part >= listed.market_lot.least and part * world.exchange.middle(symbol) > listed.min_notional * 2:
            return f"the house has {left} {symbol} to unwind"
    return None


def check(world: World, invariants: Invariants) -> None:
    """All comparisons."""
    invariants.checked[KEPT] += 1
    books = invariants.journal
    mids = {name: market.mark for name, market in world.exchange.venue.exchange.markets.items()}
    for (account,) in books.tables["sub_accounts"]:
        if account in (HOUSE, INSURANCE):
            continue
        each = standing(books, account)
        weight = each.weigh(mids)
        if weight.level(each.tier) != each.tier:
            detail = f"{account} is in tier {each.tier} and belongs in {weight.level(each.tier)}: {weight}"
            invariants.fail(KEPT, detail, account)
        if weight.equity < 0 or (each.balance < 0 and not each.held):
            invariants.fail(KEPT, f"{account} owes: {weight}, balance {each.balance}", account)
    _house(world, invariants)
    _losses(invariants)


def _house(world: World, invariants: Invariants) -> None:
    """What is left to unwind, in the books and in memory, is what the house holds.

    Where somebody has traded beside us it may hold more, and what he closed is not left.
    """
    held = {symbol: each.quantity for (symbol, _), each in standing(invariants.journal, HOUSE).held.items()}
    rows = invariants.journal.tables["unwinds"]
    left = {symbol: row.quantity for (symbol,), row in rows.items() if row.quantity}
    known = world.streamer._desk.unwinds if world.streamer else {}
    memory = {symbol: row.quantity for symbol, row in known.items() if row.quantity}
    taken = {
        row.symbol for row in invariants.journal.tables["liquidations"].values() if row.quantity is not None
    }
    for order in invariants.journal.tables["orders"].values():
        # What a Redis that lost its tail has forgotten was taken over, and its orders are found again.
        if order.sub_account_id == HOUSE and order.symbol not in taken and not invariants.tail_lost:
            told = f"{order.client_order_id} is the house's, which took nothing over"
            invariants.fail(OWED, told, order.client_order_id)
    disturbed = {symbol for symbol in world.exchange.account.trades if invariants.disturbed(symbol)}
    told = f"the house holds {held}, the books say {left}, memory {memory}"
    if left != memory:
        invariants.fail(OWED, told)
    for symbol in held.keys() | left.keys():
        has, owed = held.get(symbol, ZERO), left.get(symbol, ZERO)
        within = min(has, ZERO) <= owed <= max(has, ZERO)
        if not (within if symbol in disturbed else owed == has):
            invariants.fail(OWED, told)


def _losses(invariants: Invariants) -> None:
    """What accounts were given for their debts, the insurance and the house have paid."""
    given: dict[str, Decimal] = {}
    for line in invariants.journal.tables["ledger"].values():
        if line.reason == "INSURANCE":
            given[line.sub_account_id] = given.get(line.sub_account_id, ZERO) + line.amount
    if sum(given.values(), ZERO):
        invariants.fail(PAID, f"INSURANCE lines do not add up: {given}")
    fund = standing(invariants.journal, INSURANCE).balance
    if fund < 0 or (fund > 0 and given.get(HOUSE, ZERO) < 0):
        invariants.fail(PAID, f"the house paid {given}, and the insurance has {fund}")
