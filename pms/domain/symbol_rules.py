"""Symbol rules that change while positions are open: steps, brackets, status, and symbols that come and go.

Who holds a changed symbol is weighed anew: the prices he waits for came of the old brackets, or of a price
that counts no more. Nothing here is journaled: a restart reads the same from the exchange.

Trap: a symbol that is gone stays, as UNLISTED. Positions, orders and algos may still need its steps, and
nothing is sent in what does not trade.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from pms.contract.money import plain
from pms.domain.brackets import UNKNOWN
from pms.domain.desk import Desk
from pms.domain.instrument import Instrument
from pms.domain.margin import Exposure
from pms.domain.positions import Position

UNLISTED = "UNLISTED"
"""Our word beside the exchange's own for a status."""


class ChangedRules(NamedTuple):
    """A symbol whose rules are others now, and what of that is worse for whoever holds it."""

    before: Instrument | None
    #: None: it is new
    after: Instrument
    worse: str | None

    @property
    def carries_otherwise(self) -> bool:
        """Whether leverage and maintenance margin are others, or not known before."""
        before = self.before
        return before is None or before.brackets != self.after.brackets


def take_rules(desk: Desk, told: Mapping[str, Instrument]) -> list[ChangedRules]:
    """Take over what the exchange says of all its symbols; returns what differs.

    Raises ValueError where it lists none: that is a torn answer, not a market that closed.
    """
    if not told:
        raise ValueError("the exchange lists no symbol")
    others = [after for after in _now(desk.instruments, told) if desk.instruments.get(after.symbol) != after]
    held = _held(desk, {after.symbol for after in others})
    changed = []
    for after in others:
        before, holders = desk.instruments.get(after.symbol), held.get(after.symbol, [])
        worse = _worse(desk, before, after, holders) if before and holders else None
        changed.append(ChangedRules(before, after, worse))
        for position in holders:
            other_brackets = desk.exposure(position).brackets != after.brackets
            if other_brackets or (after.symbol not in desk.tops and before and before.status != after.status):
                desk.unweighed.add(position.sub_account_id)
        desk.instruments[after.symbol] = after
    return changed


def _now(known: Mapping[str, Instrument], told: Mapping[str, Instrument]) -> Iterator[Instrument]:
    """Every symbol as it is now: those that are told, and those that no longer are."""
    for symbol, instrument in told.items():
        before = known.get(symbol)
        if before is not None and instrument.brackets is UNKNOWN:
            # Brackets that were left out, or cannot be read: the last ones are nearer than a guess.
            most = instrument.max_leverage or before.max_leverage
            yield replace(instrument, brackets=before.brackets, max_leverage=most)
        else:
            yield instrument
    for symbol, before in list(known.items()):
        if symbol not in told:
            yield replace(before, status=UNLISTED)


def _held(desk: Desk, symbols: Collection[str]) -> dict[str, list[Position]]:
    """Who holds any of these symbols, in one look at everybody: hundreds may change in one night."""
    found: dict[str, list[Position]] = {}
    for held in desk.held.values() if symbols else ():
        for (symbol, _), position in held.items():
            if symbol in symbols:
                found.setdefault(symbol, []).append(position)
    return found


def _worse(desk: Desk, before: Instrument, after: Instrument, held: Collection[Position]) -> str | None:
    """What a change does to those who hold the symbol, in words; None where it does them no harm."""
    found = []
    if after.status not in {before.status, "TRADING"}:
        found.append(f"it is {after.status}, and no order in it is taken")
    needy = [position for position in held if _needs_more(desk, position, after)]
    if needy:
        found.append(f"maintenance margin is higher for {_names(needy)}")
    odd = [position for position in held if _off(position, after) and not _off(position, before)]
    if odd:
        found.append(
            f"its step is {plain(after.step)} now, and what {_names(odd)} holds is no multiple of it"
        )
    return "; ".join(found) or None


def _needs_more(desk: Desk, position: Position, after: Instrument) -> bool:
    exposure = desk.exposure(position)
    price = desk.valued_at(exposure)
    anew = Exposure(exposure.symbol, exposure.quantity, exposure.cost, after.brackets)
    return anew.maintenance(price) > exposure.maintenance(price)


def _off(position: Position, instrument: Instrument) -> bool:
    return bool(instrument.step) and bool(position.quantity % instrument.step)


def _names(positions: Collection[Position]) -> str:
    """Who holds them: a few by name."""
    names = sorted({position.sub_account_id for position in positions})
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown
