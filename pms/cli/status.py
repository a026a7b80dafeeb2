"""`pms status`: the parts, what waits in the queues, and whether the engine admits commands."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pms.cli.output import clock, console
from pms.config import Settings, load_settings
from pms.stack import pulse, state
from pms.stack.errors import StackError
from pms.stack.places import Places
from pms.stack.processes import ROLES
from pms.stack.screen import live_line

BEATING = ("streamer", *(f"worker-{role}" for role in ROLES), "beat", "bridge", "watchdog")
DEAD_MAN = {
    "off": "off, PMS_DEAD_MAN: resting orders outlive a dead engine",
    "idle": "on, no order rests",
    "armed": "armed: the exchange cancels resting orders if the engine dies",
    "withheld": "NOT renewed, for the engine is unwell: the exchange will cancel resting orders",
}
COLOURS = {"ready": "green", "external": "green", "starting": "yellow", "restarting": "yellow"}


@dataclass(frozen=True, slots=True)
class View:
    """All that one `pms status` found."""

    settings: Settings
    places: Places
    stack: state.Stack | None
    parts: list[dict[str, Any]]
    seen: pulse.Pulse | None
    fault: str | None

    @property
    def healthy(self) -> bool:
        """Whether everything is up and commands are admitted; a halt is somebody's wish, and no fault."""
        up = all(part["state"] in ("ready", "external") for part in self.parts)
        admits = self.seen is not None and bool((self.seen.health or {}).get("admission"))
        return self.stack is not None and self.fault is None and up and admits


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def status(as_json: bool) -> None:
    """Show parts, queues and health; exits 1 unless everything is up and commands are admitted."""
    view = _look(load_settings())
    if as_json:
        click.echo(msgspec.json.encode(_document(view)))
    else:
        _show(view)
    if not view.healthy:
        raise click.exceptions.Exit(1)


def _look(settings: Settings) -> View:
    places = Places.of(settings)
    stack = state.read(places.state)
    if stack is not None and not stack.running():
        stack = None
    seen, fault = _pulse(settings) if stack or settings.redis_url else (None, None)
    parts = _judged(stack, seen) if stack is not None else []
    return View(settings=settings, places=places, stack=stack, parts=parts, seen=seen, fault=fault)


def _pulse(settings: Settings) -> tuple[pulse.Pulse | None, str | None]:
    try:
        return pulse.take(settings.redis_url or "", list(BEATING)), None
    except StackError as error:
        return None, str(error)


def _judged(stack: state.Stack, seen: pulse.Pulse | None) -> list[dict[str, Any]]:
    """The parts as the supervisor sees them, corrected by what Redis says: no heartbeat is `silent`."""
    now = time.time()
    rows = []
    for part in stack.parts:
        pid = part.process.pid if part.process else None
        silent = (
            seen is not None
            and part.state == "ready"
            and part.name in seen.heartbeats
            and seen.heartbeats[part.name] != pid
        )
        rows.append(
            {
                "name": part.name,
                "address": part.address,
                "state": "silent" if silent else part.state,
                "pid": pid,
                "uptimeSeconds": int(now - part.since) if part.state == "ready" else None,
                "restarts": part.restarts,
                "note": part.note,
            }
        )
    return rows


def _document(view: View) -> dict[str, Any]:
    stack = view.stack
    return {
        "running": stack is not None,
        "healthy": view.healthy,
        "phase": stack.phase if stack else None,
        "live": view.settings.real_money,
        "ordersAllowed": view.settings.orders_allowed,
        "home": str(view.places.home),
        "stackId": stack.stack_id if stack else None,
        "version": stack.version if stack else None,
        "supervisor": stack.supervisor.pid if stack else None,
        "parts": view.parts,
        **(msgspec.to_builtins(view.seen) if view.seen else {}),
    }


def _show(view: View) -> None:
    out = console()
    if line := live_line(view.settings):
        out.print(Text(line, style="bold white on red"))
    if view.stack is None:
        out.print(f"nothing runs in {view.places.home}: `pms up` starts it")
    else:
        out.print(
            f"PMS {view.stack.version}, stack {view.stack.stack_id}, {view.stack.phase} for"
            f" {_span(time.time() - view.stack.started)}, home {view.places.home}",
            soft_wrap=True,
        )
        _show_parts(out, view.parts)
    if view.fault:
        out.print(Text(view.fault, style="red"), soft_wrap=True)
    if view.seen is not None:
        _show_queues(out, view.seen)
        _show_commands(out, view.seen)
        _show_health(out, view.seen)
        _show_budget(out, view.seen)
        _show_incidents(out, view.seen)


def _table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", no_wrap=True)
    return table


def _show_parts(out: Console, parts: list[dict[str, Any]]) -> None:
    table = _table("part", "state", "pid", "up", "restarts", "note", right=("pid", "up", "restarts"))
    for part in parts:
        up = _span(part["uptimeSeconds"]) if part["uptimeSeconds"] is not None else ""
        shown = Text(part["state"], style=COLOURS.get(part["state"], "red"))
        pid = str(part["pid"] or "")
        table.add_row(part["name"], shown, pid, up, str(part["restarts"] or ""), part["note"])
    out.print(table)


def _show_queues(out: Console, seen: pulse.Pulse) -> None:
    table = _table("queue", "waiting", "unacknowledged", right=("waiting", "unacknowledged"))
    owner = {queue: role for role, queues in ROLES.items() for queue in queues}
    for queue, waiting in seen.queues.items():
        role = owner[queue]
        shown = "" if role in ("orders", "urgent") else str(seen.unacked[role])
        table.add_row(queue, str(waiting), shown)
    out.print("")
    out.print(table)


def _show_commands(out: Console, seen: pulse.Pulse) -> None:
    out.print(f"\ncommands under way: {seen.open_commands}")
    if not seen.oldest:
        return
    table = _table("request", "command", "decision", "age", right=("age",))
    for command in seen.oldest:
        table.add_row(command.request_id[:13], command.command, command.decision, f"{command.age_ms} ms")
    out.print(table)


def _show_halts(out: Console, seen: pulse.Pulse) -> None:
    """What is halted, in red; the key itself is shown where no streamer tells of it."""
    told = seen.health.get("halts", []) if seen.health else []
    for halt in told:
        what = halt["subAccountId"] or "ALL TRADING"
        but = ", reduce-only orders may go" if halt["mode"] == "REDUCE_ONLY" else ""
        line = f"HALTED {what} since {clock(halt['since'])} by {halt['actor']}: {halt['reason']}{but}"
        out.print(Text(line, style="bold white on red"), soft_wrap=True)
    if seen.halt and not any(halt["subAccountId"] is None for halt in told):
        out.print(Text(f"HALTED ALL TRADING: {seen.halt}", style="bold white on red"), soft_wrap=True)


def _show_health(out: Console, seen: pulse.Pulse) -> None:
    _show_halts(out, seen)
    if seen.health is None:
        out.print(Text("health: no streamer tells any", style="red"))
        return
    admits = seen.health.get("admission")
    word = "commands are admitted" if admits else f"commands are refused: {seen.health.get('reason')}"
    age = seen.health.get("feedAge")
    lag = seen.health.get("feedLag")
    behind = f", {lag} ms behind the exchange" if lag is not None else ""
    feed = f", last market frame {age} ms ago{behind}" if age is not None else ""
    switch = DEAD_MAN[seen.health.get("deadMan", "idle")]
    out.print(Text(f"dead man's switch: {switch}", style="red" if "NOT" in switch else ""))
    out.print(Text(f"health: {seen.health.get('state')}, {word}{feed}", style="green" if admits else "red"))
    for name, amount in (seen.health.get("drift") or {}).items():
        out.print(Text(f"drift: {name} {amount} more with us than at the exchange", style="red"))
    for reason in (seen.health.get("symbolsClosed") or {}).values():
        out.print(Text(f"closed: {reason}", style="red"))
    if waiting := seen.health.get("openFees"):
        out.print(Text(f"fees in another asset that wait for a price: {waiting}", style="yellow"))


def _show_incidents(out: Console, seen: pulse.Pulse) -> None:
    """What is not resolved; in red while nobody has taken a part of it upon himself."""
    if not (count := seen.open_incidents + seen.acknowledged_incidents):
        return
    word = "incident" if count == 1 else "incidents"
    known = f", {seen.acknowledged_incidents} acknowledged" if seen.acknowledged_incidents else ""
    style = "bold red" if seen.open_incidents else "yellow"
    out.print(Text(f"{count} open {word}{known}: `pms incidents` tells", style=style))


def _show_budget(out: Console, seen: pulse.Pulse) -> None:
    if seen.budget is None:
        return
    blocked = seen.budget["blockedMs"]
    if blocked:
        text = f"the exchange turned us away: nothing is sent for {blocked / 1000:.1f} s"
        out.print(Text(text, style="bold red"))
    for count in seen.budget["counts"]:
        if count["limit"] is None:
            continue
        lanes = ("cancel", "query") if count["name"].startswith("weight") else ("reduce", "open")
        rooms = ", ".join(f"{lane} {count['lanes'][lane]}" for lane in lanes)
        out.print(f"budget: {count['name']} {count['used']} of {count['limit']}, room to {rooms}")


def _span(seconds: float) -> str:
    """A duration in its two largest units."""
    minutes, left = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {left} s" if minutes else f"{left} s"
