"""Letting a sub-account cross its line on the real system, and seeing what the house makes of it."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from system import System, until

D = Decimal


async def lean(system: System, account: str, *, quantity: str, left: str) -> None:
    """Let an account hold a long with so little money left that a small fall takes it."""
    await system.account(account, "20000")
    answer = await system.trade(account, quantity=quantity, leverage=50)
    assert answer["state"] == "filled", answer
    balance = D(str(json.loads(await system.redis.get(f"pms:risk:{account}"))["availableMargin"]))
    answer = await system.ask(
        "pms.transfer", fromAccountId=account, toAccountId="house", amount=str(balance - D(left))
    )
    assert answer["success"], answer


async def fall(system: System, percent: str) -> None:
    """Let the market fall, within some seconds."""
    await system.admin("POST", "crash", symbols=["BTCUSDT"], percent=percent, seconds=5, gaps=2, seed=7)


async def liquidations(system: System, account: str) -> list[Any]:
    return await system.rows(
        "select action, symbol, quantity, price, ratio, equity, maintenance from pms.liquidations"
        " where sub_account_id = :account order by seq, line",
        account=account,
    )


async def taken_over(system: System, account: str) -> None:
    async def done() -> bool:
        return any(row.action == "TAKEOVER" for row in await liquidations(system, account))

    await until(done, f"the takeover of {account}", seconds=30)


async def unwound(system: System) -> None:
    async def flat() -> bool:
        left = await system.rows("select quantity from pms.unwinds where quantity <> 0")
        held = await system.rows(
            "select quantity from pms.positions where sub_account_id = 'house' and quantity <> 0"
        )
        return not left and not held

    await until(flat, "the house to be flat", seconds=60)


async def house_orders(system: System) -> list[Any]:
    """The house's own orders, oldest first."""
    return await system.rows(
        "select client_order_id, type, side, quantity, price, state, reason, filled_qty, admitted_at"
        " from pms.orders where client_order_id like 'PMS\\_house\\_L\\_%' order by admitted_at"
    )
