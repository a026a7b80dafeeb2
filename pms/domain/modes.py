"""Position modes: whether a sub-account holds one position a symbol, or a long beside a short.

The words and the rule are Binance's (-4067, -4068): the mode changes only while there is nothing whose
meaning would change with it: no position, no live order, and no algo, for its terms say a side or none.
Leverage that a command has set goes along.

Trap: an order that was over can still prove to have traded. It was admitted in the other mode, so its side
means nothing any more; `parts_of` books it as one that said none.
"""

from __future__ import annotations

from pms.contract.codes import Code, Refusal
from pms.contract.commands import SetPositionMode
from pms.domain.checks import trading_account
from pms.domain.decisions import Asked, kept
from pms.domain.desk import Desk
from pms.domain.posting import Draft, Posting
from pms.domain.rows import position_row
from pms.domain.sub_accounts import SubAccount


def set_position_mode(desk: Desk, asked: Asked, command: SetPositionMode) -> Posting:
    """Change the mode of a sub-account; raises Refusal."""
    account = trading_account(desk, command.sub_account_id)
    if asked.closed_because is not None:
        # A trade of the old mode may be on its way from the exchange.
        raise Refusal(Code.NOT_READY, f"admission is closed: {asked.closed_because}")
    if account.hedge == command.hedge:
        raise Refusal(Code.NO_CHANGE, f"{account.id} is in {_word(account)} mode already", field="hedge")
    running = len(desk.algos.by_account.get(account.id, {}))
    for what, number in (
        ("live orders", account.open_orders),
        ("positions", len(_held(desk, account))),
        ("algos that run", running),
    ):
        if number:
            raise Refusal(
                Code.POSITION_MODE,
                f"{account.id} has {number} {what}; its mode can only change while it has none",
                field="hedge",
                limit=0,
                actual=number,
            )
    was = account.sides
    account.hedge = command.hedge
    draft = desk.draft("position_mode", at=asked.now)
    draft.note["reason"] = command.reason
    draft.sub_accounts[account.id] = account.row()
    _keep_leverage(desk, draft, account, was=was[0])
    return kept(desk, draft, asked, account=account.id, mode=_word(account))


def _keep_leverage(desk: Desk, draft: Draft, account: SubAccount, *, was: str) -> None:
    for symbol in desk.instruments:
        before = desk.positions.get((account.id, symbol, was))
        if before is None or not before.leverage_set:
            continue
        for position in desk.positions_in(account.id, symbol):
            position.leverage, position.leverage_set = before.leverage, True
            draft.positions[position.place] = position_row(position)


def _held(desk: Desk, account: SubAccount) -> list[str]:
    return [symbol for symbol, _ in desk.held.get(account.id, {})]


def _word(account: SubAccount) -> str:
    return "hedge" if account.hedge else "one-way"
