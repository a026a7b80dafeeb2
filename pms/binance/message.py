"""The base of all messages that the exchange's streams carry."""

from __future__ import annotations

import msgspec


class Message(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What every decoded message is."""
