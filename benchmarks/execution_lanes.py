"""One way, on one side, in one book of its own: it is started, left alone until the tape ends, and read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import uuid4

from benchmarks.execution_ways import WAYS, Moment, Side, Way
from benchmarks.system import Bench, until
from benchmarks.tape import Tape
from pms.contract import names
from pms.contract.money import decode_object
from pms.domain.orders import State

LEVERAGE, FUNDS = 10, 300_000
Touch = tuple[Decimal, Decimal]


@dataclass(slots=True)
class Lane:
    """Where a way runs, and what it was told."""

    way: Way
    side: Side
    tape: Tape
    book: str
    size: Decimal
    account: str
    position: str | None = None
    began: str | None = None
    #: the order that opened the position which it closes
    request: str = field(default_factory=lambda: str(uuid4()))
    moment: Moment | None = None
    answer: dict[str, Any] = field(default_factory=dict)

    async def prepare(self, system: Bench) -> None:
        """An account, with money, and with what is to be closed."""
        await system.account(self.account, amount=FUNDS)
        if not self.way.closes:
            return
        opening = {"side": "SELL" if self.side == "BUY" else "BUY", "quantity": self.size}
        opened = await system.done("pms.trade", **self._common(), symbol=self.book, **opening)
        self.position, self.began = opened["position"]["id"], opened["orderId"]

    async def start(self, system: Bench, moment: Moment) -> None:
        """Send its command."""
        self.moment = moment
        terms = dict(self.way.terms(moment))
        if "positionId" not in terms:
            terms |= {"symbol": self.book, "leverage": LEVERAGE}
        fields = {"requestId": self.request, "subAccountId": self.account, **terms}
        self.answer = await system.done(self.way.task, **fields)

    async def stop(self, system: Bench, *, ends: bool) -> None:
        """The tape is over: take back what still waits, unless it `ends` by itself, and wait for its end."""
        if not ends and not await self.over(system):
            if self.way.plain:
                await system.done("pms.cancel", orderId=self.answer["orderId"])
            else:
                await system.done("pms.cancel_algo", algoId=self.request)
        await until(lambda: self.over(system), f"the end of {self.way.name} in {self.book}")

    async def over(self, system: Bench) -> bool:
        """Whether nothing of it waits or lives any more."""
        if self.way.plain:
            state = await system.redis.hget(names.order_key(self.answer["orderId"]), "state")
            # What is over is forgotten after a while.
            return state is None or State(state.decode()).terminal
        shown = await self.shown(system)
        return shown.get("endedAt") is not None

    async def shown(self, system: Bench) -> dict[str, Any]:
        """The algo as a page sees it."""
        found = await system.redis.get(names.algo_key(self.way.kind, self.request))
        return decode_object(found) if found else {}

    def _common(self) -> dict[str, Any]:
        return {"subAccountId": self.account, "leverage": LEVERAGE}


def lanes(
    tape: Tape, percent: Decimal, *, sides: Sequence[Side] = ("BUY", "SELL"), ways: Sequence[Way] = WAYS
) -> list[Lane]:
    """These ways on these sides, each in a book of its own."""
    base, size = tape.symbol.removesuffix("USDT"), tape.part(percent)
    wanted = [(way, side) for way in ways for side in (sides if way.one_sided else sides[:1])]
    return [
        Lane(way, side, tape, f"{base}{number}USDT", size, f"{base}{number}")
        for number, (way, side) in enumerate(wanted)
    ]


async def caught_up(system: Bench, book: str) -> bool:
    """Whether the streamer has seen the last of what the venue showed of a book."""
    price = decode_object(await system.redis.get(names.price_key(book)) or b"{}")
    return (price.get("bid"), price.get("ask")) == await touch_of(system, book)


async def touch_of(system: Bench, symbol: str) -> Touch:
    """Best bid and ask of a book at the venue."""
    async with system.http.get(f"{system.url}/fapi/v1/depth?symbol={symbol}&limit=5") as response:
        book = await response.json()
    return Decimal(book["bids"][0][0]), Decimal(book["asks"][0][0])
