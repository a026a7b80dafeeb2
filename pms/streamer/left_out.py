"""What no later life of this process tries again, for a fault of ours in the middle of it ended one.

Memory was half moved then, and only what the journal and the exchange say is true: so that life ends, and
the next one would meet the same again. Another process tries it once: a release that mends the fault does it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

TradeKey = tuple[str, int, int]
"""Symbol, the exchange's id of the order, and the trade's."""


LEFT_OUT = "trade_left_out"
"""The incident that tells of one."""


def subject_of(trade: TradeKey) -> str:
    """How a trade is named to an operator."""
    return ":".join(map(str, trade))


class Spoiled(Exception):
    """Memory is no more what the journal says: this life is over, and the next one reads the truth."""


@dataclass(slots=True)
class LeftOut:
    """By what they are known; one life of the process is the price of each."""

    trades: set[TradeKey] = field(default_factory=set)
    requests: set[str] = field(default_factory=set)
    #: commands of which something stands, so that nobody may refuse them
