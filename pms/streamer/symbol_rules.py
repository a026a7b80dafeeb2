"""Reading the rules of all symbols, at the start and every few minutes after it."""

from __future__ import annotations

import asyncio
from dataclasses import fields

import structlog

from pms.binance.client import ExchangeClient
from pms.binance.instruments import each_instrument
from pms.binance.windows import Lane
from pms.domain.instrument import Instrument
from pms.domain.symbol_rules import take_rules
from pms.streamer.engine import Engine

log = structlog.get_logger()
AT_ONCE = 25
"""So many symbols are parsed in one go: a few milliseconds, for which ticks may wait."""


async def read_symbols(client: ExchangeClient, *, lane: Lane = "query") -> dict[str, Instrument]:
    """What the exchange says of its symbols, in pieces; raises what REST raises."""
    found: dict[str, Instrument] = {}
    info, brackets = await client.exchange_info(lane=lane), await client.leverage_brackets(lane=lane)
    for number, instrument in enumerate(each_instrument(info, brackets)):
        found[instrument.symbol] = instrument
        if number % AT_ONCE == AT_ONCE - 1:
            await asyncio.sleep(0)
    return found


async def follow_rules(engine: Engine, client: ExchangeClient) -> bool:
    """Take over what differs, and tell of it; returns whether leverage means something else anywhere."""
    changed = take_rules(engine.desk, await read_symbols(client, lane="background"))
    for before, after, worse in changed:
        log.info("symbol_rules", symbol=after.symbol, listed=before is None, changed=_changed(before, after))
        if worse is not None:
            detail = f"the exchange changed {after.symbol}: {worse}"
            engine.raise_incident("symbol_rules", "warning", detail, subject=after.symbol)
    return any(each.carries_otherwise for each in changed)


def _changed(before: Instrument | None, after: Instrument) -> dict[str, str]:
    """The rules that differ, for the log; brackets by name alone, for they are long."""
    if before is None:
        return {}
    names = (each.name for each in fields(after) if getattr(before, each.name) != getattr(after, each.name))
    return {
        name: "" if name == "brackets" else f"{getattr(before, name)} to {getattr(after, name)}"
        for name in names
    }
