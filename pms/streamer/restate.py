"""What others show otherwise than memory: told as an incident, and journaled anew from memory.

The journal's one script writes Redis and, through the fold, PostgreSQL; so to journal a row again is
to put both right, and leaves a trace of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pms.bus.inbox import Compared, Difference
from pms.domain.desk import Desk
from pms.domain.incidents import note_incident, note_settled
from pms.domain.posting import Draft, Posting
from pms.domain.rows import order_row, position_row

if TYPE_CHECKING:
    from pms.streamer.engine import Engine

KIND = {"redis": "projection_drift", "postgres": "ledger_drift"}
NAME = {"redis": "Redis", "postgres": "PostgreSQL"}


def restate(engine: Engine, compared: Compared) -> None:
    """Tell and repair the differences, and end the incidents of those that are gone; else do nothing."""
    desk, kind = engine.desk, KIND[compared.where]
    subjects = {_subject(difference): difference for difference in compared.differences}
    over = [row.subject for row in desk.incidents.of_kind(kind) if row.subject not in subjects]
    if not subjects and not over:
        return
    draft = desk.draft("restated", at=engine.now())
    for subject, difference in subjects.items():
        _lay_down(desk, draft, difference)
        note_incident(
            draft,
            kind=kind,
            severity="critical",
            detail=f"{NAME[compared.where]} has {difference.theirs} for {subject}, memory {difference.ours}",
            subject=subject,
            evidence={"theirs": difference.theirs, "ours": difference.ours},
        )
    for subject in over:
        note_settled(draft, kind=kind, subject=subject, how=f"{NAME[compared.where]} shows the same again")
    engine.outbox.add(Posting(entry=desk.sealed(draft).entry()))


def _subject(difference: Difference) -> str:
    return ":".join((difference.table, *difference.key))


def _lay_down(desk: Desk, draft: Draft, difference: Difference) -> None:
    """Add the row as memory has it now, which may be newer than what was compared."""
    match difference.table, difference.key:
        case "orders", (order_id,) if order_id in desk.orders:
            draft.orders[order_id] = order_row(desk.orders[order_id])
        case "positions", (account, symbol, side) if account in desk.accounts:
            draft.positions[account, symbol, side] = position_row(desk.position(account, symbol, side))
        case "accounts", (account,) if account in desk.accounts:
            draft.sub_accounts[account] = desk.accounts[account].row()
        case _:
            pass
