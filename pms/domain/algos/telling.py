"""What is told of an algo: numbers that a page can draw, once a second at most, and each change of status."""

from __future__ import annotations

from decimal import Decimal
from typing import cast

from pms.contract.events import AlgoEvent, AlgoEventType
from pms.contract.money import booked
from pms.domain.algos.algo import Algo, Status
from pms.domain.algos.machine import Composed, Figured, Machine, Whole
from pms.domain.desk import Desk
from pms.domain.posting import Draft

EVERY_MS = 1_000
BPS = 10_000


def tell(desk: Desk, draft: Draft, algo: Algo, machine: Machine, *, wake_at: int | None) -> int | None:
    """Tell an algo's progress if it is due; returns when it will be, ms, where something waits to be told."""
    if not algo.untold:
        return None
    urgent = algo.status is not Status.RUNNING or not algo.told_at
    if not urgent and algo.told_at <= draft.at < algo.told_at + EVERY_MS:
        return algo.told_at + EVERY_MS
    algo.untold, algo.told_at = False, draft.at
    draft.events.append(progress(desk, draft, algo, machine, wake_at=wake_at))
    return None


def progress(desk: Desk, draft: Draft, algo: Algo, machine: Machine, *, wake_at: int | None) -> AlgoEvent:
    """An algo as it stands."""
    whole = whole_of(algo, machine)
    notes = [slot.note for slot in algo.slots.values() if slot.note is not None]
    return AlgoEvent(
        type=cast("AlgoEventType", f"{algo.kind}_progress"),
        seq=draft.event_seq,
        sub_account_id=algo.account,
        algo_id=algo.id,
        symbol=algo.symbol or None,
        side=algo.side or None,
        status=algo.status.value,
        reason=algo.reason,
        target=whole.target,
        filled=whole.filled,
        average_price=whole.average_price,
        arrival_price=whole.arrival_price,
        slippage_bps=whole.slippage_bps,
        live_orders=len(algo.busy),
        reprices=algo.reprices,
        fees=algo.fees,
        maker_share=whole.maker_share,
        note=notes[-1] if notes else None,
        next_at=wake_at,
        figures=machine.figures(algo, now=draft.at) if isinstance(machine, Figured) else None,
        started_at=algo.started_at,
        ended_at=algo.ended_at,
        timestamp=Decimal(draft.at) / 1000,
        account=desk.snapshot(algo.account),
    )


def whole_of(algo: Algo, machine: Machine | None) -> Whole:
    """What an algo comes to."""
    if isinstance(machine, Composed):
        return machine.whole(algo)
    filled = algo.filled
    average = booked(algo.quote / filled) if filled else None
    return Whole(
        target=algo.target,
        filled=filled,
        average_price=average,
        arrival_price=algo.arrival,
        slippage_bps=slippage(algo.side, algo.arrival, average),
        maker_share=booked(algo.maker_qty / filled) if filled else None,
    )


def slippage(side: str, arrival: Decimal, average: Decimal | None) -> Decimal | None:
    """How much worse than mid at the start it traded, in basis points; negative is better."""
    if average is None or not arrival or side not in {"BUY", "SELL"}:
        return None
    worse = average - arrival if side == "BUY" else arrival - average
    return booked(worse * BPS / arrival)
