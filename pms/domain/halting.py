"""Halting and resuming as entries of the journal.

The door halts first, in the step that records the command; the entry makes it last. Only an entry
lifts a halt, and only the very one that it names.
"""

from __future__ import annotations

from pms.contract.codes import Code, Refusal
from pms.contract.commands import Halt, Resume
from pms.contract.journal import HaltRow
from pms.contract.names import EVERYTHING, HOUSE
from pms.contract.results import Result
from pms.domain.decisions import Asked, decided
from pms.domain.desk import Desk
from pms.domain.incidents import note_incident
from pms.domain.posting import Draft, Posting


def halt(desk: Desk, asked: Asked, command: Halt) -> Posting:
    """Halt everything or one sub-account; a newer halt of the same scope replaces the older."""
    row = HaltRow(
        scope=_scope(desk, command.sub_account_id),
        mode=command.mode,
        reason=command.reason,
        actor=command.actor,
        since=asked.at,
        request_id=asked.request_id,
    )
    draft = desk.draft("halt", at=asked.now)
    _note(desk, draft, row)
    return _done(desk, draft, asked, row, state="halted")


def resume(desk: Desk, asked: Asked, command: Resume) -> Posting:
    """Lift a halt; raises Refusal where there is none, for the sender believes something untrue."""
    scope = _scope(desk, command.sub_account_id)
    standing = desk.halts.get(scope)
    if standing is None:
        what = "everything" if scope == EVERYTHING else scope
        raise Refusal(Code.NOT_HALTED, f"there is no halt of {what} to lift", field="subAccountId")
    row = HaltRow(
        scope=scope,
        mode="RESUMED",
        reason=command.reason,
        actor=command.actor,
        since=asked.now,
        request_id=standing.request_id,
    )
    draft = desk.draft("resume", at=asked.now)
    _note(desk, draft, row)
    return _done(desk, draft, asked, row, state="resumed")


def renew_halts(desk: Desk, rows: list[HaltRow], *, at: int, detail: str) -> Posting:
    """Journal halts that Redis and the journal tell differently, so that both have them."""
    draft = desk.draft("halts_renewed", at=at)
    for row in rows:
        _note(desk, draft, row)
    note_incident(draft, kind="halt_renewed", severity="warning", detail=detail)
    return Posting(entry=desk.sealed(draft).entry())


def _scope(desk: Desk, account: str | None) -> str:
    if account is None:
        return EVERYTHING
    if account not in desk.accounts:
        raise Refusal(
            Code.UNKNOWN_ACCOUNT, f"there is no sub-account {account}", field="subAccountId", actual=account
        )
    if account == HOUSE:
        raise Refusal(
            Code.HOUSE_ONLY,
            "the house cannot be halted: its unwinds only take risk away",
            field="subAccountId",
        )
    return account


def _note(desk: Desk, draft: Draft, row: HaltRow) -> None:
    desk.note_halt(row)
    draft.halts[row.scope] = row


def _done(desk: Desk, draft: Draft, asked: Asked, row: HaltRow, *, state: str) -> Posting:
    details = {"mode": row.mode, "reason": row.reason, "actor": row.actor}
    result = Result(
        success=True,
        request_id=asked.request_id,
        command=asked.command,
        sub_account_id=None if row.scope == EVERYTHING else row.scope,
        state=state,
        details=details,
    )
    return decided(desk, draft, asked, result, decision="admitted", final=False)
