"""A peer's figure counts only if its book ends where ours does."""

from __future__ import annotations

from decimal import Decimal

from benchmarks.peers.environments import PEERS
from benchmarks.ticks import judged

BEST = (Decimal("60000.1"), Decimal("60000.2"))


def test_the_same_prices_count_however_they_are_written() -> None:
    assert judged({"rate": 5000, "bid": "60000.10", "ask": "60000.2"}, BEST) == 5000


def test_another_book_has_no_figure() -> None:
    told = judged({"rate": 5000, "bid": "60000.0", "ask": "60000.2"}, BEST)
    assert told == "its book is another: 60000.0 / 60000.2, ours 60000.1 / 60000.2"


def test_each_peer_has_its_script_and_its_lock() -> None:
    for peer in PEERS:
        assert peer.lock.is_file()
        assert peer.lock.with_suffix(".py").is_file()
