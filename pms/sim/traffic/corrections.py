"""Corrections: what an operator decides in some seeds where he thinks that the books are wrong.

Drawn before anything runs. He gives and takes money and positions against the house, hands trades of others
to an account, and says how orders ended of which nothing is heard. He looks at the database and at the
exchange's own pages first, and what he says of an order is so; but now and then he says that one is filled,
which nobody's word can make it. Here he is always too early: the exchange tells within the ten seconds
that his word has to wait for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any, Literal

from pms.contract.names import HOUSE, LONG, SHORT
from pms.domain.orders import State
from pms.sim.machines.exchange import SYMBOLS
from pms.sim.traffic.algo_scene import HEDGED
from pms.sim.traffic.hands import PREFIX
from pms.sim.traffic.workload import ACCOUNTS

if TYPE_CHECKING:
    from pms.sim.machines.books import Tables
    from pms.sim.world import World

SHARE = 0.2
BEGIN_MS, LENGTH_MS = 900, 3600
MOST = 6
Kind = Literal["amount", "quantity", "gives", "takes", "trade", "resolve"]
_KINDS: dict[Kind, int] = {"amount": 2, "quantity": 4, "gives": 3, "takes": 2, "trade": 3, "resolve": 4}
_AMOUNTS = (Decimal(100), Decimal("-35.5"), Decimal("0.00000001"))
_PARTS = (1, 1, 2, 5)
_UNPRICED = 0.4
WATCHES_S, LOOKS_EVERY_S = 4.0, 0.4
"""So long he waits for an order that he knows more of than we do."""
ENDED = {"CANCELED": "cancelled", "EXPIRED": "expired", "EXPIRED_IN_MATCH": "expired"}
Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wish:
    """One correction; what there is to correct is chosen when its time has come."""

    at_ms: int
    kind: Kind
    account: str
    symbol: str
    position_side: str
    lots: int
    part: int
    away: int | None
    """From the middle, at which price; None: whatever is usual."""
    choice: int


def draw(seed: int, *, exposed: Sequence[str] = ()) -> list[Wish]:
    """The corrections of a seed, by time; none in most."""
    rng = Random(f"{seed}:corrections")
    if rng.random() >= SHARE:
        return []
    wishes = [_one(rng, (*ACCOUNTS, *exposed)) for _ in range(rng.randrange(1, MOST))]
    return sorted(wishes, key=lambda wish: wish.at_ms)


def _one(rng: Random, accounts: Sequence[str]) -> Wish:
    return Wish(
        at_ms=BEGIN_MS + rng.randrange(LENGTH_MS),
        kind=rng.choices(list(_KINDS), list(_KINDS.values()))[0],
        account=rng.choice(accounts),
        symbol=rng.choice(SYMBOLS),
        position_side=rng.choice((LONG, SHORT)),
        lots=rng.choice((1, 5, 40)) * rng.randrange(4, 9) * rng.choice((1, -1)),
        part=rng.choice(_PARTS),
        away=None if rng.random() < _UNPRICED else rng.randrange(-6, 7),
        choice=rng.randrange(1000),
    )


@dataclass(slots=True)
class Corrector:
    """Plays corrections; a trade is handed over once."""

    world: World
    _handed: set[tuple[str, int, int]] = field(default_factory=set)

    async def play(self, wishes: Sequence[Wish]) -> None:
        """Do all that is wished for, each at its time."""
        self.world.gateway.waiting += len(wishes)
        async with asyncio.TaskGroup() as group:
            for wish in wishes:
                group.create_task(self._play(wish))

    async def _play(self, wish: Wish) -> None:
        try:
            await asyncio.sleep(wish.at_ms / 1000)
            command, fields = await self._resolution(wish) if wish.kind == "resolve" else self._asked(wish)
            if fields:
                words = {"actor": "an operator", "reason": "the books are wrong"}
                await self.world.gateway.insist(command, {**fields, **words})
        finally:
            self.world.gateway.waiting -= 1

    @property
    def _tables(self) -> Tables:
        """What he reads: the database, which is behind."""
        return self.world.books.fold.tables

    def _asked(self, wish: Wish) -> tuple[str, Fields]:
        listed = self.world.exchange.venue.exchange.markets[wish.symbol].symbol
        moved = {"symbol": wish.symbol, **self._priced(wish)}
        if wish.account in HEDGED:
            moved["positionSide"] = wish.position_side
        match wish.kind:
            case "amount":
                amount = _AMOUNTS[wish.choice % len(_AMOUNTS)]
                return "pms.adjust", {"subAccountId": wish.account, "amount": amount}
            case "quantity":
                quantity = listed.quantity(wish.lots)
                return "pms.adjust", {"subAccountId": wish.account, "quantity": quantity, **moved}
            case "gives":
                held = self._held(wish.account, wish.symbol, moved.get("positionSide", "BOTH"))
                return "pms.reassign", self._handing(wish, wish.account, HOUSE, held, moved)
            case "takes":
                held = self._held(HOUSE, wish.symbol, "BOTH")
                return "pms.reassign", self._handing(wish, HOUSE, wish.account, held, moved)
            case _:
                return "pms.reassign", self._trade(wish, moved)

    def _handing(self, wish: Wish, giver: str, taker: str, held: Decimal, moved: Fields) -> Fields:
        """A position, or a part of it; none where nothing is held."""
        if not held:
            return {}
        fields = {"fromAccountId": giver, "toAccountId": taker, **moved}
        step = self.world.exchange.venue.exchange.markets[wish.symbol].symbol.step
        part = held / wish.part // step * step
        return fields if wish.part == 1 or not part else {**fields, "quantity": part}

    def _held(self, account: str, symbol: str, side: str) -> Decimal:
        row = self._tables["positions"].get((account, symbol, side))
        return Decimal(0) if row is None else row.quantity

    def _priced(self, wish: Wish) -> Fields:
        if wish.away is None:
            return {}
        exchange = self.world.exchange
        tick = exchange.venue.exchange.markets[wish.symbol].symbol.tick
        price = exchange.middle(wish.symbol) + wish.away * exchange.spacing(wish.symbol)
        return {"price": price // tick * tick}

    def _trade(self, wish: Wish, moved: Fields) -> Fields:
        """One of the trades that somebody else made, to an account: at its price, with its commission."""
        found = [
            row
            for key, row in sorted(self._tables["fills"].items())
            if row.sub_account_id == HOUSE
            and (row.client_order_id or "").startswith(PREFIX)
            and key not in self._handed
        ]
        if not found:
            return {}
        fill = found[wish.choice % len(found)]
        self._handed.add((fill.symbol, fill.exchange_order_id, fill.trade_id))
        return {
            **moved,
            "symbol": fill.symbol,
            "fromAccountId": HOUSE,
            "toAccountId": wish.account,
            "exchangeOrderId": fill.exchange_order_id,
            "tradeId": fill.trade_id,
            "quantity": fill.quantity if fill.side == "BUY" else -fill.quantity,
            "price": fill.price,
            "commission": fill.commission,
        }

    async def _resolution(self, wish: Wish) -> tuple[str, Fields]:
        """How an order ended that lives in our books alone; or, of any that lives, that it is filled."""
        until = asyncio.get_running_loop().time() + WATCHES_S
        while True:
            found = sorted(self._known_better())
            if found or asyncio.get_running_loop().time() > until:
                break
            await asyncio.sleep(LOOKS_EVERY_S)
        if found and wish.choice % 5:
            order, outcome = found[wish.choice % len(found)]
            return "pms.resolve", {"orderId": order, "outcome": outcome}
        live = sorted(coid for coid, _ in self._live())
        return "pms.resolve", {"orderId": live[wish.choice % len(live)], "outcome": "filled"} if live else {}

    def _known_better(self) -> Iterator[tuple[str, str]]:
        for coid, symbol in self._live():
            theirs = self.world.exchange.account.latest_by_client_id.get((symbol, coid))
            if theirs is None:
                yield coid, "not-executed"
            elif theirs.status in ENDED:
                yield coid, ENDED[theirs.status]

    def _live(self) -> Iterator[tuple[str, str]]:
        for (coid,), row in self._tables["orders"].items():
            if not State(row.state).terminal:
                yield coid, row.symbol
