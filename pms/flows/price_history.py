"""Closes of the past, read from the exchange once and kept in Redis: finished bars, and only what is needed.

X is away or has no room   what is kept is used as it is; the report shows how old it is
a young symbol             X's answer is shorter than was asked: that is all there is, and not asked again
a gap                      stays one; the returns over it are pms.risk.returns' to judge
a symbol X does not know   no history, or what was kept of it
Redis forgot               everything is read anew: weight 5 a symbol for 500 bars

All of it in the background lane of the rate budget: orders, cancels and queries go first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
import structlog
from redis.asyncio import Redis

from pms.binance.answers import Kline
from pms.binance.client import ExchangeClient
from pms.binance.errors import ExchangeError, NotFound, Refused
from pms.contract import names
from pms.risk.returns import Closes

log = structlog.get_logger()
MINUTE_MS = 60_000
INTERVALS = {
    "1m": MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": 60 * MINUTE_MS,
    "2h": 120 * MINUTE_MS,
    "4h": 240 * MINUTE_MS,
    "6h": 360 * MINUTE_MS,
    "8h": 480 * MINUTE_MS,
    "12h": 720 * MINUTE_MS,
    "1d": 1440 * MINUTE_MS,
}
"""Intervals of one length, all of which begin at multiples of it."""

Progress = Callable[[str], Awaitable[None]]


class Kept(msgspec.Struct, frozen=True):
    """What Redis holds of one symbol; `whole`: the exchange has nothing before it."""

    times: list[int]
    closes: list[Decimal]
    whole: bool


@dataclass(frozen=True, slots=True)
class PriceHistory:
    """Closes by symbol, empty where there are none; and why any could not be brought up to date."""

    closes: dict[str, Closes]
    faults: dict[str, str]


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Kept)


async def price_history(
    redis: Redis,
    client: ExchangeClient,
    symbols: Sequence[str],
    *,
    interval: str,
    bars: int,
    progress: Progress,
) -> PriceHistory:
    """Bring the closes of these symbols up to the last finished bar, `bars` of them."""
    untyped: Any = redis
    texts = await untyped.mget([names.klines_key(interval, each) for each in symbols]) if symbols else []
    known = {symbol: _read(text) for symbol, text in zip(symbols, texts, strict=True)}
    faults: dict[str, str] = {}
    away: str | None = None
    for n, symbol in enumerate(symbols):
        kept, now = known[symbol], client.exchange_now_ms()
        if _is_current(kept, now=now, interval_ms=INTERVALS[interval], bars=bars):
            continue
        if away is not None:
            faults[symbol] = away
            continue
        await progress(f"history of {symbol}, {n + 1} of {len(symbols)}")
        try:
            known[symbol] = await _fetched(client, symbol, kept, interval=interval, bars=bars)
        except (Refused, NotFound) as error:
            faults[symbol] = str(error)
        except ExchangeError as error:
            # Away, or no room for background work: the others would only wait for the same.
            faults[symbol] = away = str(error)
        else:
            key = names.klines_key(interval, symbol)
            await untyped.set(key, _encoder.encode(known[symbol]), ex=names.KLINES_TTL_S)
    if faults:
        log.warning("history_not_current", symbols=len(faults), first=next(iter(faults.values())))
    closes = {symbol: Closes(tuple(kept.times), tuple(kept.closes)) for symbol, kept in known.items()}
    return PriceHistory(closes, faults)


def _is_current(kept: Kept, *, now: int, interval_ms: int, bars: int) -> bool:
    last_finished = now - now % interval_ms - interval_ms
    enough = kept.whole or len(kept.times) >= bars
    return enough and bool(kept.times) and kept.times[-1] >= last_finished


async def _fetched(client: ExchangeClient, symbol: str, kept: Kept, *, interval: str, bars: int) -> Kept:
    """What is kept and what came behind it; all anew where too much is missing."""
    interval_ms, now = INTERVALS[interval], client.exchange_now_ms()
    missing = (now - kept.times[-1]) // interval_ms if kept.times else bars
    if missing >= bars or not (kept.whole or len(kept.times) >= bars):
        # One more, for the last one is unfinished.
        page = await client.klines(symbol, interval, limit=bars + 1)
        return _cut(_finished(page, now), bars, whole=len(page) <= bars)
    start = kept.times[-1] + interval_ms
    page = await client.klines(symbol, interval, start=start, limit=missing + 1)
    fresh = [(bar.open_time, bar.close) for bar in page if bar.open_time >= start and bar.close_time < now]
    return _cut([*zip(kept.times, kept.closes, strict=True), *fresh], bars, whole=kept.whole)


def _finished(page: Sequence[Kline], now: int) -> list[tuple[int, Decimal]]:
    return [(bar.open_time, bar.close) for bar in page if bar.close_time < now]


def _cut(found: Sequence[tuple[int, Decimal]], bars: int, *, whole: bool) -> Kept:
    found = found[-bars:]
    return Kept([time for time, _ in found], [close for _, close in found], whole)


def _read(text: bytes | None) -> Kept:
    """What is kept; what cannot be read is nothing, for the exchange has it."""
    try:
        return Kept([], [], False) if text is None else _decoder.decode(text)
    except ValueError:
        return Kept([], [], False)
