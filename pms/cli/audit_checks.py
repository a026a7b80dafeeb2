"""The comparisons of the independent reader: exchange against PostgreSQL against the engine.

Pure, and without a line of the engine's own arithmetic: positions and balances are computed here anew
from the exchange's trades. Every comparison is exact.

What the sums rest on: a trade moves its owner's position by its quantity, and its owner's money by
the realised P&L less the commission. Realised P&L plus the cost of what is still open is exactly what
was paid and received, in whatever order the trades were booked; so a balance can be proved without
repeating how the engine averages.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeVar

ZERO = Decimal(0)
WALLET = "USDT"
HOUSE = "house"
BOTH, LONG = "BOTH", "LONG"
GIVEN = frozenset(("TRANSFER", "DEPOSIT", "WITHDRAW", "FUNDING", "FEE", "ADJUSTMENT", "INSURANCE"))
"""Reasons that are proved by comparisons of their own."""
PAYERS = frozenset(("insurance", HOUSE))
Name = TypeVar("Name")
TradeKey = tuple[str, int, int]
"""Symbol, exchange order id, trade id."""


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade as the exchange tells it, or as PostgreSQL keeps it; owner and side only in the latter."""

    symbol: str
    order_id: int
    trade_id: int
    side: str
    price: Decimal
    quantity: Decimal
    commission: Decimal
    commission_asset: str
    realized: Decimal
    maker: bool
    at: int
    owner: str | None = None
    position_side: str = BOTH

    @property
    def key(self) -> TradeKey:
        return self.symbol, self.order_id, self.trade_id

    @property
    def signed(self) -> Decimal:
        return self.quantity if self.side == "BUY" else -self.quantity


@dataclass(frozen=True, slots=True)
class Import:
    """What the house handed to a sub-account, or with other signs took back: quantity and its cost."""

    owner: str
    symbol: str
    quantity: Decimal
    cost: Decimal


@dataclass(frozen=True, slots=True)
class Exchange:
    """The account as the exchange tells it."""

    trades: tuple[Trade, ...]
    client_ids: Mapping[tuple[str, int], str]
    positions: Mapping[str, Decimal]
    wallet: Decimal
    #: money that came or went without a trade, by the exchange's time
    moved: tuple[tuple[int, str, Decimal], ...]
    open_orders: Mapping[tuple[str, int], str]
    since: int = 0
    """What happened until then is not asked for: the exchange forgets. What was booked stands in for it."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """The same as PostgreSQL keeps it."""

    opened_at: int
    opening: Decimal
    balances: Mapping[str, Decimal]
    #: account, reason, amount of every ledger entry in USDT
    entries: tuple[tuple[str, str, Decimal], ...]
    fills: tuple[Trade, ...]
    #: signed quantity and cost by account, symbol and position side
    positions: Mapping[tuple[str, str, str], tuple[Decimal, Decimal]]
    imports: tuple[Import, ...]
    #: symbol, exchange order id, client order id
    open_orders: tuple[tuple[str, int | None, str], ...]
    taken_orders: frozenset[str] = frozenset()
    #: client ids of orders that went to the house with a liquidated position
    moved: tuple[tuple[int, str, Decimal], ...] = ()
    #: booked incomes in USDT: time, kind, amount


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A sub-account as the engine shows it to browsers."""

    balance: Decimal
    positions: Mapping[tuple[str, str], Decimal]
    #: by symbol and position side


@dataclass(frozen=True, slots=True)
class Engine:
    """What the engine publishes."""

    state: str
    snapshots: Mapping[str, Snapshot]


@dataclass(slots=True)
class Check:
    """One comparison: how many rows it went through, and where they differ."""

    name: str
    rows: int
    faults: list[str] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        return not self.faults


def compare(exchange: Exchange, ledger: Ledger, engine: Engine) -> list[Check]:
    """Every comparison, in the order in which a difference would explain the next."""
    trades = trades_of(exchange, ledger)
    owners = owners_of(exchange, ledger, trades)
    return [
        _not_empty(trades, ledger),
        _each_once(exchange, ledger),
        _owned(trades, owners, ledger),
        _orders(exchange, ledger),
        _net(exchange, ledger),
        _positions(exchange, ledger, trades, owners),
        _wallet(exchange, ledger, trades),
        _sums(ledger),
        _balances(ledger, trades, owners),
        _insurance(ledger),
        _engine(ledger, engine),
    ]


def trades_of(exchange: Exchange, ledger: Ledger) -> tuple[Trade, ...]:
    """All trades since the books were opened: as booked up to `since`, then as the exchange tells."""
    booked = tuple(fill for fill in ledger.fills if fill.at <= exchange.since)
    return booked + tuple(_told(exchange, ledger))


def _told(exchange: Exchange, ledger: Ledger) -> list[Trade]:
    begin = max(ledger.opened_at, exchange.since)
    return [trade for trade in exchange.trades if trade.at > begin]


def _not_empty(trades: tuple[Trade, ...], ledger: Ledger) -> Check:
    check = Check("the books are not empty", len(trades))
    for what, rows in (("trade", trades), ("fill", ledger.fills), ("ledger entry", ledger.entries)):
        if not rows:
            check.faults.append(f"not a single {what}: there is nothing to compare")
    return check


def _each_once(exchange: Exchange, ledger: Ledger) -> Check:
    """Every trade of the exchange is a fill of ours, once, with the same content, and no other is."""
    told = {trade.key: trade for trade in _told(exchange, ledger)}
    kept = {fill.key: fill for fill in ledger.fills if fill.at > exchange.since}
    check = Check("each trade is booked once", len(told))
    for key, count in Counter(fill.key for fill in ledger.fills).items():
        if count > 1:
            check.faults.append(f"{_named(key)} is booked {count} times")
    for key in told.keys() - kept.keys():
        check.faults.append(f"{_named(key)} of the exchange is not booked")
    for key in kept.keys() - told.keys():
        check.faults.append(f"{_named(key)} is booked, the exchange knows no such trade")
    for key in told.keys() & kept.keys():
        for name in (
            "side",
            "price",
            "quantity",
            "commission",
            "commission_asset",
            "realized",
            "maker",
            "at",
        ):
            theirs, ours = getattr(told[key], name), getattr(kept[key], name)
            if theirs != ours:
                check.faults.append(f"{_named(key)} {name}: exchange {theirs}, booked {ours}")
    return check


def _owned(trades: tuple[Trade, ...], owners: Mapping[TradeKey, str], ledger: Ledger) -> Check:
    check = Check("each fill is booked to the account its order names", len(trades))
    for fill in ledger.fills:
        named = owners.get(fill.key)
        if named is not None and named != fill.owner:
            check.faults.append(f"{_named(fill.key)}: the order is {named}'s, booked to {fill.owner}")
    return check


def _orders(exchange: Exchange, ledger: Ledger) -> Check:
    """Open at the exchange is open with us, and what we call resting rests there."""
    check = Check("the open orders are the same", len(exchange.open_orders))
    ours = {(symbol, client_id) for symbol, _, client_id in ledger.open_orders}
    for (symbol, order_id), client_id in exchange.open_orders.items():
        if client_id.startswith("PMS_") and (symbol, client_id) not in ours:
            check.faults.append(f"{client_id} ({symbol} {order_id}) is open at the exchange only")
    theirs = {(symbol, client_id) for (symbol, _), client_id in exchange.open_orders.items()}
    check.faults += [
        f"{client_id} ({symbol}) is open with us only" for symbol, client_id in sorted(ours - theirs)
    ]
    return check


def _net(exchange: Exchange, ledger: Ledger) -> Check:
    """Per symbol: the exchange's trades add up to its position, and so do our sub-accounts'."""
    traded = _sum((trade.symbol, trade.signed) for trade in exchange.trades)
    ours = _sum((symbol, quantity) for (_, symbol, _), (quantity, _) in ledger.positions.items())
    symbols = sorted(traded.keys() | ours.keys() | exchange.positions.keys())
    check = Check("net positions per symbol", len(symbols))
    for symbol in symbols:
        there = exchange.positions.get(symbol, ZERO)
        if not exchange.since and traded.get(symbol, ZERO) != there:
            check.faults.append(
                f"{symbol}: the trades make {traded.get(symbol, ZERO)}, the exchange says {there}"
            )
        if ours.get(symbol, ZERO) != there:
            check.faults.append(f"{symbol}: all accounts hold {ours.get(symbol, ZERO)}, the exchange {there}")
    return check


def _positions(
    exchange: Exchange, ledger: Ledger, trades: tuple[Trade, ...], owners: Mapping[TradeKey, str]
) -> Check:
    """Per sub-account: its own trades and what it was handed; the house has what is left of the net.

    The exchange knows of no long beside a short: what a hedged account holds is compared as their sum.
    """
    expected = _sum(((owners[trade.key], trade.symbol), trade.signed) for trade in trades)
    for handed in ledger.imports:
        place = (handed.owner, handed.symbol)
        expected[place] = expected.get(place, ZERO) + handed.quantity
    for symbol in {*exchange.positions, *(symbol for _, symbol in expected)}:
        others = sum((q for (owner, s), q in expected.items() if s == symbol and owner != HOUSE), ZERO)
        expected[HOUSE, symbol] = exchange.positions.get(symbol, ZERO) - others
    kept = _sum(((who, symbol), quantity) for (who, symbol, _), (quantity, _) in ledger.positions.items())
    check = Check("positions per sub-account", len(expected.keys() | kept.keys()))
    for place in sorted(expected.keys() | kept.keys()):
        computed, booked = expected.get(place, ZERO), kept.get(place, ZERO)
        if computed != booked:
            check.faults.append(f"{place[0]} {place[1]}: computed {computed}, booked {booked}")
    return check


def _wallet(exchange: Exchange, ledger: Ledger, trades: tuple[Trade, ...]) -> Check:
    """Opening plus what every trade paid is the exchange's wallet, and so is the sum of our balances."""
    check = Check("the wallet", len(trades))
    told = [amount for at, _, amount in exchange.moved if at > max(ledger.opened_at, exchange.since)]
    moved = told + [amount for at, _, amount in ledger.moved if ledger.opened_at < at <= exchange.since]
    paid = [trade.realized - _fee(trade) for trade in trades]
    computed = ledger.opening + sum(paid, ZERO) + sum(moved, ZERO)
    if computed != exchange.wallet:
        check.faults.append(f"computed {computed}, the exchange says {exchange.wallet}")
    balances = sum(ledger.balances.values(), ZERO)
    if balances != exchange.wallet:
        check.faults.append(f"all balances make {balances}, the exchange says {exchange.wallet}")
    return check


def _sums(ledger: Ledger) -> Check:
    check = Check("ledger entries add up to each balance", len(ledger.entries))
    sums = _sum((account, amount) for account, _, amount in ledger.entries)
    for account in sorted(sums.keys() | ledger.balances.keys()):
        if sums.get(account, ZERO) != ledger.balances.get(account):
            check.faults.append(
                f"{account}: entries make {sums.get(account, ZERO)}, balance {ledger.balances.get(account)}"
            )
    return check


def _balances(ledger: Ledger, trades: tuple[Trade, ...], owners: Mapping[TradeKey, str]) -> Check:
    """Each sub-account's balance from its own trades; the house's follows from the wallet."""
    computed = _sum((account, amount) for account, reason, amount in ledger.entries if reason in GIVEN)
    for trade in trades:
        owner = owners[trade.key]
        flow = -trade.signed * trade.price - _fee(trade)
        computed[owner] = computed.get(owner, ZERO) + flow
    for (account, *_), (_, cost) in ledger.positions.items():
        computed[account] = computed.get(account, ZERO) + cost
    for handed in ledger.imports:
        computed[handed.owner] = computed.get(handed.owner, ZERO) - handed.cost
    accounts = sorted(account for account in ledger.balances if account != HOUSE)
    check = Check("balances per sub-account", len(accounts))
    for account in accounts:
        if computed.get(account, ZERO) != ledger.balances[account]:
            check.faults.append(
                f"{account}: computed {computed.get(account, ZERO)}, booked {ledger.balances[account]}"
            )
    return check


def _insurance(ledger: Ledger) -> Check:
    """What liquidated accounts were given is what the insurance and the house paid, and left none in debt."""
    lines = [(account, amount) for account, reason, amount in ledger.entries if reason == "INSURANCE"]
    check = Check("what liquidated accounts owed was paid", len(lines))
    if (rest := sum((amount for _, amount in lines), ZERO)) != 0:
        check.faults.append(f"the payments make {rest} in all, not 0")
    for account, amount in lines:
        if (amount > 0) == (account in PAYERS):
            check.faults.append(f"{account} got {amount}")
    return check


def _engine(ledger: Ledger, engine: Engine) -> Check:
    """What browsers are shown is what is booked; an account with a position is always shown."""
    check = Check("the engine's live view", len(engine.snapshots))
    if engine.state != "live":
        check.faults.append(f"the engine is {engine.state}")
    held: dict[str, dict[tuple[str, str], Decimal]] = defaultdict(dict)
    for (account, symbol, side), (quantity, _) in ledger.positions.items():
        if quantity:
            held[account][symbol, side] = quantity
    for account in sorted(held.keys() - engine.snapshots.keys() - {HOUSE}):
        check.faults.append(f"{account} has positions and is not shown")
    for account, snapshot in sorted(engine.snapshots.items()):
        if snapshot.balance != ledger.balances.get(account):
            check.faults.append(
                f"{account}: shown balance {snapshot.balance}, booked {ledger.balances.get(account)}"
            )
        if dict(snapshot.positions) != held.get(account, {}):
            check.faults.append(
                f"{account}: shown {_holding(snapshot.positions)}, booked {_holding(held[account])}"
            )
    return check


def owners_of(exchange: Exchange, ledger: Ledger, trades: tuple[Trade, ...]) -> dict[TradeKey, str]:
    """Whose each trade is, by the first eight characters of the account in its order's client id.

    Where the exchange has forgotten the order, it is whoever it was booked to.
    """
    tags = {account[:8]: account for account in ledger.balances}
    booked = {fill.key: fill.owner for fill in ledger.fills}
    owners: dict[TradeKey, str] = {}
    for trade in trades:
        client_id = exchange.client_ids.get((trade.symbol, trade.order_id), "")
        if exchange.since and not client_id:
            owners[trade.key] = booked.get(trade.key) or HOUSE
            continue
        prefix, _, rest = client_id.partition("_")
        tag = rest.partition("_")[0]
        owners[trade.key] = tags.get(tag, HOUSE) if prefix == "PMS" else HOUSE
        if client_id in ledger.taken_orders and booked.get(trade.key) == HOUSE:
            # It changed hands between two of its trades; which of them were before, the journal alone knows.
            owners[trade.key] = HOUSE
    return owners


def _fee(trade: Trade) -> Decimal:
    return trade.commission if trade.commission_asset == WALLET else ZERO


def _sum(parts: Iterable[tuple[Name, Decimal]]) -> dict[Name, Decimal]:
    total: dict[Name, Decimal] = {}
    for name, amount in parts:
        total[name] = total.get(name, ZERO) + amount
    return total


def _named(key: TradeKey) -> str:
    return f"{key[0]} order {key[1]} trade {key[2]}"


def _holding(positions: Mapping[tuple[str, str], Decimal]) -> str:
    told = (f"{symbol} {side} {quantity}" for (symbol, side), quantity in sorted(positions.items()))
    return ", ".join(told).replace(f" {BOTH} ", " ") or "nothing"
