"""Orders of siblings that would meet on the one exchange account: refused, or priced apart, by setting.

The exchange's self-trade prevention would expire the resting one of the two.
"""

from __future__ import annotations

from decimal import Decimal

from pms.contract import limits
from pms.contract.codes import Code, Refusal
from pms.contract.commands import Trade
from pms.contract.money import plain
from pms.domain.desk import Desk, Top
from pms.domain.instrument import Instrument


def apart(
    desk: Desk, instrument: Instrument, command: Trade, *, price: Decimal | None, top: Top
) -> Decimal | None:
    """The price at which the order meets none of ours: its own, or one tick away from the other's.

    Raises Refusal where the setting, or a MARKET order, leaves no such price.
    """
    buys = command.side == "BUY"
    other = desk.resting.best(command.symbol, "SELL" if buys else "BUY")
    if other is None:
        return price
    reach = price if price is not None else top.ask if buys else top.bid
    if reach < other if buys else reach > other:
        return price
    setting = desk.limits.of(command.sub_account_id, limits.SIBLINGS, command.symbol)
    if price is not None and setting == limits.APART:
        return other - instrument.tick if buys else other + instrument.tick
    raise Refusal(
        Code.SELF_MATCH,
        f"the order would meet our own resting order at {plain(other)}",
        field="price" if price is not None else "side",
        limit=plain(other),
        actual=plain(reach),
    )
