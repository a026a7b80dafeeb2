"""The insurance: an account of the system's own that holds money only, and pays what empty ones owe.

Whoever holds nothing and is below zero cannot make it good by trading: after a liquidation, after a close of
his own in a gap, after a funding or a fee that was booked late. It is paid in the entry that left it so.
"""

from __future__ import annotations

from decimal import Decimal

from pms.contract.money import plain
from pms.contract.names import HOUSE, INSURANCE
from pms.domain.desk import Desk
from pms.domain.incidents import note_incident
from pms.domain.posting import Draft
from pms.domain.sub_accounts import SubAccount


def open_insurance(desk: Desk, draft: Draft) -> None:
    """Open it with the first entry that needs it; empty until somebody transfers money to it."""
    if INSURANCE not in desk.accounts:
        account = SubAccount(id=INSURANCE, label="the insurance", created_at=draft.at)
        desk.open_account(account)
        draft.sub_accounts[INSURANCE] = account.row()


def cover(desk: Desk, draft: Draft, holder: SubAccount) -> None:
    """Pay what an account without positions owes: from the insurance, and what that lacks from the house."""
    owed = -holder.balance
    if owed <= 0 or desk.held.get(holder.id):
        return
    reference = f"liquidation:{draft.first_seq}"
    open_insurance(desk, draft)
    paid = min(owed, max(desk.accounts[INSURANCE].balance, Decimal(0)))
    for payer, amount in ((INSURANCE, paid), (HOUSE, owed - paid)):
        desk.post(draft, account=payer, amount=-amount, reason="INSURANCE", reference=reference)
        desk.post(draft, account=holder.id, amount=amount, reason="INSURANCE", reference=reference)


def cover_flat(desk: Desk, draft: Draft, account: str) -> None:
    """Pay what a trader's account owes that this entry leaves, or finds, without positions.

    Trap: the last of the entry to move its balance, or a part of the debt stays.
    """
    if account in (HOUSE, INSURANCE):
        return
    holder = desk.accounts[account]
    if holder.balance < 0 and not holder.closing and not desk.held.get(account):
        detail = f"{account} holds nothing and owed {plain(-holder.balance)}: nobody liquidated it"
        note_incident(draft, kind="debt_paid", severity="warning", detail=detail)
    cover(desk, draft, holder)
