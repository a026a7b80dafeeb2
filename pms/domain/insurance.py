"""The insurance: an account of the system's own that holds money only, and pays what liquidated ones owe."""

from __future__ import annotations

from pms.contract.names import INSURANCE
from pms.domain.desk import Desk
from pms.domain.posting import Draft
from pms.domain.sub_accounts import SubAccount


def open_insurance(desk: Desk, draft: Draft) -> None:
    """Open it with the first entry that needs it; empty until somebody transfers money to it."""
    if INSURANCE not in desk.accounts:
        account = SubAccount(id=INSURANCE, label="the insurance", created_at=draft.at)
        desk.open_account(account)
        draft.sub_accounts[INSURANCE] = account.row()
