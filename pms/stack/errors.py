"""What an operator can put right: each is one line that says what to do."""

from __future__ import annotations


class StackError(Exception):
    """A part cannot run here; the message says why and what to do."""


class InUse(StackError):
    """A data directory already has a living server."""
