"""What an operator asks of a crash: {percent, symbols?, seconds?, gaps?, thin?, seed?}."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation

from pms.venue.background.crash import CrashError, Terms

FIELDS = ("symbols", "percent", "seconds", "gaps", "thin", "seed")


def wanted(body: Mapping[str, object], listed: Sequence[str]) -> dict[str, Terms]:
    """The terms by symbol; raises CrashError naming the field at fault.

    `symbols` is "all" (or absent), a list, or an object of symbol and its own percent.
    """
    if unknown := body.keys() - set(FIELDS):
        raise CrashError(f"unknown field {min(unknown)}; known are {', '.join(FIELDS)}")
    symbols = body.get("symbols", "all")
    if isinstance(symbols, dict):
        if "percent" in body:
            raise CrashError("percent: each symbol has its own here, give one or the other")
        percents = {name: _number(value, f"symbols.{name}") for name, value in symbols.items()}
    else:
        names = listed if symbols == "all" else symbols
        if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
            raise CrashError('symbols must be "all", a list of symbols, or an object of symbol and percent')
        percent = _number(body.get("percent"), "percent")
        percents = dict.fromkeys(names, percent)
    if not percents:
        raise CrashError("symbols names no made-up market")
    return {
        name: Terms(
            percent=percent,
            seconds=_number(body.get("seconds", 60), "seconds"),
            gaps=_whole(body.get("gaps", 0), "gaps"),
            thin=_number(body.get("thin", 1), "thin"),
            seed=_whole(body.get("seed", 1), "seed"),
        )
        for name, percent in percents.items()
    }


def _number(value: object, name: str) -> Decimal:
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    try:
        number = Decimal(value) if isinstance(value, str) else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite():
        raise CrashError(f"{name} must be a whole number, or a decimal in a string")
    return number


def _whole(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise CrashError(f"{name} must be a whole number")
    return value
