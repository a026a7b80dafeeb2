"""What an algo came to: how much, how well, at what cost; for people and for scripts."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.text import Text

from pms.contract.events import BasketFigures, ScalperFigures
from pms.contract.journal import AlgoRow, AlgoSlotRow
from pms.contract.money import decode_object, plain
from pms.domain.algos.algo import Algo, algo_from, slot_from
from pms.domain.algos.machine import Figured
from pms.domain.algos.machines import MACHINES
from pms.domain.algos.telling import whole_of

COLOURS = {"running": "green", "paused": "yellow", "ending": "yellow", "failed": "bold red"}
PERCENT = Decimal(100)
_CENT = Decimal("0.01")


def reports(rows: Sequence[AlgoRow], slots: Iterable[AlgoSlotRow]) -> list[dict[str, Any]]:
    """Each algo with what its slots add up to."""
    of: dict[str, list[AlgoSlotRow]] = {}
    for slot in slots:
        of.setdefault(slot.algo_id, []).append(slot)
    return [report(row, of.get(row.id, [])) for row in rows]


def report(row: AlgoRow, slots: Sequence[AlgoSlotRow]) -> dict[str, Any]:
    """One algo; slippage and average only where all it trades is on one side."""
    algo = algo_from(row, {slot.slot: slot_from(slot) for slot in slots})
    until = row.ended_at or time.time_ns() // 1_000_000
    whole = whole_of(algo, MACHINES.get(row.kind) if slots else None)
    return {
        "algoId": row.id,
        "kind": row.kind,
        "subAccountId": row.sub_account_id,
        "symbol": row.symbol or None,
        "side": row.side or None,
        "status": row.status,
        "reason": row.reason,
        "target": whole.target,
        "filled": whole.filled,
        "averagePrice": whole.average_price if row.side else None,
        "arrivalPrice": whole.arrival_price,
        "slippageBps": whole.slippage_bps,
        "fees": row.fees,
        "makerShare": whole.maker_share,
        "reprices": row.reprices,
        "orders": sum(slot.steps for slot in slots),
        "startedAt": row.started_at,
        "endedAt": row.ended_at,
        "durationMs": max(until - row.started_at, 0),
        "realizedPnl": _realized(algo),
        "legs": _legs(algo),
        "terms": decode_object(row.terms),
    }


def _realized(algo: Algo) -> Decimal | None:
    machine = MACHINES.get(algo.kind)
    if not isinstance(machine, Figured) or not algo.slots:
        return None
    figures = machine.figures(algo, now=0)
    return figures.realized_pnl if isinstance(figures, ScalperFigures) else None


def _legs(algo: Algo) -> list[dict[str, Any]] | None:
    machine = MACHINES.get(algo.kind)
    if not isinstance(machine, Figured) or not algo.slots:
        return None
    figures = machine.figures(algo, now=0)
    return figures.model_dump(by_alias=True)["legs"] if isinstance(figures, BasketFigures) else None


def show(out: Console, told: dict[str, Any]) -> None:
    """Two or three lines for a person."""
    head = Text(f"{told['algoId']}  {told['kind']} ")
    head.append(told["status"], style=COLOURS.get(told["status"], ""))
    head.append(f", {_lasted(told['durationMs'])}")
    out.print(head, soft_wrap=True)
    out.print(f"    {_what(told)}", soft_wrap=True)
    out.print(f"    {', '.join(_how(told))}", soft_wrap=True)
    for number, leg in enumerate(told["legs"] or ()):
        out.print(f"    legs[{number}] {', '.join(_leg(leg))}", soft_wrap=True)
    if told["reason"]:
        out.print(f"    {told['reason']}", soft_wrap=True)


def _what(told: dict[str, Any]) -> str:
    words = [told["subAccountId"], told["side"], plain(told["filled"])]
    if told["target"]:
        words.append(f"of {plain(told['target'])}")
    # Of several symbols it is told in what they were worth at the start
    words.append("USDT" if told["legs"] else told["symbol"])
    if told["averagePrice"] is not None:
        words.append(f"at {plain(told['averagePrice'])}")
    return " ".join(word for word in words if word)


def _how(told: dict[str, Any]) -> Iterable[str]:
    if told["slippageBps"] is not None:
        bps = told["slippageBps"].quantize(_CENT)
        yield f"{plain(abs(bps))} bps {'worse' if bps > 0 else 'better'} than at the start"
    if told["realizedPnl"] is not None:
        yield f"realised {plain(told['realizedPnl'])}"
    yield f"fees {plain(told['fees'])}"
    if told["makerShare"] is not None:
        yield f"maker {plain((told['makerShare'] * PERCENT).quantize(Decimal(1)))} %"
    yield f"{told['orders']} order{'' if told['orders'] == 1 else 's'}"
    yield f"{told['reprices']} reprice{'' if told['reprices'] == 1 else 's'}"


def _leg(leg: dict[str, Any]) -> Iterable[str]:
    price = f" at {plain(leg['averagePrice'])}" if leg["averagePrice"] is not None else ""
    yield f"{leg['side']} {plain(leg['filled'])} of {plain(leg['target'])} {leg['symbol']}{price}"
    yield f"{leg['algo']} {leg['state']}"
    if leg["unwound"]:
        yield f"{plain(leg['unwound'])} unwound at {plain(leg['unwindPrice'])}"
    if leg["reason"] not in {None, "filled"}:
        yield leg["reason"]


def _lasted(ms: int) -> str:
    for size, unit in ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")):
        if ms >= size:
            return f"{ms // size} {unit}"
    return f"{ms} ms"
