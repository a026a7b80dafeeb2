"""What must hold once all is quiet.

Memory, journal, database and exchange tell the same, and no answer lied.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from pms.contract import names
from pms.contract.journal import OrderRow
from pms.contract.names import HOUSE, LONG, SHORT
from pms.domain.desk import Desk
from pms.domain.orders import Order, State
from pms.domain.pending import Pending
from pms.domain.positions import Place
from pms.domain.rows import order_row, position_row
from pms.sim.judges import algos_settled, answers
from pms.sim.judges.invariants import WORDS, Invariants
from pms.sim.machines.books import Fold
from pms.sim.traffic.opening import BEGAN_MS
from pms.sim.world import World
from pms.streamer.process import Streamer

ZERO = Decimal(0)
MONEY = {"OPENING", "TRANSFER", "DEPOSIT", "WITHDRAW", "INSURANCE", "FUNDING", "ADJUSTMENT"}
"""Why a balance moves without a trade, or a position handed over."""

QUEUES = (*names.Queue.ALL, names.INBOX)


def unquiet(world: World, invariants: Invariants) -> str | None:
    """What is still to come; None once all is quiet."""
    if world.gateway.waiting:
        return f"{world.gateway.waiting} traders wait"
    for name, process in world.living.items():
        if not process.alive or process.paused:
            return f"{name} is away"
    streamer = world.streamer
    if streamer is None or streamer._feed.held is not None:
        return "the streamer recovers"
    closed = streamer._engine.gate.closed_because
    if closed is not None:
        return f"admission is closed: {closed}"
    due = _due(streamer)
    if len(streamer._outbox) or due or streamer._feed.behind.is_set():
        return f"the streamer has work: {len(streamer._outbox)} postings, {due} orders"
    for algo in streamer._desk.algos.running():
        return f"{algo.kind} {algo.id} is {algo.status}"
    for order in streamer._desk.live.values():
        if order.unproven or order.trades_missing or order.cancel_wanted:
            return f"{order.spec.client_order_id} is {order.state}, wanted cancelled: {order.cancel_wanted}"
    if world.books.fold.applied != invariants.journal.applied:
        return f"PostgreSQL is at {world.books.fold.applied}, the journal at {invariants.journal.applied}"
    if open_requests := world.server.keys.get(names.OPEN_REQUESTS.encode()):
        return f"open requests: {open_requests!r}"
    for queue in QUEUES:
        if world.server.keys.get(queue.encode()):
            return f"{queue} is not empty"
    return None


def _due(streamer: Streamer) -> int:
    """How many orders are being looked after, or will be; of one that is over nothing comes any more."""
    agenda, orders = streamer._engine.agenda, streamer._desk.orders
    return len(agenda._running) + sum(
        name in orders and (not orders[name].state.terminal or orders[name].trades_missing)
        for name in agenda._due
    )


def check(world: World, invariants: Invariants) -> None:
    """All comparisons; the first difference is the violation."""
    desk = world.streamer._desk if world.streamer else Desk(epoch="")
    _orders(world, invariants)
    _fills(world, invariants)
    _sums(world, invariants)
    _own_money(invariants)
    invariants.incomes.settled(invariants.journal)
    invariants.amendments.settled(invariants.journal)
    _memory(desk, invariants)
    algos_settled.check(world, invariants, desk)
    _database(world, invariants)
    _projections(world, invariants, desk)
    answers.check(world.gateway, invariants)
    # Told last: it may be right a minute later, and must hide nothing else.
    invariants.incomes.complete(invariants.journal, since=BEGAN_MS)


def _orders(world: World, invariants: Invariants) -> None:
    """Engine = exchange, for every order."""
    journal = invariants.journal.tables["orders"]
    for (coid,), row in journal.items():
        invariants.checked["engine = exchange"] += 1
        state, theirs = State(row.state), invariants.order_of(row.symbol, coid)
        if theirs is None:
            if state not in (State.REJECTED, State.VOID):
                invariants.fail(
                    "engine = exchange", f"{coid} is {state}, the exchange has no such order", coid
                )
            continue
        symbol = world.exchange.venue.exchange.markets[row.symbol].symbol
        executed, quote = symbol.quantity(theirs.executed), symbol.tick * symbol.step * theirs.quote
        if (WORDS[theirs.status], executed, quote, theirs.order_id) != (
            state,
            row.filled_qty,
            row.filled_quote,
            row.exchange_order_id,
        ):
            ours = f"{state} {row.filled_qty} {row.filled_quote} {row.exchange_order_id}"
            there = f"{theirs.status} {executed} {quote} {theirs.order_id}"
            invariants.fail("engine = exchange", f"{coid} is {ours}, the exchange says {there}", coid)
    for (_, coid), theirs in world.exchange.account.latest_by_client_id.items():
        if coid.startswith("PMS_") and (coid,) not in journal:
            invariants.fail("engine = exchange", f"{coid} is {theirs.status}, and nobody here knows it", coid)


def _fills(world: World, invariants: Invariants) -> None:
    fills = invariants.journal.tables["fills"]
    for symbol, trades in world.exchange.account.trades.items():
        for trade in trades:
            invariants.checked["no trade is lost"] += 1
            if (symbol, trade.order_id, trade.trade_id) not in fills:
                detail = f"{symbol} trade {trade.trade_id} of {trade.client_order_id} is not booked"
                invariants.fail("no trade is lost", detail, trade.client_order_id)


def _sums(world: World, invariants: Invariants) -> None:
    """Conservation: positions per symbol, and each balance the sum of its lines."""
    invariants.checked["conservation"] += 1
    tables, account = invariants.journal.tables, world.exchange.account
    ours: dict[str, Decimal] = {}
    for row in tables["positions"].values():
        ours[row.symbol] = ours.get(row.symbol, ZERO) + row.quantity
    for symbol, market in world.exchange.venue.exchange.markets.items():
        theirs = market.symbol.quantity(account.position(symbol).lots)
        if ours.get(symbol, ZERO) != theirs:
            detail = f"{symbol}: all accounts hold {ours.get(symbol, ZERO)}, the exchange {theirs}"
            invariants.fail("conservation", detail)
    hedged = {name for (name,), row in tables["sub_accounts"].items() if row.hedge}
    for row in tables["positions"].values():
        wrong = {LONG: row.quantity < 0, SHORT: row.quantity > 0}
        mode = (row.sub_account_id in hedged) is (row.position_side in wrong)
        if row.quantity and (wrong.get(row.position_side) or not mode):
            invariants.fail("conservation", f"{row.sub_account_id}: {row.position_side} is {row.quantity}")
    held: dict[Place, Decimal] = {}
    for fill in tables["fills"].values():
        place = fill.sub_account_id, fill.symbol, fill.position_side
        held[place] = held.get(place, ZERO) + (fill.quantity if fill.side == "BUY" else -fill.quantity)
    for move in tables["moves"].values():
        place = move.sub_account_id, move.symbol, move.position_side
        held[place] = held.get(place, ZERO) + move.quantity
    for place, quantity in held.items():
        if tables["positions"][place].quantity != quantity:
            invariants.fail("conservation", f"{place}: fills and moves make {quantity}, the position differs")
    lines: dict[str, Decimal] = {}
    for line in tables["ledger"].values():
        lines[line.sub_account_id] = lines.get(line.sub_account_id, ZERO) + line.amount
    balances = {name: row.balance for (name,), row in tables["sub_accounts"].items()}
    for name, balance in balances.items():
        if lines.get(name, ZERO) != balance:
            invariants.fail(
                "conservation", f"{name}: its lines make {lines.get(name)}, its balance {balance}"
            )


def _own_money(invariants: Invariants) -> None:
    """Each sub-account's balance follows from its own trades: what was paid, less fees, plus what is open."""
    tables = invariants.journal.tables
    computed = invariants.corrected.paid(invariants.journal)
    for row in invariants.opened.rows.positions:
        computed[row.sub_account_id] = computed.get(row.sub_account_id, ZERO) - row.cost
    for taken in tables["liquidations"].values():
        if taken.quantity is not None:
            worth = taken.quantity * taken.price
            computed[taken.sub_account_id] = computed.get(taken.sub_account_id, ZERO) + worth
    for line in tables["ledger"].values():
        if line.reason in MONEY:
            computed[line.sub_account_id] = computed.get(line.sub_account_id, ZERO) + line.amount
    for fill in tables["fills"].values():
        signed = fill.quantity if fill.side == "BUY" else -fill.quantity
        flow = -signed * fill.price - fill.commission
        computed[fill.sub_account_id] = computed.get(fill.sub_account_id, ZERO) + flow
    for row in tables["positions"].values():
        computed[row.sub_account_id] = computed.get(row.sub_account_id, ZERO) + row.cost
    for (name,), row in tables["sub_accounts"].items():
        if name != HOUSE and row.balance != computed.get(name, ZERO):
            detail = f"{name}: its trades make {computed.get(name)}, its balance is {row.balance}"
            invariants.fail("conservation", detail)


def _memory(desk: Desk, invariants: Invariants) -> None:
    """The journal's fold is what the streamer has in memory."""
    invariants.checked["journal = memory"] += 1
    tables = invariants.journal.tables
    for (coid,), row in tables["orders"].items():
        order = desk.orders.get(coid)
        if order is None or _as_journaled(order, row) != row:
            invariants.fail("journal = memory", f"{coid}: journal {row}, memory {order}", coid)
    if desk.orders.keys() != {coid for (coid,) in tables["orders"]}:
        invariants.fail("journal = memory", f"orders in memory only: {desk.orders.keys()}")
    for place, row in tables["positions"].items():
        position, named = desk.positions.get(place), " ".join(place)
        if row.quantity and (position is None or position_row(position) != row):
            invariants.fail("journal = memory", f"{named}: journal {row}, memory {position}")
        if not row.quantity and position is not None and position.quantity:
            invariants.fail("journal = memory", f"{named}: closed, memory {position}")
    for (name,), row in tables["sub_accounts"].items():
        if desk.accounts[name].row() != row:
            invariants.fail("journal = memory", f"{name}: journal {row}, memory {desk.accounts[name]}")
    for (symbol,), row in tables["cursors"].items():
        if desk.cursors.get(symbol) != row.trade_id:
            invariants.fail("journal = memory", f"the cursor of {symbol}")
    results = {(each.sub_account_id, each.day): each.amount for each in invariants.journal.results()}
    if {key: desk.results.on(*key) for key in results} != results:
        invariants.fail("journal = memory", f"results of the day: the ledger makes {results}")
    _reservations(desk, invariants)


def _as_journaled(order: Order, row: OrderRow) -> OrderRow:
    """An order as memory would journal it now: that its terms were confirmed once more is no news."""
    ours = order_row(order)
    return replace(ours, terms_at=row.terms_at) if ours.terms_at > row.terms_at else ours


def _reservations(desk: Desk, invariants: Invariants) -> None:
    """What is held back is what the live orders may still trade, no more and no less."""
    invariants.checked["margin of live orders"] += 1
    sums: dict[Place, Pending] = {}
    for order in desk.live.values():
        pending = sums.setdefault(order.spec.place, Pending())
        pending.orders += 1
        if order.price is not None:
            pending.add(side=order.spec.side, quantity=order.leaves, notional=order.leaves * order.price)
    held = {
        (account, symbol, side): pending
        for account, pendings in desk.pending.items()
        for (symbol, side), pending in pendings.items()
    }
    if held != sums:
        invariants.fail("margin of live orders", f"held {held}, live orders make {sums}")
    if ghosts := {noted.partition("~")[0] for noted in desk.resting} - desk.live.keys():
        invariants.fail("margin of live orders", f"{ghosts} are noted as resting, and do not live")
    for account in desk.accounts.values():
        live = sum(order.spec.sub_account_id == account.id for order in desk.live.values())
        if account.open_orders != live:
            detail = f"{account.id} counts {account.open_orders} open orders, {live} live"
            invariants.fail("margin of live orders", detail)


def _database(world: World, invariants: Invariants) -> None:
    invariants.checked["journal = database"] += 1
    ours: Fold = world.books.fold
    for table, rows in invariants.journal.tables.items():
        if ours.tables[table] != rows:
            invariants.fail("journal = database", f"{table} differs")


def _projections(world: World, invariants: Invariants, desk: Desk) -> None:
    """What browsers and senders are shown is what is so."""
    invariants.checked["projections"] += 1
    for order in desk.live.values():
        coid = order.spec.client_order_id
        shown: Any = world.server.keys.get(names.order_key(coid).encode())
        if shown is None or shown.get(b"state") != order.state.value.encode():
            invariants.fail("projections", f"{coid} is {order.state}, shown {shown}", coid)
    invariants.shown.settled(invariants.journal)
