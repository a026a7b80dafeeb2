"""The command line's table: each row leads to a command of that name, and none is imported to list it."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from pms import __version__
from pms.cli.main import COMMANDS, cli


@pytest.mark.parametrize("name", COMMANDS)
def test_every_row_leads_to_its_command(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.name == name
    assert CliRunner().invoke(cli, [name, "--help"]).exit_code == 0


def test_help_and_version_import_no_command() -> None:
    probe = (
        "import sys; sys.argv = ['pms', '--help']\n"
        "from pms.cli.main import cli\n"
        "cli.main(standalone_mode=False)\n"
        "print(sorted(m for m in sys.modules if m.startswith(('sqlalchemy', 'redis', 'celery', 'aiohttp'))))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert all(name in done.stdout for name in COMMANDS)
    assert CliRunner().invoke(cli, ["--version"]).output == f"pms, version {__version__}\n"


def test_a_wrong_variable_is_one_line_and_no_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pms.cli.main", "status"],
        env={"PMS_VENUE_PORT": "many", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: PMS_VENUE_PORT ")
    assert len(done.stderr.splitlines()) == 1


def test_bytes_that_are_no_text_are_one_line_and_no_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pms.cli.main", "halt", "--reason", b"Abst\xfcrze"],
        env={
            "PMS_HOME": "/nonexistent",
            "PMS_REDIS_URL": "redis://127.0.0.1:1/0",
            "PMS_DATABASE_URL": "postgresql://x@127.0.0.1:1/x",
            "PATH": "/usr/bin:/bin",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "not in UTF-8" in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_call_us_back(shell: str) -> None:
    result = CliRunner().invoke(cli, ["completion", shell])
    assert result.exit_code == 0
    assert "_PMS_COMPLETE" in result.output


def test_an_unknown_command_is_refused() -> None:
    result = CliRunner().invoke(cli, ["fly"])
    assert result.exit_code == 2
    assert "No such command" in result.output
