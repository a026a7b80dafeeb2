"""One position of one sub-account: exact cost basis, realised P&L, flips.

`cost` is the signed sum of price x quantity of what is open, kept to eight decimals; the average
entry is derived from it and never stored. So nothing drifts: realised P&L plus remaining cost is
always exactly what was paid and received.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from pms.contract.money import booked
from pms.contract.names import BOTH

ZERO = Decimal(0)
Place = tuple[str, str, str]
"""Sub-account, symbol and position side: the key of a position."""


@dataclass(frozen=True, slots=True)
class Move:
    """What one trade did to a position."""

    realized: Decimal
    closed: Decimal
    #: quantity closed, positive
    opened: bool
    #: a position came into being: from flat, or by crossing zero


@dataclass(slots=True)
class Position:
    """What a sub-account holds of one symbol; quantity signed, zero when flat."""

    sub_account_id: str
    symbol: str
    leverage: int
    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    id: str = ""
    opened_seq: int = 0
    realized_pnl: Decimal = ZERO
    updated_at: int = 0
    leverage_set: bool = False
    #: by a command of its own: it outlives the position
    position_side: str = BOTH
    fees: Decimal = ZERO
    #: paid for this position since it was opened

    @property
    def place(self) -> Place:
        """What it is known by: there is one of each."""
        return self.sub_account_id, self.symbol, self.position_side

    @property
    def side(self) -> str:
        return "SHORT" if self.quantity < 0 else "LONG"

    @property
    def keeps_leverage(self) -> bool:
        """It holds margin by it, or a command has set it: no order that trades changes it."""
        return bool(self.quantity) or self.leverage_set

    @property
    def entry_price(self) -> Decimal:
        """The average entry, rounded to eight decimals; zero when flat."""
        return booked(self.cost / self.quantity) if self.quantity else ZERO

    @property
    def break_even_price(self) -> Decimal:
        """Where closing all of it would leave neither profit nor loss since it was opened; zero when flat.

        Binance's: what the entries cost and the trades' fees, less what closing parts of it gained, over
        what is held. So funding is no part of it, nor is the fee of the trade that closes the rest.
        """
        if not self.quantity:
            return ZERO
        return booked((self.cost - self.realized_pnl + self.fees) / self.quantity)

    @property
    def margin(self) -> Decimal:
        """Initial margin at the entry price."""
        return booked(abs(self.cost) / self.leverage)

    def unrealized(self, price: Decimal) -> Decimal:
        """Profit if all of it were closed at a price."""
        return self.quantity * price - self.cost

    def trade(self, signed_quantity: Decimal, price: Decimal) -> Move:
        """Book a trade, quantity signed by side; returns what it realised."""
        realized = closed = ZERO
        reducing = self.quantity * signed_quantity < 0
        if reducing:
            closed = min(abs(signed_quantity), abs(self.quantity))
            part = closed if signed_quantity > 0 else -closed
            # The part's share of the cost; all of it when the position closes, so that no dust stays.
            share = self.cost if closed == abs(self.quantity) else -booked(self.cost * part / self.quantity)
            realized = -part * price - share
            self.quantity += part
            self.cost -= share
            self.realized_pnl += realized
            signed_quantity -= part
        opened = bool(signed_quantity) and not self.quantity
        if signed_quantity:
            self.quantity += signed_quantity
            self.cost += signed_quantity * price
        return Move(realized=realized, closed=closed, opened=opened)
