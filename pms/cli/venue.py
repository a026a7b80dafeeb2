"""`pms venue` serves the exchange; what else is done to one are subcommands, each in a file of its own."""

from pms.cli.venue_reset import reset
from pms.cli.venue_verify import verify
from pms.venue.command import venue

venue.add_command(reset)
venue.add_command(verify)

__all__ = ["venue"]
