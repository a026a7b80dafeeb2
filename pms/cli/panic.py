"""`pms panic`: everything off the exchange, with nothing else alive than the exchange itself."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from uuid import uuid4

import click

from pms.binance.alone import Alone
from pms.binance.client import ExchangeClient, open_session
from pms.cli.confirming import actor
from pms.cli.session import Failed, redis_of
from pms.config import Settings, load_settings
from pms.flows.panic import Door, Panic, stop_everything


@click.command()
@click.option(
    "--flatten", "flat", is_flag=True, help="Also close the net position of every symbol at market."
)
@click.option("--yes", is_flag=True, help="Do not ask; for scripts and shaking hands.")
@click.option("--reason", default="pms panic", help="Why, for the journal.")
def panic(flat: bool, yes: bool, reason: str) -> None:
    """Halt trading and cancel ALL open orders of the exchange account, not only the engine's.

    Needs no Redis, no engine, no worker: it speaks to the exchange alone. Exits 0 only when the exchange
    says that nothing is left; run it again otherwise. `pms resume --reason …` lets trading go on.
    """
    settings = load_settings()
    _require(settings, flat=flat)
    what = "cancel ALL open orders" + (" and close ALL positions at market" if flat else "")
    if not yes and not click.confirm(f"{what} at {settings.binance_rest_url}?", default=False):
        raise click.exceptions.Exit(1)
    if not asyncio.run(_panic(settings, flat=flat, reason=reason)):
        raise Failed("not everything is proven gone: run it again, or act at the exchange itself")


def _require(settings: Settings, *, flat: bool) -> None:
    needed = ("binance_rest_url", "binance_api_key", "binance_api_secret")
    missing = [f"PMS_{name.upper()}" for name in needed if not getattr(settings, name)]
    if missing:
        raise Failed(f"the exchange cannot be reached without {', '.join(missing)}")
    if flat and not settings.orders_allowed:
        raise Failed(
            "to flatten is to trade: PMS_LIVE is not yes-real-money. Without --flatten it only cancels"
        )


async def _panic(settings: Settings, *, flat: bool, reason: str) -> bool:
    session = open_session()
    redis = _redis(settings)
    client = ExchangeClient(
        base_url=settings.binance_rest_url or "",
        api_key=settings.binance_api_key,
        api_secret=settings.binance_api_secret,
        session=session,
        clock_ms=_now_ms,
        budget=Alone(clock_ms=_now_ms),
    )
    deps = Panic(client=client, sleep=asyncio.sleep, new_id=lambda: uuid4().hex[:24], say=click.echo)
    door = Door(redis, new_id=lambda: str(uuid4()), say=click.echo, actor=actor(), reason=reason)
    try:
        return await stop_everything(deps, door, settings.symbol_list, flat=flat)
    finally:
        await session.close()
        if redis:
            await redis.aclose()


def _redis(settings: Settings) -> Any:
    """For the halt alone; what is wrong with it must not hold up the cancels."""
    if not settings.redis_url:
        return None
    try:
        return redis_of(settings, name="pms-panic", timeout_s=1.0, connections=2)
    except Failed as fault:
        click.secho(f"{fault.message}: trading is not halted by it", fg="red", err=True)
        return None


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
