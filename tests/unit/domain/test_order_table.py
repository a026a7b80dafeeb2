"""The page of the order state machine says what the orders do."""

from __future__ import annotations

from pathlib import Path

import pytest

from pms.domain import order_table
from pms.domain.orders import WORD_RANK, State

DOCS = Path(__file__).parents[3] / "docs"


def test_the_page_is_current() -> None:
    assert (DOCS / order_table.NAME).read_text() == order_table.page(), "run `make contract`"


def test_every_state_is_reached_and_every_word_is_heard() -> None:
    found = order_table.transitions()
    assert {after for facts in found.values() for states in facts.values() for after in states} == set(State)
    assert {title for facts in found.values() for title in facts} >= set(WORD_RANK)


@pytest.mark.parametrize("state", [State.FILLED, State.CANCELLED, State.EXPIRED])
def test_nothing_leads_out_of_an_end_at_the_exchange(state: State) -> None:
    assert set.union(*order_table.transitions()[state].values()) == {state}


@pytest.mark.parametrize("state", [State.REJECTED, State.VOID, State.UNKNOWN, State.PLACING])
def test_a_trade_brings_an_order_to_life_from_every_state_without_one(state: State) -> None:
    assert order_table.transitions()[state][order_table.TRADE] == {State.PARTIALLY_FILLED}


def test_the_generator_writes_into_the_named_directory(tmp_path: Path) -> None:
    assert order_table.main([str(tmp_path)]) == 0
    assert (tmp_path / order_table.NAME).read_text() == order_table.page()
    assert order_table.main([]) == 2
