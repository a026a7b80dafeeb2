"""Every trade is on one page, both rows of a self-trade too, wherever a page ends."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from pms.binance.client import UserTrade
from pms.streamer import trade_pages as room


def row(number: int, order: int) -> UserTrade:
    return UserTrade(
        symbol="BTCUSDT",
        id=number,
        order_id=order,
        side="BUY",
        price=Decimal(1),
        qty=Decimal(1),
        commission=Decimal(0),
        commission_asset="USDT",
        realized_pnl=Decimal(0),
        maker=False,
        time=number,
    )


@given(st.lists(st.booleans(), max_size=40), st.integers(2, 6), st.integers(0, 10))
async def test_each_trade_comes_once_and_in_order(twins: list[bool], size: int, after: int) -> None:
    rows = [row(n, order) for n, twin in enumerate(twins, start=1) for order in range(1, 3 if twin else 2)]

    async def user_trades(*, from_id: int, limit: int, **_: object) -> list[UserTrade]:
        return [each for each in rows if each.id >= from_id][:limit]

    client = cast(Any, SimpleNamespace(user_trades=user_trades))
    whole, room.TRADES_PAGE = room.TRADES_PAGE, size + 1
    try:
        pages = [page async for page in room.trade_pages(client, "BTCUSDT", after=after)]
    finally:
        room.TRADES_PAGE = whole
    assert [each for page in pages for each in page] == [each for each in rows if each.id > after]
    last_ids = [page[-1].id for page in pages if page]
    assert len(set(last_ids)) == len(last_ids), "what one page ends with no other begins with"
