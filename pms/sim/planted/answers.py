"""Planted bugs of answers: what a trader is told, and when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pms.bus.requests import Requests
from pms.contract.results import read_result
from pms.domain import cancelling
from pms.sim.planted.planting import Patch, mutant
from pms.streamer.local import LocalCommands


@mutant("a command that nobody decides is answered by nobody")
def never_settled() -> Sequence[Patch]:
    async def settle(self: Requests, *_: Any) -> None:
        return None

    return [(Requests, "settle", settle)]


@mutant("a cancel of several is answered, and forgets the last of them")
def cancel_of_all_but_one() -> Sequence[Patch]:
    real = cancelling.ask

    def ask(draft: Any, orders: Any, *, by: str) -> Any:
        return real(draft, orders[:-1] if len(orders) > 1 else orders, by=by)

    return [(cancelling, "ask", ask)]


@mutant("money is told as moved before PostgreSQL has it", only="redis")
def told_before_it_is_kept() -> Sequence[Patch]:
    async def at_once(self: LocalCommands) -> None:
        while self._unfolded:
            _, entry = self._unfolded.popleft()
            await self.requests.answer(read_result(entry.rows.commands[0].answer), nonce=self.nonce)
        self._asking = False

    return [(LocalCommands, "_ask_ledger", at_once)]
