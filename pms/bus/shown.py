"""Showing accounts out of turn: what no entry wrote, and never what is older than the journal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from redis.asyncio import Redis

from pms.bus.scripts import Scripts
from pms.contract import names
from pms.contract.account import Account
from pms.contract.money import encode


class View(NamedTuple):
    """An account as memory has it; one that has nothing at stake is shown only where it is shown already."""

    account: str
    snapshot: Account
    at_stake: bool


class Shown:
    """What one epoch shows of accounts between its entries."""

    def __init__(self, redis: Redis, *, nonce: str) -> None:
        self._scripts = Scripts(redis)
        self._nonce = nonce

    async def show(self, views: Sequence[View], *, seq: int) -> bool:
        """Show accounts as they are behind an entry; False where it is the last no more, or another leads.

        A call whose reply was lost may run at any time later: it is refused then, or still true.
        """
        keys = [names.risk_key(view.account) for view in views]
        told = [part for view in views for part in (encode(view.snapshot), int(view.at_stake))]
        shown = await self._scripts.call(
            "show", [names.EPOCH, names.JOURNAL, *keys], self._nonce, seq, names.CACHE_TTL_S, *told
        )
        return bool(shown)
