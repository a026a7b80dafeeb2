"""`pms doctor`: everything that can be wrong, looked at, with what to do about it."""

from __future__ import annotations

import click
import msgspec
from rich.text import Text

from pms.cli.output import console
from pms.config import load_settings
from pms.stack.checks import examine
from pms.stack.places import Places
from pms.stack.screen import live_line

MARKS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red")}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="A JSON array of findings.")
def doctor(as_json: bool) -> None:
    """Check every part and say what to do; exits 1 if something is wrong."""
    settings = load_settings()
    findings = []
    out = console()
    if not as_json and (line := live_line(settings)):
        out.print(Text(line, style="bold white on red"))
    for finding in examine(settings, Places.of(settings)):
        findings.append(finding)
        if not as_json:
            mark, colour = MARKS[finding.level]
            out.print(Text(mark, style=colour), finding.what, soft_wrap=True)
            if finding.todo:
                out.print(Text(f"    → {finding.todo}", style="bold"), soft_wrap=True)
    if as_json:
        click.echo(msgspec.json.encode(findings))
    if any(finding.level == "fail" for finding in findings):
        raise click.exceptions.Exit(1)
