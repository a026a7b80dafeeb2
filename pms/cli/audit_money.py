"""The comparisons of money that no trade moved: other assets, incomes, fundings, fees in another asset.

Pure, exact, and anew: what each account held at a funding is computed from the exchange's trades, what
it owed from the exchange's own rate and mark.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal

from pms.cli.audit_checks import (
    BOTH,
    HOUSE,
    LONG,
    WALLET,
    ZERO,
    Check,
    Exchange,
    Ledger,
    Trade,
    TradeKey,
    owners_of,
    trades_of,
)

CENT = Decimal("0.00000001")
IncomeKey = tuple[str, int, str, str]
"""Kind, transaction id, asset, symbol."""


@dataclass(frozen=True, slots=True)
class Funding:
    """One funding of the exchange's public history."""

    symbol: str
    at: int
    rate: Decimal
    mark: Decimal


@dataclass(frozen=True, slots=True)
class Fee:
    """What was charged for one commission in another asset; without a price it is still open."""

    key: TradeKey
    owner: str
    asset: str
    commission: Decimal
    price: Decimal | None
    amount: Decimal | None


@dataclass(frozen=True, slots=True)
class Handed:
    """A position that went from one account to another without a trade."""

    account: str
    symbol: str
    quantity: Decimal
    at: int
    position_side: str = BOTH


@dataclass(frozen=True, slots=True)
class Money:
    """Both sides of everything that no trade tells."""

    theirs: Mapping[str, Decimal] = field(default_factory=dict)
    #: the exchange's balances of other assets
    ours: Mapping[str, Decimal] = field(default_factory=dict)
    entries: tuple[tuple[str, Decimal], ...] = ()
    #: asset and amount of each ledger line in another asset
    told: Mapping[IncomeKey, Decimal] = field(default_factory=dict)
    #: the exchange's incomes since the books were opened
    booked: Mapping[IncomeKey, Decimal] = field(default_factory=dict)
    fees: tuple[Fee, ...] = ()
    fundings: tuple[Funding, ...] = ()
    paid: tuple[tuple[str, str | None, Decimal], ...] = ()
    #: account, reference and amount of each FUNDING line
    handed: tuple[Handed, ...] = ()


def compare_money(exchange: Exchange, ledger: Ledger, money: Money) -> list[Check]:
    """Every comparison of money besides USDT and besides trades."""
    trades = trades_of(exchange, ledger)
    owners = owners_of(exchange, ledger, trades)
    return [
        _assets(money),
        _incomes(money),
        _fundings(money, ledger, trades, owners),
        _fees(money, trades, owners),
        _sides(money, ledger),
    ]


def drift(exchange: Exchange, ledger: Ledger, money: Money) -> dict[str, Decimal]:
    """Ours less the exchange's, by symbol and asset; only where they differ."""
    ours: dict[str, Decimal] = dict(money.ours)
    for (_, symbol, _), (quantity, _) in ledger.positions.items():
        ours[symbol] = ours.get(symbol, ZERO) + quantity
    ours[WALLET] = sum(ledger.balances.values(), ZERO)
    theirs = {**exchange.positions, **money.theirs, WALLET: exchange.wallet}
    return {
        name: ours.get(name, ZERO) - theirs.get(name, ZERO)
        for name in sorted(ours.keys() | theirs.keys())
        if ours.get(name, ZERO) != theirs.get(name, ZERO)
    }


def _assets(money: Money) -> Check:
    names = sorted(money.theirs.keys() | money.ours.keys())
    check = Check("other assets", len(names))
    summed: dict[str, Decimal] = {}
    for asset, amount in money.entries:
        summed[asset] = summed.get(asset, ZERO) + amount
    for name in names:
        ours, theirs = money.ours.get(name, ZERO), money.theirs.get(name, ZERO)
        if ours != theirs:
            check.faults.append(f"{name}: the house holds {ours}, the exchange says {theirs}")
        if summed.get(name, ZERO) != ours:
            check.faults.append(f"{name}: entries make {summed.get(name, ZERO)}, the house holds {ours}")
    return check


def _incomes(money: Money) -> Check:
    check = Check("each income is booked once", len(money.told))
    for key in sorted(money.told.keys() - money.booked.keys()):
        check.faults.append(f"{' '.join(map(str, key))} of {money.told[key]} is not booked")
    for key in sorted(money.told.keys() & money.booked.keys()):
        if money.told[key] != money.booked[key]:
            check.faults.append(
                f"{' '.join(map(str, key))}: told {money.told[key]}, booked {money.booked[key]}"
            )
    return check


def _fundings(
    money: Money, ledger: Ledger, trades: tuple[Trade, ...], owners: Mapping[TradeKey, str]
) -> Check:
    """Each position paid for its own quantity; what came late was rounded once more for each time."""
    check = Check("fundings per sub-account", len(money.fundings))
    # Which of a sub-account's positions a trade is of, the books alone know.
    sides = {fill.key: fill.position_side for fill in ledger.fills}
    places = {key: (owner, sides.get(key, BOTH)) for key, owner in owners.items()}
    owed: dict[str, Decimal] = {}
    for funding in money.fundings:
        for (account, _), quantity in _held(funding, money, trades, places).items():
            amount = -quantity * funding.mark * funding.rate
            owed[account] = owed.get(account, ZERO) + amount.quantize(CENT, rounding=ROUND_HALF_EVEN)
    paid: dict[str, Decimal] = {}
    late: Counter[str] = Counter()
    for account, reference, amount in money.paid:
        paid[account] = paid.get(account, ZERO) + amount
        late[account] += (reference or "").endswith(":late")
    for account in sorted(ledger.balances.keys() - {HOUSE}):
        due, moved = owed.get(account, ZERO), paid.get(account, ZERO)
        if abs(due - moved) > CENT * late[account]:
            check.faults.append(f"{account}: computed {due}, booked {moved}")
    if (rest := sum(paid.values(), ZERO)) != 0:
        check.faults.append(f"allotments make {rest} in all, not 0")
    return check


def _held(
    funding: Funding, money: Money, trades: Iterable[Trade], places: Mapping[TradeKey, tuple[str, str]]
) -> dict[tuple[str, str], Decimal]:
    """By account and position side."""
    held: dict[tuple[str, str], Decimal] = {}
    for trade in trades:
        if trade.symbol == funding.symbol and trade.at <= funding.at:
            place = places[trade.key]
            held[place] = held.get(place, ZERO) + trade.signed
    for one in money.handed:
        if one.symbol == funding.symbol and one.at <= funding.at:
            place = one.account, one.position_side
            held[place] = held.get(place, ZERO) + one.quantity
    return {place: quantity for place, quantity in held.items() if quantity and place[0] != HOUSE}


def _fees(money: Money, trades: tuple[Trade, ...], owners: Mapping[TradeKey, str]) -> Check:
    """Every commission in another asset was charged to the trade's owner at the price that is told."""
    charged = {
        trade.key: trade
        for trade in trades
        if trade.commission_asset != WALLET and trade.commission and owners[trade.key] != HOUSE
    }
    check = Check("fees in other assets", len(charged))
    fees = {fee.key: fee for fee in money.fees}
    for key in sorted(charged.keys() ^ fees.keys()):
        check.faults.append(f"{key}: {'not charged' if key in charged else 'charged without a trade'}")
    for key in sorted(charged.keys() & fees.keys()):
        trade, fee = charged[key], fees[key]
        if (fee.owner, fee.asset, fee.commission) != (
            owners[key],
            trade.commission_asset,
            trade.commission,
        ):
            check.faults.append(f"{key}: {fee.owner} was charged {fee.commission} {fee.asset}")
        elif fee.price is not None and fee.amount != (fee.commission * fee.price).quantize(
            CENT, rounding=ROUND_HALF_EVEN
        ):
            check.faults.append(f"{key}: {fee.commission} at {fee.price} is not {fee.amount}")
    return check


def _sides(money: Money, ledger: Ledger) -> Check:
    """A hedged account's long and short are what their own fills and moves make them, never beyond zero."""
    sided = {place: quantity for place, (quantity, _) in ledger.positions.items() if place[2] != BOTH}
    check = Check("longs and shorts of hedged accounts", len(sided))
    computed: dict[tuple[str, str, str], Decimal] = {}
    for fill in ledger.fills:
        place = fill.owner or HOUSE, fill.symbol, fill.position_side
        computed[place] = computed.get(place, ZERO) + fill.signed
    for one in money.handed:
        place = one.account, one.symbol, one.position_side
        computed[place] = computed.get(place, ZERO) + one.quantity
    for place in sorted(sided.keys() | {place for place in computed if place[2] != BOTH}):
        named, quantity = " ".join(place), sided.get(place, ZERO)
        if computed.get(place, ZERO) != quantity:
            check.faults.append(f"{named}: computed {computed.get(place, ZERO)}, booked {quantity}")
        if quantity and (quantity > 0) != (place[2] == LONG):
            check.faults.append(f"{named} is {quantity}")
    return check
