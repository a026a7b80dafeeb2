"""An upper bound: a ladder of prices and linked lists in arrays, compiled by numba, the tape in one call.

It knows limit orders and cancels, and nothing else that an exchange must: no owners, no names, no events.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numba import njit

from benchmarks.peers.tapes import Command, Trade, serve


@njit(cache=False)
def _match(tape, low, ticks, most):  # type: ignore[no-untyped-def]
    head = np.zeros((2, ticks), np.int64)
    tail = np.zeros((2, ticks), np.int64)
    best = np.array([ticks, -1])
    rows = np.zeros((5, most), np.int64)
    left, after, before, at, way = rows[0], rows[1], rows[2], rows[3], rows[4]
    out = np.zeros((len(tape) * 2, 4), np.int64)
    count = 0
    for n in range(len(tape)):
        order, quantity = tape[n, 0], tape[n, 4]
        if quantity == 0:
            if left[order] > 0:
                side, price = way[order], at[order]
                left[order] = 0
                if before[order]:
                    after[before[order]] = after[order]
                else:
                    head[side, price] = after[order]
                if after[order]:
                    before[after[order]] = before[order]
                else:
                    tail[side, price] = before[order]
            continue
        price, step = tape[n, 3] - low, 1 if tape[n, 2] > 0 else -1
        against = 0 if step > 0 else 1
        while quantity and 0 <= best[against] < ticks and (price - best[against]) * step >= 0:
            maker = head[against, best[against]]
            if maker == 0:
                best[against] += step
                continue
            traded = min(quantity, left[maker])
            quantity -= traded
            left[maker] -= traded
            out[count] = (order, maker, best[against] + low, traded)
            count += 1
            if left[maker] == 0:
                head[against, best[against]] = after[maker]
                if after[maker]:
                    before[after[maker]] = 0
                else:
                    tail[against, best[against]] = 0
        if quantity:
            own = 1 - against
            left[order], at[order], way[order] = quantity, price, own
            last = tail[own, price]
            before[order] = last
            if last:
                after[last] = order
            else:
                head[own, price] = order
            tail[own, price] = order
            best[own] = min(best[own], price) if own == 0 else max(best[own], price)
    return out[:count]


def play(commands: list[Command]) -> Any:
    tape = np.array(commands, np.int64)
    orders = tape[tape[:, 4] > 0]
    low, high = orders[:, 3].min(), orders[:, 3].max()
    return _match(tape, low, high - low + 1, orders[:, 0].max() + 1)


def trades(commands: list[Command], done: Any) -> Iterable[Trade]:
    return (tuple(row) for row in done.tolist())


if __name__ == "__main__":
    play([(1, 0, 1, 1, 1), (2, 0, -1, 1, 1), (1, 0, 0, 0, 0)])  # compiles
    serve(play, trades)
