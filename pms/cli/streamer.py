"""`pms streamer`: the streamer alone, for a system whose other parts run elsewhere."""

from __future__ import annotations

import click


@click.command()
def streamer() -> None:
    """Run the streamer in the foreground until it is told to stop."""
    from pms.streamer.__main__ import main

    main()
