"""Algos in a simulated world: by the exchange's own books none ever does more than it was asked to.

Looked at whenever the exchange takes an order of theirs or another's terms: no moment is nearer to a bound.
What an order has traded there and what it may yet trade count alike, whatever was lost on the way to us.
What each kind's bound is follows from the commands as they were asked, in `algo_terms`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pms.contract.journal import AlgoRow, Entry, OrderRow
from pms.contract.money import decode_object
from pms.contract.names import Task
from pms.sim.judges.algo_exits import beyond
from pms.sim.judges.algo_terms import BOUNDS, ENTRY, FRESH_MS, PLANS, Asked, Leg, Traded, rules_of
from pms.sim.machines.books import Fold
from pms.sim.machines.exchange import SimExchange
from pms.sim.traffic.algo_scene import GUARDED, OPENS
from pms.venue import state as venue

BOUND = "no algo beyond its target"
TERMS = "no algo beyond its terms"
GUARD = "no exit beyond its position"
MOMENT = "no slice before its moment"
END = "an algo that ends stays so"
EARLY_MS = 50
"""The streamer knows Redis's clock to a round trip."""

ZERO = Decimal(0)
OVER = frozenset({"finished", "cancelled", "failed"})
ENDING = "ending"
ENDED = OVER | {ENDING}
BY_COMMAND = frozenset({"all orders were cancelled", "cancelled by command"})
"""Reasons of an end that a cancel gives."""

FIRED = '"fired"'
"""What a stop remembers once it has begun to close. One whose firing Redis forgot fires anew, for what is
held then."""

Place = tuple[str, str, str]


@dataclass(slots=True)
class Child:
    """One order of an algo, and the most that could be meant by it since it was decided."""

    algo_id: str
    symbol: str
    side: str
    slot: int
    born: int
    slot_cap: Decimal
    algo_cap: Decimal
    amends: int = 0


@dataclass(slots=True)
class Known:
    """An algo as it was ever journaled."""

    kind: str
    account: str
    symbol: str
    side: str
    target: Decimal
    asked: Asked
    born: int
    ended: int | None = None
    #: the entry in which it began to end
    forgotten: bool = False
    #: Redis lost it with its start: there is no such algo
    slots: dict[int, Decimal] = field(default_factory=dict)
    due: dict[int, int | None] = field(default_factory=dict)
    children: dict[str, Child] = field(default_factory=dict)
    guarded: Decimal | None = None
    #: what the position was when its first exit came


class Bounds:
    """Which order is which algo's, as it was ever journaled, and what the exchange has of them."""

    def __init__(
        self, exchange: SimExchange, fail: Callable[..., None], count: Callable[[str], None]
    ) -> None:
        self._exchange, self._fail, self._count = exchange, fail, count
        self.known: dict[str, Known] = {}
        self._child: dict[str, Child] = {}
        self._guarded: dict[Place, dict[str, OrderRow]] = {}
        self._asked: dict[str, dict[str, Any]] = {}
        self.swept: dict[str, str | None] = {}
        #: by cancel of all that was admitted, its account
        self.cancelled: dict[str, set[str]] = defaultdict(set)
        #: by algo, the cancels that were admitted: asked a second time, one keeps what it holds

    # --- what is journaled ---

    def journaled(self, books: Fold, entry: Entry) -> None:
        """Learn terms, targets and owners; what Redis lost with its tail stays known here.

        `books` are those before the entry.
        """
        for command in entry.rows.commands:
            self._commanded(command.command, command.request_id, command.text, command.decision)
        for algo in entry.rows.algos:
            known = self.known.get(algo.id)
            if known is None:
                known = self.known[algo.id] = self._begun(algo, entry)
            known.forgotten = False
            before = books.tables["algos"].get((algo.id,))
            self._count(END)
            if before is not None and not _follows(before.status, algo.status):
                if self._sentenced(before):
                    self._fail(
                        END, f"{algo.kind} {algo.id} was {before.status} and is {algo.status}", algo.id
                    )
                known.ended = None
            known.target = algo.target
            if algo.kind == "basket" and algo.status not in ENDED:
                self._ruled(known, algo)
            if algo.status in ENDED:
                known.ended = known.ended or entry.seq
            for child in known.children.values():
                child.algo_cap = max(child.algo_cap, algo.target)
        planned: set[str] = set()
        for slot in entry.rows.algo_slots:
            known = self.known.get(slot.algo_id)
            if known is None:
                continue
            if known.born == entry.seq:
                known.asked.plan[slot.slot] = slot.target
            planned.add(slot.algo_id)
            due = known.due.get(slot.slot)
            if due is None:
                known.due[slot.slot] = slot.due_at
            elif not known.slots.get(slot.slot) and slot.due_at is not None:
                # A slice of which a smaller total left nothing may come again, right behind the last one.
                known.due[slot.slot] = min(due, slot.due_at)
            known.slots[slot.slot] = slot.target
            for child in known.children.values():
                if child.slot == slot.slot:
                    child.slot_cap = max(child.slot_cap, slot.target)
        for algo_id in planned:
            known = self.known[algo_id]
            for leg in known.asked.legs:
                leg.planned(known.slots)
            fault = PLANS[known.kind](known.asked, known.slots) if known.kind in PLANS else None
            if fault is not None:
                self._fail(TERMS, f"entry {entry.seq}: {known.kind} {algo_id}: {fault}", algo_id)
        for order in entry.rows.orders:
            if order.sub_account_id in GUARDED:
                place = order.sub_account_id, order.symbol, order.position_side
                self._guarded.setdefault(place, {}).setdefault(order.client_order_id, order)
            if order.parent_id in self.known:
                self._decided(books, entry, order, self.known[order.parent_id])

    def _commanded(self, name: str, request_id: str, text: str, decision: str) -> None:
        ours = {*BOUNDS, "cancel_all", "cancel_algo"}
        if decision != "admitted" or name.removeprefix("pms.") not in ours:
            return
        fields = decode_object(text)
        if name == Task.CANCEL_ALGO:
            self.cancelled[fields["algoId"]].add(request_id)
            return
        if name == Task.CANCEL_ALL:
            self.swept[request_id] = fields.get("subAccountId")
            return
        algo_id = fields.get("algoId")
        if algo_id is None:
            self._asked[request_id] = fields
        elif algo_id in self.known:
            self.known[algo_id].asked.amends.append(fields)

    def _sentenced(self, algo: AlgoRow) -> bool:
        """Whether what ends an algo stands: a trade's entry may tell of a cancel that was decided late."""
        if algo.status != ENDING or algo.reason not in BY_COMMAND:
            return True
        swept = any(account in (None, algo.sub_account_id) for account in self.swept.values())
        return swept or bool(self.cancelled[algo.id])

    def _begun(self, algo: AlgoRow, entry: Entry) -> Known:
        terms = self._asked.get(algo.id, {})
        if algo.kind == "basket":
            sides = {row.slot: row.side for row in entry.rows.algo_slots if row.algo_id == algo.id}
            asked = Asked(terms, ZERO, ZERO, lambda: ZERO, legs=self._legs(algo, terms, sides))
        else:
            asked = self._asked_of(terms, algo.symbol, price=algo.arrival, began=algo.started_at)
        return Known(algo.kind, algo.sub_account_id, algo.symbol, algo.side, algo.target, asked, entry.seq)

    def _asked_of(self, terms: dict[str, Any], name: str, *, price: Decimal, began: int) -> Asked:
        step = self._exchange.venue.exchange.markets[name].symbol.step
        return Asked(terms, step, price, lambda: self._exchange.traded(name, since=began - FRESH_MS))

    def _legs(self, algo: AlgoRow, terms: dict[str, Any], sides: dict[int, str]) -> list[Leg]:
        """The legs of a basket: each has slots of its side, and behind them one of the other."""
        found, first = [], 0
        for leg in terms["legs"]:
            numbers = range(
                first, next(slot for slot in range(first, len(sides)) if sides[slot] != leg["side"])
            )
            price = self._exchange.middle(leg["symbol"])
            asked = self._asked_of(leg, leg["symbol"], price=price, began=algo.started_at)
            found.append(Leg(leg["algo"], asked, numbers))
            first = numbers.stop + 1
        if first != len(sides):
            self._fail(TERMS, f"basket {algo.id} has {len(sides)} slots, and {first} for its legs", algo.id)
        return found

    def _ruled(self, known: Known, algo: AlgoRow) -> None:
        """A basket that holds when a leg fails is over with it, in the same entry."""
        failed = [leg["state"] == "failed" for leg in json.loads(algo.memory)["legs"]]
        self._count(TERMS)
        if any(failed) and rules_of(known.asked) == {"hold"}:
            self._fail(TERMS, f"a leg of basket {algo.id} has failed, and it is {algo.status}", algo.id)

    def _decided(self, books: Fold, entry: Entry, order: OrderRow, known: Known) -> None:
        """An order is an algo's, or it was wished to other terms."""
        coid, child = order.client_order_id, known.children.get(order.client_order_id)
        slot = slot_in(coid)
        caps = known.slots.get(slot, ZERO), known.target
        if child is None:
            child = Child(order.parent_id or "", order.symbol, order.side, slot, entry.seq, *caps)
            self._child[coid] = known.children[coid] = child
            if known.kind == "bracket" and slot != ENTRY:
                self._excluding(books, entry, coid, known)
        elif order.amends > child.amends and order.amend_quantity is not None:
            child.slot_cap, child.algo_cap = caps
        child.amends = order.amends

    def _excluding(self, books: Fold, entry: Entry, coid: str, known: Known) -> None:
        """One exit waits for the word of the other's end."""
        self._count(TERMS)
        algo_id, names = self._child[coid].algo_id, {name: each.slot for name, each in known.children.items()}
        fault = beyond(known.asked, algo_id, names, books.tables, entry)
        if fault is not None:
            self._fail(TERMS, f"entry {entry.seq}: {coid} of bracket {algo_id}: {fault}", algo_id, coid)

    def forgotten(self, books: Fold) -> None:
        """Redis lost its tail: an end or a cancel that nobody remembers was none, nor what slots were for.

        And PostgreSQL may take in later what a ledger that slept had read: then such an end was one.
        """
        decided = {request for request, _ in books.tables["commands"]}
        self.swept = {request: name for request, name in self.swept.items() if request in decided}
        for asked in self.cancelled.values():
            asked.intersection_update(decided)
        for algo_id, known in self.known.items():
            for slot in known.slots:
                remembered = books.tables["algo_slots"].get((algo_id, slot))
                known.slots[slot] = ZERO if remembered is None else remembered.target
            row = books.tables["algos"].get((algo_id,))
            known.forgotten = row is None
            if row is None or row.status not in ENDED:
                known.ended = None
            elif known.ended is None:
                known.ended = books.applied
            if row is None or FIRED not in row.memory:
                known.guarded = None

    def ended(self, algo_id: str) -> bool:
        """Whether an algo began to end, as the journal has it, or is gone from it altogether."""
        known = self.known.get(algo_id)
        return known is not None and (known.ended is not None or known.forgotten)

    def held(self, algo_id: str) -> Decimal:
        """What the layers of a scalper hold, both legs added up."""
        traded = self._traded(self.known[algo_id])
        return sum(
            (each.executed if slot % 2 == 0 else -each.executed for slot, each in traded.items()), ZERO
        )

    # --- what the exchange took ---

    def accepted(self, client_order_id: str, *, new: bool = False) -> None:
        """The exchange took an order, or an amendment.

        An amendment that came when more was filled than it leaves has ended its order: nothing trades by it.
        """
        child = self._child.get(client_order_id)
        if child is None:
            return
        order = self._order(client_order_id, child.symbol)
        if not new and order is not None and order.status == "CANCELED":
            return
        known = self.known[child.algo_id]
        who = f"{known.kind} {child.algo_id}"
        traded = self._traded(known)
        self._count(BOUND)
        worst = traded[child.slot].worst
        if worst > child.slot_cap:
            detail = f"slot {child.slot} of {who} may trade {worst}, its target is {child.slot_cap}"
            self._fail(BOUND, detail, child.algo_id, client_order_id)
        counted = {each.slot for each in known.children.values() if each.side == known.side}
        total = sum((traded[slot].worst for slot in counted), ZERO)
        if child.algo_cap and child.side == known.side and total > child.algo_cap:
            detail = f"{who} may trade {total}, its target is {child.algo_cap}"
            self._fail(BOUND, detail, child.algo_id, client_order_id)
        self._count(TERMS)
        for fault in BOUNDS[known.kind](known.asked, traded):
            self._fail(TERMS, f"{who}: {fault}", child.algo_id, client_order_id)
        self._guard(known, child, client_order_id, who)
        if new:
            self._in_time(known, child, client_order_id, who)

    def _in_time(self, known: Known, child: Child, coid: str, who: str) -> None:
        """Nothing new comes of one that ends, and no slice before its moment."""
        self._count(END)
        if known.ended is not None and child.born >= known.ended:
            self._fail(END, f"{who} ended in entry {known.ended}, and {coid} was placed", child.algo_id, coid)
        due = known.due.get(child.slot)
        if due is None:
            return
        self._count(MOMENT)
        early = due - EARLY_MS - (self._exchange.now_ms() - self._exchange.skew_ms)
        if early > 0:
            self._fail(MOMENT, f"slice {child.slot} of {who} came {early} ms early", child.algo_id, coid)

    def _guard(self, known: Known, child: Child, coid: str, who: str) -> None:
        """Where nobody else trades: all exits together are never for more than the position."""
        row = next((each[coid] for each in self._guarded.values() if coid in each), None)
        if row is None:
            return
        self._count(GUARD)
        orders = self._guarded[known.account, row.symbol, row.position_side]
        held, closing = ZERO, ZERO
        opens = OPENS[row.symbol]
        for each in orders.values():
            order = self._order(each.client_order_id, each.symbol)
            if order is None:
                continue
            executed, leaves = self._amounts(order)
            held += executed if each.side == opens else -executed
            closing += leaves if each.side != opens else ZERO
        if held < 0 or closing > held:
            detail = f"after {coid} of {who} {closing} may be closed, and {held} is held"
            self._fail(GUARD, detail, child.algo_id, coid)
        if known.kind != "trail_stop":
            return
        mine = sum((each.worst for each in self._traded(known).values()), ZERO)
        own = sum((each.executed for each in self._traded(known).values()), ZERO)
        if known.guarded is None:
            known.guarded = held + own
        if mine > known.guarded:
            detail = f"{who} may close {mine}, and fired for {known.guarded} at most"
            self._fail(GUARD, detail, child.algo_id, coid)

    def _traded(self, known: Known) -> dict[int, Traded]:
        """By slot, what its orders have traded and what they may trade at most."""
        found = {slot: Traded() for slot in {*known.slots, *(c.slot for c in known.children.values())}}
        for coid, child in known.children.items():
            order = self._order(coid, child.symbol)
            if order is not None:
                executed, leaves = self._amounts(order)
                found[child.slot].executed += executed
                found[child.slot].leaves += leaves
        return found

    def _order(self, coid: str, symbol: str) -> venue.Order | None:
        return self._exchange.account.latest_by_client_id.get((symbol, coid))

    def _amounts(self, order: venue.Order) -> tuple[Decimal, Decimal]:
        """What an order has traded, and what it may yet."""
        symbol = self._exchange.venue.exchange.markets[order.symbol].symbol
        return symbol.quantity(order.executed), symbol.quantity(order.remaining if order.open else 0)


def slot_in(client_order_id: str) -> int:
    """The slot that an algo's order names, read anew from its id: two digits of base 36."""
    return int(client_order_id.split("_", 3)[2][1:], 36)


def _follows(before: str, after: str) -> bool:
    """Whether an algo may come from one status to another: nothing leads back from an end."""
    return before == after or before not in ENDED or (before == ENDING and after in OVER)
