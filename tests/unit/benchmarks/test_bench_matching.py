"""The tape of `bench matching`: its mix, and that no trade of it depends on what an engine offers."""

from __future__ import annotations

from collections import Counter

from benchmarks.matching import Matcher, _play, _trades
from benchmarks.matching_tape import Tape
from benchmarks.peers.tapes import summary
from pms.venue.matching import Book


def test_the_tape_has_the_mix_that_it_says_and_knows_what_rests() -> None:
    tape = Tape(3)
    commands = tape.write(20_000)
    kinds: Counter[str] = Counter(
        "cancel" if not each.quantity else "sweep" if each.owner >= 100 else "passive" for each in commands
    )
    assert 0.59 < kinds["passive"] / 20_000 < 0.61
    assert 0.34 < kinds["cancel"] / 20_000 < 0.36
    assert 0.04 < kinds["sweep"] / 20_000 < 0.06
    book = Book()
    _play(book, commands)
    assert len(book.orders) == tape.resting()


def test_a_plain_queue_makes_the_same_trades() -> None:
    """Price, then time, and nothing else: owners, names and lives change nothing."""
    commands = Tape(5).write(3_000, spread=6)
    resting: dict[int, tuple[int, int, int]] = {}
    trades = []
    for each in commands:
        if not each.quantity:
            resting.pop(each.id, None)
            continue
        left = each.quantity
        while left:
            met = [
                (price * each.side, order_id)
                for order_id, (side, price, _) in resting.items()
                if side == -each.side and (each.price - price) * each.side >= 0
            ]
            if not met:
                break
            maker = min(met)[1]
            side, price, lots = resting[maker]
            traded = min(left, lots)
            left -= traded
            trades.append((each.id, maker, price, traded))
            if traded == lots:
                del resting[maker]
            else:
                resting[maker] = (side, price, lots - traded)
        if left:
            resting[each.id] = (each.side, each.price, left)
    book = Book()
    assert list(_trades(_play(book, commands)[1])) == trades
    assert {order_id: order.left for order_id, order in book.orders.items()} == {
        order_id: lots for order_id, (_, _, lots) in resting.items()
    }


def test_an_engine_with_one_other_trade_has_no_figure() -> None:
    expected = summary([(2, 1, 100, 5), (3, 1, 100, 5)])
    matcher = Matcher("other", version="1", python=None)
    assert matcher.doubt({"python": "3.11", **expected}, expected) is None
    other = summary([(2, 1, 100, 5), (3, 1, 101, 5)])
    doubt = matcher.doubt({"python": "3.11", **other}, expected)
    assert doubt is not None
    assert "digest" in doubt
