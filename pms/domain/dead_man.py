"""The dead man's switch: which symbols' countdowns at the exchange are to be renewed, and when.

While the engine is well it keeps a countdown running for each symbol in which an order of ours rests;
when it is not, the exchange cancels them (POST /fapi/v1/countdownCancelAll). Times are ms of any one
monotonic clock.

    rests, no countdown runs      start one at once
    rests, half of it is over     renew it
    nothing rests, half is over   stop it: run out, it would cancel the next order in that symbol

Trap: the exchange cancels ALL open orders of the symbol, those that were placed by hand too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from pms.domain.orders import Order

MINUTE_MS = 60_000
MOST_A_MINUTE = 60
"""A renewal weighs 10: so many cost a quarter of Binance's 2,400 a minute. Above, the fuses get longer."""

RETRY_MS = 5000


@dataclass(frozen=True, slots=True)
class Call:
    """One call to make; a countdown of 0 ms stops the symbol's."""

    symbol: str
    countdown_ms: int


@dataclass(frozen=True, slots=True)
class Fuse:
    """A countdown that runs at the exchange."""

    lit_at: int
    countdown_ms: int

    @property
    def renew_at(self) -> int:
        return self.lit_at + self.countdown_ms // 2

    @property
    def over_at(self) -> int:
        return self.lit_at + self.countdown_ms


@dataclass(slots=True)
class DeadManSwitch:
    """The countdowns that run, as far as we know."""

    countdown_ms: int = 120_000
    fuses: dict[str, Fuse] = field(default_factory=dict)
    _not_before: dict[str, int] = field(default_factory=dict)

    def inherit(self, ended: Mapping[str, int], resting: Collection[str], *, now: int) -> None:
        """Take over what the life before may have left running: a countdown for each symbol in which an order
        of ours ended, `ended` ms ago, sooner than it can have run out.

        Where one rests a countdown is started at once, in the place of whatever runs; elsewhere what is taken
        over is due to be stopped.
        """
        longest = self.length(len(ended.keys() | set(resting)))
        for symbol, ago in ended.items():
            left = longest - ago
            if left > 0 and symbol not in resting:
                self.fuses.setdefault(symbol, Fuse(now - left, 2 * left))

    def due(self, resting: Collection[str], *, now: int) -> list[Call]:
        """The calls to make now: unprotected symbols first, then those that run out soonest."""
        for symbol in [symbol for symbol, fuse in self.fuses.items() if fuse.over_at <= now]:
            del self.fuses[symbol]
        bare = [symbol for symbol in resting if symbol not in self.fuses]
        late = sorted((fuse.over_at, symbol) for symbol, fuse in self.fuses.items() if fuse.renew_at <= now)
        countdown = self.length(len(self.fuses) + len(bare))
        calls = [Call(symbol, countdown) for symbol in sorted(bare)]
        calls += [Call(symbol, countdown if symbol in resting else 0) for _, symbol in late]
        return [call for call in calls if self._not_before.get(call.symbol, now) <= now]

    def length(self, symbols: int) -> int:
        """How long a fuse is for so many symbols, ms: renewing all at half of it must stay affordable."""
        return max(self.countdown_ms, 2 * symbols * MINUTE_MS // MOST_A_MINUTE)

    def done(self, call: Call, *, sent_at: int) -> None:
        """The exchange took a call; `sent_at` is from before, so that ours never outlasts its countdown."""
        self._not_before.pop(call.symbol, None)
        if call.countdown_ms:
            self.fuses[call.symbol] = Fuse(sent_at, call.countdown_ms)
        else:
            self.fuses.pop(call.symbol, None)

    def failed(self, call: Call, *, now: int) -> None:
        """Nobody knows whether the exchange took it: one that may have been started runs, and is late.

        Trap: forgotten, it would be stopped by nobody, and at its end take whatever rests there by then.
        """
        self._not_before[call.symbol] = now + RETRY_MS
        if call.countdown_ms:
            self.fuses[call.symbol] = Fuse(now - call.countdown_ms, 2 * call.countdown_ms)


def ended_ago(orders: Iterable[Order], *, now: int) -> dict[str, int]:
    """By symbol, how many ms ago the last order ended that may have rested there."""
    ended: dict[str, int] = {}
    for order in orders:
        if order.state.terminal and order.price is not None:
            symbol, ago = order.spec.symbol, now - order.updated_at
            ended[symbol] = min(ago, ended.get(symbol, ago))
    return ended
