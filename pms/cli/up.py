"""`pms up` and `pms down`: the whole system, in this terminal or behind it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress

import click
import psutil

from pms.cli.session import Failed, Undecided
from pms.config import Settings, load_settings
from pms.contract import names
from pms.stack import pulse, state
from pms.stack.errors import StackError
from pms.stack.logs import Tail, last_lines
from pms.stack.places import Places

UP_WITHIN_S = 180.0
DOWN_WITHIN_S = 15.0


@click.command()
@click.option("--detach", "-d", is_flag=True, help="Return once everything is ready; `pms down` stops it.")
@click.option("--follow/--no-follow", default=True, help="Follow the logs once everything is ready.")
def up(detach: bool, follow: bool) -> None:
    """Start the whole system; Ctrl-C stops it in order and leaves no process behind."""
    if detach:
        _up_behind()
    else:
        _up_here(follow=follow)


@click.command()
@click.option("--keep-orders", is_flag=True, help="Leave resting orders at the exchange, unattended.")
def down(keep_orders: bool) -> None:
    """Stop the system that runs in this home, in order.

    Orders that rest at the exchange are cancelled by it soon after, unless the system is started
    again in time or you keep them.
    """
    settings = load_settings()
    places = Places.of(settings)
    found = state.read(places.state)
    supervisor = found.supervisor.living() if found else None
    if found is None or supervisor is None:
        click.echo(f"nothing runs in {places.home}")
        return
    off = _say_what_rests(settings, keep_orders=keep_orders)
    told = Tail.from_end(places.log_of("streamer"))
    with suppress(psutil.NoSuchProcess):
        supervisor.terminate()
        if not state.ended_within(found.supervisor, DOWN_WITHIN_S):
            supervisor.kill()  # the kernel ends its children with it
            state.ended_within(found.supervisor, DOWN_WITHIN_S)
    click.echo("stopped")
    if keep_orders and not off:
        _fail_where_armed(told)


def _fail_where_armed(told: Tail) -> None:
    """Fail unless the streamer said that no countdown runs; nobody is left who would stop one.

    Silence proves nothing: a streamer that was down, or was killed, says nothing either.
    """
    lines = list(told.lines())
    armed = [line for line in lines if names.LEFT_ARMED in line]
    if armed:
        raise Failed(
            "not all orders are kept: the exchange cancels those whose countdowns were left running"
            f"\n{armed[-1]}"
        )
    if not any(names.DEAD_MAN_STOPPED in line for line in lines):
        raise Failed(
            "nobody said that the countdowns were stopped: the exchange may cancel all resting orders"
            " (the streamer was not there, did not lead, or did not end in order: `pms logs streamer`)"
        )


def _say_what_rests(settings: Settings, *, keep_orders: bool) -> bool:
    """Tell what becomes of resting orders, and whether the dead man's switch is off.

    A Redis that does not answer cannot be told to keep them.
    """
    try:
        if keep_orders:
            pulse.keep_orders(settings.redis_url or "", seconds=int(DOWN_WITHIN_S))
        health = pulse.take(settings.redis_url or "", []).health or {}
    except StackError as error:
        if keep_orders:
            raise Failed(f"the orders cannot be kept: {error}") from None
        return settings.dead_man == "off"
    if health.get("deadMan") == "armed" and not keep_orders:
        click.echo(
            f"the exchange cancels all resting orders within {settings.dead_man_s} s, unless `pms up` comes"
            " before (--keep-orders leaves them)"
        )
    return bool(health.get("deadMan", settings.dead_man) == "off")


def _up_here(*, follow: bool) -> None:
    from pms.stack.plan import make_plan
    from pms.stack.screen import Screen
    from pms.stack.supervisor import Interrupted, Supervisor, only_one

    screen = Screen()
    try:
        places = Places.of(load_settings(of_running_stack=False))
        places.make()
        with only_one(places):
            settings = load_settings(of_running_stack=False)
            screen.live(settings)
            Supervisor(make_plan(settings, places), screen, follow=follow).run()
    except StackError as fault:
        raise Failed(str(fault)) from None
    except Interrupted:
        raise click.exceptions.Exit(130) from None
    screen.say("stopped", style="dim")


def _up_behind() -> None:
    """Start `pms up` in a session of its own, show what it says until it is ready, and leave it."""
    settings = load_settings(of_running_stack=False)
    places = Places.of(settings)
    try:
        places.make()
    except StackError as fault:
        raise Failed(str(fault)) from None
    if _is_up(places):
        return
    log = places.log_of("up")
    said = Tail.from_end(log)
    with log.open("ab") as output:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "pms.cli.main", "up", "--no-follow"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={**os.environ, "COLUMNS": "80"},
        )
    try:
        _await_ready(supervisor, places, said)
    except KeyboardInterrupt:
        supervisor.terminate()
        with suppress(subprocess.TimeoutExpired):
            supervisor.wait(DOWN_WITHIN_S)
        raise
    _warn(settings)


def _is_up(places: Places) -> bool:
    """Whether a system runs here, which is said; one that is stopping is waited for. Raises Failed."""
    found = state.read(places.state)
    if found is None or not found.running():
        return False
    who = f"(process {found.supervisor.pid}): `pms status` shows it"
    if found.phase == "ready":
        click.echo(f"it is already running {who}")
        return True
    if found.phase == "starting":
        raise Failed(f"it is starting already {who}")
    click.echo("waiting for the end of the one that is stopping")
    if not state.ended_within(found.supervisor, DOWN_WITHIN_S):
        raise Failed(f"the one that is stopping does not end {who}")
    return False


def _await_ready(supervisor: subprocess.Popen[bytes], places: Places, said: Tail) -> None:
    deadline = time.monotonic() + UP_WITHIN_S
    while True:
        code = supervisor.poll()
        ready = _is_ready(places, supervisor.pid)
        for line in said.lines():
            click.echo(line)
        if ready:
            return
        if code is not None:
            raise click.exceptions.Exit(code or 1)
        if time.monotonic() > deadline:
            # What hangs is ended by its supervisor: this one waits for the exchange, or reads a long journal.
            words = " ".join(last_lines(places.log_of("up"), 1))
            raise Undecided(
                f"not ready after {UP_WITHIN_S:g} s, and goes on starting; `pms logs streamer` tells why,"
                f" `pms down` ends it: {words}"
            )
        time.sleep(0.05)


def _is_ready(places: Places, pid: int) -> bool:
    found = state.read(places.state)
    return found is not None and found.supervisor.pid == pid and found.phase == "ready"


def _warn(settings: Settings) -> None:
    from pms.stack.screen import live_line

    if line := live_line(settings):
        click.secho(line, fg="red", bold=True, err=True)
