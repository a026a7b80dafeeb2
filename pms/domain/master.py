"""The master account: how near the exchange is to liquidating the one account that all share.

Its own maintenance margin over its own margin balance, as the exchange tells them. That is another figure
than any sub-account's: only the net counts there, and the house's positions count too. Long before the
exchange would act an operator is told; then nothing is opened any more, and resting orders that would open
are cancelled. Lifting that is an operator's decision (`pms resume`): it takes money or smaller positions,
which no timer brings.

    crossed                          it stops, once: who resumes while the margin is near means it
    clearly below again              armed for the next time
    crossed under another's halt     that halt is enough; when it is lifted and the margin is near, it stops

Trap: whether it has stopped stands in the incident's evidence, or a resume and a halt that was never its own
would be one thing after a restart.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from pms.contract.journal import HaltRow, IncidentRow
from pms.contract.money import decode_object, plain
from pms.contract.names import EVERYTHING, HOUSE
from pms.domain.desk import Desk
from pms.domain.incidents import note_incident, note_settled
from pms.domain.margin import Weight
from pms.domain.posting import Draft, Posting
from pms.domain.rows import order_row

WARN, STOP = Decimal("0.50"), Decimal("0.70")
"""Of the exchange's own ratio, at 1 of which it liquidates."""

CALM = Decimal("0.05")
"""So far below a line its incident is over."""

STOPPED = "the exchange account's margin is near its end: nothing is opened"
"""Why an order is wanted cancelled by this: its algo waits, and goes on when the halt is lifted."""

KIND, SUBJECT, ACTOR = "master_margin", "the exchange account", "the engine"


@dataclass(frozen=True, slots=True)
class MasterMargin:
    """The exchange's word on the account as a whole."""

    balance: Decimal
    #: wallet and unrealised profit together
    maintenance: Decimal

    @property
    def weight(self) -> Weight:
        return Weight(self.balance, self.maintenance)


def judge_master(desk: Desk, margin: MasterMargin, *, at: int) -> Posting | None:
    """Tell of a margin that is near, and stop what would bring it nearer; None where nothing changes."""
    weight = margin.weight
    standing = desk.incidents.get(KIND, SUBJECT)
    critical = standing is not None and standing.severity == "critical"
    draft = desk.draft("master_margin", at=at)
    told = (
        f"the exchange asks {plain(margin.maintenance)} of {plain(margin.balance)} USDT to keep the account"
    )
    evidence: dict[str, object] = {
        "ratio": weight.ratio,
        "maintenanceMargin": margin.maintenance,
        "marginBalance": margin.balance,
    }
    if weight.crossed(STOP) and (not critical or _stop_is_due(desk, standing)):
        evidence["stopped"] = _halt_of_others(desk) is None
        note_incident(draft, kind=KIND, severity="critical", detail=told, subject=SUBJECT, evidence=evidence)
        _stop(desk, draft, told)
    elif standing is not None and not weight.crossed(WARN - CALM):
        note_settled(draft, kind=KIND, subject=SUBJECT, how="the margin is far again", by="evidence")
    elif critical and not weight.crossed(STOP - CALM):
        note_settled(draft, kind=KIND, subject=SUBJECT, how="the margin is less near", by="evidence")
        note_incident(draft, kind=KIND, severity="warning", detail=told, subject=SUBJECT, evidence=evidence)
    elif standing is None and weight.crossed(WARN):
        note_incident(draft, kind=KIND, severity="warning", detail=told, subject=SUBJECT, evidence=evidence)
    else:
        return None
    return Posting(entry=desk.sealed(draft).entry())


def _halt_of_others(desk: Desk) -> HaltRow | None:
    """A halt of everything that is not ours."""
    row = desk.halts.get(EVERYTHING)
    return None if row is None or row.actor == ACTOR else row


def _stop_is_due(desk: Desk, told: IncidentRow | None) -> bool:
    """Whether what stood in place of our halt, when the line was crossed, has been lifted."""
    stopped = told is None or decode_object(told.evidence).get("stopped", True)
    return not stopped and EVERYTHING not in desk.halts


def _stop(desk: Desk, draft: Draft, why: str) -> None:
    """Let all only reduce, and want every resting order cancelled that would open; the house's unwind."""
    if EVERYTHING not in desk.halts:
        row = HaltRow(
            scope=EVERYTHING,
            mode="REDUCE_ONLY",
            reason=why[:200],
            actor=ACTOR,
            since=draft.at,
            request_id=f"master-margin:{draft.first_seq}",
        )
        desk.note_halt(row)
        draft.halts[EVERYTHING] = row
    for order in desk.live.values():
        if order.spec.sub_account_id != HOUSE and not order.spec.reduce_only and not order.cancel_wanted:
            order.want_cancelled(at=draft.at)
            order.reason = STOPPED
            draft.orders[order.spec.client_order_id] = order_row(order)
