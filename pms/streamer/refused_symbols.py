"""Symbols about which the exchange refuses to speak: delisted, or closed.

Trap: only its definite no to the symbol counts. A lost answer or a lack of room says nothing about it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pms.binance.errors import Refused
from pms.domain.desk import Desk
from pms.streamer.engine import Engine

KIND = "symbol_refused"
NO_SUCH_SYMBOL = frozenset((-1121, -1122, -4141))
"""Invalid symbol, invalid symbol status, symbol is closed."""


@contextmanager
def asked_about(engine: Engine, symbol: str) -> Iterator[None]:
    """Ask about one symbol: that the exchange refuses it is told, and whoever asks goes on to the next."""
    try:
        yield
    except Refused as refusal:
        if refusal.code not in NO_SUCH_SYMBOL:
            raise
        severity = "critical" if _concerns_us(engine.desk, symbol) else "warning"
        detail = f"the exchange says nothing about {symbol}: {refusal}"
        engine.raise_incident(KIND, severity, detail, subject=symbol)
    else:
        engine.settle_incident(KIND, symbol, "the exchange answers for it again")


def _concerns_us(desk: Desk, symbol: str) -> bool:
    held = any(symbol == name for positions in desk.held.values() for name, _ in positions)
    return held or any(order.spec.symbol == symbol for order in desk.live.values())
