"""The streamer as it is shipped, with a note of when each tick was taken and each algo answered.

The notes are written to the file named by BENCH_NOTES when it ends in order. What the noting costs, a
microsecond or so a tick and an asking, is in the figures.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pms.domain.algos.throttle import Turns
from pms.streamer import __main__ as streamer
from pms.streamer import algos as asking
from pms.streamer.algos import Algos
from pms.streamer.market import MarketData

_now, _wall = time.monotonic_ns, time.time_ns
ticks: list[tuple[int, int]] = []
#: monotonic ns; how old by the exchange's stamp, ms
intents: list[tuple[int, int, str, str, list[str]]] = []
#: monotonic ns; ns since the first asking that was not answered yet; kind; what; orders
left: list[tuple[int, int, str]] = []
#: monotonic ns; ns from the intent to its entry in the journal; kind
asks: list[tuple[int, int]] = []
#: monotonic ns; ns that one asking took
wishes: list[tuple[int, bool, str]] = []
#: monotonic ns; whether a move was held back; algo
_asked_at: dict[str, int] = {}
_born: dict[int, tuple[int, str]] = {}


def _watch_ticks() -> None:
    tell = MarketData._tell

    def told(self: MarketData, symbol: str, followed: Any, best: Any, *, at: int) -> None:
        ticks.append((_now(), _wall() // 1_000_000 - at))
        tell(self, symbol, followed, best, at=at)

    MarketData._tell = told  # type: ignore[method-assign]


def _watch_asking() -> None:
    # What it imported is replaced where it looks for it
    module: Any = asking
    ask, decide, leave = Algos.ask, module.conduct, Algos._leave

    def asked(self: Algos, algo_id: str) -> None:
        _asked_at.setdefault(algo_id, _now())
        ask(self, algo_id)

    def conduct(desk: Any, algo: Any, *rest: Any) -> Any:
        began = _now()
        since = _asked_at.pop(algo.id, began)
        done = decide(desk, algo, *rest)
        now = _now()
        asks.append((now, now - began))
        posting = done.posting
        if posting is not None and posting.entry.rows.orders:
            rows = posting.entry.rows.orders
            what = "cancel" if rows[0].cancel_wanted else "move" if rows[0].amend_quantity else "place"
            intents.append((now, now - since, algo.kind, what, [row.client_order_id for row in rows]))
            _born[posting.entry.seq] = now, algo.kind
        return done

    def gone(self: Algos, posting: Any, *, held: bool) -> None:
        now = _now()
        born = _born.pop(posting.entry.seq, None)
        if born is not None:
            left.append((now, now - born[0], born[1]))
        leave(self, posting, held=held)

    Algos.ask = asked  # type: ignore[method-assign]
    module.conduct = conduct
    Algos._leave = gone  # type: ignore[method-assign]


def _watch_moves() -> None:
    wait_ms: Callable[..., int] = Turns.wait_ms

    def waits(self: Turns, algo_id: str, **options: Any) -> int:
        wait = wait_ms(self, algo_id, **options)
        wishes.append((_now(), bool(wait), algo_id))
        return wait

    Turns.wait_ms = waits  # type: ignore[method-assign]


def main() -> None:
    """Run the streamer; leave the notes behind."""
    _watch_ticks()
    _watch_asking()
    _watch_moves()
    try:
        streamer.main()
    finally:
        notes = {"ticks": ticks, "intents": intents, "left": left, "asks": asks, "wishes": wishes}
        Path(os.environ["BENCH_NOTES"]).write_text(json.dumps(notes))


if __name__ == "__main__":
    main()
