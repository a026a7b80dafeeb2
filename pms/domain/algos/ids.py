"""The ids of algos' orders: they name the slot, and come out the same for everyone who knows the algo.

`PMS_{sub8}_{letter}{slot}_{parent}`: the slot in two characters, the parent a hash of algo, slot and step.
So an order that only the exchange remembers is found to be the step that was lost with Redis.
"""

from __future__ import annotations

import base64
import hashlib

from pms.domain.sub_accounts import tag

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
MOST_SLOTS = len(DIGITS) ** 2
"""As many as two characters can tell apart."""
_DIGITS = frozenset(DIGITS)


def child_id(account: str, letter: str, algo_id: str, slot: int, step: int) -> str:
    """The id of the `step`-th order of a slot."""
    digest = hashlib.blake2b(f"{algo_id}:{slot}:{step}".encode(), digest_size=15).digest()
    parent = base64.urlsafe_b64encode(digest).decode()
    return f"{slot_prefix(account, letter, slot)}_{parent}"


def slot_prefix(account: str, letter: str, slot: int) -> str:
    """What the ids of one slot's orders begin with, whichever of the account's algos of the kind it is."""
    high, low = divmod(slot, len(DIGITS))
    return f"PMS_{tag(account)}_{letter}{DIGITS[high]}{DIGITS[low]}"


def step_of(
    client_order_id: str, account: str, letter: str, algo_id: str, *, slot: int, steps: range
) -> int | None:
    """Which of these steps of an algo's slot an order is; None if none of them."""
    found = (step for step in steps if child_id(account, letter, algo_id, slot, step) == client_order_id)
    return next(found, None)


def slot_of(client_order_id: str) -> int:
    """The slot that an algo's order lives in."""
    word = client_order_id.split("_", 3)[2]
    return DIGITS.index(word[1]) * len(DIGITS) + DIGITS.index(word[2])


def names_slot(client_order_id: str) -> bool:
    """Whether an id has the form of an algo's order, so that it can be asked for its slot."""
    words = client_order_id.split("_", 3)
    return len(words) == 4 and len(words[2]) == 3 and set(words[2][1:]) <= _DIGITS
