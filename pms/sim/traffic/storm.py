"""Weather: in one seed of three prices gap and slide, and accounts stand near their lines with little money.

Drawn before anything runs, like the traders' wishes. The exposed accounts begin with positions against one
another, so that the exchange account is flat with them, and all that the house ever holds it took over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache
from random import Random

from pms.contract.names import BOTH, INSURANCE, LONG, SHORT
from pms.domain.positions import Place
from pms.sim.lines import Held, maintenance
from pms.sim.machines.exchange import SYMBOLS, symbols
from pms.venue.background.synthetic import start_price

STORMY_OF = 3
EXPOSED = ("dora", "erin", "felix", "greta")
TWO_SIDED = "felix"
"""He holds a long beside a short of the same symbol."""

LEVERAGE = 125
"""Of the exposed accounts: high, or they could not trade so near their lines."""
PAIRS = 5
RATIOS = (0.04, 0.55)
"""Between which an exposed account begins, maintenance over equity: below every line."""

TIGHT, TIGHT_LINES = "tight", "0.6,0.7,0.82,0.66,0.94,0.04"
TIGHT_SHARE = 0.3
"""A group with lines of its own, and so many of the exposed accounts are in it."""

POOR = Decimal(4000)
"""What a trader has in a storm: enough to trade, not enough to stand everything."""

FUNDS = (Decimal(0), Decimal(40), Decimal(5000))
"""What the insurance has: nothing, less than it takes, more than it takes."""

BEGIN_MS, LENGTH_MS = 1300, 3200
LATE_MS = (6000, 9000)
"""When the last shock may come: in the middle of somebody's recovery."""

JUMPS_BP = (8, 16, 30, 60, 110, 250, 700)
"""The largest is beyond what the mark lets one act on, until it has followed."""


@dataclass(frozen=True, slots=True)
class Shock:
    """A price goes somewhere else: at once, or in some moves; `thin`: little is quoted behind it."""

    at_ms: int
    symbol: str
    bp: int
    moves: int
    thin: bool

    def __str__(self) -> str:
        return f"{self.symbol} {self.bp:+} bp in {self.moves}{', thin' if self.thin else ''}"


@dataclass(frozen=True, slots=True, eq=False)
class Storm:
    """The weather of one seed, and those who stand in it."""

    shocks: tuple[Shock, ...]
    held: Mapping[Place, Held]
    balances: Mapping[str, Decimal]
    tight: frozenset[str]


@lru_cache(maxsize=8)
def draw(seed: int) -> Storm:
    """The storm of a seed, whether it has one or not."""
    rng = Random(f"{seed}:storm")
    held = _positions(rng)
    balances = {account: _balance(rng, account, held) for account in EXPOSED}
    fund = rng.choice(FUNDS)
    if fund:
        balances[INSURANCE] = fund
    chance = Random(f"{seed}:tight").random
    tight = frozenset(account for account in EXPOSED if chance() < TIGHT_SHARE)
    return Storm(tuple(_shocks(rng)), held, balances, tight)


def stormy(seed: int) -> bool:
    """Whether a seed has a storm by itself."""
    return seed % STORMY_OF == 1


def _shocks(rng: Random) -> list[Shock]:
    times = sorted(BEGIN_MS + rng.randrange(LENGTH_MS) for _ in range(rng.randrange(8, 17)))
    if rng.random() < 0.5:
        times.append(rng.randrange(*LATE_MS))
    return [
        Shock(
            at_ms=at_ms,
            symbol=rng.choice((SYMBOLS[0], *SYMBOLS)),
            bp=rng.choice((-1, 1)) * rng.choices(JUMPS_BP, (8, 8, 8, 6, 4, 2, 1))[0],
            moves=rng.choice((1, 1, 3, 8)),
            thin=rng.random() < 0.4,
        )
        for at_ms in times
    ]


def _positions(rng: Random) -> dict[Place, Held]:
    """Longs and shorts of the exposed accounts, each against another's."""
    held: dict[Place, Held] = {}
    for _ in range(PAIRS):
        symbol = rng.choice(SYMBOLS)
        long, short = rng.sample(EXPOSED, 2)
        places = [(long, symbol, _side(long, LONG)), (short, symbol, _side(short, SHORT))]
        if any(place in held for place in places):
            continue
        listed = symbols().by_name[symbol]
        quantity = listed.quantity(rng.choice((8, 30, 90, 300)) * rng.randrange(2, 6))
        for place, signed in zip(places, (quantity, -quantity), strict=True):
            entry = listed.price(start_price(listed) * (1000 + rng.randrange(-8, 9)) // 1000)
            held[place] = Held(signed, signed * entry)
    return held


def _side(account: str, side: str) -> str:
    return side if account == TWO_SIDED else BOTH


def _balance(rng: Random, account: str, held: Mapping[Place, Held]) -> Decimal:
    """What puts an account at a ratio of its own when the world begins."""
    ratio = Decimal(str(round(rng.uniform(*RATIOS), 3)))
    need, gain = Decimal(0), Decimal(0)
    for (owner, symbol, _), each in held.items():
        if owner == account:
            listed = symbols().by_name[symbol]
            value = each.quantity * listed.price(start_price(listed))
            need += maintenance(symbol, abs(value))
            gain += value - each.cost
    if not need:
        return POOR
    return (need / ratio - gain).quantize(Decimal("0.01"), rounding=ROUND_CEILING)
