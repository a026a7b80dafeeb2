"""`pms completion`: what a shell reads to complete our commands."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a completion script, e.g. `eval "$(pms completion bash)"`."""
    from pms.cli.main import cli

    found = get_completion_class(shell)
    assert found is not None, "click knows the three shells"
    click.echo(found(cli, {}, "pms", "_PMS_COMPLETE").source())
