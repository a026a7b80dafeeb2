"""What must hold of algos once all is quiet: what is counted is what the exchange traded, and all know it."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from pms.contract.journal import AlgoRow, PositionRow
from pms.contract.names import BOTH, EVERYTHING, algo_key
from pms.domain.desk import Desk
from pms.sim.judges.algo_terms import LEAST_NOTIONAL, STOP, Leg
from pms.sim.judges.algos import OVER, slot_in
from pms.sim.judges.invariants import Invariants
from pms.sim.traffic.algo_scene import ALONE
from pms.sim.world import World

COUNTED = "algos count what they trade"
UNWOUND = "an unwound basket leaves what it says"
ALL_CLEAR = "nothing rests beside a stop that has fired"
ALONE_WELL = "a scalper left alone does well"
EXITS = {"trail_stop": 0, "bracket": STOP}
"""By kind, the slot that closes at market."""

FIRED = {"fired", "stopped"}
"""What those note who have begun to."""

LEFT = re.compile(r"([\d.]+) of (legs\[\d+\])")
ZERO = Decimal(0)


def check(world: World, invariants: Invariants, desk: Desk) -> None:
    """All comparisons."""
    _counted(world, invariants)
    _left(world, invariants)
    _unwound(invariants)
    _fired(invariants)
    _shown(world, invariants)
    _alone(world, invariants)
    _memory(desk, invariants)


def _counted(world: World, invariants: Invariants) -> None:
    """What slots and algos count is what their orders traded, but for what was the house's."""
    tables, bounds = invariants.journal.tables, invariants.bounds
    algo_of = {
        coid: algo_id
        for algo_id, known in bounds.known.items()
        if (algo_id,) in tables["algos"]
        for coid in known.children
    }
    traded: dict[tuple[str, int], list[Decimal]] = defaultdict(lambda: [ZERO, ZERO])
    fees: dict[str, Decimal] = defaultdict(Decimal)
    for name, trades in world.exchange.account.trades.items():
        symbol = world.exchange.venue.exchange.markets[name].symbol
        for trade in trades:
            algo_id = algo_of.get(trade.client_order_id)
            fill = tables["fills"].get((name, trade.order_id, trade.trade_id))
            if algo_id is None or fill is None:
                continue
            if fill.sub_account_id != tables["algos"][algo_id,].sub_account_id:
                continue
            sums = traded[algo_id, slot_in(trade.client_order_id)]
            sums[0] += symbol.quantity(trade.quantity)
            sums[1] += symbol.quantity(trade.quantity) * symbol.price(trade.price)
            fees[algo_id] += trade.commission
    counted = {
        key: [row.filled, row.quote] for key, row in tables["algo_slots"].items() if row.filled or row.quote
    }
    for (algo_id,), row in tables["algos"].items():
        invariants.checked[COUNTED] += 1
        theirs = {key: sums for key, sums in traded.items() if key[0] == algo_id}
        ours = {key: sums for key, sums in counted.items() if key[0] == algo_id}
        if ours != theirs or row.fees != fees[algo_id]:
            detail = f"{row.kind} {algo_id} counts {_told(ours)}, fees {row.fees}"
            told = f"{detail}; its orders traded {_told(theirs)}, fees {fees[algo_id]}"
            invariants.fail(COUNTED, told, algo_id)


def _told(sums: dict[tuple[str, int], list[Decimal]]) -> str:
    found = (f"{slot}: {amounts[0]} for {amounts[1]}" for (_, slot), amounts in sorted(sums.items()))
    return "{" + ", ".join(found) + "}"


def _left(world: World, invariants: Invariants) -> None:
    """An algo that is over has left nothing at the exchange."""
    for algo_id, known in invariants.bounds.known.items():
        row = invariants.journal.tables["algos"].get((algo_id,))
        if row is None or row.status not in OVER:
            continue
        for coid, child in known.children.items():
            order = invariants.order_of(child.symbol, coid)
            if order is not None and order.open:
                detail = f"{row.kind} {algo_id} is {row.status}, and {coid} is {order.status}"
                invariants.fail("an algo that is over has no order", detail, algo_id, coid)


def _unwound(invariants: Invariants) -> None:
    """What an unwound basket leaves of each leg is what its reason tells of it, and else nothing."""
    tables = invariants.journal.tables
    for algo_id, known in invariants.bounds.known.items():
        row = invariants.journal.tables["algos"].get((algo_id,))
        if (
            row is None
            or not known.asked.legs
            or row.status != "failed"
            or "; unwound" not in (row.reason or "")
        ):
            continue
        invariants.checked[UNWOUND] += 1
        told = {
            name: Decimal(left) for left, name in LEFT.findall((row.reason or "").rpartition("; unwound")[2])
        }
        for number, leg in enumerate(known.asked.legs):
            filled = sum((tables["algo_slots"][algo_id, slot].filled for slot in leg.numbers), ZERO)
            left = filled - tables["algo_slots"][algo_id, leg.undo].filled
            if left != told.get(f"legs[{number}]", ZERO):
                detail = f"basket {algo_id} has left {left} of legs[{number}], and says {row.reason}"
                invariants.fail(UNWOUND, detail, algo_id)


def _fired(invariants: Invariants) -> None:
    """Whoever waits to close at market has nothing at the exchange in his way."""
    tables, bounds = invariants.journal.tables, invariants.bounds
    for (algo_id,), row in tables["algos"].items():
        slot = EXITS.get(row.kind)
        if slot is None or row.status != "running" or not fired(invariants, algo_id):
            continue
        invariants.checked[ALL_CLEAR] += 1
        side, place = tables["algo_slots"][algo_id, slot].side, _position_side(row, tables["positions"])
        for order in tables["orders"].values():
            if (order.sub_account_id, order.symbol, order.side) != (row.sub_account_id, row.symbol, side):
                continue
            at_exchange = invariants.order_of(order.symbol, order.client_order_id)
            if order.client_order_id in bounds.known[algo_id].children or at_exchange is None:
                continue
            if at_exchange.open and order.position_side == place:
                detail = f"{row.kind} {algo_id} has fired, and {order.client_order_id} rests beside it"
                invariants.fail(ALL_CLEAR, detail, algo_id, order.client_order_id)


def fired(invariants: Invariants, algo_id: str) -> bool:
    """Whether an algo's stop has fired, as the journal has it."""
    row = invariants.journal.tables["algos"].get((algo_id,))
    return row is not None and bool(FIRED & json.loads(row.memory).keys())


def _position_side(row: AlgoRow, positions: Mapping[Any, PositionRow]) -> str | None:
    """The position side that an algo's exits are for; None where its position is no more."""
    terms = json.loads(row.terms)
    if terms.get("positionId") is None:
        return terms.get("positionSide") or BOTH
    found = (each.position_side for each in positions.values() if each.id == terms["positionId"])
    return next(found, None)


def _alone(world: World, invariants: Invariants) -> None:
    """A scalper that nobody disturbs does not fail, and one that flattens leaves nothing that can be sold."""
    bounds = invariants.bounds
    if any(scope == EVERYTHING for scope, *_ in invariants.journal.tables["limits"]):
        return
    accounts = Counter(known.account for known in bounds.known.values())
    for algo_id, known in bounds.known.items():
        row = invariants.journal.tables["algos"].get((algo_id,))
        if row is None or known.account not in ALONE or accounts[known.account] > 1:
            continue
        invariants.checked[ALONE_WELL] += 1
        if row.status == "failed":
            invariants.fail(ALONE_WELL, f"{known.kind} {algo_id} has failed: {row.reason}", algo_id)
        held = bounds.held(algo_id)
        asked_to_keep = known.asked.newest("onEnd") == "keep" or len(bounds.cancelled[algo_id]) > 1
        keeps = known.account in bounds.swept.values() or asked_to_keep
        if not keeps and held * known.asked.price > LEAST_NOTIONAL:
            detail = f"{known.kind} {algo_id} was to flatten, and left {held}: {row.reason}"
            invariants.fail(ALONE_WELL, detail, algo_id)


def _shown(world: World, invariants: Invariants) -> None:
    """What is shown of an algo that is over is how it ended, unless Redis has forgotten that it was told."""
    if invariants.tail_lost:
        return
    tables = invariants.journal.tables
    for (algo_id,), row in tables["algos"].items():
        raw: Any = world.server.keys.get(algo_key(row.kind, algo_id).encode())
        if raw is None or row.status not in OVER:
            continue
        told = json.loads(raw, parse_float=Decimal)
        legs = invariants.bounds.known[algo_id].asked.legs
        if legs:
            _shown_by_leg(invariants, row, told, legs)
            continue
        slots = [slot for (owner, _), slot in tables["algo_slots"].items() if owner == algo_id]
        filled = sum((slot.filled for slot in slots if row.side in ("", slot.side)), ZERO)
        if (told["status"], Decimal(told["filled"])) != (row.status, filled):
            detail = (
                f"{row.kind} {algo_id} is {row.status} with {filled}, shown {told['status']} {told['filled']}"
            )
            invariants.fail("projections", detail, algo_id)


def _shown_by_leg(invariants: Invariants, row: AlgoRow, told: Any, legs: Sequence[Leg]) -> None:
    """Quantities of several symbols cannot be added up: each leg is shown by itself."""
    slots = invariants.journal.tables["algo_slots"]
    shown = [(Decimal(leg["filled"]), Decimal(leg["unwound"])) for leg in told["figures"]["legs"]]
    so = [
        (sum((slots[row.id, number].filled for number in leg.numbers), ZERO), slots[row.id, leg.undo].filled)
        for leg in legs
    ]
    if told["status"] != row.status or shown != so:
        detail = f"basket {row.id} is {row.status} with {so}, shown {told['status']} {shown}"
        invariants.fail("projections", detail, row.id)


def _memory(desk: Desk, invariants: Invariants) -> None:
    """Journal = memory for algos and their slots; of one that ended before this life memory has nothing."""
    tables = invariants.journal.tables
    for (algo_id,), row in tables["algos"].items():
        algo = desk.algos.every.get(algo_id)
        if algo is None:
            if row.ended_at is None:
                invariants.fail("journal = memory", f"algo {algo_id}: journal {row}, memory nothing", algo_id)
            continue
        if algo.row(at=row.updated_at) != row:
            invariants.fail("journal = memory", f"algo {algo_id}: journal {row}, memory {algo}", algo_id)
        for slot in algo.slots.values():
            kept = tables["algo_slots"].get((algo_id, slot.number))
            if kept is None or algo.slot_row(slot, at=kept.updated_at) != kept:
                detail = f"slot {slot.number} of {algo_id}: journal {kept}, memory {slot}"
                invariants.fail("journal = memory", detail, algo_id)
        for owner, number in tables["algo_slots"]:
            if owner == algo_id and number not in algo.slots:
                invariants.fail(
                    "journal = memory", f"slot {number} of {algo_id} is in the journal only", algo_id
                )
