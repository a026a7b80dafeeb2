"""How traders use each kind of algo. One kind more is a line in `KINDS` and a function that draws its terms.

Numbers are drawn by the errand's own key, and become prices when its time has come.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from pms.contract.names import Task
from pms.sim.machines.exchange import SYMBOLS
from pms.sim.traffic.algo_scene import ALONE, GUARDED, Fields, Leave, Scene, leverage_of, opening

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
    rng = scene.rng
    fields = _even_slices(scene)
    fields["profile"] = rng.choice(("time", "time", "time", "time", "volume", "participation"))
    if fields["profile"] == "participation":
        fields |= {"participation": scene.percent("5", "30", "100"), "duration": rng.choice((7, 11))}
    if fields["profile"] == "volume":
        fields["profileDays"] = 1
    return fields


def _even_slices(scene: Scene) -> Fields:
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
        "repriceMs": 100,
    }
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
    which = scene.rng.choice(("both", "both", "both", "takeProfit", "stopLoss"))
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


# --- basket ---


def _basket(scene: Scene) -> Fields:
    errand, rng = scene.errand, scene.rng
    fields: Fields = {
        "subAccountId": errand.account,
        "legs": [_leg(scene) for _ in range(rng.randrange(1, 5))],
        "mode": rng.choice(("parallel", "sequence")),
        "onLegFailure": rng.choice(("hold", "finish", "unwind", "unwind")),
    }
    if errand.leave == "run" or scene.chance(0.3):
        # A leg that rests would let it wait for ever
        fields["duration"] = rng.choice((1, 2, 4))
    return fields


def _leg(scene: Scene) -> Fields:
    """One leg, of any kind, in any symbol and of either side."""
    errand, rng = scene.errand, scene.rng
    lots = max(errand.lots // rng.choice((1, 2, 4)), 40)
    own = replace(errand, symbol=rng.choice(SYMBOLS), side=rng.choice(("BUY", "SELL")), lots=lots)
    algo = rng.choice(tuple(LEGS))
    fields = LEGS[algo](scene._replace(errand=own))
    del fields["subAccountId"]
    return {"algo": algo, **fields}


def _limit(scene: Scene) -> Fields:
    price = scene.price(scene.rng.randrange(-3, 5))
    return opening(scene) | {"price": price, "timeInForce": scene.rng.choice(("GTC", "IOC", "FOK"))}


def _chased(scene: Scene) -> Fields:
    fields = _chase(scene)
    if scene.chance(0.4):
        fields |= {
            "maxDistance": scene.percent("0.005", "0.02"),
            "onMaxDistance": scene.rng.choice(("cancel", "cross")),
        }
    return fields


LEGS: dict[str, Callable[[Scene], Fields]] = {
    "market": opening,
    "limit": _limit,
    "chase": _chased,
    "twap": _even_slices,
}
"""What a leg is worked by, and how its terms are drawn."""


def _amend_basket(scene: Scene) -> Fields:
    if scene.chance(0.5):
        return {"onLegFailure": scene.rng.choice(("hold", "finish", "unwind"))}
    return {"duration": scene.rng.choice((1, 2, 3))}


class Kind(NamedTuple):
    """One kind of algo as traders use it."""

    task: str
    weight: int
    start: Callable[[Scene], Fields]
    amend: Callable[[Scene], Fields]
    leaves: tuple[Leave, ...]
    needs_position: bool = False
    #: it is for a position, which is opened first
    own: tuple[str, ...] = ()
    #: accounts in which nobody but its like trades
    unwinds: bool = False
    #: it may have to close what others close too

    @property
    def guards(self) -> bool:
        """It only closes what it, or somebody for it, has opened."""
        return self.own == GUARDED


KINDS: dict[str, Kind] = {
    "chase": Kind(Task.CHASE, 2, _chase, _amend_chase, ("cancel", "cancel", "cancel_all")),
    "twap": Kind(Task.TWAP, 4, _twap, _amend_twap, ("run", "run", "run", "cancel", "cancel_all")),
    "trail_stop": Kind(
        Task.TRAIL_STOP,
        3,
        _trail_stop,
        _amend_trail_stop,
        ("push", "cancel"),
        needs_position=True,
        own=GUARDED,
    ),
    "oco": Kind(Task.BRACKET, 3, _oco, _amend_exits, ("push", "cancel"), needs_position=True, own=GUARDED),
    "bracket": Kind(Task.BRACKET, 3, _bracket, _amend_exits, ("push", "cancel"), own=GUARDED),
    "scalper": Kind(
        Task.SCALPER, 4, _scalper, _amend_scalper, ("run", "run", "cancel", "cancel", "cancel_all"), own=ALONE
    ),
    "basket": Kind(
        Task.BASKET,
        5,
        _basket,
        _amend_basket,
        ("run", "run", "run", "cancel", "cancel_all"),
        unwinds=True,
    ),
}
"""How traders use algos; an OCO is a bracket without an entry."""
