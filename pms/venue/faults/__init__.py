"""What goes wrong on purpose: rules, what requests and readers suffer by them, rules drawn from a seed."""

from pms.venue.faults.kinds import FaultKind
from pms.venue.faults.rule import Fault, FaultError
from pms.venue.faults.rules import Faults

__all__ = ["Fault", "FaultError", "FaultKind", "Faults"]
