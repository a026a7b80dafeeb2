"""The floors of the venue: what aiohttp alone does with an order's answer, and with a frame for many.

`POST /fapi/v1/order` reads the request and answers as many bytes as an order's answer has. `POST /say` sends
its body to every WebSocket that is open at `/ws`.
"""

from __future__ import annotations

import asyncio
import sys

import uvloop
from aiohttp import web

ANSWER = (
    b'{"orderId":1,"symbol":"BTCUSDT","status":"NEW","clientOrderId":"bench-000000000001","price":"0.00",'
    b'"origQty":"0.002","executedQty":"0.000","cumQty":"0.000","timeInForce":"GTC","type":"MARKET",'
    b'"reduceOnly":false,"closePosition":false,"side":"BUY","positionSide":"BOTH","stopPrice":"0.00",'
    b'"workingType":"CONTRACT_PRICE","priceProtect":false,"origType":"MARKET","priceMatch":"NONE",'
    b'"selfTradePreventionMode":"EXPIRE_MAKER","goodTillDate":0,"updateTime":1800000000000}'
)


async def main() -> None:
    listeners: set[web.WebSocketResponse] = set()

    async def order(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=ANSWER, content_type="application/json")

    async def follow(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        listeners.add(socket)
        try:
            async for _ in socket:
                pass
        finally:
            listeners.discard(socket)
        return socket

    async def say(request: web.Request) -> web.Response:
        text = (await request.read()).decode()
        for socket in list(listeners):
            await socket.send_str(text)
        return web.Response(body=b"{}", content_type="application/json")

    app = web.Application()
    app.add_routes([web.post("/fapi/v1/order", order), web.get("/ws", follow), web.post("/say", say)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    sys.stdout.write(f"floor ready {site.name.rpartition(':')[0]}:{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
