"""How far back missing money is looked for: to when the exchange last spoke of money that agreed."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from pms.domain.desk import Desk
from pms.domain.treasury import WALLET
from pms.streamer.engine import Venue
from pms.streamer.outside import BEFORE_MS, Outside


class Incomes:
    """An income history that notes from where it was asked."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    async def read(self, *, since: int = 0) -> set[str]:
        self.asked.append(since)
        return set()


def outside() -> tuple[Any, Venue, Incomes]:
    """One whose books are empty, before an exchange that has not spoken."""
    venue, incomes = Venue(), Incomes()
    engine: Any = SimpleNamespace(desk=Desk(epoch="e1"), venue=venue)
    nothing: Any = None
    made: Any = Outside(engine, nothing, nothing, lambda: 0.0, lambda: True, lambda _: None)
    made.incomes = incomes
    return made, venue, incomes


def says(venue: Venue, wallet: str, *, at: int) -> None:
    venue.told += 1
    venue.heard_at = at
    venue.wallets[WALLET] = Decimal(wallet)


async def test_silence_is_no_agreement() -> None:
    """Ten minutes without a word, in which money came: it is looked for from before the silence."""
    made, venue, incomes = outside()
    says(venue, "0", at=1_000_000)
    made._note_agreement()
    for _ in range(600):
        made._note_agreement()
    venue.wallets[WALLET] = Decimal(77)  # as the query after the gap tells it
    await made._look_for_missing()
    assert incomes.asked == [1_000_000 - BEFORE_MS]


async def test_a_word_that_differs_does_not_move_it() -> None:
    made, venue, incomes = outside()
    says(venue, "0", at=1_000_000)
    made._note_agreement()
    says(venue, "77", at=2_000_000)
    made._note_agreement()
    await made._look_for_missing()
    says(venue, "0", at=3_000_000)
    made._note_agreement()
    await made._look_for_missing()
    says(venue, "5", at=4_000_000)
    made._note_agreement()
    await made._look_for_missing()
    assert incomes.asked == [1_000_000 - BEFORE_MS, 3_000_000 - BEFORE_MS]


async def test_before_the_first_word_it_is_all_since_the_cursor() -> None:
    made, venue, incomes = outside()
    venue.wallets[WALLET] = Decimal(77)
    await made._look_for_missing()
    assert incomes.asked == [-BEFORE_MS]
