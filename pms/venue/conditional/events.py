"""ALGO_UPDATE: what a user stream says of a conditional order (USDⓈ-M docs, Event Algo Order Update)."""

from __future__ import annotations

from typing import Any

from pms.venue.ledger import to_cents
from pms.venue.state import AlgoOrder, Order
from pms.venue.symbols import Symbol, plain
from pms.venue.user_events import SIDES, average_price

TRAILING = "TRAILING_STOP_MARKET"


def child_type(algo: AlgoOrder) -> str:
    """What kind of ordinary order it lets out."""
    return "LIMIT" if algo.type in ("STOP", "TAKE_PROFIT") else "MARKET"


def algo_update(algo: AlgoOrder, symbol: Symbol, *, time: int, child: Order | None) -> dict[str, Any]:
    """The event; what its order did is told only once there is one, as on the wire."""
    view: dict[str, Any] = {
        "caid": algo.client_algo_id,
        "aid": algo.algo_id,
        "at": "CONDITIONAL",
        "o": algo.type,
        "s": algo.symbol,
        "S": SIDES[algo.side],
        "ps": algo.position_side,
        "f": algo.time_in_force,
        "q": plain(symbol.quantity(algo.quantity)),
        "X": algo.status,
        "ai": str(algo.order_id) if algo.order_id else "",
    }
    if algo.order_id:
        filled = child is not None and child.executed
        view["ap"] = plain(to_cents(average_price(child, symbol))) if child and filled else "0"
        view["aq"] = plain(symbol.quantity(child.executed)) if child and filled else "0"
        view["act"] = child_type(algo)
    view |= {
        "tp": plain(symbol.price(algo.trigger)),
        "p": plain(symbol.price(algo.price)),
        "V": algo.self_trade,
        "wt": algo.working_type,
        "pm": "NONE",
        "cp": algo.close_position,
        "pP": algo.price_protect,
        "R": algo.reduce_only,
        "tt": algo.triggered,
        "gtd": 0,
    }
    if algo.type == TRAILING:
        view["AP"] = plain(symbol.price(algo.activation))
        view["cr"] = plain(algo.callback_percent)
        view["ia"] = algo.activated
    if algo.reason:
        view["rm"] = algo.reason
    return {"e": "ALGO_UPDATE", "T": time, "E": time, "o": view}
