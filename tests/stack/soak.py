"""A trading day in minutes: three desks trade while parts are killed, stopped and cut off at random."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import uuid4

import psutil
from redis.exceptions import RedisError
from soak_system import PARTS, SIDES, SoakSystem
from system import until

DESKS = ("alice", "bob", "carol")
ORDERS_PER_S = 15
QUIET_S = (0.5, 2.0)
"""Between the end of one fault and the next."""

LASTS_S = (0.5, 4.0)
FAULTS = (
    *(f"kill {part}" for part in (*PARTS, "redis", "postgres", "venue")),
    *(f"stop {part}" for part in ("streamer", "worker-orders", "bridge", "redis", "postgres", "venue")),
    *(f"cut {side} {server}" for side in SIDES for server in ("redis", "postgres", "venue")),
    *(f"silence {side} {server}" for side in SIDES for server in ("redis", "venue")),
)


@dataclass(slots=True)
class Fault:
    """What was done and when, by the monotonic clock, and when trading was whole again."""

    kind: str
    began: float
    ended: float
    recovered: float | None = None


@dataclass(slots=True)
class Sent:
    """A command, and what came of it."""

    command: str
    fields: dict[str, Any]
    at: float
    answer: dict[str, Any] | None = None
    answered: float = 0.0


@dataclass(slots=True)
class Soak:
    """One run: what is sent, what is done to the system, and what became of both."""

    system: SoakSystem
    seed: int
    say: Callable[[str], None]
    only: str = ""
    sent: list[Sent] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    bid: Decimal = Decimal(0)
    broken: bool = False
    #: the last fault is mended

    async def run(self, seconds: float) -> None:
        """Trade and break for so long; returns when all is mended and every command is answered."""
        end = time.monotonic() + seconds
        async with self.system.supervised():
            trading = asyncio.create_task(self._trade(end))
            await asyncio.sleep(2)
            await self._break(end - 5)
            self.broken = True
            await trading
            await self._calm()

    # --- trading ---

    async def _trade(self, end: float) -> None:
        """Until the end, and until somebody could trade after the last fault, however long that takes."""
        chance = random.Random(self.seed + 1)
        running: set[asyncio.Task[None]] = set()
        turn = 0
        due = time.monotonic()
        while time.monotonic() < end or not self.broken:
            task = asyncio.create_task(self._order(DESKS[turn % len(DESKS)], chance))
            running.add(task)
            task.add_done_callback(running.discard)
            turn += 1
            due += 1 / ORDERS_PER_S
            await asyncio.sleep(max(due - time.monotonic(), 0))
        while running:
            await asyncio.wait(running)

    async def _order(self, desk: str, chance: random.Random) -> None:
        """One order of a usual kind; a resting one is cancelled a moment later."""
        kind = chance.choices(("market", "resting", "ioc"), (60, 25, 15))[0]
        fields: dict[str, Any] = {"subAccountId": desk, "symbol": "BTCUSDT", "leverage": 20}
        fields |= {"side": chance.choice(("BUY", "SELL")), "quantity": "0.002", "ttlMs": 5000}
        bid = await self._price()
        if kind != "market":
            away = Decimal(500 if kind == "resting" else -5) * (1 if fields["side"] == "BUY" else -1)
            fields |= {"type": "LIMIT", "price": str(bid - away)}
            fields |= {"timeInForce": "IOC"} if kind == "ioc" else {}
        pause = chance.uniform(0.2, 2.0)
        placed = await self._ask("pms.trade", fields)
        if kind == "resting" and placed.answer and placed.answer["success"]:
            await asyncio.sleep(pause)
            await self._ask("pms.cancel", {"orderId": placed.answer["orderId"]})

    async def _price(self) -> Decimal:
        """The last bid that could be read."""
        with suppress(RedisError, OSError, TypeError):
            self.bid = await self.system.bid("BTCUSDT")
        return self.bid

    async def _ask(self, command: str, fields: dict[str, Any]) -> Sent:
        """Submit until it is recorded, always under the same requestId; then await the one answer."""
        fields = {"requestId": str(uuid4()), **fields}
        sent = Sent(command, fields, time.monotonic())
        while True:
            try:
                await self.system.requests.submit(command, fields, door="soak")
            except (RedisError, OSError):
                await asyncio.sleep(0.1)
            else:
                break
        self.sent.append(sent)
        while sent.answer is None:
            try:
                answer = await self.system.requests.result(fields["requestId"], timeout_s=2)
                sent.answer = json.loads(answer) if answer else None
            except (RedisError, OSError):
                await asyncio.sleep(0.1)
            if time.monotonic() > sent.at + 120:
                return sent
        sent.answered = time.monotonic()
        return sent

    # --- breaking ---

    async def _break(self, end: float) -> None:
        """One fault after the other, in shuffled rounds in which each kind comes once."""
        chance = random.Random(self.seed)
        while True:
            kinds = [kind for kind in FAULTS if kind.startswith(self.only)]
            for kind in chance.sample(kinds, len(kinds)):
                if time.monotonic() > end:
                    return
                fault = Fault(kind, time.monotonic(), 0.0)
                await self._strike(kind, chance.uniform(*LASTS_S))
                fault.ended = fault.began if kind.startswith("kill") else time.monotonic()
                self.faults.append(fault)
                await self._whole(fault)
                self.say(f"{kind:28} whole again after {_seconds(fault)}")
                await asyncio.sleep(chance.uniform(*QUIET_S))

    async def _strike(self, kind: str, lasts_s: float) -> None:
        verb, what, *server = kind.split()
        system = self.system
        if verb == "kill":
            _signal(system.pid_of(what), signal.SIGKILL, children=what == "postgres")
        elif verb == "stop":
            pid = system.pid_of(what)
            _signal(pid, signal.SIGSTOP, children=True)
            await asyncio.sleep(lasts_s)
            _signal(pid, signal.SIGCONT, children=True)
        else:
            relay = system.relays[what, server[0]]
            (relay.cut if verb == "cut" else relay.silence)()
            await asyncio.sleep(lasts_s)
            await relay.mend()

    async def _whole(self, fault: Fault) -> None:
        """Wait until an order that was sent after the fault was filled and told."""
        give_up = time.monotonic() + 120
        while fault.recovered is None and time.monotonic() < give_up:
            await asyncio.sleep(0.02)
            for sent in reversed(self.sent):
                if sent.at < fault.ended:
                    break
                if sent.answer and sent.answer["success"] and sent.answer["state"] == "filled":
                    answered = min(fault.recovered or sent.answered, sent.answered)
                    fault.recovered = answered

    async def _calm(self) -> None:
        """All mended: wait until the streamer leads and nothing is unproven."""

        async def admits() -> bool:
            with suppress(RedisError, OSError):
                return await self.system.admitting()
            return False

        await until(
            admits, "the streamer to admit", seconds=60, tell=lambda: self.system.log("streamer")[-4000:]
        )
        for order in await self.system.rows("select client_order_id from pms.orders where state = 'active'"):
            await self._ask("pms.cancel", {"orderId": order[0]})

    # --- judging ---

    async def judge(self) -> dict[str, Any]:
        """Fail unless every command has one true answer and all books agree; returns the figures."""
        await self._proven()
        unanswered = [sent for sent in self.sent if sent.answer is None]
        assert not unanswered, unanswered[:3]
        orders = (await self.system.admin("GET", "orders"))["orders"]
        mine = [order for order in orders if order["account"] == "desk"]
        executed = Counter(order["clientOrderId"] for order in mine)
        assert max(executed.values()) == 1, "an order stands twice at the venue"
        final = dict(await self.system.rows("select client_order_id, state from pms.orders"))
        lies = [sent for sent in self.sent if not _true(sent, set(executed), final)]
        assert not lies, lies[:3]
        audit = await self.system.audit()
        return self.figures() | {"atTheVenue": len(executed), "compared": audit["counts"]}

    async def _proven(self) -> None:
        async def proven() -> bool:
            states = "('placing', 'unknown', 'active')"
            found = await self.system.rows(f"select count(*) from pms.orders where state in {states}")
            return bool(found[0][0] == 0)

        await self.system.settled()
        await until(proven, "every order to be proven", seconds=60)

    def figures(self) -> dict[str, Any]:
        """Counts of answers, and recovery times by kind, seconds."""
        answers = Counter(f"{sent.command} {_word(sent.answer)}" for sent in self.sent if sent.answer)
        by_kind: defaultdict[str, list[float]] = defaultdict(list)
        for fault in self.faults:
            assert fault.recovered is not None, f"never whole again after {fault.kind}"
            by_kind[fault.kind].append(fault.recovered - fault.ended)
        return {
            "seed": self.seed,
            "commands": len(self.sent),
            "answers": dict(answers.most_common()),
            "faults": len(self.faults),
            "recovery": {kind: _spread(times) for kind, times in sorted(by_kind.items())},
        }


def _word(answer: dict[str, Any]) -> str:
    return str((answer["state"] or "done") if answer["success"] else answer["code"])


def _true(sent: Sent, executed: set[str], final: dict[str, str]) -> bool:
    """Whether an answer about an order agrees with the exchange and with the books."""
    answer = sent.answer
    if answer is None or sent.command != "pms.trade" or not answer.get("orderId"):
        return answer is not None
    order = answer["orderId"]
    if not answer["success"]:
        return order not in executed
    if answer["state"] == "filled":
        return order in executed and final[order] == "filled"
    return order in executed or final[order] in {"rejected", "void"}


def _signal(pid: int, number: signal.Signals, *, children: bool) -> None:
    with suppress(ProcessLookupError, psutil.NoSuchProcess):
        tree = [child.pid for child in psutil.Process(pid).children(recursive=True)] if children else []
        for each in (pid, *tree):
            with suppress(ProcessLookupError):
                os.kill(each, number)


def _seconds(fault: Fault) -> str:
    return "never" if fault.recovered is None else f"{fault.recovered - fault.ended:.2f} s"


def _spread(times: list[float]) -> dict[str, float]:
    """Nearest-rank percentiles."""
    ordered = sorted(times)

    def at(share: float) -> float:
        return round(ordered[min(int(len(ordered) * share), len(ordered) - 1)], 2)

    return {"n": len(ordered), "p50": at(0.5), "p99": at(0.99)}
