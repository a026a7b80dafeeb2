"""What a command did to a book, in the order in which it happened."""

from __future__ import annotations

from enum import Enum

import msgspec

from pms.venue.matching.orders import BookOrder


class Why(Enum):
    """Why an order expired."""

    UNFILLED = "an IOC found no more"
    SELF_TRADE = "it met an order of its own account"
    REDUCE_ONLY = "nothing was left to reduce"
    OUT_OF_TIME = "its good-till date came"


class Fill(msgspec.Struct, frozen=True, gc=False):
    """One trade at the maker's price; `maker` None is the anonymous market."""

    maker: BookOrder | None
    price: int
    quantity: int
    taker_side: int


class Rested(msgspec.Struct, frozen=True, gc=False):
    """What is left of the order stands in the queue."""

    order: BookOrder


class Cancelled(msgspec.Struct, frozen=True, gc=False):
    """The order was taken out, as it was asked for or as an amendment of it implied."""

    order: BookOrder


class Amended(msgspec.Struct, frozen=True, gc=False):
    """The order has a new price or quantity, and what it does with them follows."""

    order: BookOrder


class Expired(msgspec.Struct, frozen=True, gc=False):
    """What was left of the order ended unasked."""

    order: BookOrder
    why: Why


Event = Fill | Rested | Cancelled | Amended | Expired
