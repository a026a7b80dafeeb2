"""`pms demo`: a whole system of its own, a scripted trading session, and an audit of what it left.

It never touches a running system or an external exchange: everything is embedded, in a directory that
is removed when all went well.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from pms.cli.audit import print_checks, settled
from pms.cli.demo_session import play
from pms.cli.feed import Feed
from pms.cli.session import Failed, Session, run
from pms.cli.watch import describe
from pms.config import load_settings
from pms.stack.places import Places
from pms.stack.removal import remove_home

SETTLE_S = 30.0
OWN = (
    *("PMS_REDIS_URL", "PMS_DATABASE_URL", "PMS_BINANCE_REST_URL", "PMS_BINANCE_WS_URL"),
    *("PMS_BINANCE_API_KEY", "PMS_BINANCE_API_SECRET", "PMS_LIVE", "PMS_WEBHOOK_URL"),
)
"""What a system that is there was told, and the demo's is not."""


@click.command()
def demo() -> None:
    """Bring a system up headless, trade on it, and compare all its books; exits 0 only if they agree."""
    with _own_system() as home:
        agrees = run(_show)
        if agrees:
            click.secho("the demo's books agree to the last digit", fg="green", bold=True)
        else:
            click.secho(f"the books differ; logs are kept in {home}", fg="red", bold=True, err=True)
            raise click.exceptions.Exit(1)


async def _show(session: Session) -> bool:
    async with Feed(session.redis, tell=lambda event: click.echo(f"    {describe(event)}")) as feed:
        await play(session, feed)
    click.secho("\nThe independent reader: exchange, PostgreSQL and engine", bold=True)
    found = await settled(session, SETTLE_S)
    print_checks(found)
    return found.agrees


@contextmanager
def _own_system() -> Iterator[Path]:
    """A system in a directory of its own; what was started is stopped, whatever happens."""
    home = Path(tempfile.mkdtemp(prefix="pms-demo-"))
    for name in OWN:
        os.environ.pop(name, None)
    os.environ.update(PMS_HOME=str(home), PMS_VENUE_PORT="0", PMS_FLOWER_PORT="0")
    places = Places.of(load_settings(of_running_stack=False))
    good = False
    try:
        _pms("up", "--detach")
        yield home
        good = True
    finally:
        stopped = _pms("down", must=False) == 0
        if good and stopped:
            remove_home(places)


def _pms(*arguments: str, must: bool = True) -> int:
    code = subprocess.run([sys.executable, "-m", "pms.cli.main", *arguments], check=False).returncode
    if code and must:
        raise Failed(f"`pms {' '.join(arguments)}` failed with {code}")
    return code
