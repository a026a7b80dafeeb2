"""Every limit that can be set: its name, unit, default and meaning, one row each.

A limit is set for everything, for a group of sub-accounts or for one, and there for one symbol or for
all. The narrowest setting counts: sub-account over group over everything over the default, and within
each of them the symbol over all symbols. `docs/contract/limits.md` is generated from these rows.

To add one, add a row. Trap: a name is in the journal for ever; it never changes its meaning or its unit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Generic, NamedTuple, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from pms.contract.codes import Code
from pms.contract.money import Number, plain
from pms.contract.unwind_policy import AtOnce, UnwindPolicy, read_policy

GROUP_PREFIX: Final = "group:"
"""Begins the scope of a limit that is a group's; no sub-account's id has a colon."""

DEFAULT_GROUP: Final = "default"
"""The group of a sub-account that was put into no other."""

MOST_ORDERS: Final = 10_000
"""The greatest count a limit can have: so many times of orders are remembered for one sub-account."""

MOST_WINDOW_MS: Final = 60_000
"""The longest time that a limit looks back."""

MOST_SYMBOLS: Final = 1_000

V = TypeVar("V")
V_co = TypeVar("V_co", covariant=True)
_number: TypeAdapter[Decimal] = TypeAdapter(Number)


@dataclass(frozen=True, slots=True, eq=False)
class Limit(Generic[V_co]):
    """One limit; `read` turns the text of a setting into its value, or raises ValueError."""

    name: str
    unit: str
    default: V_co
    meaning: str
    read: Callable[[str], V_co]
    by_symbol: bool
    code: Code | None
    #: what is refused for it
    of_all: bool = False
    #: set for everything alone: it tells how the house acts, which is nobody's

    @property
    def default_text(self) -> str:
        """The default as it would be set; nothing where there is no limit."""
        return written(self.default)


LIMITS: dict[str, Limit[Any]] = {}
"""Every limit by its name, in the order of the table."""


def written(value: object) -> str:
    """A value as it is set."""
    match value:
        case None:
            return ""
        case Decimal():
            return plain(value)
        case frozenset():
            return ",".join(sorted(value))
        case tuple():
            return ",".join(plain(part) for part in value)
        case _:
            return str(value)


def scope_of_group(group: str) -> str:
    """The scope of a limit that holds for a group."""
    return f"{GROUP_PREFIX}{group}"


def _row(
    name: str,
    unit: str,
    default: V,
    meaning: str,
    *,
    read: Callable[[str], V],
    by_symbol: bool,
    code: Code | None,
    of_all: bool = False,
) -> Limit[V]:
    limit = Limit(name, unit, default, meaning, read, by_symbol, code, of_all)
    LIMITS[name] = limit
    return limit


def _most(
    name: str, unit: str, meaning: str, code: Code | None = None, *, by_symbol: bool = True
) -> Limit[Decimal | None]:
    """A number that may not be exceeded; without a setting there is no limit."""
    return _row(name, unit, None, meaning, read=_between(0, None), by_symbol=by_symbol, code=code)


def _number_of(
    name: str,
    unit: str,
    default: str,
    meaning: str,
    code: Code | None = None,
    *,
    by_symbol: bool = True,
    most: int | None = None,
) -> Limit[Decimal]:
    """A number with a default of ours."""
    return _row(name, unit, Decimal(default), meaning, read=_between(0, most), by_symbol=by_symbol, code=code)


def _word(
    name: str, default: str, meaning: str, *others: str, code: Code | None = None, by_symbol: bool = True
) -> Limit[str]:
    """One of a few words, the default first."""
    words = (default, *others)
    return _row(
        name, " or ".join(words), default, meaning, read=_one_of(words), by_symbol=by_symbol, code=code
    )


def _between(least: int, most: int | None) -> Callable[[str], Decimal]:
    def read(text: str) -> Decimal:
        try:
            value = _number.validate_python(text)
        except ValidationError:
            raise ValueError("a number") from None
        if value < least or (most is not None and value > most):
            raise ValueError(f"a number from {least}" + ("" if most is None else f" to {most}"))
        return value

    return read


def _one_of(words: tuple[str, ...]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(" or ".join(words))
        return text

    return read


def _symbols(text: str) -> frozenset[str]:
    found = frozenset(part.strip().upper() for part in text.split(","))
    if "" in found or len(found) > MOST_SYMBOLS:
        raise ValueError(f"symbols with commas between them, {MOST_SYMBOLS} at most")
    return found


class TierRatios(NamedTuple):
    """Maintenance margin over equity at which each tier of a liquidation fires, and what ends it."""

    warn: Decimal = Decimal("0.70")
    cancel: Decimal = Decimal("0.80")
    deleverage: Decimal = Decimal("0.90")
    deleverage_to: Decimal = Decimal("0.75")
    takeover: Decimal = Decimal(1)
    rearm: Decimal = Decimal("0.05")


def _ratios(text: str) -> TierRatios:
    """Six numbers that make sense together: a tier that could never be left, or reached, is a mistake."""
    parts = text.split(",")
    if len(parts) != len(TierRatios._fields):
        raise ValueError(f"six numbers with commas between them: {', '.join(TierRatios._fields)}")
    ratios = TierRatios(*map(_between(0, 1), parts))
    if not 0 < ratios.warn < ratios.cancel < ratios.deleverage < ratios.takeover <= 1:
        raise ValueError(
            "ratios that rise from warn over cancel and deleverage to takeover, above 0 and up to 1"
        )
    if not 0 < ratios.rearm < ratios.warn:
        raise ValueError("a rearm between 0 and warn")
    if not 0 < ratios.deleverage_to <= ratios.deleverage - ratios.rearm:
        raise ValueError("a deleverage_to that is at least rearm below deleverage")
    return ratios


ACTIVE, REDUCE_ONLY, HALTED = "ACTIVE", "REDUCE_ONLY", "HALTED"
BOTH, REFUSE, APART = "BOTH", "REFUSE", "APART"

STATE = _word(
    "trading.state",
    ACTIVE,
    "what is admitted at all; REDUCE_ONLY admits what only reduces. `pms halt` also stops what is admitted",
    REDUCE_ONLY,
    HALTED,
    code=Code.TRADING_STATE,
)
SYMBOLS = _row(
    "trading.symbols",
    "symbols",
    frozenset[str](),
    "the only symbols that may be traded, with commas between them; without a setting all",
    read=_symbols,
    by_symbol=False,
    code=Code.SYMBOL_NOT_ALLOWED,
)
SIDES = _word(
    "trading.sides",
    BOTH,
    "the only side that may be opened: BUY permits long positions alone, SELL short ones",
    "BUY",
    "SELL",
    code=Code.SIDE_NOT_ALLOWED,
)
LEVERAGE = _most("leverage", "x", "the greatest leverage of a sub-account", Code.LEVERAGE_LIMIT)
ORDER_QUANTITY = _most("order.quantity", "base asset", "the greatest single order", Code.ORDER_QUANTITY)
ORDER_NOTIONAL = _most(
    "order.notional",
    "USDT",
    "the greatest single order, at its price or at the touch",
    Code.ORDER_NOTIONAL,
)
POSITION_QUANTITY = _most(
    "position.quantity",
    "base asset",
    "the greatest position to either side, if every open order of that side trades",
    Code.POSITION_QUANTITY,
)
POSITION_NOTIONAL = _most(
    "position.notional",
    "USDT",
    "the same by value: at mid, an open order at its price if that is more",
    Code.POSITION_NOTIONAL,
)
EXPOSURE = _most(
    "exposure",
    "USDT",
    "the sum of all symbols' values, each by its worse side",
    Code.EXPOSURE,
    by_symbol=False,
)
CONCENTRATION_EQUITY = _most(
    "concentration.equity",
    "% of equity",
    "the greatest value of one symbol, by its worse side, beside the sub-account's equity",
    Code.CONCENTRATION_EQUITY,
)
CONCENTRATION_EXPOSURE = _most(
    "concentration.exposure",
    "% of exposure",
    "the greatest value of one symbol beside that of all, once all are worth `concentration.from`",
    Code.CONCENTRATION_EXPOSURE,
)
CONCENTRATION_FROM = _number_of(
    "concentration.from",
    "USDT",
    "0",
    "the exposure from which on `concentration.exposure` is judged: a first position is always all of it",
    by_symbol=False,
)
DAILY_LOSS = _most(
    "loss.daily",
    "USDT",
    "the loss since 00:00 UTC (realised, liquidated, fees, funding), from which on only reducing is admitted",
    Code.DAILY_LOSS,
    by_symbol=False,
)
OPEN_ORDERS = _number_of(
    "orders.open",
    "orders",
    "200",
    "the most open orders of a sub-account",
    Code.OPEN_ORDERS,
    by_symbol=False,
    most=MOST_ORDERS,
)
OPEN_ORDERS_SYMBOL = _number_of(
    "orders.open_symbol",
    "orders",
    "200",
    "the most open orders of a sub-account in one symbol",
    Code.OPEN_ORDERS_SYMBOL,
    most=MOST_ORDERS,
)
ORDER_RATE = _row(
    "orders.rate",
    "orders",
    None,
    "the most orders and amendments of a sub-account within `orders.rate_window`",
    read=_between(1, MOST_ORDERS),
    by_symbol=False,
    code=Code.ORDER_RATE,
)
RATE_WINDOW = _number_of(
    "orders.rate_window",
    "ms",
    "1000",
    "how far `orders.rate` looks back",
    by_symbol=False,
    most=MOST_WINDOW_MS,
)
DUPLICATE = _number_of(
    "orders.duplicate",
    "ms",
    "0",
    "so long after an order another of the same symbol, side, type, quantity and price is refused",
    Code.DUPLICATE_ORDER,
    most=MOST_WINDOW_MS,
)
COLLAR = _number_of(
    "price.collar",
    "%",
    "5",
    "how far through the touch a LIMIT order may be priced",
    Code.PRICE_THROUGH,
)
SPREAD = _number_of(
    "price.spread",
    "% of mid",
    "5",
    "the widest spread at which a MARKET order is admitted; what only reduces always is",
    Code.SPREAD_WIDE,
)
PRICE_AGE = _number_of(
    "price.age",
    "ms",
    "15000",
    "how old the best bid and ask may be; a silent symbol is proven quiet within 12 s",
    Code.PRICE_STALE,
)
SIBLINGS = _word(
    "orders.siblings",
    REFUSE,
    "what becomes of an order that would meet another of ours: APART prices a LIMIT order one tick away",
    APART,
    code=Code.SELF_MATCH,
)
TIERS = _row(
    "liquidation.tiers",
    ", ".join(TierRatios._fields),
    TierRatios(),
    "the maintenance margin over equity at which a sub-account is warned, its orders are cancelled, parts of"
    " its positions and then all go to the house; how far the parts bring it back; how far below its line a"
    " tier is armed again",
    read=_ratios,
    by_symbol=False,
    code=None,
)
TRANSFER, MARKET = "transfer", "market"

MODE = _word(
    "liquidation.mode",
    TRANSFER,
    "how positions are liquidated: transfer moves them to the house on the tick; market closes them by the"
    " sub-account's own orders, which may come late and cost more, and what that lacks the insurance pays",
    MARKET,
    by_symbol=False,
)
UNWIND_NOTIONAL = _row(
    "liquidation.unwind_notional",
    "USDT",
    cast("Decimal | None", None),
    "the greatest single order by which the house closes what it took over; set for everything",
    read=_between(0, None),
    by_symbol=True,
    code=None,
    of_all=True,
)
UNWIND = _row(
    "liquidation.unwind",
    "at_once, or passive,SECONDS,PERCENT, or timed,SECONDS,SLICES",
    cast("UnwindPolicy", AtOnce()),
    "how the house closes what it took over: at market; post-only at the touch for so long, or until the mark"
    " price has run so far away, then at market; in equal slices over so long; set for everything",
    read=read_policy,
    by_symbol=True,
    code=None,
    of_all=True,
)
RISK_VAR = _most(
    "risk.var",
    "% of equity",
    "the greatest value at risk, of the sub-account; as a group's limit also of the group as a whole, and as"
    " everything's of the desk. Crossing it is told, and refuses nothing; so with the three below",
    by_symbol=False,
)
RISK_ES = _most("risk.es", "% of equity", "the greatest expected shortfall", by_symbol=False)
RISK_STRESS = _most("risk.stress", "% of equity", "the greatest loss in the worst scenario", by_symbol=False)
RISK_MARGIN = _most("risk.margin", "% of equity", "the most margin in use", by_symbol=False)

RISK: Final = (RISK_VAR, RISK_ES, RISK_STRESS, RISK_MARGIN)
"""What portfolio risk is held against; no order is."""
