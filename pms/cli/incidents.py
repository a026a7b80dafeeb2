"""`pms incidents`: what an operator should see, with age, evidence and next step; `ack` says who has."""

from __future__ import annotations

import time
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from pms.cli.confirming import actor
from pms.cli.output import console, print_result
from pms.cli.session import Failed, Session, run
from pms.contract.journal import IncidentRow
from pms.contract.money import decode_object, encode
from pms.db import queries
from pms.domain.incident_kinds import kind_of

COLOURS = {"critical": "bold red", "warning": "yellow", "info": "cyan"}


@click.group(invoke_without_command=True)
@click.option("--all", "resolved_too", is_flag=True, help="Resolved ones too.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1), help="Rows.")
@click.option("--json", "as_json", is_flag=True, help="A JSON array.")
@click.pass_context
def incidents(context: click.Context, resolved_too: bool, limit: int, as_json: bool) -> None:
    """What an operator should see; without a word more, lists what is not resolved."""
    if context.invoked_subcommand is not None:
        return
    found = run(lambda s: queries.incidents(s.database, unresolved_only=not resolved_too, limit=limit))
    rows = [as_object(row) for row in found]
    if as_json:
        click.echo(b"[" + b",\n ".join(encode(row) for row in rows) + b"]")
    elif not rows:
        click.echo("no incidents" if resolved_too else "no open incidents (`--all` shows the resolved)")
    else:
        for row in rows:
            _show(console(), row)


@incidents.command()
@click.argument("incident")
@click.option("--reason", required=True, help="What you make of it, for the journal.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON.")
def ack(incident: str, reason: str, as_json: bool) -> None:
    """Say that you have seen an incident: its id, or the id's last digits."""

    async def work(session: Session) -> dict[str, Any]:
        found = await queries.incidents(session.database, unresolved_only=True, limit=None)
        named = [str(row.seq) for row in found if str(row.seq).endswith(incident)]
        if len(named) > 1:
            raise Failed(f"{len(named)} incidents' ids end with {incident}; `pms incidents` lists them")
        fields = {"incidentId": named[0] if named else incident, "actor": actor(), "reason": reason}
        return await session.send("pms.acknowledge", fields)

    print_result(run(work), as_json=as_json)


def as_object(row: IncidentRow) -> dict[str, Any]:
    """An incident for scripts: its id as text, its evidence opened, its age and next step."""
    until = row.resolved_at if row.resolved_at is not None else int(time.time() * 1000)
    return {
        "id": str(row.seq),
        "kind": row.kind,
        "severity": row.severity,
        "state": row.state,
        "subject": row.subject,
        "detail": row.detail,
        "evidence": decode_object(row.evidence),
        "times": row.times,
        "at": row.at,
        "lastAt": row.last_at,
        "ageSeconds": max(0, until - row.at) // 1000,
        "acknowledgedBy": row.acked_by,
        "acknowledgedAt": row.acked_at,
        "acknowledgedReason": row.ack_reason,
        "resolvedBy": row.resolved_by,
        "resolvedAt": row.resolved_at,
        "resolution": row.resolution,
        "nextStep": kind_of(row.kind).next_step,
    }


def _show(out: Console, row: dict[str, Any]) -> None:
    head = Text(f"{row['id']}  ")
    head.append(f"{row['severity']} {row['kind']}", style=COLOURS.get(row["severity"], ""))
    times = f", {row['times']} times" if row["times"] > 1 else ""
    head.append(f"  {row['state']}, {_age(row['ageSeconds'])}{times}")
    out.print(head)
    out.print(f"    {row['detail']}", soft_wrap=True)
    if row["evidence"]:
        told = ", ".join(f"{name} {value}" for name, value in row["evidence"].items())
        out.print(f"    evidence: {told}", soft_wrap=True)
    if row["acknowledgedBy"]:
        out.print(f"    seen by {row['acknowledgedBy']}: {row['acknowledgedReason']}", soft_wrap=True)
    if row["state"] == "resolved":
        out.print(f"    resolved by {row['resolvedBy']}: {row['resolution']}", soft_wrap=True)
    else:
        out.print(f"    next: {row['nextStep']}", soft_wrap=True)


def _age(seconds: int) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
