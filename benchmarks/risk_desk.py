"""A desk of many sub-accounts, and a tape of ticks with gaps and fills: the same for the same seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from random import Random

from pms.contract.names import HOUSE
from pms.domain.brackets import Bracket, ladder
from pms.domain.desk import Desk, SubAccount, Top
from pms.domain.instrument import Instrument
from pms.domain.positions import Position

D = Decimal
SYMBOLS, EACH = 200, 3
"""Symbols, and positions an account."""

STEP, GAP = D("0.0020"), D("0.10")
FILL_EVERY = 5
"""Ticks between two fills."""

SPREAD = D("0.0001")
STEPS = (
    (50, D(0), D(50_000), D("0.01")),
    (25, D(50_000), D(500_000), D("0.02")),
    (10, D(500_000), D(2_000_000), D("0.05")),
    (5, D(2_000_000), D(10_000_000), D("0.1")),
)


@dataclass(frozen=True, slots=True)
class Tick:
    """A symbol's next price; and whose fill comes before it, if one does."""

    symbol: str
    top: Top
    fill: tuple[str, str, Decimal] | None
    #: account, symbol, signed quantity


def desk_of(accounts: int, *, seed: int) -> Desk:
    """Accounts with three positions each, long or short, at leverages of 2 to 25 on all their money."""
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
        notional = money * D(str(rng.choice((1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 5, 5, 6, 7, 8, 10, 12)))) / EACH
        for symbol in rng.sample(symbols, EACH):
            mid = desk.tops[symbol].mid
            quantity = (notional / mid).quantize(D("0.001")) * rng.choice((-1, 1))
            position = Position(account, symbol, leverage=25, quantity=quantity, cost=quantity * mid)
            desk.positions[account, symbol] = position
            desk.held.setdefault(account, {})[symbol] = position
    return desk


def tape(desk: Desk, ticks: int, *, seed: int) -> Iterator[Tick]:
    """Ticks of 20 bp up or down, one fall of 10 % a symbol, a fill before every fifth tick."""
    rng = Random(seed)
    symbols = list(desk.instruments)
    mids = {symbol: desk.tops[symbol].mid for symbol in symbols}
    gaps = dict(zip(rng.sample(range(ticks // 10, ticks), len(symbols)), symbols, strict=True))
    accounts = [account for account in desk.held if account != HOUSE]
    for number in range(ticks):
        symbol = gaps.get(number) or rng.choice(symbols)
        change = -GAP if number in gaps else STEP * rng.choice((-1, 1))
        mids[symbol] = (mids[symbol] * (1 + change)).quantize(D("0.00001"))
        fill = None
        if number % FILL_EVERY == 0:
            account = rng.choice(accounts)
            of = rng.choice([*desk.held.get(account, {"": None})] or [""])
            fill = (account, of, D(rng.choice((-1, 1))) * D("0.010")) if of else None
        yield Tick(symbol, _top(mids[symbol]), fill)


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
