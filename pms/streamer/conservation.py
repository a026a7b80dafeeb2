"""Conservation: what all sub-accounts and the house hold is what the exchange says it holds.

Per symbol the positions, per asset the balances. Compared twice over:

    when the exchange's time goes on   every event of the time before is taken in, so what it touched
                                       must agree; if not, a word was lost, and we catch up at once
    on a beat                          everything; what lasts is an incident that names the figures

It is repaired by evidence or by an operator, never by a timer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from pms.contract.money import plain
from pms.domain.desk import Desk
from pms.domain.treasury import WALLET
from pms.streamer.engine import Engine, Venue

ZERO = Decimal(0)
DRIFT = "drift"
SUMS = "sums"
INCOME_PATIENCE_MS = 60_000
"""The income history may be this much behind the user stream before a wallet's difference is told."""

ASK_AGAIN_MS = 10_000
ASK_SELDOM_MS = 600_000
"""What no catch-up has mended is caught up with ever more seldom: all symbols are read for it."""

RECOUNT_EVERY = 20


@dataclass(frozen=True, slots=True)
class Difference:
    """Ours against the exchange's: of a symbol's position, or of an asset's balance."""

    name: str
    ours: Decimal
    theirs: Decimal

    @property
    def amount(self) -> Decimal:
        return self.ours - self.theirs

    def __str__(self) -> str:
        return (
            f"{self.name}: all accounts hold {plain(self.ours)}, the exchange says {plain(self.theirs)}: "
            f"{plain(self.amount)} too {'much' if self.amount > 0 else 'little'}"
        )


@dataclass(slots=True)
class Conservation:
    """Watches the sums; a difference that has lasted is an incident until it is gone."""

    lasting_ms: int = 3000
    now: dict[str, Decimal] = field(default_factory=dict)
    #: the differences at the last check, by symbol and asset
    _since: dict[str, tuple[Decimal, int]] = field(default_factory=dict)
    _looked: set[str] = field(default_factory=set)
    #: what differs and was asked about already: an asset's income history, a symbol's trades
    _asked: int = 0
    _pause: int = ASK_AGAIN_MS
    _caught_up_with: dict[str, Decimal] = field(default_factory=dict)
    #: the differences for which all was read last, by symbol
    _checks: int = 0

    def check(self, engine: Engine, *, now: int) -> None:
        """Tell the differences that have lasted, and the end of those told."""
        desk, venue = engine.desk, engine.venue
        if not venue.wallets:
            return
        differing = {each.name: each for each in differences(desk, venue)}
        self.now = {name: each.amount for name, each in differing.items()}
        for row in desk.incidents.of_kind(DRIFT):
            if row.subject not in differing:
                engine.settle_incident(DRIFT, row.subject, "our sum and the exchange's agree again")
        for name in [name for name in self._since if name not in differing]:
            del self._since[name]
        self._looked &= differing.keys()
        for name in self._caught_up_with.keys() - differing.keys():
            del self._caught_up_with[name]
        for name, each in differing.items():
            seen, since = self._since.get(name, (None, now))
            if seen != each.amount:
                self._since[name] = (each.amount, now)
                continue
            if name not in self._looked and now - since >= self.lasting_ms // 2:
                # The word of an income or of a trade may have been lost, and none behind it tells of that.
                self._looked.add(name)
                if name in venue.wallets:
                    engine.money_missed()
                elif name in desk.instruments:
                    engine.trades_missed(name)
            if now - since >= self._patience(each, venue, now):
                engine.raise_incident(
                    DRIFT,
                    "critical",
                    str(each),
                    subject=name,
                    evidence={
                        "ours": plain(each.ours),
                        "theirs": plain(each.theirs),
                        "difference": plain(each.amount),
                        "since": since,
                    },
                )
        self._checks += 1
        if self._checks % RECOUNT_EVERY == 0:
            for fault in _recounted(desk):
                engine.raise_incident(SUMS, "critical", fault)

    def time_passed(self, desk: Desk, venue: Venue, *, now: int, behind: Callable[[], None]) -> None:
        """Compare what the exchange touched up to now; catch up where a word of it must be missing."""
        if now - self._asked < ASK_AGAIN_MS:
            # What was touched is compared then: another word may have been lost meanwhile.
            return
        touched, venue.touched = venue.touched, set()
        net = desk.treasury.net
        found = {symbol: net.get(symbol, ZERO) - venue.positions.get(symbol, ZERO) for symbol in touched}
        differing = {symbol: amount for symbol, amount in found.items() if amount}
        if not differing:
            return
        if differing.items() <= self._caught_up_with.items():
            if now - self._asked < self._pause:
                return
            self._pause = min(2 * self._pause, ASK_SELDOM_MS)
        else:
            self._pause = ASK_AGAIN_MS
        self._asked = now
        self._caught_up_with |= differing
        behind()

    def _patience(self, each: Difference, venue: Venue, now: int) -> int:
        is_asset = each.name in venue.wallets
        waits = is_asset and now - venue.income_heard < INCOME_PATIENCE_MS
        return INCOME_PATIENCE_MS if waits else self.lasting_ms


def differences(desk: Desk, venue: Venue) -> list[Difference]:
    """Where ours is not the exchange's; nothing before the exchange has spoken."""
    if not venue.wallets:
        return []
    treasury = desk.treasury
    ours, theirs = dict(treasury.net), dict(venue.positions)
    ours |= treasury.assets | {WALLET: treasury.total}
    theirs |= venue.wallets
    return [
        Difference(name, ours.get(name, ZERO), theirs.get(name, ZERO))
        for name in sorted(ours.keys() | theirs.keys())
        if ours.get(name, ZERO) != theirs.get(name, ZERO)
    ]


def money_differs(desk: Desk, venue: Venue) -> bool:
    """Whether an asset's balance is not the exchange's."""
    return any(each.name in venue.wallets for each in differences(desk, venue))


def _recounted(desk: Desk) -> list[str]:
    balances = (account.balance for account in desk.accounts.values())
    positions = {place: position.quantity for place, position in desk.positions.items()}
    return desk.treasury.recount(balances, positions)
