"""What the streamer holds in memory is bounded over months, and what it forgot is still booked right."""

from __future__ import annotations

import ast
from decimal import Decimal
from pathlib import Path

import pytest
from desk_maker import D, decide, desk_at, trade

from pms.domain import desk as desk_module
from pms.domain.booking import Trade, book, observe, prove_cursor
from pms.domain.desk import Desk
from pms.domain.orders import Order, Seen

ROOT = Path(__file__).parents[3] / "pms"
ACCOUNTS, SYMBOLS = "accounts there are", "symbols there are"
LIVE, POSITIONS = "live orders, `orders.open` an account", "open positions"
ALGOS = "algos that run, MOST_RUNNING an account, and KEPT_ENDED"
SETTINGS = "settings in force: scopes by limits by symbols"
ORDERS = "live orders + KEPT_CLOSED_ORDERS"

BOUNDS = {
    "Desk.accounts": ACCOUNTS,
    "Desk.halts": ACCOUNTS,
    "LimitBook.rows": SETTINGS,
    "LimitBook._values": SETTINGS,
    "LimitBook._scopes": ACCOUNTS,
    "LimitBook._own": SETTINGS,
    "LimitBook._known": "MOST_KNOWN, by limits that are set",
    "OrderRates._times": "accounts that have a limit, by the number it counts",
    "Repeats._newest": "KEPT_REPEATS, and the last MOST_WINDOW_MS",
    "DayResults._kept": "accounts by DAYS_KEPT",
    "Supervision._counts": "services of this process",
    "Supervision._tasks": "services, and work in the background that ends",
    "Supervision._told": "services of this process",
    "Supervision.failures": "services of this process",
    "Desk.tags": ACCOUNTS,
    "Desk.orders": ORDERS,
    "Desk.by_exchange": ORDERS,
    "Desk.by_number": ORDERS,
    "Desk.by_parent": ORDERS,
    "Adopted._found": ORDERS,
    "Forgotten._missing": LIVE,
    "Desk.live": LIVE,
    "Desk.live_of": LIVE,
    "Desk.reducing": LIVE,
    "Desk.reserved": LIVE,
    "OrderLeverages._live": LIVE,
    "Desk.legs": LIVE,
    "Engine.sent_at": "queues there are",
    "Desk.pending": "accounts, and symbols with live orders",
    "Desk.positions": "accounts by symbols they ever traded",
    "Desk.held": "accounts, and open positions",
    "Desk.by_position_id": POSITIONS,
    "Desk._position_ids": POSITIONS,
    "Desk.trades": "KEPT_TRADES",
    "Desk.requests": "KEPT_REQUESTS",
    "Desk.closed": "KEPT_CLOSED_ORDERS",
    "Desk.newest_trades": SYMBOLS,
    "Desk.forgotten_trades": SYMBOLS,
    "Desk.cursors": SYMBOLS,
    "Desk.tops": SYMBOLS,
    "Desk.last_tops": SYMBOLS,
    "Desk.marks": SYMBOLS,
    "Desk.volumes": "symbols by the days that can be asked for",
    "Desk.traded": SYMBOLS,
    "TradedVolumes.bars": "minutes of KEPT_MS",
    "Volumes._read_at": "symbols by the days that can be asked for",
    "Desk.unwinds": SYMBOLS,
    "Unwinder._leaving": SYMBOLS,
    "Unwinder._awaited": SYMBOLS,
    "Desk.unweighed": ACCOUNTS,
    "AlgoBook.every": ALGOS,
    "AlgoBook.by_symbol": ALGOS,
    "AlgoBook.by_account": ALGOS,
    "AlgoBook._ended": "KEPT_ENDED",
    "AlgoBook._early": "algos of one entry",
    "Turns._given": "`most`",
    "CatchUp.owed": SYMBOLS,
    "WakeUps._waiting": "orders whose entry was journaled while one push was on its way",
    "Turns._waiting": ALGOS,
    "Algos._due": ALGOS,
    "Algos._faulty": "algos of this life that a fault of ours ended",
    "Desk.closing": ACCOUNTS,
    "ClosePace.failures": "positions that are being closed",
    "ClosePace.not_before": "positions that are being closed",
    "Closer._sent": "live orders that close an account",
    "Closer._since": ACCOUNTS,
    "Closer._stuck": ACCOUNTS,
    "Desk.instruments": SYMBOLS,
    "RiskWatch.triggers": SYMBOLS,
    "RiskWatch.waiting": "accounts that hold a symbol without a price",
    "RiskWatch._symbols": POSITIONS,
    "RiskWatch._calm": SYMBOLS,
    "RiskGuard._told": ACCOUNTS,
    "SymbolTriggers.newest": POSITIONS,
    "_Side.heap": "twice its positions and SPARE",
    "RestingOrders._sides": "two a symbol, and live prices",
    "RestingOrders._where": "live orders and amendments in flight",
    "Treasury.assets": "assets of the exchange account",
    "Treasury.net": SYMBOLS,
    "Treasury.quantities": POSITIONS,
    "Treasury.moves": "changes of positions since the symbol's last funding, eight hours ago at most",
    "Treasury.progress": "histories that are read",
    "Treasury.incomes": "the history that may be read again",
    "Treasury.fundings": "KEPT_FUNDINGS a symbol",
    "Treasury.unpaid": "fees in an asset without a price: told as an incident",
    "Treasury.foreign": "KEPT_FOREIGN",
    "Headroom.settings": SYMBOLS,
    "Headroom.uncounted": LIVE,
    "OpenIncidents._rows": "kinds by MOST_OF_A_KIND",
    "OpenIncidents._by_seq": "kinds by MOST_OF_A_KIND",
    "OpenIncidents._of_kind": "kinds",
    "Venue.positions": SYMBOLS,
    "Venue.wallets": "assets of the exchange account",
    "Venue.touched": SYMBOLS,
    "Lifeline.positions": SYMBOLS,
    "Treasury.next_fundings": SYMBOLS,
    "FundingReader._hardly_over": SYMBOLS,
    "FundingReader._unread": SYMBOLS,
    "FundingReader._read_at": SYMBOLS,
    "FundingReader._alarmed": "ten thousand",
    "FundingReader._owed": SYMBOLS,
    "FundingReader._reads": "as many as there is room for, four hundred",
    "Attention.cares": "orders not at rest: dropped when one needs nothing more",
    "Attention._reading": SYMBOLS,
    "Attention._next_reading": SYMBOLS,
    "Attention.sending": "sends under way, each ended by the exchange or its deadline",
    "MarketData._followed": SYMBOLS,
    "MarketData._publishers": "symbols, and waits of seconds",
    "Followed.waiting": "commands of FOLLOW_PATIENCE_S",
    "Followed.consumers": "mailboxes of this process",
    "Agenda._due": "orders not at rest",
    "Lane.heap": "orders not at rest, and dates of half a minute",
    "Agenda._running": "at_once",
    "Agenda._again": "at_once",
    "LeftOut.requests": "lives of this process",
    "LeftOut.trades": "lives of this process",
    "LocalCommands._undecided": "commands on their way to a decision",
    "LocalCommands._unfolded": "`PATIENCE_S` of commands",
    "Outbox._waiting": "an outage of Redis: admission is closed meanwhile, only fills come",
    "RiskViews._left": ACCOUNTS,
    "Watch.lags": "its maxlen",
    "Conservation.now": SYMBOLS,
    "Conservation._since": SYMBOLS,
    "Conservation._looked": SYMBOLS,
    "Conservation._caught_up_with": SYMBOLS,
    "Reconciler._asked": "MOST_WAITING",
    "Streamer._answering": "answers on their way to Redis",
    "Streamer._early": "services of this process, once a minute of its recovery",
    "Standing.incomes": "one reading at the first start",
    "Standing.balances": "one reading at the first start",
    "Standing.positions": "one reading at the first start",
    "Standing.cursors": "one reading at the first start",
    "UserFeed.held": "the feed of one recovery, of three seconds behind a gap",
}
DOMAIN = (
    "desk",
    "close_pace",
    "resting",
    "treasury",
    "headroom",
    "open_incidents",
    "limits",
    "day_results",
    "order_leverages",
    "order_rate",
    "repeats",
    "risk_watch",
    "triggers",
    "algos/adopted",
    "algos/book",
    "algos/throttle",
    "algos/volumes",
)
FILES = [
    *(ROOT / f"domain/{name}.py" for name in DOMAIN),
    *(ROOT / "streamer").glob("*.py"),
]


def test_every_container_has_a_bound() -> None:
    found = {name for file in FILES for name in containers(ast.parse(file.read_text()))}
    assert found == set(BOUNDS)


def containers(tree: ast.Module) -> list[str]:
    kinds = ("dict[", "OrderedDict[", "set[", "list[", "deque[")
    return [
        f"{owner.name}.{ast.unparse(node.target).removeprefix('self.')}"
        for owner in ast.walk(tree)
        if isinstance(owner, ast.ClassDef)
        for node in ast.walk(owner)
        if isinstance(node, ast.AnnAssign)
        and ast.unparse(node.annotation).startswith(kinds)
        and (isinstance(node.target, ast.Attribute) or node in owner.body)
    ]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Desk:
    for name in ("KEPT_TRADES", "KEPT_REQUESTS", "KEPT_CLOSED_ORDERS"):
        monkeypatch.setattr(desk_module, name, 10)
    return desk_at()


def one_trade(order: Order, number: int, *, quantity: Decimal | None = None) -> Trade:
    return Trade(
        symbol="BTCUSDT",
        exchange_order_id=number,
        trade_id=number,
        client_order_id=order.spec.client_order_id,
        side=order.spec.side,
        price=D(60000),
        quantity=order.quantity if quantity is None else quantity,
        commission=D(0),
        commission_asset="USDT",
        realized_pnl=D(0),
        maker=False,
        at=number,
    )


def filled(desk: Desk, number: int) -> Order:
    """One order after another, bought and sold, each filled by one trade."""
    side = "BUY" if number % 2 else "SELL"
    posting = trade(desk, side=side, quantity="0.01")
    order = desk.orders[posting.entry.rows.orders[0].client_order_id]
    book(desk, one_trade(order, number))
    return order


def sizes(desk: Desk) -> dict[str, int]:
    ours = [name.removeprefix("Desk.") for name in BOUNDS if name.startswith("Desk.")]
    named = {name: getattr(desk, name) for name in ours}
    inside = {"_sides": desk.resting._sides, "_where": desk.resting._where}
    return {name: len(each) for name, each in {**named, **inside}.items()}


def test_nothing_grows_with_the_orders_that_were(small: Desk) -> None:
    for number in range(1, 31):
        filled(small, number)
    before = sizes(small)
    for number in range(31, 131):
        filled(small, number)
    assert sizes(small) == before
    assert before["orders"] == before["closed"] == before["by_exchange"] == before["by_number"] == 10


def test_amended_and_cancelled_orders_leave_nothing_behind(small: Desk) -> None:
    def once(number: int) -> None:
        posting = trade(small, type="LIMIT", price="59000", quantity="0.01")
        order = small.orders[posting.entry.rows.orders[0].client_order_id]
        observe(small, order, Seen(number, "NEW", D(0)), at=number)
        decide(small, "pms.amend", orderId=order.spec.client_order_id, price="58000")
        batch = [{"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.01"}] * 2
        posting = decide(small, "pms.batch", subAccountId="bob", orders=batch)
        each = [order, *(small.orders[row.client_order_id] for row in posting.entry.rows.orders)]
        for place, one in enumerate(each):
            observe(small, one, Seen(number + place, "CANCELED", D(0)), at=number)

    for number in range(10, 100, 10):
        once(number)
    before = sizes(small)
    for number in range(100, 400, 10):
        once(number)
    assert sizes(small) == before
    assert before["legs"] == before["live"] == before["reserved"] == before["_where"] == 0


def test_an_order_that_came_back_to_life_is_not_forgotten_while_it_rests(small: Desk) -> None:
    posting = trade(small, type="LIMIT", price="59990", quantity="0.01")
    order = small.orders[posting.entry.rows.orders[0].client_order_id]
    observe(small, order, Seen(1000, "NEW", D(0)), at=1)
    word = {"outcome": "cancelled", "actor": "eve@desk", "reason": "not listed there"}
    decide(small, "pms.resolve", orderId=order.spec.client_order_id, now=60_000, **word)
    observe(small, order, Seen(1000, "NEW", D(0)), at=2)
    for number in range(1, 20):
        filled(small, number)
    assert small.orders.get(order.spec.client_order_id) is order
    decide(small, "pms.cancel", orderId=order.spec.client_order_id)
    observe(small, order, Seen(1000, "CANCELED", D(0)), at=3)
    assert small.reserved_margin("alice") == 0


def test_a_trade_of_an_order_forgotten_long_ago_is_its_sub_account_s(small: Desk) -> None:
    order = filled(small, 1)
    for number in range(2, 40):
        filled(small, number)
    assert order.spec.client_order_id not in small.orders
    assert small.forgotten_until >= order.updated_at
    before = small.position("alice", "BTCUSDT").quantity
    late = one_trade(order, 1000, quantity=D("0.002"))
    posting = book(small, late)
    assert posting is not None
    [fill] = posting.entry.rows.fills
    assert (fill.sub_account_id, fill.client_order_id) == ("alice", order.spec.client_order_id)
    assert small.position("alice", "BTCUSDT").quantity == before + D("0.002")
    assert [incident.kind for incident in posting.entry.rows.incidents] == ["foreign_trade"]
    assert posting.entry.rows.orders == (), "what PostgreSQL knows of the order stands"


def test_a_trade_whose_key_was_forgotten_is_not_booked_twice(small: Desk) -> None:
    order = filled(small, 1)
    for number in range(2, 40):
        filled(small, number)
    assert ("BTCUSDT", 1, 1) not in small.trades
    prove_cursor(small, "BTCUSDT", 39, at=40)
    assert book(small, one_trade(order, 1)) is None


def test_two_symbols_may_use_one_number(small: Desk) -> None:
    order = filled(small, 1)
    small.by_number[1].add("another-symbol-s")
    for number in range(2, 40):
        filled(small, number)
    assert order.spec.client_order_id not in small.orders
    assert small.by_number[1] == {"another-symbol-s"}
