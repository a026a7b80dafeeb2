"""A desk of many sub-accounts, and a tape of ticks with gaps and fills: the same for the same seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from random import Random

from pms.contract.names import BOTH, HOUSE
from pms.domain.brackets import Bracket, ladder
from pms.domain.desk import Desk, Top
from pms.domain.instrument import Instrument
from pms.domain.positions import Position
from pms.domain.sub_accounts import SubAccount

D = Decimal
SYMBOLS, EACH = 200, 3
"""Symbols, and positions an account."""

STEP, GAP = D("0.0020"), D("0.10")
TURNS = 0.9
"""How often a tick takes back the one before, as most ticks of a real market do."""

FILL_EVERY = 10
"""Ticks between two fills."""

LEVERAGES = (*(1, 2, 3, 4) * 5, 8)
"""Of all an account's money: most are far from any line, some are near enough to cross one."""

WEIGHTS = (D("0.7"), D("0.2"), D("0.1"))
"""How an account spreads what it holds over its symbols: most of it is in one."""

SPREAD = D("0.0001")
STEPS = (
    (10, D(0), D(100_000), D("0.05")),
    (5, D(100_000), D(500_000), D("0.1")),
    (4, D(500_000), D(1_000_000), D("0.125")),
    (2, D(1_000_000), D(5_000_000), D("0.25")),
)


@dataclass(frozen=True, slots=True)
class Tick:
    """A symbol's next price; and whose fill comes before it, if one does."""

    symbol: str
    top: Top
    gap: bool
    fill: tuple[str, str, Decimal] | None
    #: account, symbol, signed quantity; before the tick


def desk_of(accounts: int, *, seed: int) -> Desk:
    """Accounts with three positions each, long or short, of up to eight times their money."""
    rng = Random(seed)
    desk = Desk(epoch="bench")
    brackets = ladder(STEPS)
    desk.open_account(SubAccount(id=HOUSE, balance=D(10**12)))
    for number in range(SYMBOLS):
        symbol = f"S{number:03}USDT"
        desk.instruments[symbol] = _instrument(symbol, brackets)
        desk.price(symbol, _top(D(rng.randint(100, 10_000)) / 10))
    symbols = list(desk.instruments)
    for number in range(accounts):
        account = f"{number:08}"
        money = D(rng.randint(1_000, 50_000))
        desk.open_account(SubAccount(id=account, balance=money))
        notional = money * rng.choice(LEVERAGES)
        for symbol, weight in zip(rng.sample(symbols, EACH), WEIGHTS, strict=True):
            mid = desk.tops[symbol].mid
            quantity = (notional * weight / mid).quantize(D("0.001")) * rng.choice((-1, 1))
            position = Position(account, symbol, leverage=25, quantity=quantity, cost=quantity * mid)
            desk.positions[position.place] = position
            desk.held.setdefault(account, {})[symbol, BOTH] = position
    return desk


def tape(desk: Desk, ticks: int, *, seed: int) -> Iterator[Tick]:
    """Ticks of 20 bp up or down, one fall of 10 % a symbol, a fill before every tenth tick."""
    rng = Random(seed)
    symbols = list(desk.instruments)
    mids = {symbol: desk.tops[symbol].mid for symbol in symbols}
    ways = dict.fromkeys(symbols, 1)
    gaps = dict(zip(rng.sample(range(ticks // 10, ticks), len(symbols)), symbols, strict=True))
    accounts = [account for account in desk.held if account != HOUSE]
    for number in range(ticks):
        symbol = gaps.get(number) or rng.choice(symbols)
        if rng.random() < TURNS:
            ways[symbol] = -ways[symbol]
        change = -GAP if number in gaps else STEP * ways[symbol]
        mids[symbol] = (mids[symbol] * (1 + change)).quantize(D("0.00001"))
        fill = None
        if number % FILL_EVERY == 0:
            account = rng.choice(accounts)
            held = [symbol for symbol, _ in desk.held.get(account, {})]
            fill = (account, rng.choice(held), D(rng.choice((-1, 1))) * D("0.010")) if held else None
        yield Tick(symbol, _top(mids[symbol]), number in gaps, fill)


def _top(mid: Decimal) -> Top:
    half = (mid * SPREAD / 2).quantize(D("0.00001"))
    return Top(mid - half, D(1), mid + half, D(1), 0)


def _instrument(symbol: str, brackets: tuple[Bracket, ...]) -> Instrument:
    return Instrument(
        symbol=symbol,
        base_asset=symbol.removesuffix("USDT"),
        quote_asset="USDT",
        margin_asset="USDT",
        status="TRADING",
        tick=D("0.00001"),
        min_price=D(0),
        max_price=D(0),
        step=D("0.001"),
        min_quantity=D("0.001"),
        max_quantity=D(0),
        market_step=D("0.001"),
        market_min_quantity=D("0.001"),
        market_max_quantity=D(0),
        min_notional=D(5),
        multiplier_up=D(0),
        multiplier_down=D(0),
        max_leverage=50,
        brackets=brackets,
    )
