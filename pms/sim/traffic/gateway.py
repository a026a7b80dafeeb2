"""The gateway of a simulated world: submits what traders wish, awaits each answer, and asks again.

It is told `lost` when a submission's reply is lost, and then submits the same request again, as every
gateway must.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from random import Random
from typing import Any

import msgspec
from redis.exceptions import RedisError

from pms.bus.requests import SETTLE_GRACE_MS, Requests
from pms.bus.wake import wake_up
from pms.contract import names
from pms.contract.money import encode_canonical
from pms.contract.names import Task
from pms.domain.decisions import client_order_id
from pms.sim.machines.exchange import SYMBOLS, SimExchange
from pms.sim.traffic.storm import EXPOSED, LEVERAGE, TWO_SIDED
from pms.sim.traffic.workload import HEDGED, Kind, Step

_LEGS: tuple[tuple[Kind, str], ...] = (
    ("near", SYMBOLS[0]),
    ("market", SYMBOLS[1]),
    ("far", SYMBOLS[0]),
    ("ioc", SYMBOLS[1]),
    ("post", SYMBOLS[1]),
)
TRIES = 6
PAUSE_S = 0.6
SLACK_S = 0.3
AGAIN = {"NOT_READY", "EXPIRED", "PRICE_STALE", "STALE", "THROTTLED", "EXCHANGE_UNREACHABLE", "NOT_SENT"}
"""Refusals after which a trader asks again, with a new request."""
_LISTS = {Task.TRADE: "pms:cmd:trade", Task.CANCEL: "pms:cmd:cancel"}


@dataclass(slots=True)
class Asked:
    """One request as the gateway knows it."""

    request_id: str
    command: str
    fields: dict[str, Any]
    submitted_ms: int
    ttl_ms: int
    recorded_s: float | None = None
    """When it was first confirmed that it is there; anew where Redis had forgotten it."""
    answers: list[tuple[int, bytes]] = field(default_factory=list)
    other: bool = False
    """Redis forgot it, and took its id for a command of other content."""

    @property
    def account(self) -> str | None:
        value = self.fields.get("subAccountId")
        return value if isinstance(value, str) else None


class Gateway:
    """All traders."""

    def __init__(
        self,
        redis: Any,
        exchange: SimExchange,
        *,
        rng: Random,
        now_ms: Callable[[], int],
        new_id: Callable[[], str],
    ) -> None:
        self._redis = redis
        self._exchange = exchange
        self._rng = rng
        self._now_ms = now_ms
        self._new_id = new_id
        self._requests = Requests(redis, new_id=new_id)
        self.asked: dict[str, Asked] = {}
        self._orders: list[tuple[str, str, Asked]] = []
        self._open: dict[str, Asked] = {}
        self.waiting = 0

    def unanswered(self) -> list[Asked]:
        """The requests that were recorded and whose answer has not come."""
        return list(self._open.values())

    async def play(self, steps: list[Step]) -> None:
        """Play all steps, each at its time, and wait until each has its answer."""
        loop = asyncio.get_running_loop()
        self.waiting += len(steps)
        async with asyncio.TaskGroup() as group:
            for step in steps:
                await asyncio.sleep(max(0.0, step.at_ms / 1000 - loop.time()))
                group.create_task(self._take(step))

    async def insist(self, command: str, fields: dict[str, Any], *, door: str = "record") -> dict[str, Any]:
        """Ask until there is an answer that another try would not change."""
        while True:
            answer = await self._ask_for(command, fields, ttl_ms=5000, door=door)
            if answer.get("code") not in AGAIN:
                return answer
            await asyncio.sleep(PAUSE_S)

    async def _take(self, step: Step) -> None:
        try:
            for _ in range(TRIES):
                answer = await self._once(step)
                if answer is None or answer.get("code") not in AGAIN:
                    return
                await asyncio.sleep(PAUSE_S)
        finally:
            self.waiting -= 1

    async def _once(self, step: Step) -> dict[str, Any] | None:
        """Ask for what a step wishes; None where there is nothing to ask for."""
        match step.kind:
            case "repeat" | "reuse":
                return await self._ask_again(step)
            case "close":
                return await self._close(step)
            case "cancel":
                return await self._cancel(step)
            case "cancel_all":
                return await self._ask(step, Task.CANCEL_ALL, {"subAccountId": step.account})
            case "amend":
                return await self._amend(step)
            case "batch":
                return await self._batch(step)
            case "close_all":
                fields: dict[str, Any] = {"symbol": step.symbol} if step.number % 2 else {}
                return await self._ask(step, Task.CLOSE_ALL, {"subAccountId": step.account, **fields})
            case "transfer":
                return await self._move_money(step)
            case _:
                return await (self._reduce(step) if step.part else self._trade(step))

    async def _move_money(self, step: Step) -> dict[str, Any] | None:
        """One of the commands that move money, or what is held back of it."""
        account: dict[str, Any] = {"subAccountId": step.account}
        match step.number % 4:
            case 0:
                fields = {"fromAccountId": "house", "toAccountId": step.account, "amount": Decimal(10)}
                return await self._ask(step, "pms.transfer", fields)
            case 1:
                return await self._ask(step, "pms.deposit", {**account, "amount": Decimal(7)})
            case 2:
                return await self._ask(step, "pms.withdraw", {**account, "amount": Decimal("3.5")})
            case _:
                change = {**account, "symbol": step.symbol, "leverage": 20 + step.lots % 5}
                return await self._ask(step, "pms.leverage", change)

    async def _trade(self, step: Step) -> dict[str, Any] | None:
        return await self._ask(step, Task.TRADE, {"subAccountId": step.account, **self._terms(step)})

    def _terms(self, step: Step) -> dict[str, Any]:
        """What an order is to be."""
        market = self._exchange.venue.exchange.markets[step.symbol]
        fields: dict[str, Any] = {
            "symbol": step.symbol,
            "side": step.side,
            "quantity": market.symbol.quantity(step.lots),
            "leverage": LEVERAGE if step.account in EXPOSED else 20,
        }
        if step.account in (HEDGED, TWO_SIDED):
            fields["positionSide"] = "LONG" if step.number % 2 else "SHORT"
        if step.kind != "market":
            fields |= {"type": "LIMIT", "price": self._price(step)}
        if step.kind == "ioc":
            fields["timeInForce"] = "IOC"
        if step.kind == "post":
            fields["timeInForce"] = "GTX"
        return fields

    async def _batch(self, step: Step) -> dict[str, Any] | None:
        """Several orders under one command, of every kind, in both symbols."""
        legs = [
            replace(step, kind=kind, symbol=symbol, away=1 + (step.away + number) % 5)
            for number, (kind, symbol) in enumerate(_LEGS[: 2 + step.target % 4])
        ]
        orders = [self._terms(leg) for leg in legs]
        return await self._ask(step, Task.BATCH, {"subAccountId": step.account, "orders": orders})

    async def _amend(self, step: Step) -> dict[str, Any] | None:
        """Other terms for an order that rests, or did: a price, a total, or both."""
        resting = [each for each in self._orders if each[2].fields.get("type") == "LIMIT"]
        if step.number % 4:
            shown = set(self._exchange.resting("PMS_"))
            resting = [each for each in resting if each[1] in shown] or resting
        if not resting:
            return None
        _, order, first = resting[-min(step.target, len(resting))]
        symbol, side = first.fields["symbol"], first.fields["side"]
        fields: dict[str, Any] = {"orderId": order}
        if step.number % 3:
            fields["price"] = self._price(replace(step, symbol=symbol, side=side, kind="near"))
        if step.number % 3 != 1:
            lot = self._exchange.venue.exchange.markets[symbol].symbol.step
            fields["quantity"] = max(first.fields["quantity"] * (1 + step.away) // 3 // lot * lot, lot)
        return await self._ask(step, Task.AMEND, fields)

    def _price(self, step: Step) -> Decimal:
        """Near: about the touch, on either side of it; far: where nobody comes soon."""
        towards = 1 if step.side == "BUY" else -1
        steps = step.away - 3 if step.kind in ("near", "ioc") else -(step.away + 2)
        tick = self._exchange.venue.exchange.markets[step.symbol].symbol.tick
        price = self._exchange.middle(step.symbol) + towards * steps * self._exchange.spacing(step.symbol)
        return (price // tick) * tick

    async def _close(self, step: Step) -> dict[str, Any] | None:
        positions = await self.positions(step.account)
        if not positions:
            return await self._trade(step)
        position = positions[step.target % len(positions)]
        return await self._ask(step, Task.CLOSE, {"positionId": position["id"]})

    async def _reduce(self, step: Step) -> dict[str, Any] | None:
        """Let an order rest, or trade, that may only reduce: others may close what it is for."""
        found = [each for each in await self.positions(step.account) if each["symbol"] == step.symbol]
        if not found:
            return await self._trade(step)
        position = found[step.target % len(found)]
        market = self._exchange.venue.exchange.markets[step.symbol]
        closing = replace(step, side="SELL" if position["side"] == "LONG" else "BUY")
        fields = {
            "subAccountId": step.account,
            "symbol": step.symbol,
            "side": closing.side,
            "positionSide": position["positionSide"],
            "quantity": Decimal(position["quantity"]) / step.part // market.symbol.step * market.symbol.step,
            "leverage": LEVERAGE if step.account in EXPOSED else 20,
            "type": "LIMIT",
            "price": self._price(closing),
            "reduceOnly": True,
        }
        return await self._ask(step, Task.TRADE, fields)

    async def positions(self, account: str) -> list[dict[str, Any]]:
        """An account's positions, as they are shown; none where nothing can be read."""
        try:
            raw = await self._redis.get(names.risk_key(account))
        except RedisError:
            return []
        found: list[dict[str, Any]] = json.loads(raw)["positions"] if raw else []
        return found

    async def _cancel(self, step: Step) -> dict[str, Any] | None:
        if not self._orders:
            return None
        _, order, _ = self._orders[-min(step.target, len(self._orders))]
        return await self._ask(step, Task.CANCEL, {"orderId": order})

    async def _ask_again(self, step: Step) -> dict[str, Any] | None:
        """The same request once more, or its id with other content."""
        if not self._orders:
            return None
        *_, first = self._orders[-min(step.target, len(self._orders))]
        if step.kind == "repeat":
            await self._submit(first, "record")
            await self._answer(first)
            return None
        fields = {**first.fields, "quantity": Decimal("0.123")}
        try:
            submission = await self._requests.submit(first.command, fields, door="record")
        except RedisError:
            return None
        first.other = first.other or submission.kind == "new"
        return None

    async def _ask(self, step: Step, command: str, fields: dict[str, Any]) -> dict[str, Any] | None:
        door = step.door if command in _LISTS else "record"
        return await self._ask_for(command, fields, ttl_ms=step.ttl_ms, symbol=step.symbol, door=door)

    async def _ask_for(
        self, command: str, fields: dict[str, Any], *, ttl_ms: int, symbol: str = "", door: str = "record"
    ) -> dict[str, Any]:
        request_id = self._new_id()
        fields = {"requestId": request_id, "ttlMs": ttl_ms, **fields}
        asked = Asked(request_id, command, fields, self._now_ms(), ttl_ms)
        self.asked[request_id] = asked
        if command == Task.TRADE:
            account = asked.account or ""
            order = client_order_id(account, "M", request_id, at=asked.submitted_ms)
            self._orders.append((symbol, order, asked))
        await self._submit(asked, door)
        answer = await self._answer(asked)
        found: dict[str, Any] = json.loads(answer)
        return found

    async def _submit(self, asked: Asked, door: str) -> None:
        """Submit until a reply says that it is recorded; a lost reply is asked again, the same."""
        while True:
            try:
                if door == "task":
                    await self._redis.lpush(names.COMMAND_QUEUE[asked.command], self._plain(asked))
                elif door == "list":
                    await self._redis.lpush(_LISTS[asked.command], encode_canonical(asked.fields))
                else:
                    submission = await self._requests.submit(asked.command, asked.fields, door="record")
                    if submission.kind == "new":
                        asked.recorded_s = None
                if asked.recorded_s is None:
                    asked.recorded_s = asyncio.get_running_loop().time()
                self._open[asked.request_id] = asked
                return
            except RedisError:
                await asyncio.sleep(0.25)

    async def _answer(self, asked: Asked) -> bytes:
        """Await the answer, however long it takes; a request that was forgotten is submitted again."""
        patience_s = (asked.ttl_ms + SETTLE_GRACE_MS) / 1000 + SLACK_S
        while True:
            try:
                found = await self._requests.result(asked.request_id, timeout_s=patience_s)
                if found is not None:
                    asked.answers.append((self._now_ms(), found))
                    self._open.pop(asked.request_id, None)
                    return found
            except RedisError:
                await asyncio.sleep(0.25)
                continue
            patience_s = 1.0
            await self._submit(asked, "record")

    def _plain(self, asked: Asked) -> bytes:
        """A plain Celery message, which carries the command itself."""
        queue = names.COMMAND_QUEUE[asked.command]
        message = msgspec.json.decode(
            wake_up(asked.command, queue=queue, task_id=asked.request_id, new_tag=self._new_id)
        )
        carried = msgspec.json.decode(encode_canonical(asked.fields), strict=False)
        body = msgspec.json.encode([[], carried, None])
        message["body"] = base64.b64encode(body).decode()
        return msgspec.json.encode(message)
