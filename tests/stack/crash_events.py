"""What was told of each liquidation: one event a row, with the account as the books have it then."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from crash_books import Step, place_of

Event = dict[str, Any]


def read_events(stream: Iterable[tuple[bytes, dict[bytes, bytes]]]) -> list[Event]:
    """The liquidation events of the stream, numbers as decimals."""
    told = (json.loads(fields[b"e"], parse_float=Decimal) for _, fields in stream)
    return [event for event in told if event["type"] == "liquidation"]


def untold(steps: Iterable[Step], events: Sequence[Event], *, since: int) -> Iterator[str]:
    """Rows without their event, events without a row, and accounts that are told otherwise than booked.

    An entry's events have the seqs behind the entry before it, so each belongs to one entry.
    """
    left = sorted((event for event in events if event["seq"] > since), key=lambda event: event["seq"])
    for step in steps:
        rows = step.rows.get("liquidations", ())
        if step.seq <= since or not rows:
            continue
        mine = [event for event in left if step.prev < event["seq"] <= step.seq]
        left = [event for event in left if event not in mine]
        wanted = sorted((row["sub_account_id"], row["action"], row["symbol"] or "") for row in rows)
        if wanted != sorted((e["subAccountId"], e["action"], e["symbol"] or "") for e in mine):
            yield f"entry {step.seq} did {wanted} and told {[event['action'] for event in mine]}"
            continue
        for event in mine:
            after, account = step.after[event["subAccountId"]], event["account"]
            held = {
                place_of(each["symbol"], each.get("positionSide", "BOTH")): Decimal(each["quantity"])
                for each in account["positions"]
            }
            booked = {place: abs(each.quantity) for place, each in after.held.items()}
            if Decimal(account["balance"]) != after.balance or held != booked:
                yield f"entry {step.seq} left {after}, its {event['action']} told {account}"
    yield from (f"no entry did what was told: {event}" for event in left)
