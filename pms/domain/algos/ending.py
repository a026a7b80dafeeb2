"""Ending algos from outside: a liquidation sheds them first, and who cancels all means them too."""

from __future__ import annotations

from collections.abc import Iterable

from pms.contract.journal import AlgoRow, Entry
from pms.domain.algos.algo import Algo, Status
from pms.domain.algos.conduct import end
from pms.domain.cancelling import KIND as CANCEL
from pms.domain.desk import Desk
from pms.domain.posting import Draft, Posting


def shed(desk: Desk, draft: Draft, account: str, *, reason: str) -> None:
    """End an account's algos in this very entry; their orders are cancelled as each is asked next."""
    for algo in list(desk.algos.by_account.get(account, {}).values()):
        if algo.status is not Status.ENDING:
            end(algo, Status.CANCELLED, reason)
            algo.untold = True
            draft.algos[algo.id] = algo.row(at=draft.at)


def sentence(algos: Iterable[Algo], *, by: str, reason: str, at: int) -> dict[str, AlgoRow]:
    """Rows that end algos, for a decision that is not known to stand yet.

    Until it is, nothing is decided of them: what came in between would undo the end, or be undone by it.
    """
    found = [algo for algo in algos if algo.status is not Status.ENDING]
    for algo in found:
        algo.sentence = by, reason
    return {algo.id: algo.row(at=at) for algo in found}


def settle(desk: Desk, entry: Entry, *, held: bool) -> Posting | None:
    """A decision to end algos stands, or it does not: then rows that told of it are written anew."""
    if entry.kind != CANCEL:
        return None
    spared = desk.draft("algo", at=entry.at)
    asked_by = {command.request_id for command in entry.rows.commands}
    for row in entry.rows.algos:
        algo = desk.algos.every.get(row.id)
        if algo is None or algo.sentence is None:
            continue
        # Of two that are on their way the sentence names the later; each of them may be the one that stands.
        if held:
            end(algo, Status.CANCELLED, algo.sentence[1])
            algo.untold = True
        elif algo.sentence[0] in asked_by:
            algo.sentence = None
            spared.algos[algo.id] = algo.row(at=entry.at)
    return Posting(entry=desk.sealed(spared).entry()) if spared.algos else None


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
