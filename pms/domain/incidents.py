"""Incidents: opened, told again, acknowledged by a person, resolved by evidence or a person.

Each change is journaled in whole: the row keeps the seq of its opening as its id. What repeats while
it stands is the same incident; what lasts is told once, and again only when it changes.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from pms.contract.codes import Code, Refusal
from pms.contract.commands import Acknowledge
from pms.contract.journal import IncidentRow
from pms.contract.money import encode
from pms.contract.results import Result
from pms.domain.decisions import Asked, decided
from pms.domain.desk import Desk
from pms.domain.incident_kinds import EVIDENCE, kind_of
from pms.domain.posting import Draft, Posting

SUBJECT_LENGTH = 120
DETAIL_LENGTH = 1000
OF_ORDERS = ("unknown_order", "order_vanished")
"""The kinds that ask what became of an order; the subject is its client order id."""


def incident(
    desk: Desk,
    *,
    at: int,
    kind: str,
    severity: str,
    detail: str,
    subject: str | None = None,
    evidence: Mapping[str, object] | None = None,
) -> Posting | None:
    """Journal something that an operator should see; None if it stands already and says the same."""
    draft = desk.draft("incident", at=at)
    note_incident(draft, kind=kind, severity=severity, detail=detail, subject=subject, evidence=evidence)
    return Posting(entry=desk.sealed(draft).entry()) if draft.incidents else None


def note_incident(
    draft: Draft,
    *,
    kind: str,
    severity: str,
    detail: str,
    subject: str | None = None,
    evidence: Mapping[str, object] | None = None,
) -> None:
    """Add an incident to an entry, or an update of the one that stands for this subject.

    Without a subject the detail is it: the same words are the same incident.
    """
    row = draft.open_incidents.note(
        IncidentRow(
            seq=draft.first_seq + len(draft.incidents),
            kind=kind,
            severity=severity,
            detail=detail[:DETAIL_LENGTH],
            at=draft.at,
            subject=(subject or detail)[:SUBJECT_LENGTH],
            evidence=encode(dict(evidence or {})).decode(),
            last_at=draft.at,
        )
    )
    if row is not None:
        draft.incidents.append(row)


def settled(desk: Desk, *, at: int, kind: str, subject: str, how: str) -> Posting | None:
    """Journal that what an incident told of is no longer so; None where none stands."""
    draft = desk.draft("incident", at=at)
    note_settled(draft, kind=kind, subject=subject, how=how)
    return Posting(entry=desk.sealed(draft).entry()) if draft.incidents else None


def note_settled(draft: Draft, *, kind: str, subject: str, how: str, by: str = EVIDENCE) -> None:
    """Resolve a subject's incident in an entry, if one stands."""
    row = draft.open_incidents.get(kind, subject)
    if row is not None:
        _change(draft, replace(row, state="resolved", resolved_by=by, resolved_at=draft.at, resolution=how))


def acknowledge(desk: Desk, asked: Asked, command: Acknowledge) -> Posting:
    """Note who has seen an incident; one that merely happened is over with that. Raises Refusal."""
    row = desk.incidents.find(int(command.incident_id))
    if row is None:
        raise Refusal(
            Code.UNKNOWN_INCIDENT,
            "no unresolved incident has this id",
            field="incidentId",
            actual=command.incident_id,
        )
    draft = desk.draft("acknowledged", at=asked.now)
    draft.note.update(actor=command.actor, reason=command.reason)
    seen = replace(
        row, state="acknowledged", acked_by=command.actor, acked_at=asked.now, ack_reason=command.reason
    )
    if kind_of(row.kind).lasting is None:
        seen = replace(
            seen,
            state="resolved",
            resolved_by=command.actor,
            resolved_at=asked.now,
            resolution=command.reason,
        )
    _change(draft, seen)
    result = Result(
        success=True,
        request_id=asked.request_id,
        command=asked.command,
        state=seen.state,
        details={"incident": command.incident_id, "kind": row.kind},
    )
    return decided(desk, draft, asked, result, decision="admitted", final=False)


def _change(draft: Draft, row: IncidentRow) -> None:
    draft.incidents.append(draft.open_incidents.take(row))
