"""Commands in: one model each; `reading` turns any bad input into a coded refusal.

Trap: an unknown field is refused, not ignored. A desk that writes `reduceonly` and is filled on the
wrong side has lost money to a spelling.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, ClassVar, Literal, TypeGuard
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

from pms.contract.limits import DEFAULT_GROUP, GROUP_PREFIX
from pms.contract.money import Number, Whole, plain
from pms.contract.names import BOTH, EVERYTHING, Task

Side = Literal["BUY", "SELL"]
OrderType = Literal["MARKET", "LIMIT"]
TimeInForce = Literal["GTC", "IOC", "FOK", "GTX"]
PositionSide = Literal["BOTH", "LONG", "SHORT"]
TTL_RANGE_MS = (100, 60_000)
MOST_IN_BATCH = 20
MOST_DIGITS = 30
MOST_ID = 64
"""Characters of an order's id: ours have 36, the exchange's 19. Python reads no number of thousands."""

_ACCOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,35}")


def read_side(value: object) -> object:
    """LONG and SHORT are the gateway's older words for BUY and SELL."""
    words = {"LONG": "BUY", "SHORT": "SELL"}
    return words.get(value.upper(), value.upper()) if isinstance(value, str) else value


def upper(value: object) -> object:
    """Names are upper case, however they were written."""
    return value.upper() if isinstance(value, str) else value


def _account(value: object) -> object:
    if not isinstance(value, str) or not _ACCOUNT.fullmatch(value):
        raise ValueError("must be 1 to 36 letters, digits or dashes")
    return value


def _scope(value: object) -> object:
    """Everything, a group, or a sub-account."""
    if value == EVERYTHING:
        return value
    return (
        f"{GROUP_PREFIX}{_account(value.removeprefix(GROUP_PREFIX))}" if _of_group(value) else _account(value)
    )


def _of_group(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and value.startswith(GROUP_PREFIX)


def _setting(value: object) -> object:
    """A number is set as its text, exactly; a truth, which Python counts among them, is not one."""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        number = Decimal(value)
        if not number.is_finite() or abs(number.adjusted()) > MOST_DIGITS:
            raise ValueError(f"must be a number of at most {MOST_DIGITS} digits")
        return plain(number)
    return value


def _order_id(value: object) -> object:
    """The exchange's ids are numbers; a truth, which Python counts among them, is not one."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


AccountId = Annotated[str, BeforeValidator(_account)]
Symbol = Annotated[str, BeforeValidator(upper), Field(min_length=1, max_length=40)]
OrderId = Annotated[str, BeforeValidator(_order_id), Field(min_length=1, max_length=MOST_ID)]
Group = Annotated[str, BeforeValidator(_account), Field(description="1 to 36 letters, digits or dashes.")]
Scope = Annotated[str, BeforeValidator(_scope)]
Setting = Annotated[
    str,
    BeforeValidator(_setting),
    Field(min_length=1, max_length=20_000),
    WithJsonSchema({"type": ["number", "string"]}),
]
Leverage = Annotated[int, Whole(1, 150)]
HaltMode = Literal["HALTED", "REDUCE_ONLY"]
Why = Annotated[
    str, Field(min_length=1, max_length=200, description="For the journal, and for whoever is refused.")
]
Who = Annotated[str, Field(min_length=1, max_length=80, description="The person who wants it.")]


TtlMs = Annotated[int, Whole(*TTL_RANGE_MS)]


class Command(BaseModel):
    """What every command carries: an idempotency key and, if wished, a deadline."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, title="Command"
    )
    name: ClassVar[str] = ""

    request_id: UUID = Field(description="Idempotency key, in lower case; a repeat gets the first answer.")
    ttl_ms: TtlMs | None = Field(None, description="Deadline after arrival, in ms; 5000.")


class OrderTerms(BaseModel):
    """What one order is to be."""

    model_config = Command.model_config

    symbol: Symbol
    side: Annotated[Side, BeforeValidator(read_side)]
    quantity: Number = Field(description="In the base asset.")
    leverage: Leverage | None = Field(None, description="The sub-account's leverage in this symbol.")
    type: Annotated[OrderType, BeforeValidator(upper)] = "MARKET"
    price: Number | None = Field(None, description="Mandatory for LIMIT, refused for MARKET.")
    time_in_force: Annotated[TimeInForce | None, BeforeValidator(upper)] = Field(
        None, description="LIMIT only; GTC."
    )
    reduce_only: bool = Field(False, description="Judged on the sub-account's own position.")
    position_side: Annotated[PositionSide | None, BeforeValidator(upper)] = Field(
        None, description="Which position it is for: mandatory in hedge mode, there SELL LONG only reduces."
    )


class Trade(OrderTerms, Command):
    """Place one order for a sub-account."""

    name: ClassVar[str] = Task.TRADE

    sub_account_id: AccountId

    @property
    def place(self) -> tuple[str, str, str]:
        """The position that it is for."""
        return self.sub_account_id, self.symbol, self.position_side or BOTH


class Batch(Command):
    """Place several orders for a sub-account; each is admitted or refused by itself."""

    name: ClassVar[str] = Task.BATCH

    sub_account_id: AccountId
    orders: tuple[OrderTerms, ...] = Field(min_length=1, max_length=MOST_IN_BATCH)


class Amend(Command):
    """Change a resting order; what is absent stays as it is."""

    name: ClassVar[str] = Task.AMEND

    order_id: OrderId = Field(description="Our client order id, or the exchange's id.")
    quantity: Number | None = Field(None, description="The TOTAL, what is filled included.")
    price: Number | None = None


class Close(Command):
    """Close one position at market."""

    name: ClassVar[str] = Task.CLOSE

    position_id: UUID


class CloseAll(Command):
    """Close every open position of a sub-account, or of all but the house, in one symbol or in all."""

    name: ClassVar[str] = Task.CLOSE_ALL

    sub_account_id: AccountId | None = None
    symbol: Symbol | None = None


class Cancel(Command):
    """Cancel one order; stands until the order is terminal."""

    name: ClassVar[str] = Task.CANCEL

    order_id: OrderId = Field(description="Our client order id, or the exchange's id.")


class CancelAll(Command):
    """Cancel every live order of a sub-account, or of all, in one symbol or in all."""

    name: ClassVar[str] = Task.CANCEL_ALL

    sub_account_id: AccountId | None = None
    symbol: Symbol | None = None


class Halt(Command):
    """Halt trading: no send right is given from the moment this is recorded, even if the engine hangs.

    Cancels go on. Orders that rest at the exchange stay there.
    """

    name: ClassVar[str] = Task.HALT

    sub_account_id: AccountId | None = Field(None, description="One sub-account; without it, everything.")
    mode: HaltMode = Field("HALTED", description="REDUCE_ONLY still lets orders out that say reduceOnly.")
    reason: Why
    actor: Who


class Resume(Command):
    """Lift one halt; a halt of everything and one of a sub-account are lifted apart."""

    name: ClassVar[str] = Task.RESUME

    sub_account_id: AccountId | None = Field(None, description="One sub-account; without it, everything.")
    reason: Why
    actor: Who


class CreateAccount(Command):
    """Create a sub-account; its first eight characters must be free, for they mark its orders."""

    name: ClassVar[str] = "pms.create_account"

    sub_account_id: AccountId
    label: str = Field("", max_length=80)
    group: Group = Field(DEFAULT_GROUP, description="Whose limits it shares.")


class Transfer(Command):
    """Move balance between two sub-accounts; funding a new one is a transfer from the house."""

    name: ClassVar[str] = "pms.transfer"

    from_account_id: AccountId
    to_account_id: AccountId
    amount: Number
    reason: str = Field("", max_length=200)


class Deposit(Command):
    """Give a sub-account money that the house holds; served in every state, for it only makes it safer."""

    name: ClassVar[str] = "pms.deposit"

    sub_account_id: AccountId
    amount: Number
    reason: str = Field("", max_length=200)


class Withdraw(Command):
    """Take money that a sub-account can spare back to the house; from a frozen one nothing goes."""

    name: ClassVar[str] = "pms.withdraw"

    sub_account_id: AccountId
    amount: Number
    reason: str = Field("", max_length=200)


class SetLeverage(Command):
    """Change a sub-account's leverage in a symbol, whatever it holds and has resting there.

    It stands until another command, or an order that opens and names one, changes it.
    """

    name: ClassVar[str] = "pms.leverage"

    sub_account_id: AccountId
    symbol: Symbol
    leverage: Leverage
    reason: str = Field("", max_length=200)


class SetPositionMode(Command):
    """Let a sub-account hold a long beside a short of one symbol, or again one position in each.

    The exchange account stays in one-way mode; refused while there are positions, live orders or algos.
    """

    name: ClassVar[str] = "pms.position_mode"

    sub_account_id: AccountId
    hedge: bool
    reason: str = Field("", max_length=200)


class Freeze(Command):
    """Freeze a sub-account, so that it may only reduce, or lift the freeze."""

    name: ClassVar[str] = "pms.freeze"

    sub_account_id: AccountId
    frozen: bool = True
    reason: str = Field("", max_length=200)


class Limits(Command):
    """Set a limit, remove a setting, or show what holds: for a sub-account, a group or everything.

    The narrowest setting counts: sub-account over group over everything; the symbol over all symbols.
    """

    name: ClassVar[str] = Task.LIMITS

    action: Literal["set", "unset", "show"]
    scope: Scope = Field(EVERYTHING, description="A sub-account's id, group:NAME, or * for everything.")
    limit: str | None = Field(None, max_length=80, description="The limit's name; for show, only this one.")
    symbol: Symbol | None = Field(None, description="Only in this symbol; without it, in all.")
    value: Setting | None = Field(
        None, description="For set: a number, a word, or symbols, as the limit's unit says."
    )
    reason: Why | None = Field(None, description="Mandatory for set and unset.")
    actor: Who | None = Field(None, description="Mandatory for set and unset: the person who wants it.")


class JoinGroup(Command):
    """Put a sub-account into a group, whose limits it shares from then on."""

    name: ClassVar[str] = Task.GROUP

    sub_account_id: AccountId
    group: Group
    reason: Why
    actor: Who


class ImportPosition(Command):
    """Take over one position from another system: quantity signed, at its entry price.

    In hedge mode the sign says of which side it is.

    The house gives the position, so that the exchange account's net is unchanged.
    """

    name: ClassVar[str] = "pms.import_position"

    sub_account_id: AccountId
    symbol: Symbol
    quantity: Number
    entry_price: Number
    leverage: Leverage | None = None
    reason: str = Field("", max_length=200)


Actor = Annotated[str, Field(min_length=1, max_length=100, description="Who: OS user @ host.")]
Reason = Annotated[str, Field(min_length=3, max_length=500, description="Why, for the journal.")]


class Acknowledge(Command):
    """Say that somebody has seen an incident; one that merely happened is over with that."""

    name: ClassVar[str] = "pms.acknowledge"

    incident_id: Annotated[str, Field(pattern=r"^[0-9]{1,18}$")]
    actor: Actor
    reason: Reason


class Resolve(Command):
    """An operator's word on what became of an order; a later word of the exchange supersedes it."""

    name: ClassVar[str] = "pms.resolve"

    order_id: OrderId = Field(description="Our client order id, or the exchange's id.")
    outcome: Literal["not-executed", "cancelled", "expired", "filled"]
    actor: Actor
    reason: Reason


class Adjust(Command):
    """Correct a sub-account against the house: an amount of balance, or a signed quantity of a position."""

    name: ClassVar[str] = "pms.adjust"

    sub_account_id: AccountId
    amount: Number | None = Field(None, description="Signed; the house gives it or takes it.")
    symbol: Symbol | None = None
    quantity: Number | None = Field(None, description="Signed; what the sub-account's position changes by.")
    price: Number | None = Field(None, description="At which quantity changes hands; the mid price.")
    position_side: Annotated[PositionSide | None, BeforeValidator(upper)] = Field(
        None, description="The sub-account's; mandatory with quantity in hedge mode."
    )
    actor: Actor
    reason: Reason


class Reassign(Command):
    """Hand a position, part of one, or one trade from one account to another; one of them is the house."""

    name: ClassVar[str] = "pms.reassign"

    from_account_id: AccountId
    to_account_id: AccountId
    symbol: Symbol
    quantity: Number | None = Field(
        None, description="Signed, of the position; all of it. A trade's quantity, signed by its side."
    )
    price: Number | None = Field(None, description="The giver's average entry; a trade's price.")
    position_side: Annotated[PositionSide | None, BeforeValidator(upper)] = Field(
        None, description="The sub-account's; mandatory in hedge mode."
    )
    exchange_order_id: Annotated[int, Whole(0)] | None = Field(
        None, description="With tradeId: hand over this trade."
    )
    trade_id: Annotated[int, Whole(0)] | None = None
    commission: Number | None = Field(None, description="The trade's commission, in USDT; goes with it.")
    actor: Actor
    reason: Reason
