"""Custody: sub-accounts and what moves between them without a trade. Each change is one entry.

Trap: these decisions move balances at once, so they cannot be withdrawn when their command turns out
to be over. The caller claims the command first; a claimed command expires in nobody's hands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from pms.contract.algo_kinds import ALGO_COMMANDS
from pms.contract.codes import Code, Refusal
from pms.contract.commands import (
    Acknowledge,
    Adjust,
    Command,
    CreateAccount,
    Deposit,
    Freeze,
    Halt,
    ImportPosition,
    JoinGroup,
    Limits,
    Reassign,
    Resolve,
    Resume,
    SetLeverage,
    SetPositionMode,
    Transfer,
    Withdraw,
)
from pms.contract.events import PositionEvent
from pms.contract.journal import CursorRow
from pms.contract.money import booked, plain
from pms.contract.names import BOTH, HOUSE, INSURANCE, LONG, SHORT
from pms.domain.algos.starting import command_algo
from pms.domain.checks import known_account
from pms.domain.corrections import adjust, reassign, resolve
from pms.domain.decisions import Asked, kept
from pms.domain.desk import Desk
from pms.domain.funds import deposit, transfer, withdraw
from pms.domain.halting import halt, resume
from pms.domain.incidents import acknowledge
from pms.domain.income import Income
from pms.domain.instrument import InstrumentError
from pms.domain.leverage import set_leverage
from pms.domain.leverage_brackets import check_received
from pms.domain.limiting import change_limits, join_group
from pms.domain.liquidating import refuse_liquidating
from pms.domain.modes import set_position_mode
from pms.domain.positions import Position
from pms.domain.posting import Draft, Posting
from pms.domain.rows import position_id, position_row, position_view
from pms.domain.sub_accounts import SubAccount, house, tag
from pms.domain.treasury import INCOME, income_key

ZERO = Decimal(0)
LOCAL_COMMANDS: tuple[type[Command], ...] = (
    CreateAccount,
    Transfer,
    Deposit,
    Withdraw,
    SetLeverage,
    SetPositionMode,
    Freeze,
    Limits,
    JoinGroup,
    ImportPosition,
    Acknowledge,
    Resolve,
    Adjust,
    Reassign,
    Halt,
    Resume,
    *ALGO_COMMANDS,
)
"""Commands that leave no trace at the exchange: answered only after PostgreSQL has them."""


def keep(desk: Desk, asked: Asked, command: Command) -> Posting:
    """Decide a command that leaves no trace at the exchange; raises Refusal."""
    match command:
        case CreateAccount():
            return _create(desk, asked, command)
        case Transfer():
            return transfer(desk, asked, command)
        case Deposit():
            return deposit(desk, asked, command)
        case Withdraw():
            return withdraw(desk, asked, command)
        case SetLeverage():
            return set_leverage(desk, asked, command)
        case SetPositionMode():
            return set_position_mode(desk, asked, command)
        case Freeze():
            return _freeze(desk, asked, command)
        case Limits():
            return change_limits(desk, asked, command)
        case JoinGroup():
            return join_group(desk, asked, command)
        case ImportPosition():
            return _import(desk, asked, command)
        case Acknowledge():
            return acknowledge(desk, asked, command)
        case Resolve():
            return resolve(desk, asked, command)
        case Adjust():
            return adjust(desk, asked, command)
        case Reassign():
            return reassign(desk, asked, command)
        case Halt():
            return halt(desk, asked, command)
        case Resume():
            return resume(desk, asked, command)
        case _ if isinstance(command, ALGO_COMMANDS):
            return command_algo(desk, asked, command)
        case _:
            raise Refusal(Code.UNKNOWN_COMMAND, f"{asked.command} is not served here", field="command")


def open_books(
    desk: Desk,
    *,
    at: int,
    wallet: Decimal,
    positions: list[tuple[str, Decimal, Decimal]],
    cursors: dict[str, int],
    assets: Mapping[str, Decimal] | None = None,
    incomes: Sequence[Income] = (),
) -> Posting:
    """Open a new system's books: the exchange account as it stands is the house's.

    `positions` are (symbol, signed quantity, entry price); `cursors` the newest trade of each symbol,
    so that history from before us is never booked again. `incomes` are those that these balances hold
    already and that a reading may meet again; `assets` what the account holds besides USDT.
    """
    draft = desk.draft("opening", at=at)
    account = house()
    account.created_at = at
    desk.open_account(account)
    draft.sub_accounts[HOUSE] = account.row()
    desk.post(draft, account=HOUSE, amount=wallet, reason="OPENING", reference=None)
    for asset, balance in (assets or {}).items():
        desk.post(draft, account=HOUSE, amount=balance, reason="OPENING", reference=None, asset=asset)
    for income in incomes:
        desk.treasury.incomes[income_key(income.row())] = income.at
        draft.incomes.append(income.row())
    # What the history dates earlier is in these balances, whenever it comes to be listed.
    desk.treasury.reach(draft, INCOME, at)
    for symbol, quantity, entry in positions:
        position = desk.position(HOUSE, symbol)
        _open_position(desk, draft, position, quantity=quantity, cost=quantity * entry)
    for symbol, trade_id in cursors.items():
        desk.cursors[symbol] = trade_id
        draft.cursors.append(CursorRow(symbol=symbol, trade_id=trade_id, updated_at=at))
    return Posting(entry=desk.sealed(draft).entry())


def _create(desk: Desk, asked: Asked, command: CreateAccount) -> Posting:
    account = command.sub_account_id
    if tag(account) == tag(INSURANCE):
        raise Refusal(
            Code.ACCOUNT_EXISTS,
            f"{INSURANCE} is the system's own, and orders are known by the first eight characters",
            field="subAccountId",
            actual=account,
        )
    if tag(account) in desk.tags:
        raise Refusal(
            Code.ACCOUNT_EXISTS,
            f"{desk.tags[tag(account)]} has the same first eight characters, which mark the orders of both",
            field="subAccountId",
            actual=account,
        )
    draft = desk.draft("account", at=asked.now)
    opened = SubAccount(id=account, label=command.label, group=command.group, created_at=asked.now)
    desk.open_account(opened)
    draft.sub_accounts[account] = opened.row()
    return kept(desk, draft, asked, account=account)


def _freeze(desk: Desk, asked: Asked, command: Freeze) -> Posting:
    account = known_account(desk, command.sub_account_id, field="subAccountId")
    if account.id == HOUSE:
        raise Refusal(Code.HOUSE_ONLY, "the house cannot be frozen", field="subAccountId")
    draft = desk.draft("account", at=asked.now)
    draft.note["reason"] = command.reason
    account.status = "FROZEN" if command.frozen else "ACTIVE"
    draft.sub_accounts[account.id] = account.row()
    return kept(desk, draft, asked, account=account.id)


def _import(desk: Desk, asked: Asked, command: ImportPosition) -> Posting:
    """Hand a position over from the house, so that the exchange account's net stays what it is."""
    account = known_account(desk, command.sub_account_id, field="subAccountId")
    if account.id in {HOUSE, INSURANCE}:
        raise Refusal(Code.HOUSE_ONLY, f"the {account.id} receives no positions", field="subAccountId")
    refuse_liquidating(desk, account.id, field="subAccountId")
    instrument = desk.instruments.get(command.symbol)
    if instrument is None:
        raise Refusal(
            Code.UNKNOWN_SYMBOL,
            f"the exchange does not list {command.symbol}",
            field="symbol",
            actual=command.symbol,
        )
    if not command.quantity or command.quantity % instrument.step:
        raise Refusal(
            Code.QUANTITY_STEP,
            f"quantity must be a multiple of {plain(instrument.step)}, and not zero",
            field="quantity",
            limit=plain(instrument.step),
            actual=plain(command.quantity),
        )
    try:
        instrument.check_range(command.entry_price, field="entryPrice")
    except InstrumentError as error:
        raise Refusal(
            Code(error.code), str(error), field=error.field, limit=error.limit, actual=error.actual
        ) from None
    side = (LONG if command.quantity > 0 else SHORT) if account.hedge else BOTH
    position = desk.position(account.id, command.symbol, side)
    if position.quantity:
        raise Refusal(
            Code.BAD_FIELD,
            f"{account.id} already holds {plain(position.quantity)} {command.symbol}",
            field="symbol",
            actual=command.symbol,
        )
    standing = desk.standing_leverage(account.id, command.symbol)
    leverage = command.leverage or standing or asked.default_leverage
    price = command.entry_price
    check_received(desk, instrument, position, quantity=command.quantity, price=price, leverage=leverage)
    draft = desk.draft("import", at=asked.now)
    draft.note["reason"] = command.reason
    cost = booked(command.quantity * price)
    desk.set_leverage(account.id, command.symbol, leverage)
    for other in desk.positions_in(account.id, command.symbol):
        if other.keeps_leverage:
            draft.positions[other.place] = position_row(other)
    _open_position(desk, draft, position, quantity=command.quantity, cost=cost)
    giver = desk.position(HOUSE, command.symbol)
    _give(desk, draft, giver, quantity=command.quantity, cost=cost)
    draft.events.append(
        PositionEvent(
            type="position_updated",
            seq=draft.event_seq,
            sub_account_id=account.id,
            position=position_view(position),
            reason="IMPORT",
            timestamp=Decimal(asked.now) / 1000,
            account=desk.snapshot(account.id),
        )
    )
    return kept(desk, draft, asked, account=account.id)


def _give(desk: Desk, draft: Draft, giver: Position, *, quantity: Decimal, cost: Decimal) -> None:
    """Take quantity and cost out of the house's position, whatever becomes of its sign.

    Cost moves with quantity, so that no profit is made or lost by a transfer. What is left of it on a
    flat house is forgotten: when the position is closed, `NETTING` books just that.
    """
    crossing = not giver.quantity or giver.quantity * (giver.quantity - quantity) <= 0
    giver.quantity -= quantity
    giver.cost -= cost
    if not giver.quantity:
        giver.cost = ZERO
    if giver.quantity and crossing:
        giver.opened_seq = draft.first_seq
        giver.id = position_id(HOUSE, giver.symbol, giver.side, draft.first_seq)
    giver.updated_at = draft.at
    desk.touch_position(giver)
    draft.positions[giver.place] = position_row(giver)


def _open_position(desk: Desk, draft: Draft, position: Position, *, quantity: Decimal, cost: Decimal) -> None:
    position.quantity, position.cost = quantity, booked(cost)
    position.realized_pnl = position.fees = ZERO
    position.opened_seq, position.updated_at = draft.first_seq, draft.at
    position.id = position_id(position.sub_account_id, position.symbol, position.side, draft.first_seq)
    desk.touch_position(position)
    draft.positions[position.place] = position_row(position)
