"""Every command by its name, and the one reader that turns any bad input into a coded refusal."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel

from pms.contract.algo_commands import AlgoControl, CancelAlgo
from pms.contract.algo_kinds import ALGO_AMENDS, ALGO_STARTS
from pms.contract.basket import LEGS
from pms.contract.codes import Code, Refusal
from pms.contract.commands import (
    Acknowledge,
    Adjust,
    Amend,
    Batch,
    Cancel,
    CancelAll,
    Close,
    CloseAll,
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
    Trade,
    Transfer,
    Withdraw,
)
from pms.contract.money import BadJson, decode_object, plain

_MODELS: tuple[type[Command], ...] = (
    Trade,
    Batch,
    Amend,
    Close,
    CloseAll,
    Cancel,
    CancelAll,
    Halt,
    Resume,
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
    AlgoControl,
    CancelAlgo,
    *ALGO_STARTS,
)
COMMANDS: dict[str, type[Command]] = {model.name: model for model in _MODELS}
"""Every command by its task name; that of an algo is how it is started."""

ACTIONS: dict[str, type[Command]] = {
    **{f"{model.name}:amend": model for model in ALGO_AMENDS},
    **{
        f"{name}:{action}": AlgoControl
        for name in (AlgoControl.name, *(model.name for model in ALGO_STARTS))
        for action in ("cancel", "pause", "resume")
    },
}
"""What else a name stands for, by its `action`."""

AnyModel = TypeVar("AnyModel", bound=BaseModel)


MOST = Decimal(10) ** 15
LEAST = 1 / MOST
"""What a command's number may be: with steps and prices no arithmetic on it leaves 28 digits."""


def read_command(name: str, text: bytes | str) -> Command:
    """Read a command's JSON text; raises Refusal with the first fault, its field and its limit.

    Trap: numbers are bounded here and not by their shape. What was accepted before is read from the journal
    by the same shapes, and no start may fail for it.
    """
    try:
        fields = decode_object(text)
    except BadJson as error:
        raise Refusal(Code.BAD_JSON, f"the command is not a JSON object: {error}") from None
    command = command_from(name, fields)
    _check_sizes(command)
    return command


def _check_sizes(value: object, field: str = "") -> None:
    """Refuse numbers that nobody means, before anybody reckons with them; raises Refusal with the first."""
    match value:
        case BaseModel():
            for name, part in value:
                _check_sizes(part, f"{field}.{to_camel(name)}" if field else to_camel(name))
        case tuple():
            for place, part in enumerate(value):
                _check_sizes(part, f"{field}[{place}]")
        case Decimal() if value and not LEAST <= abs(value) < MOST:
            large = abs(value) >= MOST
            limit, words = (plain(MOST), "below") if large else (plain(LEAST), "zero, or at least")
            raise Refusal(
                Code.BAD_FIELD, f"{field}: must be {words} {limit}", field=field, limit=limit, actual=value
            )
        case _:
            pass


def command_from(name: str, fields: dict[str, Any]) -> Command:
    """Build a command from its fields; raises Refusal with the first fault."""
    model = ACTIONS.get(f"{name}:{fields.get('action')}") or COMMANDS.get(name)
    if model is None:
        raise Refusal(Code.UNKNOWN_COMMAND, f"there is no command {name!r}", field="command", actual=name)
    return model_from(model, fields)


def model_from(model: type[AnyModel], fields: dict[str, Any]) -> AnyModel:
    """Build what carries a requestId from its fields; raises Refusal with the first fault."""
    request_id = fields.get("requestId")
    if request_id is None:
        raise Refusal(
            Code.MISSING_REQUEST_ID, "requestId is missing; every command carries one", field="requestId"
        )
    if not is_request_id(request_id):
        raise Refusal(
            Code.BAD_REQUEST_ID,
            "requestId is not a UUID in lower case with dashes",
            field="requestId",
            actual=request_id,
        )
    try:
        return model.model_validate(fields, by_alias=True, by_name=False)
    except ValidationError as error:
        raise _refusal(error) from None


def is_request_id(value: object) -> bool:
    """Whether a value is a UUID as text, in lower case and with its dashes.

    Trap: other spellings of one UUID would be other keys of one order.
    """
    try:
        return isinstance(value, str) and str(UUID(value)) == value
    except ValueError:
        return False


def _refusal(error: ValidationError) -> Refusal:
    faults = sorted(error.errors(include_url=False), key=lambda fault: _SEVERITY.get(fault["type"], 2))
    fault = faults[0]
    field = _field_of(fault["loc"]) or None
    actual = None if fault["type"] == "missing" else fault["input"]
    if fault["type"] == "missing":
        return Refusal(Code.MISSING_FIELD, f"{field} is missing", field=field)
    if fault["type"] == "union_tag_not_found":
        field = f"{field}.{fault['ctx']['discriminator'].strip(_QUOTE)}"
        return Refusal(Code.MISSING_FIELD, f"{field} is missing", field=field)
    if fault["type"] == "extra_forbidden":
        return Refusal(Code.UNKNOWN_FIELD, f"the command has no field {field}", field=field, actual=actual)
    reason = fault["msg"].removeprefix("Value error, ")
    context = fault.get("ctx", {})
    if fault["type"] == "union_tag_invalid":
        field, actual = f"{field}.{context['discriminator'].strip(_QUOTE)}", context["tag"]
    limit = next((context[name] for name in _LIMITS if context.get(name)), None)
    return Refusal(Code.BAD_FIELD, f"{field}: {reason}", field=field, limit=limit, actual=actual)


def _field_of(path: tuple[int | str, ...]) -> str:
    """A field as it is written: `legs[0].price`. Which kind of leg it was read as is no part of that."""
    text = ""
    for place, part in enumerate(path):
        if isinstance(part, int):
            text += f"[{part}]"
        elif not (place and isinstance(path[place - 1], int) and part in LEGS):
            text += f".{part}" if text else part
    return text


_QUOTE = "'"
_LIMITS = ("ge", "le", "expected", "expected_tags", "min_length", "max_length")
_SEVERITY = {"missing": 0, "union_tag_not_found": 0, "extra_forbidden": 1}
