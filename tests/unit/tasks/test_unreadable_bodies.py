"""A plain task whose body is no JSON for us is refused like any other that is no command."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from pms.flows.serve import serve_message
from pms.tasks.exact_json import read_exactly

NESTED = "[" * 100_000


@pytest.mark.parametrize(
    "body",
    [
        json.dumps([[], {"requestId": "x", "quantity": float("nan")}, {}]),
        json.dumps([[], {"quantity": float("-inf")}, {}]),
        "[[], {",
        b'[[], {"side": "\xff"}, {}]',
        "\ud800",
        NESTED,
    ],
    ids=["NaN", "Infinity", "torn", "no Unicode", "half a character", "nested"],
)
async def test_it_is_answered_under_its_own_id(body: str | bytes) -> None:
    args, fields, _ = read_exactly(body)
    answer = await serve_message(
        cast(Any, None), "pms.trade", args, fields, task_id="one", waited_ms=0, want_result=True
    )
    told = json.loads(answer or b"")
    assert (told["code"], told["requestId"], told["success"]) == ("BAD_JSON", "one", False)


def test_what_can_be_read_is_read_exactly() -> None:
    _, fields, _ = read_exactly(b'[[], {"quantity": 0.1}, {}]')
    assert str(fields["quantity"]) == "0.1"
