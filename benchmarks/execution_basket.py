"""Baskets on recorded frames: one command, whose legs trade each in a book of its own, and are read as lanes.

Legs of one symbol could share a book; then one would move the market that another is judged by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from typing import Any, Literal
from uuid import uuid4

from benchmarks.execution_lanes import FUNDS, LEVERAGE, Lane
from benchmarks.execution_ways import CHASE_LEG, MARKET_LEG, SHORT_TWAP_LEG, TWAP_LEG, Moment, Side, Way
from benchmarks.system import Bench, until
from benchmarks.tape import Tape
from pms.contract import names
from pms.contract.money import decode_object
from pms.contract.names import Task

LONGEST_S = 300
"""Until the longest recording is over, on a busy machine."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a basket is made of: its mode, and by recording how each leg is worked."""

    name: str
    mode: Literal["parallel", "sequence"]
    legs: tuple[tuple[str, Way], ...]


RECIPES = (
    Recipe(
        "basket in parallel",
        "parallel",
        tuple(
            (symbol, way) for symbol in ("BTCUSDT", "ETHUSDT") for way in (MARKET_LEG, CHASE_LEG, TWAP_LEG)
        ),
    ),
    # The shorter recording's first: behind its end nothing trades.
    Recipe(
        "basket in sequence",
        "sequence",
        (
            ("ETHUSDT", CHASE_LEG),
            ("ETHUSDT", MARKET_LEG),
            ("BTCUSDT", CHASE_LEG),
            ("BTCUSDT", SHORT_TWAP_LEG),
        ),
    ),
)


@dataclass(slots=True, kw_only=True)
class LegLane(Lane):
    """A leg: a lane whose command is sent with its basket's."""

    basket: Basket
    number: int

    async def prepare(self, system: Bench) -> None:
        """One account for all."""
        if not self.number:
            await system.account(self.account, amount=FUNDS)

    async def start(self, system: Bench, moment: Moment) -> None:
        """Note the moment; the last of the legs lets the basket start."""
        self.moment = moment
        if all(leg.moment is not None for leg in self.basket.legs):
            await self.basket.start(system)

    async def stop(self, system: Bench, *, ends: bool) -> None:
        """A basket is over when its longest recording is."""
        if self is max(self.basket.legs, key=lambda leg: leg.tape.seconds):
            await self.basket.stop(system)

    async def over(self, system: Bench) -> bool:
        """Whether its basket is."""
        return await self.basket.over(system)

    async def shown(self, system: Bench) -> dict[str, Any]:
        """The leg as a page sees it."""
        return await self.basket.leg_shown(system, self.number)

    def record(self, slots: Sequence[Any], since: int) -> dict[str, Any]:
        """What PostgreSQL has of the leg, by its slots; and how it ended, which a page alone is told."""
        shown = self.basket.shown["figures"]["legs"][self.number]
        ended_at = shown["endedAt"] or self.basket.shown["endedAt"]
        return {
            "fees": sum((slot.fees for slot in slots), Decimal(0)),
            "maker": sum((slot.maker_qty for slot in slots), Decimal(0)),
            "side": self.side,
            "target": shown["target"],
            "status": shown["state"],
            "reason": shown["reason"],
            "reprices": sum(slot.reprices for slot in slots),
            "lasted_ms": max(ended_at - since, 0),
        }


@dataclass(slots=True)
class Basket:
    """One basket, and what became of it."""

    recipe: Recipe
    account: str
    request: str = field(default_factory=lambda: str(uuid4()))
    legs: list[LegLane] = field(default_factory=list)
    shown: dict[str, Any] = field(default_factory=dict)
    #: as a page saw it last

    async def start(self, system: Bench) -> None:
        """Send its command."""
        await system.done(
            Task.BASKET,
            requestId=self.request,
            subAccountId=self.account,
            mode=self.recipe.mode,
            onLegFailure="finish",
            legs=[
                {"symbol": leg.book, "leverage": LEVERAGE, **leg.way.terms(leg.moment)}
                for leg in self.legs
                if leg.moment is not None
            ],
        )

    async def stop(self, system: Bench) -> None:
        """The recordings are over: let what has a time end by itself, take back what waits."""
        told = f"the end of {self.recipe.name}"
        await until(lambda: self._untimed(system), told, patience_s=LONGEST_S)
        if not await self.over(system):
            await system.done("pms.cancel_algo", algoId=self.request)
        await until(lambda: self.over(system), told)

    async def over(self, system: Bench) -> bool:
        """Whether nothing of it waits or lives any more."""
        await self._look(system)
        return self.shown.get("endedAt") is not None

    async def leg_shown(self, system: Bench, number: int) -> dict[str, Any]:
        """One of its legs as a page sees it."""
        await self._look(system)
        found: dict[str, Any] = self.shown["figures"]["legs"][number]
        return found

    async def _untimed(self, system: Bench) -> bool:
        """Whether no leg runs that ends by its time."""
        await self._look(system)
        states = [leg["state"] for leg in self.shown.get("figures", {}).get("legs", [])]
        return bool(states) and not any(
            leg.way.timed and state == "running" for leg, state in zip(self.legs, states, strict=True)
        )

    async def _look(self, system: Bench) -> None:
        found = await system.redis.get(names.algo_key("basket", self.request))
        self.shown = decode_object(found) if found else {}


def baskets(
    tapes: Sequence[Tape],
    percent: Decimal,
    *,
    sides: Sequence[dict[str, Side]],
    recipes: Sequence[Recipe] = RECIPES,
    first: int,
) -> list[Basket]:
    """Every recipe, once for each choice of a side for each recording's legs; its books are numbered on."""
    by_symbol, numbers = {tape.symbol: tape for tape in tapes}, count(first)
    found: list[Basket] = []
    for recipe in recipes:
        for chosen in sides:
            basket = Basket(recipe, f"basket{len(found)}")
            for number, (symbol, way) in enumerate(recipe.legs):
                tape = by_symbol[symbol]
                basket.legs.append(
                    LegLane(
                        way,
                        chosen[symbol],
                        tape,
                        f"{symbol.removesuffix('USDT')}{next(numbers)}USDT",
                        tape.part(percent),
                        basket.account,
                        request=basket.request,
                        basket=basket,
                        number=number,
                    )
                )
            found.append(basket)
    return found
