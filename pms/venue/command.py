"""`pms venue`: run the exchange in the foreground until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import Literal

import click
import structlog

from pms import log
from pms.venue.app import SEGMENT_BYTES, AccountSpec, VenueConfig, VenueStartError, serve
from pms.venue.background.replay import ReplayWait
from pms.venue.background.scenario import SCENARIOS
from pms.venue.faults.drawn import PER_MINUTE, FaultPlan
from pms.venue.symbols import SHIPPED
from pms.venue.ws.life import SocketLife


class _Account(click.ParamType[AccountSpec]):
    name = "name:KEY:SECRET:balance"

    def convert(
        self, value: str | AccountSpec, param: click.Parameter | None, ctx: click.Context | None
    ) -> AccountSpec:
        if isinstance(value, AccountSpec):
            return value
        try:
            return AccountSpec.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _Faults(click.ParamType[FaultPlan]):
    name = "SEED[:RATE]"

    def convert(
        self, value: str | FaultPlan, param: click.Parameter | None, ctx: click.Context | None
    ) -> FaultPlan:
        if isinstance(value, FaultPlan):
            return value
        try:
            return FaultPlan.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=9001, show_default=True, help="0: a free one.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option(
    "--account",
    "accounts",
    type=_Account(),
    multiple=True,
    envvar="PMS_VENUE_ACCOUNTS",
    help="An API key and its account; repeatable. The variable takes several, separated by spaces, and"
    " keeps secrets out of the process list.",
)
@click.option(
    "--symbols",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=SHIPPED,
    help="exchangeInfo file (JSON, gzip'd or not).  [default: the shipped one]",
)
@click.option(
    "--market",
    type=click.Choice(["synthetic", "none"]),
    default="synthetic",
    show_default=True,
    help="Who else trades in symbols that are not replayed.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of the synthetic market.")
@click.option(
    "--scenario",
    "scenarios",
    multiple=True,
    metavar="[SYMBOL=]NAME",
    envvar="PMS_VENUE_SCENARIO",
    help=f"What the synthetic market goes through first: {', '.join(SCENARIOS)}; repeatable."
    "  [default: calm]",
)
@click.option(
    "--replay",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    help="Recorded frames (NDJSON, gzip'd or not); repeatable.",
)
@click.option(
    "--replay-snapshot",
    "snapshots",
    multiple=True,
    metavar="SYMBOL=FILE",
    help="Depth snapshot to start a symbol's replay from.",
)
@click.option(
    "--replay-as",
    "others",
    multiple=True,
    metavar="SYMBOL=RECORDED",
    help="Replay a recorded symbol's frames in another symbol's book too; repeatable.",
)
@click.option(
    "--replay-wait",
    type=click.Choice([each.value for each in ReplayWait]),
    default="no",
    is_flag=False,
    flag_value="subscribed",
    show_default=True,
    help="Hold a symbol's replay until a client subscribed its depth, or took a snapshot then; `hold` plays"
    " one diff then, and the rest when the operator says so.",
)
@click.option(
    "--speed",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    help="Replay speed: 1 as recorded, 0 as fast as clients read.",
)
@click.option("--limits", type=click.Choice(["binance", "off"]), default="binance", show_default=True)
@click.option(
    "--liquidate",
    type=click.Choice(["on", "off"]),
    default="on",
    show_default=True,
    help="Liquidate accounts whose equity does not cover their maintenance margin; off: an operator does.",
)
@click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory that keeps accounts, orders and trades; without it they end with the process.",
)
@click.option(
    "--faults",
    type=_Faults(),
    help="Let things go wrong as on the real exchange's bad days: drawn from a seed, so many a minute"
    f" ({PER_MINUTE:g} unless told).",
)
@click.option(
    "--socket-day",
    type=click.FloatRange(min=0, min_open=True),
    default=SocketLife().day_s,
    show_default=True,
    help="Seconds after which a WebSocket connection ends; `serverShutdown` tells it a little before.",
)
@click.option(
    "--ping-every",
    type=click.FloatRange(min=0, min_open=True),
    default=SocketLife().ping_every_s,
    show_default=True,
    help="Seconds between the pings that a WebSocket connection is sent.",
)
@click.option(
    "--pong-within",
    type=click.FloatRange(min=0, min_open=True),
    default=SocketLife().pong_within_s,
    show_default=True,
    help="Seconds in which a ping must be answered, or the connection ends.",
)
@click.option(
    "--segment-bytes",
    type=click.IntRange(min=1),
    default=SEGMENT_BYTES,
    show_default=True,
    help="How long its journal grows before it is cut and a snapshot is made.",
)
def venue(
    *,
    port: int,
    host: str,
    accounts: tuple[AccountSpec, ...],
    symbols: Path,
    market: Literal["synthetic", "none"],
    seed: int,
    scenarios: tuple[str, ...],
    replay: tuple[Path, ...],
    snapshots: tuple[str, ...],
    others: tuple[str, ...],
    replay_wait: str,
    speed: float,
    limits: Literal["binance", "off"],
    liquidate: Literal["on", "off"],
    state: Path | None,
    faults: FaultPlan | None,
    socket_day: float,
    ping_every: float,
    pong_within: float,
    segment_bytes: int,
) -> None:
    """Serve our own exchange: Binance's USDⓈ-M REST and WebSocket protocol on one port."""
    config = VenueConfig(
        accounts=accounts,
        host=host,
        port=port,
        symbols=symbols,
        market=market,
        seed=seed,
        scenarios=scenarios,
        replay=replay,
        replay_snapshots=dict(_snapshot(each) for each in snapshots),
        replay_as=dict(_other(each) for each in others),
        replay_wait=ReplayWait(replay_wait),
        speed=speed,
        limits=limits,
        liquidate=liquidate == "on",
        state=state,
        faults=faults,
        socket_life=SocketLife(day_s=socket_day, ping_every_s=ping_every, pong_within_s=pong_within),
        segment_bytes=segment_bytes,
    )
    import uvloop

    if not structlog.is_configured():
        # Standing alone: logs go to stderr, stdout is for the ready line that scripts read
        log.configure("venue")
    try:
        broken = uvloop.run(_run(config))
    except VenueStartError as error:
        click.echo(f"venue: {error}", err=True)
        sys.exit(1)
    if broken:
        sys.exit(1)


def _snapshot(text: str) -> tuple[str, Path]:
    symbol, equals, path = text.partition("=")
    if not equals or not Path(path).is_file():
        raise click.BadParameter(f"{text!r} is not SYMBOL=FILE with a file that exists")
    return symbol.upper(), Path(path)


def _other(text: str) -> tuple[str, str]:
    symbol, _, recorded = text.upper().partition("=")
    if not symbol or not recorded:
        raise click.BadParameter(f"{text!r} is not SYMBOL=RECORDED")
    return symbol, recorded


async def _run(config: VenueConfig) -> bool:
    """Serve until SIGINT or SIGTERM; True if the venue broke by itself."""
    running = await serve(config)
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    click.echo(f"venue ready {running.url}")
    running.failed.add_done_callback(lambda _: stop.set())
    await stop.wait()
    await running.close()
    return running.failed.done()
