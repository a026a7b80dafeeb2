"""Income: money that came or went without a trade, as the exchange's income history tells it.

The history is the one place where it is booked from: live, after a gap and after an outage alike. What
the user stream says (`ACCOUNT_UPDATE` with a reason other than ORDER) has no id by which it could be
told from its repetition, so it only hints that the history has something new.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from pms.contract.journal import IncomeRow
from pms.contract.money import plain
from pms.contract.names import HOUSE
from pms.domain.desk import Desk
from pms.domain.incidents import note_incident
from pms.domain.posting import Draft, Posting
from pms.domain.treasury import INCOME, WALLET, income_key

TRADED = frozenset(("REALIZED_PNL", "COMMISSION"))
"""Kinds that each trade tells itself."""

_CALM = frozenset(
    ("TRANSFER", "FUNDING_FEE", "INTERNAL_TRANSFER", "COMMISSION_REBATE", "REFERRAL_KICKBACK", "API_REBATE")
)
"""Kinds that are everyday business; of any other an operator is told."""


@dataclass(frozen=True, slots=True)
class Income:
    """One row of the income history, of a kind that no trade tells."""

    kind: str
    tran_id: int
    asset: str
    symbol: str
    amount: Decimal
    at: int

    def row(self) -> IncomeRow:
        """As it is journaled."""
        return IncomeRow(
            kind=self.kind,
            tran_id=self.tran_id,
            asset=self.asset,
            symbol=self.symbol,
            amount=self.amount,
            at=self.at,
        )


def book_incomes(
    desk: Desk, incomes: Sequence[Income], *, proven: int | None = None, at: int
) -> Posting | None:
    """Book what is new to the house; None if nothing is and nothing is proven.

    `proven`: the whole history up to that time has been read, and need not be again.
    """
    treasury = desk.treasury
    fresh = {income_key(each.row()): each for each in incomes}
    fresh = {key: each for key, each in fresh.items() if key not in treasury.incomes}
    if proven is not None and proven <= treasury.progress.get(INCOME, 0):
        proven = None
    if not fresh and proven is None:
        return None
    draft = desk.draft("income", at=at)
    strange: dict[str, list[Income]] = {}
    for key, income in fresh.items():
        treasury.incomes[key] = income.at
        draft.incomes.append(income.row())
        _post(desk, draft, income)
        if income.kind not in _CALM:
            strange.setdefault(income.kind, []).append(income)
    for kind, rows in strange.items():
        told = ", ".join(f"{plain(each.amount)} {each.asset}" for each in rows[:5])
        note_incident(draft, kind="income", severity="warning", detail=f"{kind}: {told} went to the house")
    if proven is not None:
        treasury.reach(draft, INCOME, proven)
        treasury.forget_incomes(proven)
    return Posting(entry=desk.sealed(draft).entry(), snapshots=desk.snapshots(draft))


def _post(desk: Desk, draft: Draft, income: Income) -> None:
    reference = f"{income.kind}:{income.tran_id}" + (f":{income.symbol}" if income.symbol else "")
    desk.post(
        draft,
        account=HOUSE,
        amount=income.amount,
        reason=_reason(income),
        reference=reference,
        asset=income.asset or WALLET,
    )


def _reason(income: Income) -> str:
    """TRANSFER means one between sub-accounts in our ledger, so the exchange's gets another word."""
    if income.kind == "TRANSFER":
        return "DEPOSIT" if income.amount > 0 else "WITHDRAW"
    return income.kind
