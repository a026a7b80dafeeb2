"""After each tick that a streamer has judged: nobody who holds the symbol may be where he does not belong.

Whoever is in another tier than his weight asks for was overlooked: by the watch, by its triggers, or by a
life that began without him. What may not be acted on, by the mark or for want of a price, is not judged.
"""

from __future__ import annotations

from decimal import Decimal

from pms.contract.names import HOUSE, INSURANCE
from pms.domain.desk import Desk
from pms.sim.judges.invariants import Invariants
from pms.sim.judges.liquidations import lines_of
from pms.sim.lines import LEVELS, MARK_COUNTS_MS, MOST_OFF, Held, weigh
from pms.streamer.process import Streamer

Stand = tuple[int, dict[tuple[str, str], Decimal]]
DEALT_WITH = "dealt with on the tick"


class Ticks:
    """Looks at every tick of every streamer."""

    def __init__(self, invariants: Invariants) -> None:
        self._invariants = invariants
        self._spared: dict[str, Stand] = {}

    def before(self, streamer: Streamer, symbol: str) -> None:
        """A tick is about to be judged: nothing may befall whose prices may not be acted on."""
        self._spared.clear()
        desk, now = streamer._desk, streamer._engine.now()
        torn = {each for each in desk.last_tops if not _permitted(desk, each, now)}
        if torn:
            self._spared = {
                account: _stand(desk, account)
                for account, held in desk.held.items()
                if any(each in torn for each, _ in held)
            }

    def after(self, streamer: Streamer, symbol: str) -> None:
        """A streamer has judged a tick; one that still recovers watches nobody yet."""
        if not streamer._risk._on:
            return
        desk, now = streamer._desk, streamer._engine.now()
        for account, stood in self._spared.items():
            if account != HOUSE and _stand(desk, account) != stood:
                detail = f"{account} was liquidated on a price that may not be acted on"
                self._invariants.fail(DEALT_WITH, detail, account)
        for account, held in desk.held.items():
            if account in (HOUSE, INSURANCE) or not any(each == symbol for each, _ in held):
                continue
            symbols = {each for each, _ in held}
            if not all(_permitted(desk, each, now) for each in symbols):
                continue
            self._invariants.checked[DEALT_WITH] += 1
            mids = {each: _mid(desk, each) for each in symbols}
            mine = ((each, Held(position.quantity, position.cost)) for (each, _), position in held.items())
            owner = desk.accounts[account]
            weight = weigh(owner.balance, mine, mids, lines_of(self._invariants.journal, account))
            level = weight.level(owner.tier)
            if level != owner.tier:
                detail = f"{account} is in tier {owner.tier} and belongs in {level}: {weight}, {mids}"
                self._invariants.fail(DEALT_WITH, detail, account)
            elif level == LEVELS["TAKEOVER"] and weight.crossed(weight.lines.fires[-1]):
                # Whatever came to it since is taken over like the rest.
                self._invariants.fail(DEALT_WITH, f"{account} is in tier {level} and holds {mids}", account)


def _stand(desk: Desk, account: str) -> Stand:
    """Its tier, and how much it holds."""
    held = desk.held.get(account, {})
    return desk.accounts[account].tier, {key: position.quantity for key, position in held.items()}


def _permitted(desk: Desk, symbol: str, now: int) -> bool:
    """Whether a price may be acted on: in sync, and near a mark that still counts."""
    if symbol not in desk.tops:
        return False
    mark = desk.marks.get(symbol)
    if mark is None or now - mark.heard_at > MARK_COUNTS_MS:
        return True
    return abs(_mid(desk, symbol) - mark.price) <= MOST_OFF * mark.price


def _mid(desk: Desk, symbol: str) -> Decimal:
    top = desk.tops[symbol]
    return (top.bid + top.ask) / 2
