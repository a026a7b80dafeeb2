"""What became of a command under ids that can be made anew, however long ago it was sent.

A requestId is remembered for 24 h; what must be done once for ever asks the journal first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import uuid4

from pms.bus.requests import Requests
from pms.cli.session import Session
from pms.contract.money import decode_object
from pms.db import queries


@dataclass(frozen=True, slots=True)
class Attempts:
    """How often a command was admitted, its last answer then, and the id under which to try it next."""

    admitted: int
    answer: dict[str, Any] | None
    open_id: str


async def attempts(session: Session, request_id: Callable[[int], str]) -> Attempts:
    """Follow a command's ids, the first attempt's on, to the first that is not decided.

    One without a decision is the next again, so that it cannot happen twice.
    """
    requests = Requests(session.redis, new_id=lambda: str(uuid4()))
    admitted, answer = 0, None
    for number in count():
        tried = request_id(number)
        journaled = await queries.find_command(session.database, tried)
        recorded = await requests.read(tried)
        decision = journaled.decision if journaled else recorded.decision if recorded else None
        if decision is None:
            return Attempts(admitted, answer, tried)
        if decision == "admitted":
            admitted += 1
            said = journaled.answer if journaled else recorded.answer if recorded else None
            answer = decode_object(said or b"{}")
    raise AssertionError("count() has no end")
