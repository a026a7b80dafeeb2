"""A clock that was put back: what a slot keeps of the later time is brought to now, or it waits as long."""

from __future__ import annotations

from pms.domain.algos.algo import Slot

SKEW_MS = 1_000
"""So far ahead a time may be kept: two processes' clocks are never quite the same."""


def bring_to(slot: Slot, now: int, *, longest: int) -> None:
    """Let a slot's last move be no later than now, and its pause no longer than the longest there is.

    Trap: a pause beyond the last move says that what became of that move is counted: which is later stays so.
    """
    moved_at, resume_at = slot.moved_at, slot.resume_at
    if moved_at > now + SKEW_MS:
        slot.moved_at = now
    if resume_at > now + longest:
        slot.resume_at = now + longest
    if resume_at <= moved_at:
        slot.resume_at = min(slot.resume_at, slot.moved_at)
