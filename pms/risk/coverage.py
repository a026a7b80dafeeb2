"""What the figures rest on: each symbol's price, its past, its brackets; and what they cannot see."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

import numpy as np

from pms.contract.portfolio import SymbolUsed
from pms.risk.boundary import FloatArray, cents
from pms.risk.returns import Returns


@dataclass(frozen=True, slots=True)
class Quote:
    """A symbol's price, where it is from, and how old it is."""

    price: Decimal
    source: Literal["mid", "close"]
    age_ms: int


def symbols_used(
    symbols: Sequence[str],
    *,
    quotes: Mapping[str, Quote],
    returns: Returns,
    covariances: FloatArray | None,
    bracketed: Collection[str],
    last_bars: Mapping[str, int],
) -> list[SymbolUsed]:
    """Each symbol that somebody holds."""
    sigmas = np.zeros(0) if covariances is None else np.sqrt(np.diag(covariances))
    volatility = {symbol: cents(100 * sigma) for symbol, sigma in zip(returns.symbols, sigmas, strict=True)}
    return [
        SymbolUsed(
            symbol=symbol,
            price=quotes[symbol].price if symbol in quotes else None,
            price_source=quotes[symbol].source if symbol in quotes else "entry",
            price_age=quotes[symbol].age_ms if symbol in quotes else None,
            returns=returns.observed.get(symbol, 0),
            filled=returns.filled(symbol),
            covered=symbol in volatility,
            last_bar=last_bars.get(symbol),
            volatility=volatility.get(symbol),
            brackets=symbol in bracketed,
        )
        for symbol in symbols
    ]


def warnings(used: Sequence[SymbolUsed], stale: Collection[str]) -> list[str]:
    """In words, what an operator must know before he believes a figure; `stale` pasts end too early."""
    told = (
        ("no price at all, taken at entry", [each.symbol for each in used if each.price_source == "entry"]),
        ("no live price, taken at the last close", [s.symbol for s in used if s.price_source == "close"]),
        ("too little history, left out of VaR and ES", [each.symbol for each in used if not each.covered]),
        ("history not up to date", [s.symbol for s in used if s.covered and s.symbol in stale]),
        ("history partly made up", [each.symbol for each in used if each.filled]),
        (
            "brackets not told, those of a small symbol taken",
            [each.symbol for each in used if not each.brackets],
        ),
    )
    return [f"{what}: {', '.join(symbols)}" for what, symbols in told if symbols]
