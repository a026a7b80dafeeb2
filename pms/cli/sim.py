"""`pms sim`: run the system under simulated faults, one seed at a time, thousands of them."""

from __future__ import annotations

import json
import secrets
import signal
import sys
import time
from typing import TYPE_CHECKING

import click

from pms.config import load_settings

if TYPE_CHECKING:
    from pms.sim.campaign import Failure, Tally

SHOWN = 3
"""So many failing seeds are shrunk and told at length."""


@click.command()
@click.option("--seeds", type=click.IntRange(min=1), default=1000, show_default=True, help="How many seeds.")
@click.option("--seed", type=click.IntRange(min=0), help="Run one seed and tell what happens, step by step.")
@click.option("--from", "first", type=click.IntRange(min=0), help="The first seed; a random one otherwise.")
@click.option("--fault", help="Only kinds of faults that begin so, as `rest_` or `killed`.")
@click.option("--storms/--calm", default=None, help="Prices that fall and jump in all seeds, or in none.")
@click.option("--jobs", type=click.IntRange(min=1), help="Processes; as many as there are cores otherwise.")
@click.option("--prove", is_flag=True, help="Plant each known bug in turn, and find it.")
@click.option("--json", "as_json", is_flag=True, help="The closing table as JSON on stdout.")
def sim(
    *,
    seeds: int,
    seed: int | None,
    first: int | None,
    fault: str | None,
    storms: bool | None,
    jobs: int | None,
    prove: bool,
    as_json: bool,
) -> None:
    """Simulate the whole system under faults, deterministically.

    Exit code 1 when an invariant was broken. Failing seeds are shrunk and kept in `sim/` of PMS_HOME.
    """
    from pms.sim.faults import KINDS

    if fault is not None and not any(kind.startswith(fault) for kind in KINDS):
        raise click.BadParameter(f"no kind begins so; the kinds are {', '.join(KINDS)}", param_hint="--fault")
    if prove:
        sys.exit(_prove(as_json=as_json))
    if seed is not None:
        sys.exit(_one(seed, fault, storms=storms))
    sys.exit(_many(seeds, first, fault, jobs, storms=storms, as_json=as_json))


def _one(seed: int, fault: str | None, *, storms: bool | None) -> int:
    """Run one seed twice: first for its verdict, then to tell it."""
    from pms.sim.campaign import Failure, explain
    from pms.sim.run import run
    from pms.sim.timeline import tell

    outcome = run(seed, only=fault, storms=storms)
    for each in outcome.plan:
        click.echo(f"          plan   {each}")
    if outcome.violation is None:
        _, lines = tell(seed, outcome.plan, None, storms=storms)
        click.echo("\n".join(lines))
        click.secho(f"seed {seed}: every invariant holds", fg="green")
        return 0
    click.echo("shrinking …", err=True)
    plan, lines = explain(Failure(seed, outcome.violation, tuple(outcome.plan), storms))
    click.echo(f"of {len(outcome.plan)} faults it takes {len(plan)}: {'; '.join(map(str, plan)) or 'none'}")
    click.echo("\n".join(lines))
    click.secho(f"seed {seed}: {outcome.violation.invariant}: {outcome.violation.detail}", fg="red")
    return 1


def _many(
    seeds: int,
    first: int | None,
    fault: str | None,
    jobs: int | None,
    *,
    storms: bool | None,
    as_json: bool,
) -> int:
    from pms.sim.campaign import cores, run_all
    from pms.sim.fingerprint import fingerprint

    code = fingerprint()  # before the first world: files may change while seeds run
    base = secrets.randbelow(10**9) if first is None else first
    click.echo(f"seeds {base} to {base + seeds - 1}; repeat with --from {base}", err=True)
    before = signal.signal(signal.SIGTERM, _told_to_end)
    try:
        tally = run_all(base, seeds, only=fault, jobs=jobs or cores(), told=_Progress(seeds), storms=storms)
    finally:
        signal.signal(signal.SIGTERM, before)
    table = tally.table() | {"from": base, "code": code}
    if as_json:
        click.echo(json.dumps(table))
    else:
        _print(table)
    for failure in tally.failures[:SHOWN]:
        _explain(failure)
    return 1 if tally.failures else 0


def _told_to_end(number: int, _: object) -> None:
    """End as by Ctrl-C: the pool of processes is ended, too."""
    sys.exit(128 + number)


def _explain(failure: Failure) -> None:
    from pms.sim.campaign import explain, save

    plan, lines = explain(failure)
    path = save(load_settings(of_running_stack=False).home / "sim", failure, plan, lines)
    click.secho(f"\nseed {failure.seed}: {failure.violation.invariant}", fg="red", err=True)
    click.echo(f"  {failure.violation.detail}", err=True)
    click.echo(f"  takes {'; '.join(map(str, plan)) or 'no fault'}; told in {path}", err=True)


class _Progress:
    """A line on stderr, now and then."""

    def __init__(self, seeds: int) -> None:
        self._seeds = seeds
        self._next_s = 0.0

    def __call__(self, tally: Tally) -> None:
        now = time.monotonic()
        if now < self._next_s and tally.seeds < self._seeds:
            return
        self._next_s = now + 5.0
        rate = tally.seeds / tally.wall_s if tally.wall_s else 0.0
        text = f"{tally.seeds} of {self._seeds} seeds, {rate:.1f} a second, {len(tally.failures)} violations"
        click.echo(text, err=True)


def _print(table: dict[str, object]) -> None:
    for name, value in table.items():
        if isinstance(value, dict):
            click.echo(f"{name}:")
            for key, count in value.items():
                click.echo(f"  {key:32} {count:>12}")
        elif isinstance(value, list):
            for row in value:
                click.echo(f"  {row}")
        else:
            click.echo(f"{name:16} {value}")


def _prove(*, as_json: bool) -> int:
    """Plant each bug and look for it; 1 if one is not found."""
    from pms.sim.planted.prove import prove

    found = []
    for result in prove():
        found.append(result)
        click.echo(result.line(), err=True)
    if as_json:
        click.echo(json.dumps([result.row() for result in found]))
    return 0 if all(result.seed is not None for result in found) else 1
