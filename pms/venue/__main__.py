"""`python -m pms.venue`."""

from pms.venue.command import venue

venue()
