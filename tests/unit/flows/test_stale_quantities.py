"""A plain command that is too old is refused as such, whatever its fields hold."""

from __future__ import annotations

import json
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest

from pms.bus.stale import Stale
from pms.flows.serve import serve_plain


class Scripts:
    """Keeps what would be stored, and says that it is."""

    def __init__(self) -> None:
        self.stored: list[dict[str, Any]] = []

    async def call(self, _: str, __: list[str], *args: Any) -> bytes:
        self.stored.append(json.loads(args[3]))
        return b"new"


async def refused(**fields: object) -> dict[str, Any]:
    """The refusal of a market order of unknown age."""
    request_id, stale = str(uuid4()), Stale(cast(Any, None))
    scripts = Scripts()
    stale._scripts = cast(Any, scripts)

    async def gone(_: str) -> None: ...

    requests = SimpleNamespace(read=gone, settle=gone)
    decisions = SimpleNamespace(expect=lambda _: SimpleNamespace(cancel=lambda: None))
    await serve_plain(
        cast(Any, SimpleNamespace(stale=stale, requests=requests, decisions=decisions)),
        "pms.trade",
        {"requestId": request_id, "symbol": "BTCUSDT", **fields},
        task_id=request_id,
        waited_ms=None,
        want_result=True,
    )
    [answer] = scripts.stored
    assert (answer["code"], answer["requestId"]) == ("STALE", request_id)
    return answer


@pytest.mark.parametrize(
    "quantity",
    [Decimal("1e400"), 10**35, Decimal(f"0.{'1' * 40}"), True, "x", None, [1]],
    ids=["an exponent", "a whole number", "a fraction", "a truth", "a word", "nothing", "a list"],
)
async def test_a_quantity_that_no_answer_can_carry_is_left_out(quantity: object) -> None:
    assert (await refused(quantity=quantity))["quantity"] is None


async def test_what_it_can_carry_it_repeats() -> None:
    answer = await refused(quantity=Decimal("0.5"), subAccountId="alice", side=7)
    assert (answer["quantity"], answer["symbol"], answer["subAccountId"], answer["side"]) == (
        *(0.5, "BTCUSDT", "alice", None),
    )
