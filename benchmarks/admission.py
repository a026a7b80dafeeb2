"""What limits cost an admission: none set, sixteen set for all, a hundred settings.

Measured is the decision alone, as the streamer takes it: every check, the margin reserved, the entry drafted.
The floor is a desk on which nobody ever set a limit. The runs take turns of a hundred orders, each on a desk
of its own with nothing resting, so that none meets a machine that has become slower meanwhile.

`growth` is sixteen limits among 20,000 sub-accounts, each sending one order, over the same among 100:
so it has in it that nothing looked for is asked for again.
"""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from benchmarks.risk_desk import SYMBOLS, desk_of
from benchmarks.samples import Progress, Samples, ratio, turns
from pms.contract.commands import Trade
from pms.contract.journal import LimitRow
from pms.contract.limits import GROUP_PREFIX
from pms.contract.names import BOTH, EVERYTHING, HOUSE
from pms.domain.admission import admit
from pms.domain.decisions import Asked
from pms.domain.desk import Desk

TURNS, ORDERS = 60, 100
FEW, MANY = 100, 20_000
SEED = 7
WORTH, BELOW, LEVERAGE = Decimal(20), Decimal("0.97"), 5
HALF = SYMBOLS // 2
"""An order is for the first symbol from here on that its sub-account does not hold."""

SIXTEEN = {
    "leverage": "50",
    "order.quantity": "1000000000",
    "order.notional": "1000000000",
    "position.quantity": "1000000000",
    "position.notional": "1000000000000",
    "exposure": "1000000000000",
    "concentration.equity": "1000000000",
    "concentration.exposure": "100",
    "loss.daily": "1000000000",
    "orders.open": "10000",
    "orders.open_symbol": "10000",
    "orders.rate": "10000",
    "orders.duplicate": "1",
    "price.collar": "6",
    "price.spread": "6",
    "price.age": "20000",
}
"""None that any of these orders meets."""

OTHERS = 84
"""Settings for groups that nobody is in: with the sixteen a hundred."""


@dataclass(slots=True)
class Series:
    """A desk with its settings, and what an order on it took."""

    desk: Desk
    taken: Samples
    number: int = 0

    def turn(self, accounts: list[str]) -> None:
        """Admit an order for each of these, and take them all back."""
        symbols = list(self.desk.instruments)
        placed = []
        for account in accounts:
            self.number += 1
            held = self.desk.held[account]
            symbol = next(symbol for symbol in symbols[self.number % HALF :] if (symbol, BOTH) not in held)
            asked, command = _order(self.desk, account, symbol, number=self.number)
            began = time.perf_counter_ns()
            posting = admit(self.desk, asked, command)
            self.taken.taken.append(time.perf_counter_ns() - began)
            placed += [row.client_order_id for row in posting.entry.rows.orders]
        for coid in placed:
            self.desk.forget_order(self.desk.orders[coid])


async def run() -> dict[str, Any]:
    """Measure; returns the figures."""
    progress = Progress()
    progress.say(f"{MANY} and {FEW} sub-accounts")
    many, few = (_series(number, SIXTEEN) for number in (MANY, FEW))
    names = [account for account in many.desk.accounts if account != HOUSE]
    own = [account for account in few.desk.accounts if account != HOUSE]
    runs = {
        "floor": _series(FEW, {}),
        "sixteen": few,
        "hundred": _series(FEW, SIXTEEN, others=OTHERS),
        "many": many,
    }
    gc.freeze()
    progress.say(f"turns of {ORDERS} orders each")
    for turn in turns(TURNS, progress.spent_s):
        for name, series in runs.items():
            first = turn * ORDERS
            series.turn(names[first : first + ORDERS] if name == "many" else own[:ORDERS])
    p50 = {name: series.taken.us(0.5) for name, series in runs.items()}
    return {
        "ratio": ratio(p50["sixteen"], p50["floor"]),
        "ratio_hundred": ratio(p50["hundred"], p50["floor"]),
        "growth": ratio(p50["many"], p50["sixteen"]),
        "n": len(few.taken.taken),
        "planned": TURNS * ORDERS,
        "p50_us": p50,
        "p99_us": {name: series.taken.us(0.99) for name, series in runs.items()},
    }


def _series(accounts: int, settings: dict[str, str], *, others: int = 0) -> Series:
    desk = desk_of(accounts, seed=SEED)
    rows = [(EVERYTHING, name, value) for name, value in settings.items()]
    rows += [(f"{GROUP_PREFIX}g{number}", "order.quantity", "1") for number in range(others)]
    for scope, name, value in rows:
        desk.limits.take(
            LimitRow(
                scope=scope,
                name=name,
                symbol="",
                value=value,
                actor="bench",
                reason="bench",
                at=1,
                request_id=str(UUID(int=1)),
            )
        )
    return Series(desk, Samples())


def _order(desk: Desk, account: str, symbol: str, *, number: int) -> tuple[Asked, Trade]:
    """A small buy, far enough from the market to rest."""
    instrument, top = desk.instruments[symbol], desk.tops[symbol]
    price = (top.bid * BELOW // instrument.tick) * instrument.tick
    request = UUID(int=number)
    command = Trade.model_construct(
        request_id=request,
        sub_account_id=account,
        symbol=symbol,
        side="BUY",
        quantity=(WORTH / price // instrument.step) * instrument.step,
        leverage=LEVERAGE,
        type="LIMIT",
        price=price,
        time_in_force="GTC",
        reduce_only=False,
        position_side=None,
    )
    now = number * 1000
    asked = Asked(
        request_id=str(request),
        command="pms.trade",
        text="{}",
        at=now,
        deadline=now + 5000,
        now=now,
    )
    return asked, command
