"""A crowd of algos of every kind that has one symbol, on many: what each is started with, where it trades.

Each has a symbol of its own in its sub-account, so that what is held there is its own doing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from pms.contract.names import Task
from pms.domain.desk import Top
from pms.domain.instrument import Instrument
from pms.venue.symbols import SHIPPED

D = Decimal
NOTIONAL = D(600)
"""Of most orders; several times the least that any symbol asks for."""

MODEL = "SOLUSDT"
"""What symbols are made from that the shipped file does not have."""

KINDS = ("chase",) * 10 + ("twap",) * 3 + ("trail_stop",) * 3 + ("bracket",) * 2 + ("scalper",) * 2
"""Of twenty algos."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one algo of the crowd trades."""

    number: int
    kind: str
    account: str
    symbol: str


def symbols_file(path: Path, count: int) -> list[str]:
    """Write an exchangeInfo file of so many symbols, the shipped ones first; returns their names."""
    info = json.loads(SHIPPED.read_text())
    model = next(entry for entry in info["symbols"] if entry["symbol"] == MODEL)
    for number in range(len(info["symbols"]), count):
        asset = f"X{number:02}"
        info["symbols"].append(
            {**model, "symbol": f"{asset}USDT", "pair": f"{asset}USDT", "baseAsset": asset}
        )
    info["symbols"] = info["symbols"][:count]
    path.write_text(json.dumps(info))
    return [entry["symbol"] for entry in info["symbols"]]


def places(symbols: list[str], accounts: list[str], count: int) -> Iterator[Place]:
    """So many algos, spread over symbols, accounts and kinds; no two share an account's symbol."""
    if count > len(symbols) * len(accounts):
        raise ValueError(f"{count} algos need more than {len(symbols)} symbols in {len(accounts)} accounts")
    for number in range(count):
        turn, which = divmod(number, len(symbols))
        account = accounts[(turn + which) % len(accounts)]
        # Shifted by a turn each time, so that no symbol has one kind alone
        yield Place(number, KINDS[(number + turn * 3) % len(KINDS)], account, symbols[which])


def start_of(place: Place, instrument: Instrument, top: Top, *, position_id: str | None) -> dict[str, Any]:
    """The fields of an algo's start command; those that protect a position take its id."""
    make = {
        "chase": _chase,
        "twap": _twap,
        "trail_stop": _trail_stop,
        "bracket": _bracket,
        "scalper": _scalper,
    }
    fields = make[place.kind](place.number, instrument, top)
    if position_id is not None:
        return {"subAccountId": place.account, "positionId": position_id, **fields}
    return {"subAccountId": place.account, "symbol": place.symbol, "leverage": 5, **fields}


def task_of(place: Place) -> str:
    """The task that starts an algo of that kind."""
    return {
        "chase": Task.CHASE,
        "twap": Task.TWAP,
        "trail_stop": Task.TRAIL_STOP,
        "bracket": Task.BRACKET,
        "scalper": Task.SCALPER,
    }[place.kind]


def size_of(instrument: Instrument, top: Top, notional: Decimal = NOTIONAL) -> Decimal:
    """A quantity of about that worth."""
    return instrument.floor_quantity(notional / top.mid, market=True)


def _side(number: int) -> str:
    return "BUY" if number % 2 else "SELL"


def _chase(number: int, instrument: Instrument, top: Top) -> dict[str, Any]:
    """Most rest far enough away to stay; one of four at the touch, where it is filled bit by bit."""
    near = number % 4 == 0
    fields = {
        "side": _side(number),
        "quantity": str(size_of(instrument, top)),
        "stalkMode": "touch" if near else ("maintain", "trail")[number % 2],
        "stalkOffset": "0" if near else str(D(number % 5 + 3) / 10),
        "repriceMs": 100,
    }
    return fields | ({"postOnly": True} if number % 8 == 0 else {})


def _twap(number: int, instrument: Instrument, top: Top) -> dict[str, Any]:
    total = size_of(instrument, top, NOTIONAL * 8)
    fields: dict[str, Any] = {"side": _side(number), "totalSize": str(total), "lots": 8, "duration": 60}
    return fields | {"jitter": 30, "passive": number % 2 == 0}


def _trail_stop(number: int, instrument: Instrument, top: Top) -> dict[str, Any]:
    """Half of them so near that they fire."""
    return {"callbackPct": "0.1" if number % 2 else "5"}


def _bracket(number: int, instrument: Instrument, top: Top) -> dict[str, Any]:
    """Half of them so near that one of the exits is met."""
    far = D("0.002") if number % 2 else D("0.05")
    prices = {
        name: (top.mid * (1 + sign * far) // instrument.tick * instrument.tick)
        for name, sign in (("takeProfit", 1), ("stopLoss", -1))
    }
    size = size_of(instrument, top)
    return {"side": "BUY", "quantity": str(size), **{name: str(price) for name, price in prices.items()}}


def _scalper(number: int, instrument: Instrument, top: Top) -> dict[str, Any]:
    fields: dict[str, Any] = {"quantity": str(size_of(instrument, top)), "layers": 2}
    return fields | {"baseOffsetPct": "0.2" if number % 2 else "0.6", "coolDown": 1, "repriceMs": 100}
