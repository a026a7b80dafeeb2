"""What must hold after every step: each command that Redis runs and each request that the exchange
answers is looked at, against the exchange's own books.

The exchange's books are ahead of ours by definition, so whatever we journal can be checked at once.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

from pms.contract import names
from pms.contract.journal import CommandRow, Entry, FillRow, OrderRow, decode_entry
from pms.contract.names import HOUSE
from pms.db.upsert import Contradiction
from pms.domain.algos.clearing import MAKES_WAY
from pms.domain.orders import State
from pms.flows.panic import PREFIX as PANICKED
from pms.sim.judges.algos import Bounds
from pms.sim.judges.amendments import Amendments
from pms.sim.judges.corrected import Corrected
from pms.sim.judges.income import Incomes
from pms.sim.judges.limited import Limited
from pms.sim.judges.liquidations import Liquidations
from pms.sim.judges.own_faults import OwnFaults
from pms.sim.judges.reducing import Reducing
from pms.sim.judges.shown import RISK, Shown
from pms.sim.machines.books import Fold
from pms.sim.machines.exchange import SimExchange
from pms.sim.machines.redis.commands import Reply
from pms.sim.machines.redis.keyspace import Stream
from pms.sim.machines.redis.server import Server, Words
from pms.sim.traffic.halts import Halts
from pms.venue import state as venue
from pms.venue.rest.dispatch import Answer, Asked

ZERO = Decimal(0)
REQUEST, RIGHT = b"pms:request:", b"pms:right:"
JOURNAL, EVENTS, RESULT = names.JOURNAL.encode(), names.EVENTS_STREAM.encode(), b"pms:result:"
PLACE, BATCH = "/fapi/v1/order", "/fapi/v1/batchOrders"
DOORS = frozenset((PLACE, BATCH))
WORDS = {"FILLED": State.FILLED, "CANCELED": State.CANCELLED, "EXPIRED": State.EXPIRED}
WORDS |= {"EXPIRED_IN_MATCH": State.EXPIRED, "NEW": State.ACTIVE, "PARTIALLY_FILLED": State.PARTIALLY_FILLED}


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that did not hold."""

    invariant: str
    detail: str
    subjects: tuple[str, ...] = ()
    """Client order ids and requestIds that it is about."""


class Invariants:
    """Looks on from the first step to the last."""

    def __init__(
        self, server: Server, exchange: SimExchange, opened: Entry, *, now: Callable[[], float]
    ) -> None:
        self._server = server
        self._exchange = exchange
        self._now = now
        self.violation: Violation | None = None
        self.checked: Counter[str] = Counter()
        self.journal = Fold()
        self.journal.take(opened)
        self.opened = opened
        self._liquidations = Liquidations(self.fail, self._count)
        self.bounds = Bounds(exchange, self.fail, self._count)
        self.shown = Shown(server, self.fail, self._count)
        self._reducing = Reducing(self.fail, self._count)
        self._limited = Limited(self.fail, self._count)
        self.amendments = Amendments(exchange, self.fail, self._count)
        self.halts = Halts(self.fail, self._count, lambda: self.journal)
        self.incomes = Incomes(exchange, self.fail, self._count)
        self.corrected = Corrected(exchange, self.fail, self._count)
        self.own_faults = OwnFaults(self.fail, self._count)
        self.admitted: dict[str, OrderRow] = {}
        self._forgotten_intents: dict[str, list[OrderRow]] = {}
        #: decided, and lost with the tail of Redis before anything was sent
        self.answered_s: dict[str, float] = {}
        self.given_back: set[str] = set()
        #: orders of the house's that were their accounts' again when Redis lost the takeover
        self.tail_lost = 0
        self.placed: Counter[str] = Counter()
        self._sent_for: dict[str, str] = {}
        self._decisions: dict[bytes, bytes] = {}
        self._results: dict[bytes, bytes] = {}
        self._rights: dict[bytes, bytes] = {}
        self.decided: dict[str, CommandRow] = {}
        self._greatest_seq = 0
        self._greatest_event = 0
        self._refused_stamps: set[tuple[str, str]] = set()
        self._commands: dict[bytes, Callable[[Words], None]] = {
            b"XADD": self._added,
            b"HSET": self._hash_set,
            b"HSETNX": self._hash_set,
            b"SET": self._set,
            b"DEL": self._deleted,
        }
        server.watch = self._watch
        exchange.asked = self._asked

    def fail(self, invariant: str, detail: str, *subjects: str) -> None:
        """Note that an invariant does not hold; the first one counts."""
        if self.violation is None:
            self.violation = Violation(invariant, detail, subjects)

    def _count(self, invariant: str) -> None:
        self.checked[invariant] += 1

    def retract(self) -> Violation | None:
        """Take the violation back, for a world that may still heal."""
        found, self.violation = self.violation, None
        return found

    def _watch(self, words: Words, reply: Reply) -> None:
        look = self._commands.get(words[0])
        if look is not None:
            look(words)

    # --- the journal ---

    def _added(self, words: Words) -> None:
        if words[1] == JOURNAL:
            self._journaled(decode_entry(words[4]))
        elif words[1] == EVENTS:
            self.checked["event seqs rise"] += 1
            seq = int(words[5].partition(b"-")[0])
            if seq <= self._greatest_event:
                self.fail("event seqs rise", f"event {seq} was told after {self._greatest_event}")
            self._greatest_event = seq

    def _journaled(self, entry: Entry) -> None:
        self.checked["the journal is a chain"] += 1
        if entry.prev != self.journal.applied or entry.seq <= self._greatest_seq:
            detail = f"entry {entry.seq} follows {entry.prev}, the last was {self.journal.applied}"
            self.fail("the journal is a chain", f"{detail}, the greatest ever {self._greatest_seq}")
        self._greatest_seq = max(self._greatest_seq, entry.seq)
        for fill in entry.rows.fills:
            self._booked(fill)
        self.incomes.before(self.journal, entry)
        self.corrected.before(self.journal, entry)
        self._paid(entry)
        for command in entry.rows.commands:
            self.checked["one decision a command"] += 1
            known = self.decided.setdefault(command.request_id, command)
            # One that was delivered twice, both times too late, is told to be late twice.
            if known is not command and {known.decision, command.decision} != {"expired"}:
                detail = f"{command.request_id} was {known.decision} and is {command.decision}"
                self.fail("one decision a command", detail, command.request_id)
        before = self.journal.tables["orders"]
        for order in entry.rows.orders:
            self._noted(order, before.get((order.client_order_id,)))
        self.bounds.journaled(self.journal, entry)
        self._liquidations.before(self.journal, entry)
        self._reducing.before(self.journal, entry)
        self._limited.before(self.journal, entry)
        try:
            self.journal.take(entry)
        except Contradiction as error:
            self.fail("rows are written once", str(error))
        self._liquidations.after(self.journal, entry)
        self._reducing.after(self.journal, entry)
        self.shown.journaled(entry)
        for cursor in entry.rows.cursors:
            self._proven(cursor.symbol, cursor.trade_id)

    def _booked(self, fill: FillRow) -> None:
        """Each fill is a trade of the exchange, booked once, to whom its order names."""
        self.checked["each trade is booked once"] += 1
        key = (fill.symbol, fill.exchange_order_id, fill.trade_id)
        coid = fill.client_order_id or ""
        if key in self.journal.tables["fills"]:
            self.fail("each trade is booked once", f"{key} is booked again", coid)
        trade = self.trade_of(*key)
        if trade is None:
            self.fail("each trade is booked once", f"{key} is booked, the exchange has no such trade", coid)
            return
        symbol = self._exchange.venue.exchange.markets[fill.symbol].symbol
        theirs = (
            symbol.price(trade.price),
            symbol.quantity(trade.quantity),
            trade.commission,
            trade.realized,
            trade.maker,
            "BUY" if trade.side > 0 else "SELL",
        )
        ours = (
            fill.price,
            fill.quantity,
            fill.commission,
            fill.venue_realized_pnl,
            fill.maker,
            fill.side,
        )
        if theirs != ours:
            self.fail("each trade is booked once", f"{key}: the exchange says {theirs}, booked {ours}", coid)
        owner = self._owner(trade.client_order_id)
        if fill.sub_account_id != owner:
            self.fail("each trade is booked once", f"{key} is {owner}'s, not {fill.sub_account_id}'s", coid)

    def _owner(self, client_order_id: str) -> str:
        """Whose a trade is: the house's, where the order went to it with a position (`liquidations`)."""
        order = self.journal.tables["orders"].get((client_order_id,))
        return HOUSE if order and order.sub_account_id == HOUSE else self.owner_of(client_order_id)

    def _paid(self, entry: Entry) -> None:
        """What the exchange paid for the entry's trades, or beside them, is what our balances moved."""
        self.checked["money is conserved"] += 1
        moved = sum((line.amount for line in entry.rows.ledger), ZERO)
        paid = sum((fill.venue_realized_pnl - fill.commission for fill in entry.rows.fills), ZERO)
        paid += self.incomes.moved(entry)
        if moved != paid:
            self.fail("money is conserved", f"entry {entry.seq} moved {moved}, the exchange paid {paid}")

    def _noted(self, order: OrderRow, before: OrderRow | None) -> None:
        """No terminal state without the exchange's evidence, and none is left but for a late fill."""
        self.checked["no end without evidence"] += 1
        coid = order.client_order_id
        self.amendments.wished(order)
        if before is None:
            self._intend(coid, order)
        elif before.deadline and before.sub_account_id == order.sub_account_id:
            # What nobody asked for, of which Redis forgot all, has none.
            self.checked["an order keeps its side"] += 1
            if order.position_side != before.position_side:
                detail = f"{coid} was for the {before.position_side}, and is for the {order.position_side}"
                self.fail("an order keeps its side", detail, coid)
        state = State(order.state)
        theirs = self.order_of(order.symbol, coid)
        if before is not None and order.filled_qty < before.filled_qty:
            self.fail("no end without evidence", f"{coid} unlearnt fills", coid)
        if state in (State.REJECTED, State.VOID):
            if theirs is not None:
                self.fail("no end without evidence", f"{coid} was told {state}, and is {theirs.status}", coid)
        elif state.terminal or state in (State.ACTIVE, State.PARTIALLY_FILLED):
            if theirs is None:
                self.fail("no end without evidence", f"{coid} was told {state}, and was never there", coid)
            elif state.terminal and self._executed(theirs) != order.filled_qty:
                detail = f"{coid} ended with {order.filled_qty} booked of {self._executed(theirs)}"
                self.fail("no end without evidence", detail, coid)
            elif state.terminal and WORDS[theirs.status] is not state:
                self.fail("no end without evidence", f"{coid} was told {state}, and is {theirs.status}", coid)
        if before is not None and State(before.state).terminal and not state.terminal:
            self.fail("no end without evidence", f"{coid} was {before.state} and is {state} again", coid)

    def _executed(self, order: venue.Order) -> Decimal:
        return self._exchange.venue.exchange.markets[order.symbol].symbol.quantity(order.executed)

    def _proven(self, symbol: str, trade_id: int) -> None:
        """Behind a proven cursor every trade is booked."""
        self.checked["the cursor is proven"] += 1
        fills = self.journal.tables["fills"]
        for trade in self._exchange.account.trades[symbol]:
            if trade.trade_id > trade_id:
                break
            if (symbol, trade.order_id, trade.trade_id) not in fills:
                detail = f"{symbol} is proven up to {trade_id}, trade {trade.trade_id} is not booked"
                self.fail("the cursor is proven", detail, trade.client_order_id)

    # --- records and rights ---

    def _hash_set(self, words: Words) -> None:
        key = words[1]
        if not key.startswith(REQUEST):
            return
        fields = dict(zip(words[2::2], words[3::2], strict=True))
        self._once(b"decision", fields, key, self._decisions)
        if words[0] == b"HSETNX" and self._results.get(key) is not None:
            return
        self._once(b"result", fields, key, self._results)
        if b"result" in fields:
            self.answered_s.setdefault(key[len(REQUEST) :].decode(), self._now())

    def _once(self, name: bytes, fields: dict[bytes, bytes], key: bytes, written: dict[bytes, bytes]) -> None:
        value = fields.get(name)
        if value is None:
            return
        self.checked["decisions and results are written once"] += 1
        if written.setdefault(key, value) != value:
            detail = f"{key.decode()} {name.decode()}: {written[key].decode()}, then {value.decode()}"
            self.fail("decisions and results are written once", detail, key[len(REQUEST) :].decode())

    def _set(self, words: Words) -> None:
        key, value = words[1], words[2]
        if key.startswith(RISK):
            self.shown.written(self.journal, key)
        if not key.startswith(RIGHT):
            return
        self.checked["one send right an order"] += 1
        before, coid = self._rights.get(key), key[len(RIGHT) :].decode()
        if value != b"void":
            self._permitted(coid)
        self._rights[key] = value
        if before is None or value == b"void":
            return
        stamp, _, sender = before.partition(b" ")
        # An amendment's right bears its number, which the exchange is not told.
        refused = (coid.partition("~")[0], stamp.decode()) in self._refused_stamps
        again = refused and value.partition(b" ")[2] == sender
        if not again:
            detail = f"{coid}: {before.decode()}, then {value.decode()}"
            self.fail("one send right an order", detail, coid)

    def _deleted(self, words: Words) -> None:
        for key in words[1:]:
            if key.startswith(RISK):
                self.shown.written(self.journal, key)

    def _permitted(self, coid: str) -> None:
        """A right is of the present epoch, in time, and of nobody who is halted."""
        order_id = coid.partition("~")[0]
        meant, row = self.admitted.get(order_id), self.journal.tables["orders"].get((order_id,))
        if meant is not None:
            self.halts.permitted(meant, row.sub_account_id if row else meant.sub_account_id)
        keys = self._server.keys
        order: dict[bytes, bytes] = keys.of_kind(names.order_key(coid).encode(), dict) or {}
        epoch: dict[bytes, bytes] = keys.of_kind(names.EPOCH.encode(), dict) or {}
        if order.get(b"epoch") != epoch.get(b"nonce") or epoch.get(b"run_id") != self._server.run_id.encode():
            self.fail("one send right an order", f"{coid} was given a right of an older epoch", coid)
        if int(order.get(b"deadline", b"0")) < self._server.now_ms():
            self.fail("one send right an order", f"{coid} was given a right after its deadline", coid)

    def _intend(self, coid: str, order: OrderRow) -> None:
        """Note what an order is to be; a decision stands, unless Redis and all else forgot it unsent."""
        known = self.admitted.setdefault(coid, order)
        if _terms(known) == _terms(order):
            return
        if self.tail_lost and not self.placed[coid]:
            self._forgotten_intents.setdefault(coid, []).append(known)
            self.admitted[coid] = order

    # --- the exchange's door ---

    def _asked(self, asked: Asked, given: Answer) -> None:
        if asked.path not in DOORS or asked.method not in ("POST", "PUT"):
            return
        fields = dict(parse_qsl(asked.body))
        stamp = fields["timestamp"]
        if asked.path == PLACE:
            self._asked_one(asked.method, fields, stamp, accepted=given.status == 200, body=given.body)
            return
        elements = json.loads(fields["batchOrders"])
        whole = given.status == 200
        answers = json.loads(given.body) if whole else [{}] * len(elements)
        for element, answer in zip(elements, answers, strict=True):
            taken, body = whole and "orderId" in answer, json.dumps(answer).encode() if whole else given.body
            self._asked_one(asked.method, element, stamp, accepted=taken, body=body)

    def _asked_one(
        self, method: str, fields: dict[str, str], stamp: str, *, accepted: bool, body: bytes
    ) -> None:
        """An order, or an amendment of one, came to the exchange."""
        amended = method == "PUT"
        coid = fields["origClientOrderId" if amended else "newClientOrderId"]
        if coid.startswith(PANICKED):
            return
        if not accepted:
            if b"-1021" in body or b"-5028" in body:
                self._refused_stamps.add((coid, stamp))
            return
        if amended:
            self.bounds.accepted(coid)
            self.amendments.carried_out(coid, Decimal(fields["quantity"]), Decimal(fields["price"]))
            return
        self.checked["one order an intent"] += 1
        self.placed[coid] += 1
        self.bounds.accepted(coid, new=True)
        if self.placed[coid] > 1:
            self.fail("one order an intent", f"{coid} was placed {self.placed[coid]} times", coid)
        intent = self.admitted.get(coid)
        if intent is None:
            self.fail("one order an intent", f"{coid} was placed before it was journaled", coid)
            return
        first = self._sent_for.setdefault(intent.request_id or coid, coid)
        if first != coid:
            self.fail("one order an intent", f"{intent.request_id} placed {first} and {coid}", coid, first)
        price = Decimal(fields["price"]) if "price" in fields else None
        sent = (fields["symbol"], fields["side"], Decimal(fields["quantity"]), price)
        meant = [_terms(each) for each in (intent, *self._forgotten_intents.get(coid, ()))]
        if sent not in meant:
            self.fail("one order an intent", f"{coid} was meant {meant}, sent {sent}", coid)
        right = self._rights.get(RIGHT + coid.encode())
        if not self.tail_lost and (right is None or right.partition(b" ")[0] != stamp.encode()):
            self.fail("one send right an order", f"{coid} was sent at {stamp}, its right is {right!r}", coid)

    # --- what others need ---

    def forget_lost(self) -> None:
        """Redis lost its tail: what PostgreSQL and the rest of the journal hold is what is journaled."""
        self.tail_lost += 1
        self.shown.lost()
        self._begin_from_books()

    def committed(self, applied: int) -> None:
        """PostgreSQL has taken in entries: what a ledger had read that slept counts, though Redis lost it."""
        if applied > self.journal.applied:
            self._begin_from_books()

    def _begin_from_books(self) -> None:
        taken = self._taken()
        self.journal = self._books().copy()
        stream = self._server.keys.of_kind(JOURNAL, Stream)
        if stream is not None:
            for fields in stream.entries:
                entry = decode_entry(fields[1])
                if entry.prev == self.journal.applied:
                    self.journal.take(entry)
        self.given_back |= taken - self._taken()
        self.decided = {row.request_id: row for row in self.journal.tables["commands"].values()}
        self.bounds.forgotten(self.journal)
        self.halts.forgotten(self.journal)
        self.incomes.forgotten(self.journal)
        for written, name in ((self._decisions, b"decision"), (self._results, b"result")):
            for key in list(written):
                fields_now = self._server.keys.of_kind(key, dict) or {}
                if name not in fields_now:
                    del written[key]
        for key in list(self._rights):
            if self._server.keys.get(key) is None:
                del self._rights[key]

    def _taken(self) -> set[str]:
        orders = self.journal.tables["orders"].values()
        return {row.client_order_id for row in orders if row.sub_account_id == HOUSE}

    _books: Callable[[], Fold] = Fold

    def reads_books(self, books: Callable[[], Fold]) -> None:
        """Where the database's fold is to be had."""
        self._books = books

    def order_of(self, symbol: str, client_order_id: str) -> venue.Order | None:
        """The exchange's order of an id of ours."""
        return self._exchange.account.latest_by_client_id.get((symbol, client_order_id))

    def paused(self, algo_id: str) -> bool:
        """Whether an algo waits for its trader although he has not paused it, as far as anybody remembers."""
        row = self.journal.tables["algos"].get((algo_id,))
        made_way = row is not None and MAKES_WAY in (row.reason or "")
        return row is not None and row.status == "paused" and (made_way or self.tail_lost > 0)

    def trade_of(self, symbol: str, order_id: int, trade_id: int) -> venue.Trade | None:
        """The account's trade, newest first: that is where it nearly always is."""
        for trade in reversed(self._exchange.account.trades[symbol]):
            if trade.trade_id == trade_id and trade.order_id == order_id:
                return trade
        return None

    def disturbed(self, symbol: str) -> bool:
        """Whether somebody else has traded a symbol with the same account, or an operator moved it."""
        return self.corrected.concerns(self.journal, symbol) or any(
            not trade.client_order_id.startswith("PMS_") for trade in self._exchange.account.trades[symbol]
        )

    def owner_of(self, client_order_id: str) -> str:
        """Whom an order's id names."""
        prefix, _, rest = client_order_id.partition("_")
        tag = rest.partition("_")[0]
        accounts: dict[Any, Any] = self.journal.tables["sub_accounts"]
        return next((name for (name,) in accounts if name[:8] == tag), HOUSE) if prefix == "PMS" else HOUSE


def _terms(order: OrderRow) -> tuple[str, str, Decimal, Decimal | None]:
    """What of an order the exchange is told."""
    return order.symbol, order.side, order.quantity, order.price
