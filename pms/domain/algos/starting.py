"""Commands to algos: start, amend, cancel, pause, resume. Each is one entry, answered once PostgreSQL has it.

A start that is journaled runs, whatever becomes of its answer: a repeat of the command gets the same answer,
and its requestId is the algo's id.
"""

from __future__ import annotations

from decimal import Decimal

from pms.contract.algo_commands import AlgoControl, AlgoStart, CancelAlgo
from pms.contract.codes import Code, Refusal
from pms.contract.commands import Command
from pms.contract.money import plain
from pms.domain.algos.algo import Algo, Status
from pms.domain.algos.conduct import end, view_of
from pms.domain.algos.machine import View
from pms.domain.algos.machines import MACHINES
from pms.domain.checks import check_open, fresh_top, listed, trading_account
from pms.domain.decisions import Asked, kept
from pms.domain.desk import Desk
from pms.domain.halts import refuse_halted
from pms.domain.position_sides import side_for
from pms.domain.posting import Posting

ZERO = Decimal(0)
MOST_RUNNING = 200
"""Of one sub-account: each is looked at with each tick of its symbol."""


def command_algo(desk: Desk, asked: Asked, command: Command) -> Posting:
    """Decide a command to an algo; raises Refusal."""
    match command:
        case AlgoStart():
            return _start(desk, asked, command)
        case CancelAlgo():
            return _control(desk, asked, command, "cancel")
        case AlgoControl():
            return _control(desk, asked, command, command.action)
        case _:
            return _amend(desk, asked, command)


def begin(desk: Desk, asked: Asked, command: AlgoStart) -> Algo:
    """The algo that a command would start, not yet taken in; raises Refusal."""
    check_open(asked)
    account = trading_account(desk, command.sub_account_id)
    refuse_halted(desk, account.id, reduce_only=getattr(command, "reduce_only", False))
    symbols = symbols_of(command)
    for symbol in symbols:
        listed(desk, symbol)
        fresh_top(desk, symbol)
    side_for(account, getattr(command, "position_side", None))
    running = len(desk.algos.by_account.get(account.id, {}))
    if running >= MOST_RUNNING:
        raise Refusal(
            Code.TOO_MANY_ALGOS,
            f"{account.id} has {running} algos that run",
            field="subAccountId",
            limit=MOST_RUNNING,
            actual=running + 1,
        )
    kind = command.name.removeprefix("pms.")
    view = View(asked.now, desk.tops, desk.instruments, {}, ZERO, desk.volumes, desk.traded)
    found = MACHINES[kind].begin(command, view)
    return Algo(
        id=asked.request_id,
        kind=kind,
        terms=found.terms or command,
        symbol=found.symbol,
        side=found.side,
        target=found.target,
        arrival=found.arrival,
        started_at=asked.now,
        memory=found.memory,
        slots={slot.number: slot for slot in found.slots},
    )


def symbols_of(command: Command) -> list[str]:
    """The symbols that an algo trades in."""
    return [command.symbol] if isinstance(command, AlgoStart) and hasattr(command, "symbol") else []


def _start(desk: Desk, asked: Asked, command: AlgoStart) -> Posting:
    algo = begin(desk, asked, command)
    desk.algos.put(algo)
    return _told(desk, asked, algo, note="started", slots=True)


def _control(desk: Desk, asked: Asked, command: Command, action: str) -> Posting:
    algo = running(desk, command)
    if action == "cancel":
        end(algo, Status.CANCELLED, "cancelled by command")
    elif algo.status is Status.ENDING:
        raise _over(algo)
    elif action == "pause":
        algo.status, algo.reason = Status.PAUSED, "paused by command"
    else:
        check_open(asked)
        algo.status, algo.reason = Status.RUNNING, None
        for slot in algo.slots.values():
            slot.tries = slot.resume_at = 0
    return _told(desk, asked, algo, note=action, slots=action == "resume")


def _amend(desk: Desk, asked: Asked, command: Command) -> Posting:
    check_open(asked)
    algo = running(desk, command)
    if algo.status is Status.ENDING:
        raise _over(algo)
    if command.name != f"pms.{algo.kind}":
        raise Refusal(
            Code.UNKNOWN_ALGO,
            f"this id is of a {algo.kind}",
            field="algoId",
            limit=f"pms.{algo.kind}",
            actual=command.name,
        )
    MACHINES[algo.kind].amend(algo, command, view_of(desk, algo, now=asked.now))
    return _told(desk, asked, algo, note="amended", slots=True)


def running(desk: Desk, command: Command) -> Algo:
    """The algo that a command names, if it is not over; raises Refusal."""
    algo_id = str(getattr(command, "algo_id", ""))
    algo = desk.algos.every.get(algo_id)
    if algo is None:
        raise Refusal(Code.UNKNOWN_ALGO, "no algo that runs has this id", field="algoId", actual=algo_id)
    if algo.status.over:
        raise _over(algo)
    return algo


def _over(algo: Algo) -> Refusal:
    return Refusal(
        Code.ALGO_OVER, f"the algo is {algo.status}: {algo.reason}", field="algoId", actual=algo.status.value
    )


def _told(desk: Desk, asked: Asked, algo: Algo, *, note: str, slots: bool) -> Posting:
    draft = desk.draft("algo", at=asked.now)
    draft.note["algo"] = note
    draft.algos[algo.id] = algo.row(at=asked.now)
    if slots:
        for slot in algo.slots.values():
            draft.algo_slots[algo.id, slot.number] = algo.slot_row(slot, at=asked.now)
    algo.untold = True
    return kept(
        desk,
        draft,
        asked,
        account=algo.account,
        symbol=algo.symbol or None,
        algoId=algo.id,
        algo=algo.kind,
        status=algo.status.value,
        target=plain(algo.target),
        filled=plain(algo.filled),
        slots=str(len(algo.slots)),
    )
