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


def child_id(account: str, letter: str, algo_id: str, slot: int, step: int) -> str:
    """The id of the `step`-th order of a slot."""
    high, low = divmod(slot, len(DIGITS))
    digest = hashlib.blake2b(f"{algo_id}:{slot}:{step}".encode(), digest_size=15).digest()
    parent = base64.urlsafe_b64encode(digest).decode()
    return f"PMS_{tag(account)}_{letter}{DIGITS[high]}{DIGITS[low]}_{parent}"


def slot_of(client_order_id: str) -> int:
    """The slot that an algo's order lives in."""
    word = client_order_id.split("_", 3)[2]
    return DIGITS.index(word[1]) * len(DIGITS) + DIGITS.index(word[2])
