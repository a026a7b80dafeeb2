"""What a tick costs 200 algos on 20 symbols: asking all who watch the symbol, and wishing orders elsewhere.

Each tick moves its symbol's touch, so every chase on it would move its order each time; the throttle lets a
hundred moves in ten seconds through. Measured is what the streamer does behind a tick: take the price, ask
the ten that watch the symbol, build the entry of each that moved. The exchange carries a move out at once,
outside the measured time. The floor is one comparison for each of them, in a bare loop.
"""

from __future__ import annotations

import time
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

from benchmarks.risk_desk import desk_of
from benchmarks.samples import Progress, Samples, ratio
from pms.contract.money import encode
from pms.contract.reading import command_from
from pms.domain.algos.conduct import conduct
from pms.domain.algos.machines import MACHINES
from pms.domain.algos.throttle import Throttle
from pms.domain.booking import observe
from pms.domain.custody import keep
from pms.domain.decisions import Asked
from pms.domain.desk import Desk, Top
from pms.domain.orders import Amended, Order, Seen

SEED, TICKS, ALGOS, SYMBOLS = 7, 20_000, 200, 20
TICK_MS = 5
"""Virtual time between two ticks: two hundred a second, ten of each symbol."""

STEP = Decimal("0.0005")


async def run() -> dict[str, Any]:
    """Measure; returns the figures."""
    progress = Progress()
    progress.say(f"{ALGOS} chases on {SYMBOLS} symbols, {TICKS:,} ticks")
    desk, throttle = desk_of(ALGOS, seed=SEED), Throttle()
    symbols = list(desk.instruments)[:SYMBOLS]
    for number in range(ALGOS):
        _start(desk, number, symbols[number % SYMBOLS], throttle)
    ticks, moves, worst = _play(desk, symbols, throttle)
    floor = _comparisons()
    return {
        "name": "algos",
        "n": len(ticks.taken),
        "unit": "us",
        "algos": ALGOS,
        "symbols": SYMBOLS,
        "asked_a_tick": ALGOS // SYMBOLS,
        "tick_p50": ticks.us(0.5),
        "tick_p99": ticks.us(0.99),
        "intent_p50": moves.us(0.5),
        "intent_p99": moves.us(0.99),
        "moves": len(moves.taken),
        "most_moves_in_10s": worst,
        "allowed_moves_in_10s": throttle.moves.most,
        "floor_p50": floor.us(0.5),
        "ratio_p50": ratio(ticks.us(0.5), floor.us(0.5)),
    }


def _asked(algo_id: str, now: int) -> Asked:
    return Asked(algo_id, "pms.chase", "", now, now + 5_000, now)


def _start(desk: Desk, number: int, symbol: str, throttle: Throttle) -> None:
    """A chase with its order at rest."""
    account, algo_id = f"{number:08}", str(UUID(int=number + 1))
    desk.accounts[account].balance = Decimal(10**7)
    fields = {
        "requestId": algo_id,
        "subAccountId": account,
        "symbol": symbol,
        "side": "BUY",
        "quantity": 1,
        "leverage": 2,
        "stalkOffset": 1,
        "stalkMode": "maintain",
        "repriceMs": 100,
    }
    command = command_from("pms.chase", fields)
    keep(desk, Asked(algo_id, "pms.chase", encode(fields).decode(), 0, 5_000, 0), command)
    algo = desk.algos.every[algo_id]
    done = conduct(desk, algo, MACHINES["chase"], _asked(algo.id, 0), throttle)
    assert done.posting is not None
    (row,) = done.posting.entry.rows.orders
    observe(desk, desk.orders[row.client_order_id], Seen(number + 1, "NEW", Decimal(0)), at=0)


def _play(desk: Desk, symbols: list[str], throttle: Throttle) -> tuple[Samples, Samples, int]:
    clock, rng = time.perf_counter_ns, Random(SEED)
    ticks, moves, moved_at, worst = Samples(), Samples(), list[int](), 0
    for number in range(1, TICKS + 1):
        now, symbol = number * TICK_MS, symbols[number % SYMBOLS]
        top = desk.tops[symbol]
        shift = (top.mid * STEP * rng.choice((-1, 1))).quantize(Decimal("0.00001"))
        began = clock()
        desk.price(symbol, Top(top.bid + shift, top.bid_qty, top.ask + shift, top.ask_qty, now))
        wished = []
        for algo in list(desk.algos.by_symbol[symbol].values()):
            done = conduct(desk, algo, MACHINES[algo.kind], _asked(algo.id, now), throttle)
            if done.posting is not None and done.posting.entry.rows.orders:
                moves.taken.append(clock() - began)
                wished.append(desk.orders[done.posting.entry.rows.orders[0].client_order_id])
        ticks.taken.append(clock() - began)
        for order in wished:
            _carry_out(desk, order, now)
            moved_at.append(now)
        worst = max(worst, sum(1 for at in moved_at[-200:] if at > now - 10_000))
    return ticks, moves, worst


def _carry_out(desk: Desk, order: Order, now: int) -> None:
    wish = order.amend
    assert wish is not None
    assert order.exchange_order_id is not None
    observe(desk, order, Amended(order.exchange_order_id, wish.quantity, wish.price, now), at=now)


def _comparisons() -> Samples:
    """One comparison of two decimals for each that watches a symbol."""
    taken, prices = Samples(), [Decimal(number) for number in range(ALGOS // SYMBOLS)]
    for number in range(TICKS):
        price = Decimal(number)
        began = time.perf_counter_ns()
        for each in prices:
            if each == price:
                pass
        taken.taken.append(time.perf_counter_ns() - began)
    return taken
