"""What was told of a liquidation, against what was done: nothing untold, nothing told that was not done."""

from __future__ import annotations

import json
from decimal import Decimal as D
from typing import Any

import pytest
from crash_books import Step, fold
from crash_events import read_events, untold
from spoiling import fallen


def told_of(steps: list[Step]) -> list[dict[str, Any]]:
    """The events of an engine that tells all it does."""
    events = []
    for step in steps:
        for row in step.rows.get("liquidations", ()):
            after = step.after[row["sub_account_id"]]
            positions = [{"symbol": s, "quantity": abs(held.quantity)} for s, held in after.held.items()]
            events.append(
                {
                    "type": "liquidation",
                    "seq": step.seq,
                    "subAccountId": row["sub_account_id"],
                    "action": row["action"],
                    "symbol": row["symbol"],
                    "account": {"balance": after.balance, "positions": positions},
                }
            )
    return events


def faults(change: Any = None, *, since: int = 0) -> list[str]:
    steps = list(fold(fallen().entries))
    events = told_of(steps)
    assert len(events) > 3
    if change is not None:
        change(events)
    return list(untold(steps, events, since=since))


def test_all_is_told_as_it_was_done() -> None:
    assert faults() == []
    last = fallen().entries[-1]["seq"]
    assert faults(list.clear, since=last) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (list.pop, "and told []"),
        (lambda events: events.append(dict(events[-1])), "and told"),
        (lambda events: events.append({**events[-1], "seq": 10_000}), "no entry did what was told"),
        (
            lambda events: events[0].update(action="TAKEOVER"),
            "did [('anna', 'WARN', '')] and told ['TAKEOVER']",
        ),
        (lambda events: events[-1]["account"].update(balance=D(1)), "told"),
        (lambda events: events[-1]["account"].update(positions=[]), "told"),
    ],
)
def test_what_is_untold_or_told_otherwise_is_found(change: Any, words: str) -> None:
    (fault,) = faults(change)
    assert words in fault


def test_the_stream_is_read_with_exact_numbers() -> None:
    rows = [{"type": "order_filled"}, {"type": "liquidation", "seq": 5}]
    stream = [(b"1-0", {b"e": json.dumps(row).encode()}) for row in rows]
    stream.append((b"2-0", {b"e": b'{"type":"liquidation","seq":6,"ratio":0.9123}'}))
    assert [(event["seq"], event.get("ratio")) for event in read_events(stream)] == [
        (5, None),
        (6, D("0.9123")),
    ]
