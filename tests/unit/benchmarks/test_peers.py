"""A peer whose book disagrees has no figure, and each figure is told with the version that was locked."""

from __future__ import annotations

from decimal import Decimal

import pytest

from benchmarks import clients
from benchmarks.beside import disagreement

BESTS = [(Decimal("60000.10"), Decimal("60000.20")), (Decimal("60000.10"), Decimal("60000.30"))]


@pytest.mark.parametrize("spelled", ["60000.1", "60000.10", "60000.100", "6.00001E4"])
def test_a_peer_may_spell_a_price_as_it_likes(spelled: str) -> None:
    assert disagreement([[spelled, "60000.2"], [spelled, "60000.3"]], BESTS) is None


def test_a_peer_that_disagrees_once_is_refused_with_the_diff_and_both_bests() -> None:
    reason = disagreement([["60000.1", "60000.2"], ["60000.1", "60000.2"]], BESTS)
    assert reason == "after diff 2 its best is 60000.1 / 60000.2, ours 60000.10 / 60000.30"


def test_a_peer_that_left_diffs_out_is_refused() -> None:
    assert disagreement([["60000.1", "60000.2"]], BESTS) == "it told 1 bests of 2 diffs"


def test_what_is_no_number_is_refused() -> None:
    reason = disagreement([["None", "60000.2"], ["60000.1", "60000.3"]], BESTS)
    assert reason == "after diff 1 its best is None / 60000.2, no numbers"


def test_each_lock_pins_the_version_that_its_figure_is_told_with() -> None:
    told = {name: clients.version(name) for name in clients.NAMES}
    assert told["order_book"] == "0.6.1"
    for name, version in told.items():
        assert f"\n{name}=={version}\n" in (clients.LOCKS / f"{name}.in").read_text()


def test_an_unknown_client_is_refused_before_anything_is_made(capsys: pytest.CaptureFixture[str]) -> None:
    assert clients.main(["ccxt", "nothing"]) == 2
    assert "no such client: nothing" in capsys.readouterr().err
