"""A whole system for the crash's desk, which moves in within seconds, by the commands of any desk."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Awaitable, Iterable
from decimal import Decimal
from itertools import count
from typing import Any
from urllib.parse import urlencode

from crash_desk import Listed, Member, make_desk, net
from crash_rules import Rules, ladders
from system import KEY, SECRET, System, until

WALLET = "20000000"
_numbers = count(1)
LEVERAGE = 5
"""The exchange account's own: low, for the more it is the less a symbol may be held of."""

AT_MARKET = "atmarket"
"""The group that is closed at market."""

WHY = {"actor": "the test", "reason": "for the crash"}
AT_ONCE = 64
"""Commands under way at a time."""

PARTS = (
    "streamer",
    "worker-orders",
    "worker-urgent",
    "worker-ledger",
    "worker-schedule",
    "worker-recon",
    "beat",
)


class CrashSystem(System):
    """All the symbols that the venue lists, and an exchange account that can carry a desk in them."""

    listed: list[Listed]

    async def _start_venue(self) -> None:
        self.environment["PMS_VENUE_ACCOUNTS"] = f"desk:{KEY}:{SECRET}:{WALLET}"
        await super()._start_venue()
        self.listed = await self._list()
        self.environment["PMS_SYMBOLS"] = ",".join(self.symbols)
        for symbol in self.symbols:
            await self._signed("POST", "/fapi/v1/leverage", symbol=symbol, leverage=LEVERAGE)

    async def move_in(self, seed: int, *, prefix: str) -> list[Member]:
        """Make a desk at today's prices: trade its net by hand, then give each account its part of it."""
        self.listed = await self._list()
        desk = make_desk(self.listed, seed, prefix=prefix)
        await self._hold(net(desk))
        await self._each(self._open(member) for member in desk)
        await self._each(self._fund(member.id, str(member.balance)) for member in desk)
        await self._each(self._hand(member) for member in desk)
        await self._set_mode()
        await self._each(self._join(member.id) for member in desk if member.at_market)
        await self._each(self._rest(member) for member in desk if member.resting is not None)
        return desk

    @property
    def symbols(self) -> list[str]:
        """What is traded."""
        return [each.symbol for each in self.listed]

    @property
    def rules(self) -> Rules:
        """The rules of liquidation with this exchange's brackets and steps."""
        return Rules(
            brackets={each.symbol: each.brackets for each in self.listed},
            steps={each.symbol: each.step for each in self.listed},
            least={each.symbol: each.least for each in self.listed},
        )

    async def _list(self) -> list[Listed]:
        """The symbols as the exchange tells them now."""
        info = await self._read("exchangeInfo")
        prices = {row["symbol"]: Decimal(row["price"]) for row in await self._read("ticker/price")}
        answer = await self._signed("GET", "/fapi/v1/leverageBracket")
        brackets = ladders(answer)
        leverages = {
            row["symbol"]: [
                int(each["initialLeverage"])
                for each in sorted(row["brackets"], key=lambda each: Decimal(str(each["notionalFloor"])))
            ]
            for row in answer
        }
        listed = []
        for row in info["symbols"]:
            filters = {each["filterType"]: each for each in row["filters"]}
            name = row["symbol"]
            listed.append(
                Listed(
                    symbol=name,
                    price=prices[name],
                    tick=Decimal(filters["PRICE_FILTER"]["tickSize"]),
                    step=Decimal(filters["LOT_SIZE"]["stepSize"]),
                    least=Decimal(filters["MIN_NOTIONAL"]["notional"]),
                    most=Decimal(filters["MARKET_LOT_SIZE"]["maxQty"]),
                    brackets=brackets[name],
                    leverages=leverages[name],
                )
            )
        return listed

    async def _hold(self, wanted: dict[str, Decimal]) -> None:
        """Let the exchange account hold these quantities: orders by hand, as on the website."""
        most = {each.symbol: each.most for each in self.listed}
        for symbol, quantity in wanted.items():
            left, side = abs(quantity), "BUY" if quantity > 0 else "SELL"
            while left:
                part = min(left, most[symbol])
                body = {"account": "desk", "symbol": symbol, "side": side, "quantity": str(part)}
                order = await self.admin("POST", "order", **body)
                left -= Decimal(order["executedQty"])
                assert order["status"] == "FILLED", order

    async def _open(self, member: Member) -> None:
        await self._done("pms.create_account", subAccountId=member.id)

    async def _fund(self, account: str, amount: str) -> None:
        await self._done("pms.transfer", fromAccountId="house", toAccountId=account, amount=amount)

    async def _hand(self, member: Member) -> None:
        for position in member.positions:
            await self._done(
                "pms.import_position",
                subAccountId=member.id,
                symbol=position.symbol,
                quantity=str(position.quantity),
                entryPrice=str(position.entry),
                leverage=position.leverage,
            )

    async def _set_mode(self) -> None:
        await self._done(
            "pms.limits",
            action="set",
            scope=f"group:{AT_MARKET}",
            limit="liquidation.mode",
            value="market",
            **WHY,
        )

    async def _join(self, account: str) -> None:
        await self._done("pms.group", subAccountId=account, group=AT_MARKET, **WHY)

    async def _rest(self, member: Member) -> None:
        order = member.resting
        assert order is not None
        result = await self.trade(
            member.id,
            symbol=order.symbol,
            side="SELL",
            type="LIMIT",
            quantity=str(order.quantity),
            price=str(order.entry),
            leverage=order.leverage,
        )
        assert result["success"], result

    async def insure(self, amount: str) -> None:
        """Fill the insurance fund."""
        await self._fund("insurance", amount)

    async def _done(self, command: str, **fields: Any) -> None:
        result = await self.ask(command, timeout_s=30.0, ttlMs=20_000, **fields)
        assert result["success"], result

    async def _each(self, work: Iterable[Awaitable[None]]) -> None:
        """Do all of it, so much at a time."""
        room = asyncio.Semaphore(AT_ONCE)

        async def one(each: Awaitable[None]) -> None:
            async with room:
                await each

        await asyncio.gather(*(one(each) for each in work))

    async def _read(self, path: str) -> Any:
        async with self.http.get(f"{self.venue_url}/fapi/v1/{path}") as response:
            return await response.json()

    async def _signed(self, method: str, path: str, **parameters: Any) -> Any:
        """Ask what only the account may ask, numbers read as decimals."""
        query = urlencode({**parameters, "timestamp": time.time_ns() // 1_000_000})
        signature = hmac.new(SECRET.encode(), query.encode(), hashlib.sha256).hexdigest()
        url = f"{self.venue_url}{path}?{query}&signature={signature}"
        async with self.http.request(method, url, headers={"X-MBX-APIKEY": KEY}) as response:
            assert response.status == 200, await response.text()
            return json.loads(await response.text(), parse_float=Decimal)

    # --- the crash ---

    async def crash(self, **terms: Any) -> None:
        """Begin a crash of all symbols."""
        await self.admin("POST", "crash", **terms)

    async def crashed(self, *, seconds: float) -> None:
        """Wait until the prices stay."""

        async def over() -> bool:
            return all(each["state"] != "falling" for each in (await self.admin("GET", "crash"))["crashes"])

        await until(over, "the crash to be over", seconds=seconds)

    async def seen(self, ticks: dict[str, int], *, seconds: float = 30) -> None:
        """Wait until the streamer has told prices as new as these, ms by symbol, and all that came of them.

        A command's entry stands behind whatever was decided before it.
        """

        async def told() -> bool:
            for symbol, at in ticks.items():
                price = await self.redis.get(f"pms:price:{symbol}")
                if price is None or json.loads(price)["ts"] < at:
                    return False
            return True

        await until(told, "the streamer to have seen the last tick", seconds=seconds)
        await self._done("pms.create_account", subAccountId=f"seen{next(_numbers)}")
        await self.settled()

    async def priced(self, *, since: int, seconds: float = 30) -> None:
        """Wait until the streamer has told a price of every symbol that is newer than a time, ms."""

        async def told() -> bool:
            prices = await self.redis.mget([f"pms:price:{symbol}" for symbol in self.symbols])
            return all(price is not None and json.loads(price)["ts"] > since for price in prices)

        await until(told, "a new price of every symbol", seconds=seconds)

    async def closed(self, *, seconds: float = 60) -> None:
        """Wait until nobody is being closed at market any more."""

        async def over() -> bool:
            return not await self.rows("select id from pms.sub_accounts where closing <> 0")

        await until(over, "all closings to be over", seconds=seconds)

    async def unwound(self, *, seconds: float = 60) -> None:
        """Wait until the house has closed what it took over, but for what is too little for an order."""
        least = {each.symbol: each.least for each in self.listed}
        prices = {row["symbol"]: Decimal(row["price"]) for row in await self._read("ticker/price")}

        async def closed() -> bool:
            left = await self.rows("select symbol, quantity from pms.unwinds")
            return all(abs(row.quantity) * prices[row.symbol] < least[row.symbol] for row in left)

        await until(closed, "the house to be flat", seconds=seconds)
        await self.settled()

    async def newest(self) -> int:
        """The seq of the journal's newest entry."""
        (entry,) = await self.redis.xrevrange("pms:journal", count=1)
        return int(entry[0].split(b"-")[0])
