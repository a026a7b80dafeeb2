"""`pms risk`: what the desk may lose, reckoned now by the recon worker."""

from __future__ import annotations

import asyncio
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import click
from rich.table import Table

from pms.bus.wake import wake_up
from pms.cli.output import clock, console, refused
from pms.cli.session import Failed, Session, Undecided, run
from pms.contract import names
from pms.contract.money import BadJson, decode_object, encode, plain
from pms.contract.names import Queue, Task
from pms.contract.portfolio import PortfolioReport, ScopeRisk, read_portfolio

PATIENCE_S = 60.0
"""A first report reads the past of every symbol."""

POLL_S = 0.05
SHOWN = 20


@click.command()
@click.option("--account", help="Only this sub-account.")
@click.option("--scenario", help="One scenario more: its name, or a JSON file of one.")
@click.option("--json", "as_json", is_flag=True, help="The report as JSON.")
def risk(account: str | None, scenario: str | None, as_json: bool) -> None:
    """What the desk may lose: value at risk, expected shortfall, scenarios, margin.

    docs/risk.md says what each figure means, and what it cannot see.
    """
    fields: dict[str, Any] = {"requestId": str(uuid4())}
    if account is not None:
        fields["subAccountId"] = account
    if scenario is not None:
        fields["scenario"] = _read_scenario(scenario)
    text = run(lambda session: _ask(session, fields))
    if as_json:
        click.echo(text)
        return
    _show(read_portfolio(text), account=account)


def _read_scenario(given: str) -> str | dict[str, Any]:
    """A file where there is one of that name, else the name of a scenario."""
    path = Path(given)
    if not path.is_file():
        if path.suffix == ".json":
            raise Failed(f"{given}: there is no such file")
        return given
    try:
        return decode_object(path.read_bytes())
    except OSError as error:
        raise Failed(f"{given}: {error.strerror}") from None
    except BadJson as error:
        raise Failed(f"{given} is not a JSON object: {error}") from None


async def _ask(session: Session, fields: dict[str, Any]) -> bytes:
    """Wake the worker, wait for its result, and take the report."""
    request_id = fields["requestId"]
    message = wake_up(
        Task.RISK,
        queue=Queue.RECON,
        task_id=request_id,
        args=[encode(fields).decode()],
        new_tag=lambda: str(uuid4()),
    )
    await session.redis.lpush(Queue.RECON, message)
    line = _ProgressLine()
    give_up = asyncio.get_running_loop().time() + PATIENCE_S
    while (answer := await session.redis.get(names.result_key(request_id))) is None:
        if asyncio.get_running_loop().time() > give_up:
            line.end()
            raise Undecided(
                f"nobody reckoned risk within {PATIENCE_S:g} s; is worker-recon up? `pms status` tells"
            )
        words = await session.redis.get(names.portfolio_progress_key(request_id))
        line.say(words.decode() if words else "waiting for the recon worker")
        await asyncio.sleep(POLL_S)
    line.end()
    result = decode_object(answer)
    if not result["success"]:
        raise Failed(refused(result))
    report: bytes | None = await session.redis.get(names.portfolio_key(request_id))
    if report is None:
        raise Failed("the report was gone before it was read: Redis is full, or was restarted; ask again")
    return report


class _ProgressLine:
    """One line on the terminal that is overwritten; nothing into a pipe, nothing for what is over at once."""

    def __init__(self) -> None:
        self._polls = 0
        self._width = 0

    def say(self, words: str) -> None:
        self._polls += 1
        if sys.stderr.isatty() and self._polls * POLL_S > 0.5:
            click.echo(f"\r{words[:79]:<{self._width}}", nl=False, err=True)
            self._width = min(79, len(words))

    def end(self) -> None:
        if self._width:
            click.echo(f"\r{'':<{self._width}}\r", nl=False, err=True)


# --- people ---


def _show(report: PortfolioReport, *, account: str | None) -> None:
    out, method = console(), report.method
    bars = f"{method.bars} bars of {method.interval}" if method.bars else "no history yet"
    ahead = "" if method.horizon == 1 else f", {method.horizon} ahead"
    out.print(f"at {clock(report.at)} UTC, seq {report.seq}; {bars}{ahead}\n")
    if account is None:
        out.print(_totals(report))
        out.print()
        out.print(_symbols(report.net))
        groups = _scopes("group", report.groups, SHOWN)
        for table in (groups, _scopes("account", report.accounts, SHOWN)):
            if table is not None:
                out.print()
                out.print(table)
        left = report.accounts_left_out + max(0, len(report.accounts) - SHOWN)
        if left:
            out.print(f"and {left} accounts that stand to lose less (--json has more)")
    else:
        for scope in report.accounts:
            out.print(_one(report, scope))
            out.print()
            out.print(_symbols(scope))
    out.print()
    out.print(_scenarios(report) if account is None else _outcomes(report))
    crossed = [
        each for each in report.crossed if account is None or (each.kind, each.name) == ("account", account)
    ]
    for each in crossed[:SHOWN]:
        words = f"over its limit: {each.kind} {each.name}, {each.measure} {_amount(each.actual)}"
        click.secho(f"{words}, limit {_amount(each.limit)}", fg="red", err=True)
    for warning in report.warnings:
        click.secho(f"not seen: {warning}", fg="yellow", err=True)


def _rows(report: PortfolioReport, scope: ScopeRisk) -> list[tuple[str, Decimal | None]]:
    at_var, at_es = (
        f"{plain(c * 100)} %" for c in (report.method.var_confidence, report.method.es_confidence)
    )
    return [
        ("equity", scope.equity),
        ("gross exposure", scope.gross),
        ("net exposure", scope.net),
        ("margin used", scope.margin_used),
        ("maintenance margin", scope.maintenance),
        (f"VaR {at_var}, historical", scope.var),
        (f"VaR {at_var}, parametric", scope.parametric_var),
        ("  every correlation against", scope.undiversified_var),
        (f"ES {at_es}, historical", scope.es),
        (f"ES {at_es}, parametric", scope.parametric_es),
        (f"worst: {scope.stress_scenario or 'no scenario costs'}", scope.stress_loss),
        ("not in VaR and ES", scope.uncovered),
    ]


def _totals(report: PortfolioReport) -> Table:
    """The net at the exchange beside the accounts added: what nets between accounts is the difference."""
    table = _table("", "the net", "accounts added")
    added = report.virtual
    beside = {0: added.equity, 1: added.gross, 3: added.margin_used, 4: added.maintenance}
    beside |= {n: value for n, value in ((5, added.var), (8, added.es)) if value is not None}
    beside[10] = added.stress_loss
    for n, (name, value) in enumerate(_rows(report, report.net)):
        table.add_row(name, _amount(value), _amount(beside[n]) if n in beside else "")
    return table


def _one(report: PortfolioReport, scope: ScopeRisk) -> Table:
    table = _table("", scope.name)
    for name, value in _rows(report, scope):
        table.add_row(name, _amount(value))
    table.add_row("margin used, of equity", _percent(scope.margin_percent))
    table.add_row("maintenance, of equity", _percent(scope.maintenance_percent))
    return table


def _symbols(scope: ScopeRisk) -> Table:
    table = _table("symbol", "quantity", "exposure", "part of VaR", "part of ES")
    for part in scope.symbols:
        table.add_row(
            part.symbol,
            plain(part.quantity),
            _amount(part.exposure),
            _amount(part.component_var),
            _amount(part.component_es),
        )
    return table


def _scopes(title: str, scopes: list[ScopeRisk], most: int) -> Table | None:
    if not scopes:
        return None
    table = _table(title, "equity", "gross", "margin", "VaR", "ES", "worst")
    for scope in scopes[:most]:
        table.add_row(
            scope.name,
            *(_short(value) for value in (scope.equity, scope.gross)),
            _percent(scope.margin_percent),
            *(_short(value) for value in (scope.var, scope.es, scope.stress_loss)),
        )
    return table


def _scenarios(report: PortfolioReport) -> Table:
    table = _table("scenario", "net change", "liquidated", "bankrupt", "shortfall")
    for each in report.scenarios:
        table.add_row(
            each.name, _amount(each.change), str(each.liquidated), str(each.bankrupt), _amount(each.shortfall)
        )
    return table


def _outcomes(report: PortfolioReport) -> Table:
    table = _table("scenario", "change", "equity", "maintenance", "verdict")
    for each in report.outcomes:
        amounts = (_amount(value) for value in (each.change, each.equity, each.maintenance))
        table.add_row(each.scenario, *amounts, each.verdict)
    return table


def _table(first: str, *numbers: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(first, overflow="ellipsis", no_wrap=True)
    for title in numbers:
        table.add_column(title, justify="right", no_wrap=True)
    return table


def _amount(value: Decimal | None) -> str:
    return "–" if value is None else f"{value:,.2f}"


def _short(value: Decimal | None) -> str:
    """Without cents: six such columns must fit."""
    return "–" if value is None else f"{value:,.0f}"


def _percent(value: Decimal | None) -> str:
    return "–" if value is None else f"{value:,.1f} %"
