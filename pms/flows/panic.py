"""Panic: every order off the exchange and, if wished, the net to nothing; straight REST, nothing else.

Trading is halted first, where a Redis answers, and whoever is told that nothing is left is told so of a
system that is still halted: a Redis that was restarted meanwhile may have forgotten it, one that was away
may be back, and then all begins anew.

Each step may fail, be lost or happen twice, and none is believed: what counts is what the exchange says
when it is asked afterwards. Run again, it does only what is left to do.

    cancel   symbol by symbol, all of ours and everybody's, again until two looks apart find none
    flatten  market, reduceOnly, so much as the exchange says is held *now*; a lost answer is followed by
             another look, and an order too many is refused by reduceOnly: the net cannot be turned over

Trap: the orders that flatten carry a prefix of their own. To the engine they are foreign, so their
fills are the house's; the sub-accounts keep what they hold, against the house, until someone settles it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, TypeVar

from redis.asyncio import Redis
from redis.exceptions import RedisError

from pms.binance.client import ExchangeClient, PlaceOrder, PositionRisk
from pms.binance.errors import ExchangeError, NotFound, Refused, Throttled
from pms.binance.instruments import parse_instruments
from pms.bus.requests import Requests
from pms.contract.money import plain
from pms.contract.names import HALT, Task

T = TypeVar("T")
PREFIX: Final = "PANIC-"
"""Never the engine's own, which would adopt such an order."""

QUIET_S: Final = 2.5
"""Between two looks; longer than the recvWindow of a placement that was on its way."""

MOST_LOOKS: Final = 12
MOST_ROUNDS: Final = 3
DOOR_S: Final = 2.0
RECV_WINDOW_MS: Final = 5000
REASON_MOST: Final = 200
ACTOR_MOST: Final = 80
"""Characters that `pms.halt` takes."""

NOTHING_TYPED: Final = "pms panic"
LONGEST_WAIT_S: Final = 10.0
NO_SUCH_SYMBOL: Final = frozenset((-1121, -4141))
"""Codes that say that a symbol is not traded: unknown, closed. Nothing rests there."""


@dataclass(frozen=True, slots=True)
class Panic:
    """What it takes: the exchange, patience, ids, and someone to tell."""

    client: ExchangeClient
    sleep: Callable[[float], Awaitable[None]]
    new_id: Callable[[], str]
    say: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Door:
    """Where trading is halted, whoever else hangs; `redis` None: nobody knows of one."""

    redis: Redis | None
    new_id: Callable[[], str]
    say: Callable[[str], None]
    actor: str
    reason: str

    async def halt(self) -> None:
        """Halt everything at the send right."""
        if self.redis is None:
            self.say("no Redis is known: trading is not halted, an engine that lives may send")
            return
        fields = {
            "requestId": self.new_id(),
            "reason": _text(self.reason, most=REASON_MOST),
            "actor": _text(self.actor, most=ACTOR_MOST),
        }
        try:
            async with asyncio.timeout(DOOR_S):
                await Requests(self.redis, new_id=self.new_id).submit(Task.HALT, fields, door="panic")
                stands = await self.redis.get(HALT) is not None
        except (RedisError, OSError) as error:
            told = str(error) or type(error).__name__
            self.say(f"Redis does not answer ({told}): trading is not halted")
        except Exception as error:  # the orders must go, whatever else is wrong
            self.say(f"the halt failed ({type(error).__name__}: {error}): trading is not halted")
        else:
            if stands:
                self.say("trading is halted (`pms resume --reason …` lifts it)")
            else:
                self.say("Redis took the halt, and it does not stand: trading is not halted")

    async def open(self) -> bool:
        """Whether a Redis answers, and trading is not halted there."""
        if self.redis is None:
            return False
        try:
            async with asyncio.timeout(DOOR_S):
                return await self.redis.get(HALT) is None
        except (RedisError, OSError):
            return False


def _text(typed: str, *, most: int) -> str:
    """What was typed, as the command takes it.

    Trap: a byte that is no UTF-8 comes from the command line as a lone surrogate, which nothing can write;
    and a halt with an empty reason is recorded without holding.
    """
    return typed.encode(errors="replace").decode().strip()[:most] or NOTHING_TYPED


async def stop_everything(deps: Panic, door: Door, known: Collection[str], *, flat: bool) -> bool:
    """Halt, cancel all orders and, if wished, close all positions; True once the exchange has none left.

    Where trading is found open at the end, all of it once more: whatever was let out meanwhile goes, too.
    """
    for _ in range(MOST_ROUNDS):
        await door.halt()
        gone = await _stop(deps, known, flat=flat)
        if not await door.open():
            return gone
        deps.say("trading is not halted any more: once more from the beginning")
    return False


async def _stop(deps: Panic, known: Collection[str], *, flat: bool) -> bool:
    try:
        await deps.client.sync_time()
    except ExchangeError as error:
        deps.say(f"the exchange's clock was not learnt ({error}); ours must do")
    gone = await cancel_everything(deps, known)
    deps.say("no order is open" if gone else "orders may still be open")
    if not flat:
        return gone
    closed = await flatten(deps, await _largest(deps))
    deps.say("nothing is held" if closed else "positions are still held")
    return gone and closed


async def _largest(deps: Panic) -> Callable[[str], Decimal]:
    """The most that one market order may carry, by symbol; nothing limits where it cannot be learnt."""
    try:
        instruments = parse_instruments(await deps.client.exchange_info())
    except ExchangeError as error:
        deps.say(f"the symbols' limits were not learnt ({error}); whole positions are sent")
        instruments = {}

    def largest(symbol: str) -> Decimal:
        known = instruments.get(symbol)
        return known.market_max_quantity if known else Decimal(0)

    return largest


async def cancel_everything(deps: Panic, known: Collection[str]) -> bool:
    """Cancel all orders; True once two looks in a row found none.

    `known` are symbols in which an order may be that no list shows: openOrders is stale for up to 30 s.
    """
    symbols, held, quiet = set(known), None, 0
    for _ in range(MOST_LOOKS):
        if held is None:
            held = await _asked(deps, deps.client.position_risk)
        orders = await _asked(deps, deps.client.open_orders)
        algos = await _asked(deps, deps.client.open_algo_orders)
        if orders:
            deps.say(f"open orders: {len(orders)} in {', '.join(sorted({o.symbol for o in orders}))}")
        # A stop may trigger while it is cancelled, and no list show for a while what it left.
        shown = {row.symbol for row in (*(held or ()), *(orders or ()), *(algos or ()))}
        symbols |= shown
        unshown = symbols - shown if held is not None and orders is not None else set()
        sure = [await _cancel_symbol(deps, symbol, unshown=symbol in unshown) for symbol in sorted(symbols)]
        for algo in algos or ():
            await _cancel_algo(deps, algo.client_algo_id)
        quiet = quiet + 1 if orders == [] and algos == [] and all(sure) else 0
        if quiet == 2:
            return True
        await deps.sleep(QUIET_S)
    return False


async def flatten(deps: Panic, largest: Callable[[str], Decimal]) -> bool:
    """Close the net of every symbol; True once the exchange says that nothing is held.

    `largest` tells the most that one market order of a symbol may carry, 0 where nothing limits it.
    """
    for _ in range(MOST_LOOKS):
        held = await _asked(deps, deps.client.position_risk)
        if held is not None:
            still = [position for position in held if position.position_amt]
            if not still:
                return True
            for position in still:
                await _close(deps, position, largest(position.symbol))
        await deps.sleep(1.0)
    return False


async def _cancel_symbol(deps: Panic, symbol: str, *, unshown: bool) -> bool:
    """Cancel a symbol's orders; whether none was there, or all are being cancelled.

    `unshown`: both lists came, and show nothing of the symbol. Trap: no other refusal says that much, for the
    lists may be older than an order.
    """
    try:
        await deps.client.cancel_all(symbol)
    except NotFound:
        return True
    except Refused as error:
        if unshown and error.code in NO_SUCH_SYMBOL:
            deps.say(f"cancel all {symbol}: {error}; the exchange shows no order and no position in it")
            return True
        await _told(deps, f"cancel all {symbol}", error)
        return False
    except ExchangeError as error:
        await _told(deps, f"cancel all {symbol}", error)
        return False
    return True


async def _cancel_algo(deps: Panic, client_algo_id: str) -> None:
    try:
        await deps.client.cancel_algo_order(client_algo_id=client_algo_id)
        deps.say(f"cancelled conditional order {client_algo_id}")
    except ExchangeError as error:
        await _told(deps, f"cancel conditional order {client_algo_id}", error)


async def _close(deps: Panic, position: PositionRisk, largest: Decimal) -> None:
    """Send one order against a position, as large as one may be; the next look sends the rest."""
    quantity = abs(position.position_amt)
    order = PlaceOrder(
        symbol=position.symbol,
        side="SELL" if position.position_amt > 0 else "BUY",
        type="MARKET",
        quantity=min(quantity, largest) if largest else quantity,
        client_order_id=f"{PREFIX}{deps.new_id()}",
        reduce_only=True,
        lane="reduce",
    )
    what = f"{order.side} {plain(order.quantity)} {order.symbol} reduceOnly ({order.client_order_id})"
    try:
        await deps.client.room_for_order(account=order.account, lane=order.lane)
        signed = deps.client.sign_place(
            order, timestamp_ms=deps.client.exchange_now_ms(), recv_window_ms=RECV_WINDOW_MS
        )
        await deps.client.send(signed)
        deps.say(f"sent {what}")
    except ExchangeError as error:
        await _told(deps, what, error)


async def _asked(deps: Panic, ask: Callable[[], Awaitable[T]]) -> T | None:
    try:
        return await ask()
    except ExchangeError as error:
        await _told(deps, getattr(ask, "__name__", "query").replace("_", " "), error)
        return None


async def _told(deps: Panic, what: str, error: ExchangeError) -> None:
    """Say what went wrong; where the exchange turned us away, wait as long as it said, within reason."""
    deps.say(f"{what}: {type(error).__name__} {error}; looking again")
    if isinstance(error, Throttled):
        await deps.sleep(min(max(error.retry_after, 1.0), LONGEST_WAIT_S))
