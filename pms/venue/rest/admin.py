"""The operator's face under /venue/admin: what happened, what shall happen. Answers on loopback only."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Awaitable, Callable
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
from aiohttp import web

from pms.venue import candles
from pms.venue.acts import Closing, held
from pms.venue.background.crash import CrashError, Crashes
from pms.venue.background.pace import MadeUpMarkets, PaceError
from pms.venue.background.replay import Replay
from pms.venue.checks import NewOrder
from pms.venue.errors import VenueError
from pms.venue.faults import FaultError
from pms.venue.history import NEVER
from pms.venue.matching import BUY, SELL, SelfTrade, TimeInForce
from pms.venue.rest import crash, keys
from pms.venue.rest.keys import KeysError
from pms.venue.rest.views import queried, trade_row
from pms.venue.state import BOTH, LONG, SHORT, WALLET
from pms.venue.symbols import Symbol
from pms.venue.venue import Venue
from pms.venue.ws.server import WebSocketFace

encode = msgspec.json.Encoder().encode
MAX_WAIT_S = 60.0
LAST_ORDER_ID = 1 << 62
WHOLE = re.compile(r"[0-9]{1,19}")
# The operator's lists are whole; they take as long as what is asked for is
ALL = 1 << 31
Handler = Callable[[web.Request], Awaitable[object]]


class AdminError(Exception):
    """A request of the operator that makes no sense; the message names the field."""


class AdminFace:
    """What tests and operators use to see and to disturb the venue."""

    def __init__(
        self,
        venue: Venue,
        sockets: WebSocketFace,
        replays: list[Replay],
        crashes: Crashes,
        made_up: MadeUpMarkets,
    ) -> None:
        self._venue = venue
        self._sockets = sockets
        self._replays = replays
        self._crashes = crashes
        self._made_up = made_up

    def routes(self) -> list[web.RouteDef]:
        """All admin endpoints."""
        base = "/venue/admin"
        return [
            web.get(f"{base}/requests", self._guarded(self._requests)),
            web.get(f"{base}/arrivals", self._guarded(self._arrivals)),
            web.get(f"{base}/emissions", self._guarded(self._emissions)),
            web.get(f"{base}/trades", self._guarded(self._trades)),
            web.get(f"{base}/orders", self._guarded(self._orders)),
            web.get(f"{base}/faults", self._guarded(self._faults)),
            web.post(f"{base}/faults", self._guarded(self._add_fault)),
            web.delete(f"{base}/faults", self._guarded(self._clear_faults)),
            web.get(f"{base}/faults/{{id:[0-9]+}}", self._guarded(self._fault)),
            web.post(f"{base}/levels", self._guarded(self._set_levels)),
            web.post(f"{base}/trade", self._guarded(self._trade)),
            web.post(f"{base}/candles", self._guarded(self._add_candles)),
            web.post(f"{base}/deposit", self._guarded(self._deposit)),
            web.post(f"{base}/order", self._guarded(self._order)),
            web.post(f"{base}/close", self._guarded(self._close)),
            web.post(f"{base}/funding", self._guarded(self._fund)),
            web.post(f"{base}/ids", self._guarded(self._go_on_from)),
            web.post(f"{base}/listenKey/expire", self._guarded(self._expire_key)),
            web.get(f"{base}/sockets", self._guarded(self._list_sockets)),
            web.post(f"{base}/sockets/cut", self._guarded(self._cut_sockets)),
            web.get(f"{base}/replay", self._guarded(self._replay_state)),
            web.post(f"{base}/replay/start", self._guarded(self._start_replay)),
            web.get(f"{base}/crash", self._guarded(self._show_crashes)),
            web.post(f"{base}/crash", self._guarded(self._crash)),
            web.delete(f"{base}/crash", self._guarded(self._stop_crashes)),
            web.get(f"{base}/pace", self._guarded(self._show_pace)),
            web.post(f"{base}/pace", self._guarded(self._set_pace)),
            web.get(f"{base}/limits", self._guarded(self._limits)),
            web.get(f"{base}/keys", self._guarded(self._list_keys)),
            web.post(f"{base}/keys", self._guarded(self._make_key)),
            web.delete(f"{base}/keys", self._guarded(self._revoke_key)),
            web.post(f"{base}/commission", self._guarded(self._set_commission)),
        ]

    def _guarded(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def serve(request: web.Request) -> web.Response:
            if not _is_loopback(request.remote):
                return _answer({"error": "admin requests are answered on loopback only"}, status=403)
            if self._venue.failed():
                if request.transport is not None:
                    request.transport.abort()
                return web.Response()
            try:
                return _answer(await handler(request), status=200)
            except VenueError as error:
                return _answer(error.body(), status=error.status)
            except (AdminError, CrashError, FaultError, KeysError, PaceError) as error:
                return _answer({"error": str(error)}, status=400)

        return serve

    async def _requests(self, request: web.Request) -> object:
        return {"counts": dict(self._venue.requests.counts)}

    async def _arrivals(self, request: web.Request) -> object:
        since = _whole(request.query.get("since", "0"), "since")
        found = [each for each in self._venue.requests.arrivals if each.at_ns > since]
        return {"arrivals": [{"at": each.at_ns, "clientOrderId": each.client_order_id} for each in found]}

    async def _emissions(self, request: web.Request) -> object:
        """When each order's last fill was handed to its user stream, by the monotonic clock."""
        sent = list(self._venue.feeds.users.emissions)
        return {"emissions": [{"at": at_ns, "clientOrderId": order} for order, at_ns in sent]}

    async def _trades(self, request: web.Request) -> object:
        symbol = request.query.get("symbol")
        since = _whole(request.query.get("since", "0"), "since")
        exchange = self._venue.exchange
        return {
            "trades": [
                {"account": account.name, "clientOrderId": each.client_order_id}
                | trade_row(each, exchange.markets[name])
                for account in exchange.accounts.values()
                for name in ([symbol] if symbol is not None else exchange.markets)
                if name in exchange.markets
                for each in account.trades_between(name, since, NEVER, ALL, newest=False, order_id=None)
            ]
        }

    async def _orders(self, request: web.Request) -> object:
        symbol = request.query.get("symbol")
        exchange = self._venue.exchange
        return {
            "orders": [
                {"account": account.name} | queried(each, exchange.markets[name])
                for account in exchange.accounts.values()
                for name in ([symbol] if symbol is not None else exchange.markets)
                if name in exchange.markets
                for each in account.orders_from(name, 0, ALL)
            ]
        }

    async def _faults(self, request: web.Request) -> object:
        return {"faults": [each.as_json() for each in self._venue.faults.rules.values()]}

    async def _add_fault(self, request: web.Request) -> object:
        return self._venue.faults.add(await _body(request)).as_json()

    async def _clear_faults(self, request: web.Request) -> object:
        self._venue.faults.clear()
        return {"faults": []}

    async def _fault(self, request: web.Request) -> object:
        """One rule; with ?hits=N&timeout=S the answer waits until it has fired N times."""
        fault = self._venue.faults.rules.get(_whole(request.match_info["id"], "id"))
        if fault is None:
            raise AdminError("id names no fault in force")
        hits = _whole(request.query.get("hits", "0"), "hits")
        timeout = min(MAX_WAIT_S, float(_whole(request.query.get("timeout", "10"), "timeout")))
        await self._venue.faults.wait_hits(fault, hits, timeout)
        return fault.as_json()

    async def _set_levels(self, request: web.Request) -> object:
        body = await _body(request)
        symbol = self._symbol(body)
        bids, asks = (_levels(symbol, body.get(side, []), side) for side in ("bids", "asks"))
        self._venue.exchange.set_levels(symbol.name, bids=bids, asks=asks)
        return {}

    async def _trade(self, request: web.Request) -> object:
        """Let the anonymous market take: {symbol, side, quantity, price?}."""
        body = await _body(request)
        symbol = self._symbol(body)
        if body.get("side") not in ("BUY", "SELL"):
            raise AdminError("side must be BUY or SELL")
        lots = symbol.lots(_decimal(body.get("quantity"), "quantity"), market=False)
        price = body.get("price")
        self._venue.exchange.background_order(
            symbol.name,
            side=BUY if body["side"] == "BUY" else SELL,
            lots=lots,
            limit=None if price is None else symbol.ticks(_decimal(price, "price")),
        )
        return {}

    async def _add_candles(self, request: web.Request) -> object:
        """Give a symbol a past: {symbol, interval, candles: [[openTime, open, high, low, close, volume]]}."""
        body = await _body(request)
        symbol, interval = self._symbol(body), body.get("interval")
        if interval not in candles.KEPT_IN:
            raise AdminError(f"interval must be one of {', '.join(candles.KEPT_IN)}")
        past = _candles(symbol, interval, body.get("candles"))
        return {"taken": self._venue.feeds.candles[symbol.name].precede(interval, past)}

    async def _deposit(self, request: web.Request) -> object:
        """Move an asset in, or out: {account, amount, asset?}."""
        body = await _body(request)
        account, asset = self._account(body), str(body.get("asset", WALLET))
        self._venue.acts.transfer(account, asset, _decimal(body.get("amount"), "amount"))
        return {"balance": str(held(account, asset))}

    async def _order(self, request: web.Request) -> object:
        """An account's order placed by hand.

        {account, symbol, side, quantity, price?, clientOrderId?, positionSide?}
        """
        body = await _body(request)
        account, symbol, price = self._account(body), self._symbol(body), body.get("price")
        if body.get("side") not in ("BUY", "SELL"):
            raise AdminError("side must be BUY or SELL")
        order = self._venue.exchange.place(
            account,
            NewOrder(
                symbol=symbol.name,
                side=BUY if body["side"] == "BUY" else SELL,
                type="MARKET" if price is None else "LIMIT",
                time_in_force=TimeInForce.GTC,
                lots=symbol.lots(_decimal(body.get("quantity"), "quantity"), market=price is None),
                price=0 if price is None else symbol.ticks(_decimal(price, "price")),
                reduce_only=False,
                client_order_id=str(body.get("clientOrderId") or f"web_{self._venue.token(20)}"),
                self_trade=SelfTrade.EXPIRE_MAKER,
                position_side=_position_side(body),
            ),
        )
        return queried(order, self._venue.exchange.markets[symbol.name])

    async def _close(self, request: web.Request) -> object:
        """The exchange closes a position: {account, symbol, why, quantity?, price?, positionSide?}."""
        body = await _body(request)
        account, symbol = self._account(body), self._symbol(body)
        market = self._venue.exchange.markets[symbol.name]
        quantity, price = body.get("quantity"), body.get("price")
        try:
            why = Closing[str(body.get("why")).upper()]
        except KeyError:
            raise AdminError("why must be liquidation, adl or settlement") from None
        order = self._venue.acts.close(
            account,
            symbol.name,
            why,
            position_side=_position_side(body),
            lots=None if quantity is None else symbol.lots(_decimal(quantity, "quantity"), market=False),
            price=symbol.nearest_ticks(market.mark)
            if price is None
            else symbol.ticks(_decimal(price, "price")),
        )
        return queried(order, market)

    async def _fund(self, request: web.Request) -> object:
        """Fund a symbol now, or in a while: {symbol, rate, inMs?}."""
        body = await _body(request)
        symbol, rate, wait = self._symbol(body), _decimal(body.get("rate"), "rate"), body.get("inMs", 0)
        if not isinstance(wait, int) or wait < 0:
            raise AdminError("inMs must be a whole number, not below 0")
        if wait:
            self._venue.fundings.set(symbol.name, rate, in_ms=wait)
            return {"fundingTime": self._venue.exchange.markets[symbol.name].next_funding}
        funding = self._venue.acts.fund(symbol.name, rate)
        return {"fundingTime": funding.time, "markPrice": str(funding.mark)}

    async def _go_on_from(self, request: web.Request) -> object:
        """Let a symbol's order ids go on from a number, beyond 2^53 for instance: {symbol, orderId}."""
        body = await _body(request)
        market, first = self._venue.exchange.markets[self._symbol(body).name], body.get("orderId")
        if not isinstance(first, int) or not market.next_order_id <= first <= LAST_ORDER_ID:
            raise AdminError(f"orderId must be a whole number, {market.next_order_id} to {LAST_ORDER_ID}")
        market.next_order_id = first
        return {"orderId": first}

    async def _expire_key(self, request: web.Request) -> object:
        self._venue.keys.expire_now(self._account(await _body(request)).name)
        return {}

    async def _list_sockets(self, request: web.Request) -> object:
        """How many connections each route has."""
        return self._sockets.counts()

    async def _cut_sockets(self, request: web.Request) -> object:
        """Cut all WebSocket connections, or those of one route, without a close frame."""
        return {"cut": self._sockets.cut((await _body(request)).get("route"))}

    async def _replay_state(self, request: web.Request) -> object:
        return {"replays": [each.as_json() for each in self._replays]}

    async def _start_replay(self, request: web.Request) -> object:
        for replay in self._replays:
            replay.begin()
        return {"replays": len(self._replays)}

    async def _show_crashes(self, request: web.Request) -> object:
        return {"crashes": self._crashes.as_json()}

    async def _crash(self, request: web.Request) -> object:
        """Let made-up markets fall, or rise: {percent, symbols?, seconds?, gaps?, thin?, seed?}."""
        self._crashes.begin(crash.wanted(await _body(request), self._crashes.symbols))
        return {"crashes": self._crashes.as_json()}

    async def _stop_crashes(self, request: web.Request) -> object:
        """End all crashes where they are."""
        self._crashes.stop()
        return {"crashes": self._crashes.as_json()}

    async def _show_pace(self, request: web.Request) -> object:
        return self._made_up.as_json()

    async def _set_pace(self, request: web.Request) -> object:
        """Let made-up markets step so many times as often: {pace}."""
        self._made_up.go((await _body(request)).get("pace"))
        return self._made_up.as_json()

    async def _limits(self, request: web.Request) -> object:
        """The most that any interval counted, beside what is allowed, and how many were turned away."""
        return self._venue.limits.as_json()

    async def _list_keys(self, request: web.Request) -> object:
        return keys.listed(self._venue)

    async def _make_key(self, request: web.Request) -> object:
        """A new API key: {account, canTrade?}."""
        return keys.make(self._venue, await _body(request))

    async def _revoke_key(self, request: web.Request) -> object:
        """End an API key: {apiKey}."""
        return keys.revoke(self._venue, await _body(request))

    async def _set_commission(self, request: web.Request) -> object:
        """Give an account rates of its own: {account, maker?, taker?}."""
        return keys.set_commission(self._venue, await _body(request))

    def _symbol(self, body: dict[str, Any]) -> Symbol:
        return self._venue.symbols[str(body.get("symbol"))]

    def _account(self, body: dict[str, Any]) -> Any:
        account = self._venue.exchange.accounts.get(str(body.get("account")))
        if account is None:
            raise AdminError("account names no account")
        return account


def _is_loopback(remote: str | None) -> bool:
    try:
        return ipaddress.ip_address(remote or "").is_loopback
    except ValueError:
        return False


def _whole(text: str, name: str) -> int:
    if WHOLE.fullmatch(text) is None:
        raise AdminError(f"{name} must be a whole number of 19 digits at most")
    return int(text)


def _position_side(body: dict[str, Any]) -> str:
    side = body.get("positionSide", BOTH)
    if side not in (BOTH, LONG, SHORT):
        raise AdminError("positionSide must be BOTH, LONG or SHORT")
    return str(side)


def _decimal(value: object, name: str) -> Decimal:
    if not isinstance(value, str):
        raise AdminError(f"{name} must be a decimal in a string")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise AdminError(f"{name} must be a decimal in a string") from None
    if not number.is_finite():
        raise AdminError(f"{name} must be finite")
    return number


def _levels(symbol: Symbol, value: object, name: str) -> list[tuple[int, int]]:
    if not isinstance(value, list) or not all(isinstance(row, list) and len(row) == 2 for row in value):
        raise AdminError(f"{name} must be a list of [price, quantity]")
    levels = []
    for price, quantity in value:
        lots = _decimal(quantity, name)
        levels.append((symbol.ticks(_decimal(price, name)), symbol.lots(lots, market=False) if lots else 0))
    return levels


def _candles(symbol: Symbol, interval: str, value: object) -> list[candles.Candle]:
    if not isinstance(value, list) or not all(isinstance(row, list) and len(row) == 6 for row in value):
        raise AdminError("candles must be a list of [openTime, open, high, low, close, volume]")
    found: list[candles.Candle] = []
    for opened, *rest in value:
        if not isinstance(opened, int) or candles.begin(interval, opened) != opened:
            raise AdminError("candles: openTime must be where a bar of that interval begins, ms")
        if found and found[-1].opened >= opened:
            raise AdminError("candles must ascend")
        *prices, volume = (_decimal(each, "candles") for each in rest)
        first, high, low, last = (symbol.ticks(price) for price in prices)
        if not low <= min(first, last) <= max(first, last) <= high:
            raise AdminError("candles: open and close must lie between low and high")
        bar = candles.Candle(opened, first)
        bar.high, bar.low, bar.close = high, low, last
        bar.lots = symbol.lots(volume, market=False) if volume else 0
        bar.quote = bar.lots * last
        found.append(bar)
    return found


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(await request.read() or b"{}")
    except msgspec.DecodeError as error:
        raise AdminError(f"body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise AdminError("body must be an object")
    return body


def _answer(body: object, *, status: int) -> web.Response:
    return web.Response(body=encode(body), status=status, content_type="application/json")
