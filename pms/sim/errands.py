"""What traders want of algos in one seed: drawn before anything runs, of every kind there is.

One kind more is a line in `KINDS` and a function that draws its terms; its numbers become prices when its
time has come.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random
from typing import Any, Literal, NamedTuple

from pms.contract.names import LONG, SHORT, Queue, Task
from pms.sim import storm, workload
from pms.sim.exchange import SYMBOLS, SimExchange
from pms.sim.faults import Fault

BEGIN_MS, LENGTH_MS, MOST_LIFE_MS = 500, 2000, 2500
LEVERAGE = 20
GUARDED = ("ivan", "judy")
"""Here nobody trades but algos that guard what was opened for them: in these accounts no exit may open."""

HEDGED = (workload.HEDGED, storm.TWO_SIDED, "judy")
OPENS = {SYMBOLS[0]: "BUY", SYMBOLS[1]: "SELL"}
"""In which direction positions of the guarded accounts are opened, always."""

TIMED_SHARE = 0.3
"""So many faults of the workers who send orders befall those of the schedule instead."""

Side = Literal["BUY", "SELL"]
Leave = Literal["cancel", "run", "push"]
Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Errand:
    """One algo's life: started, perhaps amended and paused on the way, and over in the end."""

    start_ms: int
    end_ms: int
    kind: str
    account: str
    symbol: str
    side: Side
    lots: int
    amend: bool
    pause: bool
    leave: Leave
    """How it comes to its end: by command, by itself, or by prices that go through all of its own."""
    door: workload.Door
    key: str
    """What its terms are drawn by."""

    @property
    def hedged(self) -> bool:
        """Whether its account holds a long beside a short."""
        return self.account in HEDGED

    def held(self, side: Side) -> Errand:
        """The same for a position as it is found: others may have turned it."""
        return replace(self, side=side)


class Scene(NamedTuple):
    """The market as it is when a trader makes up his mind."""

    errand: Errand
    exchange: SimExchange
    rng: Random

    def quantity(self, lots: int) -> Decimal:
        """So many lots of the symbol."""
        return self.exchange.venue.exchange.markets[self.errand.symbol].symbol.quantity(lots)

    def price(self, steps: int, *, side: str | None = None) -> Decimal:
        """So many levels in favour of who has bought; of who has sold the other way round."""
        symbol, sign = self.errand.symbol, 1 if (side or self.errand.side) == "BUY" else -1
        tick = self.exchange.venue.exchange.markets[symbol].symbol.tick
        price = self.exchange.middle(symbol) + sign * steps * self.exchange.spacing(symbol)
        return (price // tick) * tick

    def percent(self, *choices: str) -> Decimal:
        """One of some percentages."""
        return Decimal(self.rng.choice(choices))

    def chance(self, share: float) -> bool:
        """Whether it happens this time."""
        return self.rng.random() < share


def works(seed: int) -> bool:
    """Whether algos run in a seed: a third of them that is calm, and every other storm."""
    return seed % 3 == 2 or (storm.stormy(seed) and seed % 2 == 0)


def draw(seed: int, *, exposed: Sequence[str] = ()) -> list[Errand]:
    """The algos of a seed, by time; `exposed` accounts have their share."""
    rng = Random(f"{seed}:errands")
    errands = [_one(rng, f"{seed}:errand:{number}", exposed) for number in range(rng.randrange(2, 5))]
    return sorted(errands, key=lambda errand: errand.start_ms)


def retarget(seed: int, plan: Sequence[Fault]) -> list[Fault]:
    """Let some of the faults befall the workers and the queue by which slices are sent."""
    rng = Random(f"{seed}:timed")
    words = {"orders": "schedule", Queue.COMMANDS: Queue.SCHEDULE}
    return [
        replace(fault, target=words[fault.target])
        if fault.target in words and rng.random() < TIMED_SHARE
        else fault
        for fault in plan
    ]


def _one(rng: Random, key: str, exposed: Sequence[str]) -> Errand:
    name = rng.choices(list(KINDS), [kind.weight for kind in KINDS.values()])[0]
    kind, symbol = KINDS[name], rng.choice(SYMBOLS)
    accounts = GUARDED if kind.guards and rng.random() < 0.5 else (*workload.ACCOUNTS, *exposed, *exposed)
    account, side = rng.choice(accounts), rng.choice(("BUY", "SELL"))
    start = BEGIN_MS + rng.randrange(LENGTH_MS)
    return Errand(
        start_ms=start,
        end_ms=start + rng.randrange(MOST_LIFE_MS),
        kind=name,
        account=account,
        symbol=symbol,
        side=OPENS[symbol] if account in GUARDED else side,  # type: ignore[arg-type]
        lots=rng.choice((10, 40, 100, 400)) * rng.randrange(2, 9),
        amend=rng.random() < 0.3,
        pause=rng.random() < 0.25,
        leave=rng.choice(kind.leaves),
        door="task" if rng.random() < 0.15 else "record",
        key=key,
    )


def leverage_of(account: str) -> int:
    """The leverage that an account trades with."""
    return storm.LEVERAGE if account in storm.EXPOSED else LEVERAGE


def position_side(errand: Errand) -> Fields:
    """Which of a hedged account's positions what is opened is for."""
    return {"positionSide": LONG if errand.side == "BUY" else SHORT} if errand.hedged else {}


def opening(scene: Scene) -> Fields:
    """An order that opens a position, at market."""
    errand = scene.errand
    return {
        "subAccountId": errand.account,
        "symbol": errand.symbol,
        "side": errand.side,
        "quantity": scene.quantity(errand.lots),
        "leverage": leverage_of(errand.account),
        **position_side(errand),
    }


# --- chase ---


def _chase(scene: Scene) -> Fields:
    return opening(scene) | {
        "stalkMode": scene.rng.choice(("touch", "maintain", "trail")),
        "stalkOffset": scene.percent("0", "0.005", "0.02"),
        "postOnly": scene.chance(0.5),
        "repriceMs": 100,
    }


def _amend_chase(scene: Scene) -> Fields:
    if scene.chance(0.5):
        return {"stalkOffset": scene.percent("0", "0.01")}
    return {"quantity": scene.quantity(scene.errand.lots * scene.rng.choice((2, 3, 6)) // 4)}


# --- TWAP ---


def _twap(scene: Scene) -> Fields:
    errand, rng = scene.errand, scene.rng
    fields = opening(scene)
    slices = rng.randrange(1, 8)
    fields["totalSize"] = scene.quantity(errand.lots * slices)
    del fields["quantity"]
    fields |= {
        "lots": slices,
        "duration": rng.choice((1, 2, 3)),
        "jitter": rng.choice((0, 30, 100)),
        "onMissed": rng.choice(("catch_up", "catch_up", "skip")),
        "mostCatchUp": scene.percent("1", "1.5", "2", "4"),
        "overtime": rng.choice((0, 100)),
        "profile": rng.choice(("time", "time", "time", "time", "volume", "participation")),
        "repriceMs": 100,
    }
    if fields["profile"] == "participation":
        fields |= {"participation": scene.percent("5", "30", "100"), "duration": rng.choice((7, 11))}
    if fields["profile"] == "volume":
        fields["profileDays"] = 1
    if scene.chance(0.35):
        fields["limitPrice"] = scene.price(rng.randrange(-2, 4))
    if scene.chance(0.35):
        fields |= {"passive": True, "crossAt": rng.choice((20, 60, 100))}
    elif "limitPrice" in fields and scene.chance(0.5):
        fields["timeInForce"] = "GTC"
    return fields


def _amend_twap(scene: Scene) -> Fields:
    return {"totalSize": scene.quantity(scene.errand.lots * scene.rng.randrange(1, 12))}


# --- what guards a position ---


def _trail_stop(scene: Scene) -> Fields:
    fields: Fields = {"callbackPct": scene.percent("0.01", "0.01", "0.02", "0.04")}
    if scene.chance(0.3):
        fields["activationPrice"] = scene.price(scene.rng.randrange(2, 5))
    return fields


def _amend_trail_stop(scene: Scene) -> Fields:
    return {"callbackPct": scene.percent("0.01", "0.03")}


def _exits(scene: Scene) -> Fields:
    which = scene.rng.choice(("both", "both", "takeProfit", "stopLoss"))
    prices = {
        "takeProfit": scene.price(scene.rng.randrange(2, 5)),
        "stopLoss": scene.price(-scene.rng.randrange(2, 5)),
    }
    return {name: price for name, price in prices.items() if which in {name, "both"}}


def _oco(scene: Scene) -> Fields:
    part = {"quantity": scene.quantity(max(scene.errand.lots // 2, 10))} if scene.chance(0.4) else {}
    return _exits(scene) | part


def _bracket(scene: Scene) -> Fields:
    fields = opening(scene) | _exits(scene)
    if scene.chance(0.6):
        fields |= {"price": scene.price(scene.rng.randrange(-1, 3)), "timeInForce": "GTC"}
    return fields


def _amend_exits(scene: Scene) -> Fields:
    name, sign = scene.rng.choice((("takeProfit", 1), ("stopLoss", -1)))
    return {name: scene.price(sign * scene.rng.randrange(2, 6))}


# --- scalper ---


def _scalper(scene: Scene) -> Fields:
    errand, rng = scene.errand, scene.rng
    quantity = scene.quantity(rng.choice((40, 100, 400)))
    fields: Fields = {
        "subAccountId": errand.account,
        "symbol": errand.symbol,
        "quantity": quantity,
        "layers": rng.randrange(1, 4),
        "baseOffsetPct": scene.percent("0.005", "0.008", "0.015"),
        "spacingPct": scene.percent("0.003", "0.01"),
        "takeProfitPct": scene.percent("0.005", "0.01"),
        "sizeFactor": scene.percent("0.5", "1", "1", "2"),
        "anchorMode": rng.choice(("follow", "away", "fixed")),
        "anchorPct": scene.percent("0.005", "0.02"),
        "coolDown": rng.choice((0, 1)),
        "legs": rng.choice(("both", "both", "long", "short")),
        "onEnd": rng.choice(("flatten", "flatten", "keep")),
        "leverage": leverage_of(errand.account),
        "repriceMs": 100,
    }
    if scene.chance(0.4):
        fields["stopLossPct"] = scene.percent("0.01", "0.03")
    if scene.chance(0.6):
        fields["maxExposure"] = quantity * rng.choice((1, 2, 3))
    if errand.leave == "run":
        fields["duration"] = rng.choice((1, 2, 4))
    return fields


def _amend_scalper(scene: Scene) -> Fields:
    return scene.rng.choice(
        (
            {"legs": "none"},
            {"legs": "both"},
            {"takeProfitPct": scene.percent("0.003", "0.02")},
            {"baseOffsetPct": scene.percent("0.006", "0.02")},
            {"onEnd": "flatten"},
        )
    )


class Kind(NamedTuple):
    """One kind of algo as traders use it."""

    task: str
    weight: int
    start: Callable[[Scene], Fields]
    amend: Callable[[Scene], Fields]
    leaves: tuple[Leave, ...]
    needs_position: bool = False
    #: it is for a position, which is opened first
    guards: bool = False
    #: it only closes what it, or somebody for it, has opened


KINDS: dict[str, Kind] = {
    "chase": Kind(Task.CHASE, 2, _chase, _amend_chase, ("cancel",)),
    "twap": Kind(Task.TWAP, 4, _twap, _amend_twap, ("run", "run", "cancel")),
    "trail_stop": Kind(
        Task.TRAIL_STOP,
        3,
        _trail_stop,
        _amend_trail_stop,
        ("push", "cancel"),
        needs_position=True,
        guards=True,
    ),
    "oco": Kind(Task.BRACKET, 3, _oco, _amend_exits, ("push", "cancel"), needs_position=True, guards=True),
    "bracket": Kind(Task.BRACKET, 3, _bracket, _amend_exits, ("push", "cancel"), guards=True),
    "scalper": Kind(Task.SCALPER, 4, _scalper, _amend_scalper, ("run", "cancel")),
}
"""How traders use algos; an OCO is a bracket without an entry."""
