"""A limit on risk that was crossed, or is no more: an incident and an event, in one entry.

The figures are portfolio risk's, minutes old and estimates; nothing is refused or closed because of them.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pms.contract.events import RiskEvent
from pms.contract.money import plain
from pms.domain.desk import Desk
from pms.domain.incidents import note_incident, note_settled
from pms.domain.posting import Posting

KIND = "risk_limit"
WORDS = {"var": "VaR", "es": "expected shortfall", "stress": "stress loss", "margin": "margin used"}


def subject(scope: str, name: str, measure: str) -> str:
    """Under what a crossed limit stands among the incidents."""
    return f"{scope} {name} {measure}"


def risk_limit(
    desk: Desk,
    *,
    at: int,
    scope: Literal["account", "group", "desk"],
    name: str,
    measure: Literal["var", "es", "stress", "margin"],
    limit: Decimal,
    actual: Decimal,
    over: bool,
) -> Posting | None:
    """Journal it; None where it stands already and says the same, or where nothing stood that could end."""
    about = subject(scope, name, measure)
    draft = desk.draft("incident", at=at)
    if over:
        how = f"{WORDS[measure]} {plain(actual)} is below nine tenths of the limit {plain(limit)}"
        note_settled(draft, kind=KIND, subject=about, how=how)
    else:
        note_incident(
            draft,
            kind=KIND,
            severity="critical" if scope == "desk" else "warning",
            detail=f"{scope} {name}: {WORDS[measure]} {plain(actual)} is above the limit {plain(limit)}",
            subject=about,
            evidence={"measure": measure, "limit": plain(limit), "actual": plain(actual)},
        )
    if not draft.incidents:
        return None
    draft.events.append(
        RiskEvent(
            type="risk",
            seq=draft.event_seq,
            sub_account_id=name if scope == "account" else None,
            kind=scope,
            name=name,
            measure=measure,
            state="back" if over else "crossed",
            limit=limit,
            actual=actual,
            timestamp=Decimal(at) / 1000,
        )
    )
    return Posting(entry=desk.sealed(draft).entry(), events=tuple(draft.events))
