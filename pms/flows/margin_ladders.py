"""The exchange's leverage brackets as maintenance margins: the one place where risk learns them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
import structlog
from redis.asyncio import Redis

from pms.binance.client import ExchangeClient
from pms.binance.errors import ExchangeError
from pms.binance.instruments import brackets_of
from pms.contract import names
from pms.domain.brackets import UNKNOWN
from pms.risk.maintenance import Ladder, Ladders

log = structlog.get_logger()
_Table = dict[str, list[tuple[Decimal, Decimal]]]
_encoder = msgspec.json.Encoder(decimal_format="string")
_decoder = msgspec.json.Decoder(_Table)


async def margin_ladders(redis: Redis, client: ExchangeClient) -> Ladders:
    """The ladders of all symbols, at most an hour old; none where the exchange does not tell them."""
    untyped: Any = redis
    text = await untyped.get(names.BRACKETS)
    if text is not None:
        return {symbol: Ladder(tuple(steps)) for symbol, steps in _decoder.decode(text).items()}
    try:
        found = ladders_from(await client.leverage_brackets())
    except ExchangeError as error:
        log.warning("no_brackets", error=str(error))
        return {}
    table = {symbol: ladder.steps for symbol, ladder in found.items()}
    await untyped.set(names.BRACKETS, _encoder.encode(table), ex=names.BRACKETS_TTL_S)
    return found


def ladders_from(rows: Sequence[Mapping[str, Any]]) -> dict[str, Ladder]:
    """Read GET /fapi/v1/leverageBracket; one that cannot be read is left out, and the report says so."""
    found: dict[str, Ladder] = {}
    for row in rows:
        try:
            brackets = brackets_of(row)
            if brackets is not UNKNOWN:
                found[str(row["symbol"])] = Ladder.of(brackets)
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            log.warning("brackets_unreadable", symbol=str(row)[:60], error=repr(error))
    return found
