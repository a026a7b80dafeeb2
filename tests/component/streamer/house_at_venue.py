"""The streamer's books, its liquidations and its unwinding on a real venue; time and deaths are the test's.

Entries go to a list, which a next life is built from, as far as the test lets it remember.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial
from typing import Any, cast
from uuid import uuid4

from aiohttp import ClientSession
from pydantic import SecretStr
from redis.asyncio import Redis

from pms.binance.client import ExchangeClient, PlaceOrder, open_session
from pms.binance.errors import Refused
from pms.binance.instruments import parse_instruments
from pms.binance.limits import RateBudget
from pms.bus.connection import connect
from pms.bus.inbox import Outcome
from pms.contract.journal import Entry, decode_entry, encode_entry
from pms.contract.names import HOUSE
from pms.contract.reading import command_from
from pms.domain.admission import admit
from pms.domain.custody import LOCAL_COMMANDS, keep, open_books
from pms.domain.decisions import Asked
from pms.domain.desk import Desk, Top
from pms.domain.orders import Order
from pms.domain.posting import Posting
from pms.domain.tiers import tiers_of
from pms.streamer.agenda import Agenda
from pms.streamer.catch_up import CatchUp
from pms.streamer.engine import Engine, Gate
from pms.streamer.outbox import Outbox
from pms.streamer.risk import RiskGuard
from pms.streamer.unwinder import Unwinder
from pms.venue.app import AccountSpec, RunningVenue, VenueConfig, serve

D = Decimal
BTCUSDT = "BTCUSDT"
WALLET = "1000000"


class KeptJournal:
    """Takes every entry, at once; or none while Redis hangs."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.reachable = asyncio.Event()
        self.reachable.set()

    async def append(self, postings: list[Posting]) -> list[bool]:
        await self.reachable.wait()
        self.entries += [posting.entry for posting in postings]
        return [True for _ in postings]


class Life:
    """One life of the streamer, as far as the house is concerned."""

    def __init__(self, client: ExchangeClient, remembered: list[Entry]) -> None:
        self.client = client
        self.journal = KeptJournal()
        self.journal.entries = list(remembered)
        self.desk = Desk(epoch=uuid4().hex)
        self.now = time.time_ns() // 1_000_000
        self.woken: list[str] = []
        outbox = Outbox(cast(Any, self.journal), withdraw=self._withdraw, sleep=lambda _: asyncio.sleep(0))
        self.engine = Engine(self.desk, outbox, gate=Gate(closed_because=None), redis_now_ms=lambda: self.now)
        self.engine.agenda = Agenda(_nobody, clock=time.monotonic)
        self.catch_up = CatchUp(self.engine, client)
        self.unwinder = Unwinder(self.engine, cast("Redis", None), new_id=lambda: "id", spawn=self._spawn)
        self.risk = RiskGuard(
            self.engine,
            tiers_of=partial(tiers_of, self.desk),
            unwind=self.unwinder.look,
            close=_closed_by_nobody,
            fatal=_raise,
        )

    async def begin(self) -> None:
        """Learn the symbols and load what is remembered."""
        self.desk.instruments = parse_instruments(
            await self.client.exchange_info(), await self.client.leverage_brackets()
        )
        for entry in self.journal.entries:
            self.desk.load(decode_entry(encode_entry(entry)).rows)
        last = self.journal.entries[-1].seq if self.journal.entries else 0
        self.desk.last_seq, self.desk.first_seq_after = last, last + 1_000
        self._flushing = asyncio.create_task(self.engine.outbox.run())

    async def die(self) -> None:
        """The process is no more."""
        self._flushing.cancel()
        await asyncio.gather(self._flushing, return_exceptions=True)

    async def open(self, **funds: str) -> None:
        """Open the books on the exchange's wallet, with funded sub-accounts."""
        self.engine.outbox.add(
            open_books(self.desk, at=self.now, wallet=D(WALLET), positions=[], cursors={BTCUSDT: 0})
        )
        for account, amount in funds.items():
            self.command("pms.create_account", subAccountId=account)
            self.command("pms.transfer", fromAccountId=HOUSE, toAccountId=account, amount=amount)
        await self.engine.outbox.drained()

    def command(self, name: str, **fields: Any) -> Posting:
        """Decide a command, as the streamer would."""
        fields["requestId"] = str(uuid4())
        text = json.dumps(fields)
        asked = Asked(fields["requestId"], name, text, self.now, self.now + 5000, self.now)
        command = command_from(name, fields)
        decide = keep if isinstance(command, LOCAL_COMMANDS) else admit
        posting = decide(self.desk, asked, cast(Any, command))
        self.engine.outbox.add(posting)
        return posting

    def price(self, bid: str) -> None:
        """The market is there, ten cents wide."""
        self.desk.price(BTCUSDT, Top(D(bid), D(1), D(bid) + D("0.1"), D(1), self.now))

    async def look(self) -> list[Order]:
        """Let the unwinder do what is next; returns the orders that a worker was woken for."""
        self.woken.clear()
        self.unwinder.step()
        await self.engine.outbox.drained()
        return [self.desk.orders[order] for order in self.woken]

    async def send(self, order: Order) -> None:
        """Do a worker's part for an order: send it, and tell what REST said."""
        spec = order.spec
        request = PlaceOrder(
            symbol=spec.symbol,
            side=spec.side,
            type=spec.type,
            quantity=spec.quantity,
            price=spec.price,
            time_in_force=spec.time_in_force,
            client_order_id=spec.client_order_id,
        )
        try:
            await send(self.client, request)
        except Refused as error:
            told = Outcome(spec.client_order_id, "worker", "refused", code=error.code, text=error.msg)
            self.engine.hear(told)
        await self.heard()

    async def heard(self) -> None:
        """Learn from the exchange whatever there is to learn."""
        await self.catch_up.all_orders()
        await self.catch_up.run()
        await self.engine.outbox.drained()

    async def net(self) -> Decimal:
        """What the exchange holds."""
        return sum((row.position_amt for row in await self.client.position_risk(BTCUSDT)), D(0))

    def held(self, account: str) -> Decimal:
        return self.desk.position(account, BTCUSDT).quantity

    def left(self) -> Decimal:
        row = self.desk.unwinds.get(BTCUSDT)
        return row.quantity if row else D(0)

    def _withdraw(self, posting: Posting) -> None:
        self.engine.withdraw(posting)

    def _spawn(self, _: str, work: Coroutine[Any, Any, None]) -> None:
        """Nobody listens to the queue here; whom a worker was woken for the test takes in hand."""
        assert work.cr_frame is not None
        self.woken.append(work.cr_frame.f_locals["client_order_id"])
        work.close()


class Place:
    """A venue with our account and another that makes the market."""

    def __init__(self, venue: RunningVenue, session: ClientSession, budget: RateBudget) -> None:
        self.venue = venue
        self._session, self._budget = session, budget
        self.ours, self.other = self.client("K"), self.client("O")

    def client(self, name: str) -> ExchangeClient:
        return ExchangeClient(
            base_url=self.venue.url,
            api_key=SecretStr(name * 32),
            api_secret=SecretStr("S" * 32),
            session=self._session,
            clock_ms=lambda: time.time_ns() // 1_000_000,
            budget=self._budget,
        )

    async def quote(self, side: str, quantity: str, price: Decimal) -> None:
        """Another account rests in the book."""
        name = f"web_{uuid4().hex[:12]}"
        await send(self.other, _order(name, side, quantity, price))

    async def ours_by_hand(self, name: str, side: str, quantity: str) -> None:
        """Our account trades at the market, under an id that names its sub-account."""
        await send(self.ours, _order(name, side, quantity))

    async def mark(self) -> Decimal:
        return (await self.ours.premium_index(BTCUSDT)).mark_price

    def drain_wallet(self, amount: Decimal) -> None:
        """Money leaves the exchange account."""
        core = self.venue.venue
        core.acts.transfer(core.exchange.accounts["desk"], "USDT", -amount)


def _order(name: str, side: str, quantity: str, price: Decimal | None = None) -> PlaceOrder:
    return PlaceOrder(
        symbol=BTCUSDT,
        side=side,
        type="MARKET" if price is None else "LIMIT",
        quantity=D(quantity),
        price=price,
        time_in_force=None if price is None else "GTC",
        client_order_id=name,
    )


async def send(client: ExchangeClient, order: PlaceOrder) -> None:
    now = client.exchange_now_ms()
    await client.send(client.sign_place(order, timestamp_ms=now, recv_window_ms=5000))


@asynccontextmanager
async def place(redis_url: str) -> AsyncIterator[Place]:
    accounts = tuple(
        AccountSpec.parse(f"{name}:{key * 32}:{'S' * 32}:{amount}")
        for name, key, amount in (("desk", "K", WALLET), ("other", "O", "100000000"))
    )
    venue = await serve(VenueConfig(port=0, accounts=accounts, market="none", limits="off", liquidate=False))
    async with open_session() as session, connect(redis_url, name="test") as redis:
        budget = RateBudget(redis, share=D(1), monotonic=time.monotonic)
        yield Place(venue, session, budget)
        await budget.close()
    await venue.close()


async def _nobody(_: str) -> float | None:
    return None


def _closed_by_nobody(_: Posting) -> None:
    """No group here is closed at market."""


def _raise(error: Exception) -> None:
    raise error
