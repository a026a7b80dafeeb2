"""What a request suffers by the rules in force, whichever face it came to."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from pms.venue import errors
from pms.venue.auth import check_time, receive_window
from pms.venue.errors import VenueError
from pms.venue.faults.kinds import AFTER, BEFORE, FaultKind
from pms.venue.faults.rule import Fault
from pms.venue.faults.strange import grown
from pms.venue.matching import BookOrder
from pms.venue.params import Params
from pms.venue.state import Order
from pms.venue.venue import Venue

NAMES = ("newClientOrderId", "origClientOrderId", "orderId", "batchOrders", "origClientOrderIdList")


class Cut(Exception):
    """The connection is to be cut; there is nobody to answer."""


class Gateway(Exception):
    """An answer from the machinery in front of the engine. Without a code it says nothing of the order."""

    def __init__(self, fault: Fault, *, timestamp: int, path: str) -> None:
        super().__init__(fault.message)
        self.status = fault.status
        self.retry_after = fault.retry_after
        self.body: dict[str, object] = {"timestamp": timestamp, "path": path, "msg": fault.message}
        if fault.code is not None:
            self.body = {"code": fault.code, "msg": fault.message}


@dataclass(frozen=True, slots=True)
class Asked:
    """As much of a request as a rule looks at."""

    method: str
    path: str
    params: Params = field(repr=False)
    key: str | None = field(repr=False)
    remote: str


def subject_of(params: Params) -> str:
    """The client order id of a request, or whatever else names what it is about."""
    for name in NAMES:
        if params.sent(name):
            return params.need(name)
    return ""


class Ordeal:
    """Lets requests suffer. Trap: nothing here may change books, except where a rule says so."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    async def before(self, asked: Asked) -> int:
        """Before it is looked at; returns by how many ms the clock is wrong that judges it."""
        fault = self._fault(BEFORE, asked)
        if fault is not None:
            await self._suffer(fault, asked)
        skewed = self._fault((FaultKind.SKEW_CLOCK,), asked)
        return 0 if skewed is None else skewed.ms

    async def after(self, asked: Asked) -> None:
        """Executed and journaled, its events sent, not yet answered."""
        fault = self._fault(AFTER, asked)
        if fault is not None:
            await self._suffer(fault, asked)

    def answered(self, asked: Asked, result: object) -> object:
        """The answer, perhaps with fields that no parser knows."""
        return grown(result) if self._fault((FaultKind.UNKNOWN_FIELD,), asked) is not None else result

    def _fault(self, kinds: tuple[FaultKind, ...], asked: Asked) -> Fault | None:
        faults = self._venue.faults
        return faults.on_request(
            kinds, method=asked.method, path=asked.path, subject=subject_of(asked.params)
        )

    async def _suffer(self, fault: Fault, asked: Asked) -> None:
        venue = self._venue
        match fault.kind:
            case FaultKind.DELAY_BEFORE | FaultKind.DELAY_AFTER:
                await self._wait(fault)
            case FaultKind.HANG_BEFORE | FaultKind.HANG_AFTER:
                await fault.released.wait()
            case FaultKind.CUT_BEFORE | FaultKind.CUT_AFTER:
                raise Cut
            case FaultKind.USE_UP_WEIGHT:
                venue.limits.use_up(asked.remote)
            case FaultKind.BAN:
                venue.limits.ban(asked.remote, fault.ms)
            case FaultKind.FILL_FIRST:
                self._fill(fault, asked)
            case FaultKind.LATE_AT_ENGINE:
                await self._late(fault, asked)
            case _:
                raise Gateway(fault, timestamp=venue.clock(), path=asked.path)

    async def _wait(self, fault: Fault) -> None:
        """Wait its time, or until the rule is dropped."""
        try:
            async with asyncio.timeout(fault.ms / 1000):
                await fault.released.wait()
        except TimeoutError:
            return

    async def _late(self, fault: Fault, asked: Asked) -> None:
        """In time at the door, perhaps too late at the engine, which looks at the window again (-5028)."""
        check_time(asked.params, self._venue.clock())
        await self._wait(fault)
        if self._venue.clock() - asked.params.need_integer("timestamp") > receive_window(asked.params):
            raise errors.refusal(-5028)

    def _fill(self, fault: Fault, asked: Asked) -> None:
        """The market takes a part of the order that the request names, just before it."""
        order = self._named(asked)
        if order is None:
            return
        market = self._venue.exchange.markets[order.symbol]
        level = market.book.own_side(order.side).levels.get(order.price)
        if level is None:
            return
        ahead = sum(each.owned for each in market.book.own_side(order.side).within(order.price))
        ahead -= level.owned
        for each in level:
            if each.key is order:
                ahead += level.ahead_of(each)
                break
            ahead += _shown(each)
        part = -(-order.remaining * fault.percent // 100)
        self._venue.exchange.recorded_trade(
            order.symbol, side=-order.side, price=order.price, lots=ahead + part
        )

    def _named(self, asked: Asked) -> Order | None:
        """The open order that a request is about; None where it names none of the caller's."""
        try:
            credential = self._venue.credentials.identify(asked.key)
            account = self._venue.account(credential.account)
            market = self._venue.market(asked.params)
            order = account.find(
                market.symbol.name,
                order_id=asked.params.integer("orderId"),
                client_order_id=asked.params.text("origClientOrderId"),
            )
        except VenueError:
            # It will be refused in its turn
            return None
        return order if order is not None and order.open else None


def _shown(order: BookOrder) -> int:
    return order.left - order.hidden
