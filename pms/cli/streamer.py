"""`pms streamer`: the streamer alone, for a system whose other parts run elsewhere."""

from __future__ import annotations

import click


@click.command()
@click.option("--standby", is_flag=True, help="Wait until no other streamer leads, then take over.")
def streamer(standby: bool) -> None:
    """Run the streamer in the foreground until it is told to stop.

    Only one leads at a time; the others' writes are refused by name.
    """
    from pms.streamer.__main__ import main

    main(standby=standby)
