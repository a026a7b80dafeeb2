"""Answers: the same however often they are read, and true of the books, of PostgreSQL and of the exchange."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pms.contract.codes import Code
from pms.contract.names import HOUSE, Task
from pms.domain.custody import LOCAL_COMMANDS
from pms.domain.decisions import client_order_id
from pms.domain.orders import State
from pms.sim.judges.invariants import WORDS, Invariants
from pms.sim.traffic.gateway import Asked, Gateway

TRUE = "answers are true"
ON_THE_EXCHANGE = {Task.TRADE, Task.CLOSE, Task.AMEND, Task.BATCH, Task.CLOSE_ALL}
SEVERAL = {Task.BATCH, Task.CLOSE_ALL}
"""Commands whose answer tells of each order by itself."""

CANCELS = {Task.CANCEL, Task.CANCEL_ALL}
IN_POSTGRESQL = {command.name for command in LOCAL_COMMANDS} - {Task.HALT}
"""Commands whose success is told only when it can be forgotten no more."""


def check(gateway: Gateway, invariants: Invariants) -> None:
    """All is quiet: look at every answer that was ever given."""
    for asked in gateway.asked.values():
        _answered(invariants, asked)


def _answered(invariants: Invariants, asked: Asked) -> None:
    """Every answer is the same, and true."""
    invariants.checked[TRUE] += 1
    request = asked.request_id
    texts = {text for _, text in asked.answers}
    if len(texts) > 1 and not invariants.tail_lost:
        invariants.fail(TRUE, f"{request} was answered in {len(texts)} ways", request)
    if not texts:
        invariants.fail(TRUE, f"{request} was never answered", request)
        return
    last = asked.answers[-1][1]
    for text in sorted(texts):
        answer = json.loads(text)
        if invariants.tail_lost and (text != last or asked.other) and not answer["success"]:
            # Redis forgot that it was refused, and whoever asked has asked once more, or for something else.
            continue
        for fault in _lies(invariants, asked, answer):
            order = answer.get("orderId") or _expected_order(asked)
            invariants.fail(TRUE, f"{request} {fault}", request, order)


def _lies(invariants: Invariants, asked: Asked, answer: dict[str, Any]) -> Iterator[str]:
    """What an answer says that is not so."""
    if answer["requestId"] != asked.request_id or answer["command"] != asked.command:
        yield f"was answered as {answer['requestId']} {answer['command']}"
    if asked.command not in ON_THE_EXCHANGE:
        yield from _unlike_the_books(invariants, asked, answer)
    elif asked.command == Task.AMEND and answer.get("code") != Code.TAKEN_OVER:
        yield from filter(None, [invariants.amendments.lie(asked.request_id, answer)])
    elif asked.command in SEVERAL:
        legs = (answer.get("details") or {}).get("orders", ())
        for leg in legs:
            if leg.get("orderId"):
                yield from filter(None, [_lie(invariants, leg["orderId"], leg)])
        if not answer["success"] and not legs:
            yield from _sent_nevertheless(invariants, asked.request_id)
    elif coid := answer.get("orderId") or _expected_order(asked):
        yield from filter(None, [_lie(invariants, coid, answer)])
    elif not answer["success"]:
        yield from _sent_nevertheless(invariants, asked.request_id)


def _unlike_the_books(invariants: Invariants, asked: Asked, answer: dict[str, Any]) -> Iterator[str]:
    """A command that places nothing did what its answer says, and nothing where it was refused."""
    row = invariants.decided.get(asked.request_id)
    admitted = row is not None and row.decision == "admitted"
    if admitted is answer["success"]:
        if admitted and asked.command in CANCELS:
            yield from _uncancelled(invariants, answer)
        return
    if asked.command not in IN_POSTGRESQL and (invariants.tail_lost or _holds_by_the_door(asked, answer)):
        return
    told = "done" if answer["success"] else answer.get("code")
    yield f"was told {told}, and the books have {row and row.decision}"


def _holds_by_the_door(asked: Asked, answer: dict[str, Any]) -> bool:
    """A halt is so told where nobody was there to decide it; `halts` sees to it that it holds."""
    return asked.command == Task.HALT and answer.get("state") == "halting"


def _uncancelled(invariants: Invariants, answer: dict[str, Any]) -> Iterator[str]:
    """What an admitted cancel named rests no more, but for what the house has taken over."""
    orders = invariants.journal.tables["orders"]
    for coid in (answer.get("details") or {}).get("cancelling", ()):
        order = orders.get((coid,))
        if order is None or order.sub_account_id == HOUSE:
            continue
        theirs = invariants.order_of(order.symbol, coid)
        if theirs is not None and not WORDS[theirs.status].terminal:
            yield f"was told that {coid} is cancelled, and it is {theirs.status}"


def _sent_nevertheless(invariants: Invariants, request: str) -> Iterator[str]:
    """Orders at the exchange of a command that was refused as a whole."""
    for (coid,), order in invariants.journal.tables["orders"].items():
        if request in (order.request_id, order.parent_id) and invariants.order_of(order.symbol, coid):
            yield f"was refused, and {coid} is at the exchange"


def _lie(invariants: Invariants, coid: str, answer: dict[str, Any]) -> str | None:
    """What is said of one order that is not so."""
    theirs = next(
        (
            order
            for (_, each), order in invariants._exchange.account.latest_by_client_id.items()
            if each == coid
        ),
        None,
    )
    final = invariants.journal.tables["orders"].get((coid,))
    if answer.get("code") == Code.TAKEN_OVER:
        # To its account it is gone, whatever the exchange still makes of it for the house.
        if coid in invariants.given_back:
            return None
        owner = None if final is None else final.sub_account_id
        return None if owner == HOUSE else f"was told {answer['code']}, and {coid} is {owner}'s"
    if not answer["success"]:
        return None if theirs is None else f"was told {answer['code']}, and {coid} is {theirs.status}"
    state = State(answer["state"])
    if theirs is None:
        unproven = state in (State.PLACING, State.UNKNOWN)
        ended = final is not None and State(final.state) in (State.REJECTED, State.VOID)
        return (
            None
            if unproven and (ended or invariants.tail_lost)
            else f"was told {state}, and {coid} is not there"
        )
    if state.terminal and WORDS[theirs.status] is not state:
        return f"was told {state}, and {coid} is {theirs.status}"
    exchange_id = answer.get("exchangeOrderId")
    if exchange_id is not None and int(exchange_id) != theirs.order_id:
        return f"was told the exchange's id {exchange_id}, and it is {theirs.order_id}"
    return None


def _expected_order(asked: Asked) -> str:
    """The order that a command would have made."""
    if asked.command == Task.TRADE:
        return client_order_id(str(asked.account), "M", asked.request_id, at=asked.submitted_ms)
    return ""
