"""`pms drain`: a rolling restart. A part ends what it has begun, and its successor takes over.

Each part is told to end, as a stop does: a worker takes no more messages and finishes the ones it has,
the streamer journals what it decided and hands its lease over. The supervisor then starts it again, from
the code that lies there now. One part at a time, the streamer last, so that a new streamer never
meets workers that know less than it.
"""

from __future__ import annotations

import time

import click
from rich.table import Table

from pms.bus.process_id import ProcessId
from pms.cli.output import console
from pms.cli.session import Failed
from pms.config import Settings, load_settings
from pms.contract.money import encode
from pms.db.errors import DatabaseError
from pms.db.migrate import upgrade
from pms.stack import state
from pms.stack.places import Places
from pms.stack.processes import ROLES

DRAINED_WITHIN_S = 30.0
READY_WITHIN_S = 90.0
LOOK_EVERY_S = 0.05
_LAST = "streamer"


@click.command()
@click.option(
    "--role",
    type=click.Choice([*ROLES, _LAST, "all"]),
    default="all",
    show_default=True,
    help="One kind of worker, the streamer, or all of them one after the other.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object; progress goes to stderr.")
def drain(role: str, as_json: bool) -> None:
    """Restart parts of the running system one after the other, losing nothing: for an upgrade."""
    settings = load_settings()
    places = Places.of(settings)
    names = [*(f"worker-{each}" for each in ROLES), _LAST]
    wanted = names if role == "all" else [role if role == _LAST else f"worker-{role}"]
    _process(places, wanted[0])
    _migrate(settings)
    done: dict[str, tuple[float, float]] = {}
    for name in wanted:
        click.secho(f"draining {name}", dim=True, err=True)
        done[name] = _restart(places, name)
    if as_json:
        told = {name: {"drainedMs": int(1000 * a), "readyMs": int(1000 * b)} for name, (a, b) in done.items()}
        click.echo(encode({"parts": told}))
        return
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    for title in ("part", "drained in s", "ready again in s"):
        table.add_column(title, justify="left" if title == "part" else "right")
    for name, (drained_s, ready_s) in done.items():
        table.add_row(name, f"{drained_s:.1f}", f"{ready_s:.1f}")
    console().print(table)


def _migrate(settings: Settings) -> None:
    """Bring the database to the schema of the code that lies there now. Raises Failed."""
    if settings.database_url is None:
        raise Failed(f"no running system found under {settings.home}: start it with `pms up`")
    try:
        revision = upgrade(settings.database_url)
    except DatabaseError as fault:
        raise Failed(
            f"the database cannot be brought up to date, so nothing was restarted: {fault}"
        ) from None
    click.secho(f"the database is at {revision}", dim=True, err=True)


def _restart(places: Places, name: str) -> tuple[float, float]:
    """End a part and await its successor; how long each took, in seconds. Raises Failed."""
    before = _process(places, name)
    living = before.living()
    if living is None:
        raise Failed(f"{name} does not run at this moment; try again when `pms status` shows it ready")
    began = time.monotonic()
    living.terminate()
    if not state.ended_within(before, DRAINED_WITHIN_S):
        raise Failed(f"{name} has not ended within {DRAINED_WITHIN_S:g} s; it goes on, nothing is lost")
    ended = time.monotonic()
    while time.monotonic() < ended + READY_WITHIN_S:
        part = _part(places, name)
        if part.state == "ready" and part.process not in (None, before):
            return ended - began, time.monotonic() - ended
        time.sleep(LOOK_EVERY_S)
    note = _part(places, name).note
    why = f" ({note})" if note else ""
    raise Failed(f"{name} was not ready again within {READY_WITHIN_S:g} s{why}: `pms logs {name}` tells why")


def _process(places: Places, name: str) -> ProcessId:
    process = _part(places, name).process
    if process is None:
        raise Failed(f"{name} does not run at this moment")
    return process


def _part(places: Places, name: str) -> state.Part:
    found = state.read(places.state)
    if found is None or not found.running():
        raise Failed(
            f"no supervised system runs in {places.home}; a process that runs alone drains when it gets TERM"
        )
    for part in found.parts:
        if part.name == name:
            return part
    raise Failed(f"this system has no part {name}")
