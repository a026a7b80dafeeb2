"""A desk that a fall divides: made of a seed, half of it cannot stand 35 percent and half of it can.

Each account's balance is what its positions need to reach the takeover line at a fall of its own; so
the fates are spread over the whole crash, and some end it on the brink.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from random import Random

from crash_books import ZERO
from crash_rules import Bracket

ACCOUNTS, POSITIONS = 200, 600
LEVERAGES = (5, 10, 20, 25, 50)
MOST_HELD = 5
DOOMED, BRINK = 0.5, 0.12
"""The parts of the desk that fall within the crash, and that are near the line where it ends."""

FALLS = {"doomed": (0.03, 0.33), "brink": (0.352, 0.362), "sound": (0.42, 0.8)}
LONG = {"doomed": 0.7, "brink": 0.7, "sound": 0.4}
"""The chance of a further position to be long; the first of those that shall fall always is."""

CUSHIONS = (0.1, 0.4)
"""What a sound account has at least, in parts of what it holds: shorts need nothing for a fall."""

SIZES = (300.0, 9_000.0)
WHALES, WHALE_SIZES = 0.04, (60_000.0, 120_000.0)
"""Positions beyond the first bracket of a small symbol: their tiers lie further apart."""

USED = Decimal("0.8")
"""So much of an account may be margin: the rest is for its resting order's fee and the first ticks."""

AT_MARKET = 8
"""Each so many-th account is in the group that is closed at market."""

RESTING = 30
"""Doomed accounts with a resting order, far above the market."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A symbol as the exchange lists it now."""

    symbol: str
    price: Decimal
    tick: Decimal
    step: Decimal
    least: Decimal
    #: notional of an order
    most: Decimal
    #: quantity of one market order
    brackets: Sequence[Bracket]
    leverages: Sequence[int]
    #: the most of each bracket


@dataclass(frozen=True, slots=True)
class Wanted:
    """A position to be: quantity signed."""

    symbol: str
    quantity: Decimal
    entry: Decimal
    leverage: int

    @property
    def cost(self) -> Decimal:
        return self.quantity * self.entry


@dataclass(slots=True)
class Member:
    """One account to be."""

    id: str
    fate: str
    balance: Decimal = ZERO
    positions: list[Wanted] = field(default_factory=list)
    resting: Wanted | None = None
    #: an order to sell that much at `entry`
    at_market: bool = False


def make_desk(listed: Sequence[Listed], seed: int, *, prefix: str = "c") -> list[Member]:
    """200 accounts with 600 positions; `prefix` begins their names."""
    rng = Random(f"desk {seed}")
    members = []
    for number, count in enumerate(_counts(rng, min(MOST_HELD, len(listed)))):
        place = number / ACCOUNTS
        fate = "doomed" if place < DOOMED else "brink" if place < DOOMED + BRINK else "sound"
        members.append(_member(rng, f"{prefix}{number:03d}", fate, rng.sample(list(listed), count)))
    for member in members[::AT_MARKET]:
        member.at_market = True
    by_symbol = {each.symbol: each for each in listed}
    for member in [each for each in members if each.fate == "doomed"][:RESTING]:
        held = max(member.positions, key=lambda position: position.cost)
        of = by_symbol[held.symbol]
        price = (of.price * Decimal("1.04") / of.tick).quantize(Decimal(1)) * of.tick
        member.resting = Wanted(held.symbol, held.quantity, price, held.leverage)
    return members


def net(members: Sequence[Member]) -> dict[str, Decimal]:
    """What the exchange account must hold for all of them."""
    total: dict[str, Decimal] = {}
    for member in members:
        for position in member.positions:
            total[position.symbol] = total.get(position.symbol, ZERO) + position.quantity
    return total


def _counts(rng: Random, most: int) -> list[int]:
    """How many positions each account has: 1 to `most`, 600 in all."""
    counts = [rng.randint(1, most) for _ in range(ACCOUNTS)]
    while (short := POSITIONS - sum(counts)) != 0:
        place = rng.randrange(ACCOUNTS)
        if 1 <= counts[place] + (1 if short > 0 else -1) <= most:
            counts[place] += 1 if short > 0 else -1
    return counts


def _member(rng: Random, name: str, fate: str, symbols: list[Listed]) -> Member:
    """Draw until it is an account that could have come to be: margin and leverage within the limits."""
    fall, cushion = (Decimal(str(round(rng.uniform(*each), 4))) for each in (FALLS[fate], CUSHIONS))
    while True:
        longs = [(fate != "sound" and not n) or rng.random() < LONG[fate] for n in range(len(symbols))]
        positions = [_drawn(rng, of, long=long) for of, long in zip(symbols, longs, strict=True)]
        balance = _balance_for(positions, fall)
        gross = sum((abs(quantity * entry) for _, quantity, entry in positions), ZERO)
        if fate == "sound":
            balance = max(balance, (gross * cushion).quantize(Decimal("0.01")))
        # What is there beyond the maintenance margin now must be as much again: nobody begins on a line
        spare = balance - _balance_for(positions, ZERO)
        if spare < _maintenance(positions, ZERO) or balance < gross / 40:
            continue
        equity = spare + _maintenance(positions, ZERO)
        leverages = _leverages(rng, positions, min(balance, equity) * USED)
        if leverages is not None:
            held = [
                Wanted(of.symbol, quantity, entry, leverage)
                for (of, quantity, entry), leverage in zip(positions, leverages, strict=True)
            ]
            return Member(name, fate, balance, held)


def _drawn(rng: Random, of: Listed, *, long: bool) -> tuple[Listed, Decimal, Decimal]:
    low, high = WHALE_SIZES if rng.random() < WHALES else SIZES
    size = Decimal(str(round(low * (high / low) ** rng.random(), 2)))
    lots = max(Decimal(1), (size / of.price / of.step).quantize(Decimal(1)))
    away = Decimal(str(round(1 + rng.uniform(-0.02, 0.02), 5)))
    entry = (of.price * away / of.tick).quantize(Decimal(1)) * of.tick
    return of, lots * of.step if long else -lots * of.step, entry


def _balance_for(positions: Sequence[tuple[Listed, Decimal, Decimal]], fall: Decimal) -> Decimal:
    """The balance with which equity equals maintenance where all prices are down by `fall`."""
    need = _maintenance(positions, fall)
    for of, quantity, entry in positions:
        need -= quantity * (of.price * (1 - fall) - entry)
    return need.quantize(Decimal("0.01"), rounding=ROUND_CEILING)


def _maintenance(positions: Sequence[tuple[Listed, Decimal, Decimal]], fall: Decimal) -> Decimal:
    total = ZERO
    for of, quantity, _ in positions:
        notional = abs(quantity) * of.price * (1 - fall)
        bracket = next((each for each in of.brackets if notional <= each.cap), of.brackets[-1])
        total += notional * bracket.ratio - bracket.cum
    return total


def _leverages(
    rng: Random, positions: Sequence[tuple[Listed, Decimal, Decimal]], room: Decimal
) -> list[int] | None:
    """A leverage for each position within its bracket, high enough that all margins find room."""
    most = []
    for of, quantity, entry in positions:
        notional = abs(quantity * entry)
        place = next((n for n, each in enumerate(of.brackets) if notional <= each.cap), -1)
        most.append([each for each in LEVERAGES if each <= of.leverages[place]])
    chosen = [rng.choice(each) for each in most]
    for _ in range(len(LEVERAGES) * len(positions)):
        margin = sum(
            (abs(q * entry) / lev for (_, q, entry), lev in zip(positions, chosen, strict=True)), ZERO
        )
        if margin <= room:
            return chosen
        place = min(range(len(chosen)), key=lambda n: chosen[n] / most[n][-1])
        chosen[place] = next((each for each in most[place] if each > chosen[place]), chosen[place])
    return None
