"""What a tick costs the risk watch, from 1,000 to 100,000 sub-accounts; beside a full scan and a bare store.

The tape is the same for every size: 100,000 ticks of 20 bp, most of which take back the one before, one fall
of 10 % a symbol, a fill before every tenth tick. Measured is what the streamer does with a tick: take the
price, find whom it may concern, weigh those exactly, liquidate who crossed a line. Without the journal.

The peer is a scan of all positions in numpy, in binary floats, as one would write it without an index: it
only says who is beyond the first line. The floor is one store into a dictionary.
"""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import psutil

from benchmarks.risk_desk import EACH, STEPS, SYMBOLS, Tick, desk_of, tape
from benchmarks.samples import Progress, Samples, ratio
from pms.contract.names import HOUSE
from pms.domain.desk import Desk
from pms.domain.posting import Posting
from pms.domain.risk_watch import RiskWatch
from pms.domain.tiers import DEFAULT

SEED, TICKS, SCANS = 7, 100_000, 60
FEWEST, MOST = 1_000, 100_000
BETWEEN = (3_000, 10_000, 30_000)
"""Measured for the chart, as long as there is time."""

LAST_BEGINS_S = 36.0
BAR = 40


@dataclass(slots=True)
class Series:
    """One size: what each tick cost, what each crossing cost."""

    accounts: int
    ticks: Samples
    gaps: Samples
    crossings: Samples
    concerned: int
    #: accounts that crossed a line at least once
    weighed: int
    bytes_each: int


async def run() -> dict[str, Any]:
    """Measure; returns the figures."""
    progress = Progress()
    desk, series = _of(FEWEST, progress)
    found = {FEWEST: series}
    del desk
    desk, found[MOST] = _of(MOST, progress)
    progress.say(f"{SCANS} full scans in numpy")
    scan = _scans(desk)
    floor = _stores()
    del desk
    for accounts in BETWEEN:
        if progress.spent_s() > LAST_BEGINS_S:
            break
        _, found[accounts] = _of(accounts, progress)
    few, many = found[FEWEST], found[MOST]
    return {
        "name": "risk",
        "n": len(many.ticks.taken),
        "unit": "us",
        "accounts": MOST,
        "positions": MOST * EACH,
        "symbols": SYMBOLS,
        "p50": many.ticks.us(0.5),
        "p99": many.ticks.us(0.99),
        "worst_gap_tick": many.gaps.us(1.0),
        "growth": ratio(many.ticks.us(0.5), few.ticks.us(0.5)),
        "crossing_p50": many.crossings.us(0.5),
        "crossing_growth": ratio(many.crossings.us(0.5), few.crossings.us(0.5)),
        "crossings": len(many.crossings.taken),
        "accounts_crossing": many.concerned,
        "accounts_crossing_percent": round(100 * many.concerned / MOST, 2),
        "weighed": many.weighed,
        "bytes_per_account": many.bytes_each,
        "floor_p50": floor.us(0.5),
        "ratio_p50": ratio(many.ticks.us(0.5), floor.us(0.5)),
        "peers": {
            "numpy full scan": {
                "p50": scan.us(0.5),
                "slower_by": ratio(scan.us(0.5), many.ticks.us(0.5)),
            }
        },
        "chart": _chart(found),
    }


def _of(accounts: int, progress: Progress) -> tuple[Desk, Series]:
    """Build a desk, weigh everybody once, play the tape."""
    progress.say(f"{accounts:,} sub-accounts with {accounts * EACH:,} positions")
    before = psutil.Process().memory_info().rss
    desk = desk_of(accounts, seed=SEED)
    watch = RiskWatch(desk, lambda _: DEFAULT)
    watch.begin()
    for account in sorted(desk.unweighed):
        watch.judge(account, now=0)
    desk.unweighed.clear()
    bytes_each = (psutil.Process().memory_info().rss - before) // accounts
    ticks = list(tape(desk, TICKS, seed=SEED))
    # As the streamer does once its books are read: what lives for ever is not collected again and again.
    gc.collect()
    gc.freeze()
    series = Series(accounts, Samples(), Samples(), Samples(), 0, 0, bytes_each)
    _play(desk, watch, ticks, series)
    gc.unfreeze()
    return desk, series


def _play(desk: Desk, watch: RiskWatch, ticks: list[Tick], series: Series) -> None:
    clock, crossed = time.perf_counter_ns, set()
    for tick in ticks:
        if tick.fill is not None:
            _fill(desk, *tick.fill)
        began = clock()
        desk.price(tick.symbol, tick.top)
        for account in watch.due(tick.symbol, tick.top.mid):
            judged = clock()
            series.weighed += 1
            if isinstance(watch.judge(account, now=0), Posting):
                series.crossings.taken.append(clock() - judged)
                crossed.add(account)
        took = clock() - began
        series.ticks.taken.append(took)
        if tick.gap:
            series.gaps.taken.append(took)
    series.concerned = len(crossed)


def _fill(desk: Desk, account: str, symbol: str, quantity: Decimal) -> None:
    """A fill as the books take it, without its journal entry."""
    position = desk.position(account, symbol)
    move = position.trade(quantity, desk.tops[symbol].mid)
    desk.accounts[account].balance += move.realized
    desk.touch_position(position)
    desk.unweighed.add(account)


def _scans(desk: Desk) -> Samples:
    """Weigh every account anew after a price changed, all positions at once."""
    symbols = {symbol: index for index, symbol in enumerate(desk.tops)}
    accounts = {account: index for index, account in enumerate(desk.accounts)}
    held = [p for account, held in desk.held.items() if account != HOUSE for p in held.values()]
    whose = np.array([accounts[p.sub_account_id] for p in held])
    which = np.array([symbols[p.symbol] for p in held])
    quantity = np.array([float(p.quantity) for p in held])
    cost = np.array([float(p.cost) for p in held])
    balance = np.array([float(account.balance) for account in desk.accounts.values()])
    prices = np.array([float(top.mid) for top in desk.tops.values()])
    caps = np.array([float(step[2]) for step in STEPS])
    ratios = np.array([float(step[3]) for step in STEPS])
    cums = np.concatenate([[0.0], np.cumsum(caps[:-1] * np.diff(ratios))])
    taken = Samples()
    line = float(DEFAULT.ratios.warn)
    for number in range(SCANS):
        began = time.perf_counter_ns()
        prices[number % SYMBOLS] *= 1.002
        price = prices[which]
        notional = np.abs(quantity) * price
        step = np.minimum(np.searchsorted(caps, notional), len(caps) - 1)
        needed = np.bincount(whose, notional * ratios[step] - cums[step], len(balance))
        equity = balance + np.bincount(whose, quantity * price - cost, len(balance))
        np.flatnonzero((needed > 0) & (needed >= line * equity))
        taken.taken.append(time.perf_counter_ns() - began)
    return taken


def _stores() -> Samples:
    """One store into a dictionary of prices, measured like a tick."""
    prices: dict[str, Decimal] = {}
    symbols, price, taken = [f"S{number:03}USDT" for number in range(SYMBOLS)], Decimal(1), Samples()
    for number in range(TICKS):
        symbol = symbols[number % SYMBOLS]
        began = time.perf_counter_ns()
        prices[symbol] = price
        taken.taken.append(time.perf_counter_ns() - began)
    return taken


def _chart(found: dict[int, Series]) -> list[str]:
    """The median tick by number of accounts, as bars."""
    medians = {accounts: found[accounts].ticks.us(0.5) for accounts in sorted(found)}
    longest = max(medians.values())
    return [
        f"{accounts:>7,}  {'█' * max(1, round(BAR * median / longest))} {median} us"
        for accounts, median in medians.items()
    ]
