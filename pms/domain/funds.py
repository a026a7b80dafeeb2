"""Funds: money that moves between the house and the sub-accounts, and from one of these to another.

Nothing here leaves the exchange account: a sub-account is funded from the house, which must hold the
money, and a withdrawal gives it back. Both sides are lines of one entry, so no reader ever sees money
twice or nowhere; lines of one reason add up, over all accounts, to what the exchange itself was paid.

What takes money from a sub-account is judged by what it can spare, and only while that is known:

    halt         concerns what may be sent to the exchange. Money moves: nothing of it can open a position
                 before the halt is lifted, and a deposit may be what saves the account meanwhile.
    liquidation  at market costs what nobody knows yet: nothing goes out of the account until it is over.
    freeze       holds what is there until somebody has looked: nothing goes out, everything may come in.
    closed       while admission is closed, trades may be unbooked: nothing goes out of a sub-account.
    no price     a position without a price in sync has a loss that nobody knows: nothing goes out.
    owed         a fee without a price, or a funding that is over and not booked yet: nothing goes out.

Trap: the house gives what it is worth, whatever margin its positions would hold back in our books: what it
took over or began with is margined by the exchange alone. It gives even while one of its own positions has no
price, or a symbol that is listed no more would hold every deposit back.
"""

from __future__ import annotations

from decimal import Decimal

from pms.contract.codes import Code, Refusal
from pms.contract.commands import Deposit, Transfer, Withdraw
from pms.contract.money import booked, canonical, plain
from pms.contract.names import HOUSE, INSURANCE
from pms.domain.checks import known_account
from pms.domain.decisions import Asked, kept
from pms.domain.desk import Desk
from pms.domain.insurance import open_insurance
from pms.domain.liquidating import refuse_liquidating
from pms.domain.posting import Posting

ZERO = Decimal(0)


def transfer(desk: Desk, asked: Asked, command: Transfer) -> Posting:
    """Move balance between two accounts; raises Refusal."""
    payer, payee = command.from_account_id, command.to_account_id
    for field, account in (("fromAccountId", payer), ("toAccountId", payee)):
        if (field, account) != ("toAccountId", INSURANCE):
            known_account(desk, account, field=field)
    if payer == payee:
        raise Refusal(Code.BAD_FIELD, "payer and payee are the same", field="toAccountId", actual=payee)
    amount = _amount(command.amount)
    _check_spare(desk, asked, payer, amount, field="fromAccountId")
    return _moved(desk, asked, payer, payee, amount, word="TRANSFER", why=command.reason, told=payee)


def deposit(desk: Desk, asked: Asked, command: Deposit) -> Posting:
    """Give a sub-account money that the house holds; raises Refusal."""
    account = _sub_account(desk, command.sub_account_id)
    amount = _amount(command.amount)
    _check_spare(desk, asked, HOUSE, amount, field="subAccountId")
    return _moved(desk, asked, HOUSE, account, amount, word="DEPOSIT", why=command.reason, told=account)


def withdraw(desk: Desk, asked: Asked, command: Withdraw) -> Posting:
    """Take money that a sub-account can spare back to the house; raises Refusal."""
    account = _sub_account(desk, command.sub_account_id)
    amount = _amount(command.amount)
    _check_spare(desk, asked, account, amount, field="subAccountId")
    return _moved(desk, asked, account, HOUSE, amount, word="WITHDRAW", why=command.reason, told=account)


def check_priced(desk: Desk, account: str, *, field: str) -> None:
    """Refuse while the account holds something without a price: its equity is not known then."""
    for position in desk.held.get(account, {}).values():
        if position.symbol not in desk.tops:
            raise Refusal(
                Code.PRICE_STALE,
                f"{account} holds {position.symbol}, and there is no price of it in sync",
                field=field,
                actual=position.symbol,
            )


def _sub_account(desk: Desk, account: str) -> str:
    if known_account(desk, account, field="subAccountId").id in {HOUSE, INSURANCE}:
        raise Refusal(
            Code.HOUSE_ONLY,
            f"{account} is no sub-account: `pms.transfer` moves its money",
            field="subAccountId",
        )
    return account


def _amount(amount: Decimal) -> Decimal:
    amount = canonical(amount)
    if amount <= 0 or amount != booked(amount):
        raise Refusal(
            Code.BAD_FIELD,
            "amount must be above zero, with eight decimals at most",
            field="amount",
            limit="0.00000001",
            actual=plain(amount),
        )
    return amount


def _check_spare(desk: Desk, asked: Asked, payer: str, amount: Decimal, *, field: str) -> None:
    """Whether the payer can spare an amount: profit that is not realised yet cannot be spent."""
    account = desk.accounts[payer]
    if payer != HOUSE:
        if account.status != "ACTIVE":
            raise Refusal(Code.ACCOUNT_FROZEN, f"{payer} is frozen: nothing goes out", field=field)
        refuse_liquidating(desk, payer, field=field)
        if asked.closed_because is not None:
            raise Refusal(Code.NOT_READY, f"admission is closed: {asked.closed_because}")
        check_priced(desk, payer, field=field)
        if owed := desk.treasury.owes(payer, exchange_now=asked.exchange_now):
            raise Refusal(Code.NOT_READY, owed, field=field)
    free = _worth_of_house(desk) if payer == HOUSE else desk.available_margin(payer)
    spare = min(free, account.balance)
    if amount > spare:
        raise Refusal(
            Code.BALANCE,
            f"{payer} has {plain(spare)} to give",
            field="amount",
            limit=plain(spare),
            actual=plain(amount),
        )


def _worth_of_house(desk: Desk) -> Decimal:
    """The house's equity; where a symbol is out of sync, without what was won there by its last price."""
    worth = desk.equity(HOUSE)
    for position in desk.held.get(HOUSE, {}).values():
        if position.symbol not in desk.tops:
            worth -= max(position.unrealized(desk.valued_at(desk.exposure(position))), ZERO)
    return booked(worth)


def _moved(
    desk: Desk, asked: Asked, payer: str, payee: str, amount: Decimal, *, word: str, why: str, told: str
) -> Posting:
    draft = desk.draft(word.lower(), at=asked.now)
    if payee == INSURANCE:
        open_insurance(desk, draft)
    draft.note["reason"] = why
    desk.post(draft, account=payer, amount=-amount, reason=word, reference=asked.request_id)
    desk.post(draft, account=payee, amount=amount, reason=word, reference=asked.request_id)
    return kept(desk, draft, asked, account=told)
