"""What is over: ended orders, trades, incomes. Memory holds the newest of it, a `Past` the rest.

Each row has its place on a shelf, a sequence that one request reads. Both sides may hold the same row for a
while; it never changes once it is over, so a reader takes either.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

from pms.venue.state import AlgoOrder, Amendment, Funding, Income, Order, Trade

DAY_MS = 86_400_000
EMPTY_ORDER_KEPT_MS = 3 * DAY_MS
KEPT_MS = 90 * DAY_MS
"""How far back queries go: orders, trades and income alike (userTrades and income: three months)."""
NEVER = 1 << 62
Over = Order | AlgoOrder | Amendment | Trade | Income | Funding
Row = TypeVar("Row", bound=Over)


class Place(NamedTuple):
    """Where a row stands; `leaves` is when queries no longer know it, `ref` what else it is asked for by."""

    shelf: str
    id: int
    part: int
    time: int
    ref: str
    symbol: str
    leaves: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Rows of one shelf: from an id on, ascending by id, or of a window, ascending by time.

    `newest` takes the last `limit` of them instead of the first; `now` leaves out what is asked for too late.
    """

    shelf: str
    limit: int
    first: int | None = None
    window: tuple[int, int] | None = None
    newest: bool = False
    ref: str | None = None
    ref_prefix: str | None = None
    symbol: str | None = None
    offset: int = 0
    before: int | None = None
    now: int = 0


class Past(Protocol):
    """Older rows, wherever they are kept."""

    def rows(self, kind: type[Row], wanted: Wanted) -> list[Row]:
        """One page. Its cost is that of the page, however much is kept."""

    def count(self, wanted: Wanted) -> int:
        """How many rows there are, whatever the limit."""


class Nothing:
    """The past of a venue that keeps all it has in memory."""

    def rows(self, kind: type[Row], wanted: Wanted) -> list[Row]:
        """None."""
        return []

    def count(self, wanted: Wanted) -> int:
        """None."""
        return 0


NOTHING = Nothing()


def place(row: Over) -> Place:
    """The place of a row that is over."""
    match row:
        case Trade():
            # The two sides of a self-trade share one id
            shelf, part = trades_of(row.account, row.symbol), int(row.maker)
            return Place(shelf, row.trade_id, part, row.time, str(row.order_id), row.symbol, _kept(row.time))
        case Order():
            shelf = orders_of(row.account, row.symbol)
            kept = row.updated + (KEPT_MS if row.executed else EMPTY_ORDER_KEPT_MS)
            return Place(shelf, row.order_id, 0, row.created, row.client_order_id, row.symbol, kept)
        case Income():
            shelf = incomes_of(row.account)
            return Place(shelf, row.transaction_id, 0, row.time, row.type, row.symbol, _kept(row.time))
        case AlgoOrder():
            shelf = algos_of(row.account)
            name = row.client_algo_id
            return Place(shelf, row.algo_id, 0, row.created, name, row.symbol, _kept(row.updated))
        case Amendment():
            shelf = amendments_of(row.account, row.symbol)
            kept = _kept(row.time)
            return Place(shelf, row.amendment_id, 0, row.time, str(row.order_id), row.symbol, kept)
        case Funding():
            return Place(fundings_of(row.symbol), row.time, 0, row.time, "", row.symbol, NEVER)


def _kept(time: int) -> int:
    return time + KEPT_MS


# A name of an account has no colon in it: the command line splits at them


def trades_of(account: str, symbol: str) -> str:
    """The shelf of an account's trades in a symbol."""
    return f"trade:{account}:{symbol}"


def orders_of(account: str, symbol: str) -> str:
    """The shelf of an account's ended orders in a symbol."""
    return f"order:{account}:{symbol}"


def incomes_of(account: str) -> str:
    """The shelf of an account's incomes."""
    return f"income:{account}"


def algos_of(account: str) -> str:
    """The shelf of an account's ended conditional orders."""
    return f"algo:{account}"


def amendments_of(account: str, symbol: str) -> str:
    """The shelf of an account's amendments in a symbol."""
    return f"amendment:{account}:{symbol}"


def fundings_of(symbol: str) -> str:
    """The shelf of a symbol's fundings."""
    return f"funding:{symbol}"


def page(past: Past, kind: type[Row], wanted: Wanted, recent: Iterable[Row]) -> list[Row]:
    """A page of the past and of memory together, ascending.

    `recent` is memory's part of what is wanted, in the direction in which the page is filled: the newest
    first if the newest are wanted. No more of it is looked at than fit.
    """
    known: dict[tuple[int, int, int], Row] = {}
    timed = wanted.window is not None
    for row in recent:
        at = place(row)
        if at.leaves >= wanted.now or not is_over(row):
            known[at.time if timed else 0, at.id, at.part] = row
            if len(known) == wanted.limit:
                break
    for row in past.rows(kind, wanted):
        at = place(row)
        known.setdefault((at.time if timed else 0, at.id, at.part), row)
    rows = [known[each] for each in sorted(known)]
    return rows[-wanted.limit :] if wanted.newest else rows[: wanted.limit]


def is_over(row: Over) -> bool:
    """Whether a row can change no more."""
    if isinstance(row, Order):
        return not row.open
    return not isinstance(row, AlgoOrder) or row.over
