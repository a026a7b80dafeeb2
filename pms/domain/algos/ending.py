"""Ending algos from outside: a liquidation sheds them first, and who cancels all means them too."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from pms.contract.journal import AlgoRow
from pms.domain.algos.algo import Algo, Status
from pms.domain.algos.conduct import end
from pms.domain.desk import Desk
from pms.domain.posting import Draft


def shed(desk: Desk, draft: Draft, account: str, *, reason: str) -> None:
    """End an account's algos in this very entry; their orders are cancelled as each is asked next."""
    for algo in list(desk.algos.by_account.get(account, {}).values()):
        if algo.status is not Status.ENDING:
            end(algo, Status.CANCELLED, reason)
            algo.untold = True
            draft.algos[algo.id] = algo.row(at=draft.at)


def ended_rows(algos: Iterable[Algo], *, reason: str, at: int) -> dict[str, AlgoRow]:
    """Rows that end algos, for a decision that memory takes only once it is known to stand."""
    return {
        algo.id: msgspec.structs.replace(
            algo.row(at=at),
            status=Status.ENDING.value,
            outcome=Status.CANCELLED.value,
            reason=reason,
        )
        for algo in algos
        if algo.status is not Status.ENDING
    }


def end_algos(desk: Desk, rows: Iterable[AlgoRow]) -> None:
    """Let memory have what `ended_rows` wrote, once it is journaled."""
    for row in rows:
        algo = desk.algos.every.get(row.id)
        if algo is not None and row.status == Status.ENDING and not algo.status.over:
            end(algo, Status.CANCELLED, row.reason or "")
            algo.untold = True


def in_scope(desk: Desk, account: str | None, symbol: str | None) -> list[Algo]:
    """Algos that run for an account, or for all; in a symbol, or in all."""
    found = desk.algos.running() if account is None else desk.algos.by_account.get(account, {}).values()
    return [
        algo
        for algo in found
        if symbol is None
        or symbol == algo.symbol
        or any(slot.symbol == symbol for slot in algo.slots.values())
    ]
