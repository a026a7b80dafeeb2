"""The ids of algos' orders: they name the slot, and come out the same for everyone who knows the algo.

`PMS_{sub8}_{letter}{slot}_{parent}`: the slot in two characters, the parent a hash of algo, slot, step and
the day of its start. So an order that only the exchange remembers is found to be the step that was lost with
Redis, and a requestId that is used again when it is forgotten meets no order of its first use.

Trap: orders that were sent before the day was part of it are still found, by the name without one.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable

from pms.domain.sub_accounts import tag

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
MOST_SLOTS = len(DIGITS) ** 2
"""As many as two characters can tell apart."""
DAY_MS = 86_400_000
"""As long as a requestId is remembered: two uses further apart never fall on the same day."""
_DIGITS = frozenset(DIGITS)


def child_id(account: str, letter: str, algo_id: str, slot: int, step: int, *, started_at: int | None) -> str:
    """The id of the `step`-th order of a slot; without a start as it was before the day was part of it."""
    day = "" if started_at is None else f":{started_at // DAY_MS}"
    digest = hashlib.blake2b(f"{algo_id}:{slot}:{step}{day}".encode(), digest_size=15).digest()
    parent = base64.urlsafe_b64encode(digest).decode()
    return f"{slot_prefix(account, letter, slot)}_{parent}"


def slot_prefix(account: str, letter: str, slot: int) -> str:
    """What the ids of one slot's orders begin with, whichever of the account's algos of the kind it is."""
    high, low = divmod(slot, len(DIGITS))
    return f"PMS_{tag(account)}_{letter}{DIGITS[high]}{DIGITS[low]}"


def child_ids(
    account: str, letter: str, algo_id: str, slot: int, step: int, *, starts: Iterable[int]
) -> list[str]:
    """All that the `step`-th order of a slot may be called, were the algo started at one of these times."""
    return [child_id(account, letter, algo_id, slot, step, started_at=at) for at in (*starts, None)]


def step_of(
    client_order_id: str, account: str, letter: str, algo_id: str, *, slot: int, steps: range, started_at: int
) -> int | None:
    """Which of these steps of an algo's slot an order is; None if none of them."""
    for step in steps:
        if client_order_id in child_ids(account, letter, algo_id, slot, step, starts=(started_at,)):
            return step
    return None


def slot_of(client_order_id: str) -> int:
    """The slot that an algo's order lives in."""
    word = client_order_id.split("_", 3)[2]
    return DIGITS.index(word[1]) * len(DIGITS) + DIGITS.index(word[2])


def names_slot(client_order_id: str) -> bool:
    """Whether an id has the form of an algo's order, so that it can be asked for its slot."""
    words = client_order_id.split("_", 3)
    return len(words) == 4 and len(words[2]) == 3 and set(words[2][1:]) <= _DIGITS
