"""The engine: the desk in memory, driven by the inbox and the exchange's feed, leaving by the outbox.

Everything here runs on one loop and changes the desk between two awaits, so there is no lock. What
must happen later is put on the agenda; `attention` does it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial

import structlog

from pms.binance.answers import OrderAnswer
from pms.binance.errors import OF_SYMBOL_RULES
from pms.binance.expiry_reasons import expired_because
from pms.binance.frames import AccountConfigUpdate, AccountUpdate, MarginCall, OrderUpdate
from pms.bus.inbox import (
    Arrived,
    AskAlgos,
    Attend,
    BadCommand,
    Compared,
    Conflict,
    LimitTold,
    Message,
    Noticed,
    Outcome,
    Reconcile,
)
from pms.bus.requests import echo
from pms.contract import names
from pms.contract.algo_commands import AlgoStart
from pms.contract.codes import Code, Refusal
from pms.contract.commands import Adjust, Batch, Close, CloseAll, Command, Halt
from pms.contract.commands import Trade as TradeCommand
from pms.contract.reading import read_command
from pms.contract.results import Result
from pms.domain import cancelling
from pms.domain.admission import admit
from pms.domain.adoption import adopt, adopted, ours
from pms.domain.algos import ending
from pms.domain.algos.starting import symbols_of as algo_symbols
from pms.domain.amending import withdraw_amend
from pms.domain.booking import (
    Trade,
    book,
    foreign_kind,
    note,
    observe,
)
from pms.domain.custody import LOCAL_COMMANDS, keep
from pms.domain.decisions import Asked, refuse
from pms.domain.desk import Desk
from pms.domain.handed_orders import withhold
from pms.domain.incidents import OF_ORDERS, incident, settled
from pms.domain.leverage import give_back
from pms.domain.orders import (
    WORD_RANK,
    Accepted,
    Amended,
    AmendFailed,
    Doubtful,
    Fact,
    Order,
    Refused,
    Seen,
    State,
    known_word,
)
from pms.domain.posting import Posting
from pms.domain.recalling import met_again, recalled, stands
from pms.domain.risk_limits import risk_limit
from pms.flows.batch import MOST_CANCELLED
from pms.streamer.agenda import Agenda
from pms.streamer.left_out import LEFT_OUT, LeftOut, Spoiled, TradeKey, subject_of
from pms.streamer.outbox import Outbox
from pms.streamer.queues import queue_of
from pms.streamer.restate import restate

log = structlog.get_logger()

SILENCE_S = 1.0
"""An order without the word that must follow is asked about after so long."""

TAKE_OVER_S = 0.25
"""A command without visible progress for this long is sent by the streamer itself."""

TEN_CANCELS_S = 0.1
"""By so much later is each next ten of one command's cancels taken over: its worker asks for ten in one."""

LATEST_CANCEL_S = 1.0
"""A cancel on command that no worker has sent for this long waits for none, however many there are."""


@dataclass(slots=True)
class Venue:
    """What the exchange last said of the account as a whole."""

    wallets: dict[str, Decimal] = field(default_factory=dict)
    #: by asset; empty before it has spoken
    positions: dict[str, Decimal] = field(default_factory=dict)
    heard_at: int = 0
    #: the exchange's time of its last word
    told: int = 0
    #: how often the feed has told of it
    income_heard: int = 0
    #: when it last told of money that came or went without a trade
    moved: bool = False
    #: something happened since its margin was last read
    touched: set[str] = field(default_factory=set)
    #: symbols of which it told since its time last went on


@dataclass(slots=True)
class Gate:
    """Whether commands are admitted, and the rules they are judged by."""

    closed_because: str | None = "the streamer is starting"
    algos_stopped: bool = False
    live_guard: bool = False
    default_leverage: int = 10
    stale_after_ms: int = 5000
    most_lag_ms: int = 50
    multi_assets: bool = False
    #: the exchange account was switched to multi-assets mode, on which every sum here would be wrong
    run_id: str = ""
    #: the life of Redis in which this streamer leads
    denies: bool = True
    #: whether what Redis forgot may be denied: not before all orders have been read twice
    signatures_live_ms: int = 5000
    #: so long behind a deadline an order that was sent in time can still reach the exchange and be told


PLACING = (TradeCommand, Close, Batch, CloseAll)
"""The commands of which orders come."""

_REFUSED_BY = {
    "refused": Code.EXCHANGE_REFUSED,
    "throttled": Code.THROTTLED,
    "unsent": Code.EXCHANGE_UNREACHABLE,
}
"""The outcomes that prove that a request executed nothing."""


class Engine:
    """Facts in, postings out."""

    def __init__(
        self,
        desk: Desk,
        outbox: Outbox,
        *,
        gate: Gate,
        redis_now_ms: Callable[[], int],
    ) -> None:
        self.desk = desk
        self.outbox = outbox
        self.gate = gate
        self.venue = Venue()
        self.sent_at: dict[str, int] = {}
        #: by queue, when its workers were last seen to send something, ms
        self.agenda: Agenda
        self.local: Callable[[Asked, Command], None]
        self.follow: Callable[[str, Callable[[], None]], bool]
        self.repeat: Callable[[Result], None]
        self.answer: Callable[[Result], None]
        self.left_out = LeftOut()
        self.spoiled: Callable[[Exception], None]
        #: memory is not what the journal says any more: nothing may follow
        self.behind: Callable[[], None]
        #: the exchange knows an order of ours that we do not: catch up with it
        self.reconcile: Callable[[Reconcile], None]
        self.income: Callable[[], None]
        #: the exchange's income history has something new
        self.trades_missed: Callable[[str], None] = _nobody
        #: a symbol's position is not what we make it, and nothing has told why
        self.money_missed: Callable[[], None] = lambda: None
        #: a wallet is not what we make it, and nothing has told why
        self.margin_called: Callable[[], None]
        #: the exchange warns that it is about to liquidate
        self.reconfigured: Callable[[], None]
        #: the exchange account's margin type or leverage changed
        self.rules_doubted: Callable[[], None] = lambda: None
        #: the exchange refused by a rule of the symbol that we had held the order against
        self.complete: Callable[[], bool] = lambda: True
        #: whether every trade up to now was told, or read behind a gap
        self.time_passed: Callable[[int], None]
        #: the exchange's time goes on: all that it told of the time before has been taken in
        self.moved: Callable[[Order], None] = _nobody
        #: what is known of an order has changed
        self.ask_algos: Callable[[], None] = lambda: None
        self.algo_told: Callable[[str], None] = _nobody
        #: a command to this algo is journaled
        self.algo_begun: Callable[[str], None] = _nobody
        #: it is admitted, and its entry is on its way
        self.now = redis_now_ms
        self.exchange_now: Callable[[], int] = lambda: 0
        #: 0 where it is not known

    # --- commands ---

    def hear(self, message: Message) -> None:
        """Take one message of the inbox."""
        match message:
            case Arrived():
                self.decide(message)
            case Outcome():
                self._outcome(message)
            case Attend():
                if message.client_order_id in self.desk.orders:
                    self.agenda.put(message.client_order_id, in_s=0)
                else:
                    self.behind()
            case AskAlgos():
                self.ask_algos()
            case Conflict():
                detail = f"{message.request_id} came again as {message.command}: {message.text[:300]}"
                self.raise_incident("request_id_reused", "warning", detail)
            case BadCommand():
                detail = f"{message.command} without a usable requestId: {message.text[:300]}"
                self.raise_incident("bad_command", "warning", detail)
            case Reconcile():
                self.reconcile(message)
            case Compared():
                restate(self, message)
            case Noticed():
                if message.over:
                    self.settle_incident(message.incident, message.subject, message.detail)
                else:
                    self.raise_incident(
                        message.incident, message.severity, message.detail, subject=message.subject
                    )
            case LimitTold():
                self.outbox.add(
                    risk_limit(
                        self.desk,
                        at=self.now(),
                        scope=message.scope,
                        name=message.name,
                        measure=message.measure,
                        limit=message.limit,
                        actual=message.actual,
                        over=message.over,
                    )
                )

    def decide(self, arrived: Arrived, *, waited_for: tuple[str, ...] = ()) -> None:
        """Admit or refuse a command; a repeat gets its first answer again.

        A command for a symbol without a price waits a moment for one, once a symbol.
        """
        known = self.desk.requests.get(arrived.request_id)
        if known is not None:
            if not self._reused(arrived, known[0]):
                self.repeat(known[1])
            return
        asked = Asked(
            request_id=arrived.request_id,
            command=arrived.command,
            text=arrived.text,
            at=arrived.at,
            deadline=arrived.deadline,
            now=self.now(),
            closed_because=self.gate.closed_because,
            live_guard=self.gate.live_guard,
            default_leverage=self.gate.default_leverage,
            exchange_now=self.exchange_now(),
        )
        try:
            command = read_command(arrived.command, arrived.text)
            if str(command.request_id) != arrived.request_id.lower():
                raise Refusal(
                    Code.BAD_REQUEST_ID, "the record's requestId is not the command's", field="requestId"
                )
            if isinstance(command, LOCAL_COMMANDS):
                if not self._waits_for_price(arrived, command, waited_for):
                    self.local(asked, command)
                return
            if isinstance(command, PLACING) and arrived.run_id not in {"", self.gate.run_id}:
                # Redis may have forgotten that it was admitted and sent: `recall` finds out.
                return
            if self._waits_for_price(arrived, command, waited_for):
                return
            posting = self._met_again(asked, command) or admit(self.desk, asked, command)
        except Refusal as refusal:
            posting = refuse(self.desk, asked, refusal, echoed=echo(arrived.text.encode()))
        self.outbox.add(posting, lambda held: self._decided(posting, held=held))

    def _reused(self, arrived: Arrived, text: str) -> bool:
        """Whether a requestId comes again with another command; an operator is told."""
        if text == arrived.text:
            return False
        detail = f"{arrived.request_id} came again as {arrived.command}: {arrived.text[:300]}"
        self.raise_incident("request_id_reused", "warning", detail)
        return True

    def _met_again(self, asked: Asked, command: Command) -> Posting | None:
        """The answer to a command that Redis forgot and whose orders are there, whatever else forbids it.

        Those of a close of all are looked for only once Redis has forgotten: it takes all orders there are.
        """
        return None if isinstance(command, CloseAll) else met_again(self.desk, asked, command)

    def recall(self, arrived: Arrived) -> None:
        """Answer a command whose decision, if there was one, was lost with an earlier life of Redis.

        An order may have come of it: none is placed now, and nothing is denied before the exchange
        would have told of it.
        """
        known = self.desk.requests.get(arrived.request_id)
        if known is not None:
            # Whoever asked first waits under this id, too: what is answered is true of its order.
            self._reused(arrived, known[0])
            self.answer(recalled(self.desk, known[1]))
            return
        now = self.now()
        try:
            command = read_command(arrived.command, arrived.text)
        except Refusal:
            command = None
        places = isinstance(command, PLACING)
        # A halt holds by the door alone; the decision may come at any time.
        if command is None or isinstance(command, Halt) or (not places and now <= arrived.deadline):
            self.decide(arrived)
            return
        asked = Asked(
            request_id=arrived.request_id,
            command=arrived.command,
            text=arrived.text,
            at=arrived.at,
            deadline=arrived.deadline,
            now=now,
        )
        posting = met_again(self.desk, asked, command)
        if posting is None:
            if places and (now <= arrived.deadline + self.gate.signatures_live_ms or not self.gate.denies):
                return
            lost = Refusal(Code.EXPIRED, "the command was lost with Redis; proven: nothing was sent")
            posting = refuse(self.desk, asked, lost, echoed=echo(arrived.text.encode()))
        self.outbox.add(posting)

    def _waits_for_price(self, arrived: Arrived, command: Command, waited_for: tuple[str, ...]) -> bool:
        if self.gate.closed_because is not None:
            return False
        return any(
            self.follow(symbol, partial(self.decide, arrived, waited_for=(*waited_for, symbol)))
            for symbol in self._priced_by(command)
            if symbol not in waited_for
        )

    def _priced_by(self, command: Command) -> list[str]:
        """The symbols whose price a command waits for; none where nobody is there to trade in them.

        Traps: they are waited for one after the other: a close of all would be too late for the rest of them.
        And what is waited for is followed from then on, and read behind every gap.
        """
        match command:
            case Close():
                position = self.desk.find_position(str(command.position_id))
                return [] if position is None else [position.symbol]
            case TradeCommand() | Batch() | AlgoStart() | Adjust() if (
                command.sub_account_id not in self.desk.accounts
            ):
                return []
            case Adjust():
                return [command.symbol] if command.symbol and command.price is None else []
            case TradeCommand():
                return [command.symbol]
            case Batch():
                return list(dict.fromkeys(terms.symbol for terms in command.orders))
            case AlgoStart():
                return algo_symbols(command)
            case _:
                return []

    def decide_local(self, asked: Asked, command: Command) -> Posting:
        """Decide a claimed command that leaves no trace at the exchange; raises Spoiled.

        Trap: nobody expires what is claimed, so one that always meets a fault of ours would be decided for as
        long as it is remembered. It is refused, for a decision is one entry and this one came to none; but
        not where something of it stands from before Redis forgot it.
        """
        before = self.desk.last_seq
        try:
            return keep(self.desk, asked, command)
        except Refusal as refusal:
            return refuse(self.desk, asked, refusal, echoed=echo(asked.text.encode()))
        except Exception as error:
            self.desk.last_seq = before
            if stands(self.desk, asked, command):
                self.left_out.requests.add(asked.request_id)
            else:
                fault = Refusal(Code.INTERNAL_ERROR, f"a fault of ours, nothing was done: {error!r}")
                self.outbox.add(refuse(self.desk, asked, fault, echoed=echo(asked.text.encode())))
            raise self._spoil(f"{asked.command} {asked.request_id}", error) from error

    def _spoil(self, what: str, error: Exception) -> Spoiled:
        """End this life for a fault in the middle of something; what it had sealed is forgotten with it."""
        log.error("memory_spoiled", by=what, exc_info=error)
        self.raise_incident("task_failed", "critical", f"{what}: {error!r}; the streamer begins anew")
        spoiled = Spoiled(f"{what}: {error!r}")
        self.spoiled(spoiled)
        return spoiled

    def _decided(self, posting: Posting, *, held: bool) -> None:
        self.outbox.add(ending.settle(self.desk, posting.entry, held=held))
        self.outbox.add(cancelling.settle(self.desk, posting.entry, held=held))
        self.tell_algos(posting)
        if not held:
            return
        cancels = posting.entry.kind == cancelling.KIND
        for place, row in enumerate(posting.entry.rows.orders):
            later = place // MOST_CANCELLED * TEN_CANCELS_S if cancels else 0.0
            self.agenda.put(row.client_order_id, in_s=min(TAKE_OVER_S + later, LATEST_CANCEL_S))

    def tell_algos(self, posting: Posting) -> None:
        """Let the algos be asked that a command's entry names, and those whose position it moved."""
        for row in posting.entry.rows.algos:
            self.algo_told(row.id)
        for moved in posting.entry.rows.positions:
            for algo in list(self.desk.algos.by_symbol.get(moved.symbol, {}).values()):
                if algo.account == moved.sub_account_id:
                    self.algo_told(algo.id)

    def unwanted(self, posting: Posting, *, held: bool) -> None:
        """Send cancels for the orders that an entry wants gone; only now that it is journaled.

        They are wanted from now on, whatever the exchange's time of what the entry is about.
        """
        for row in posting.entry.rows.orders if held else ():
            if row.cancel_wanted:
                self._note_unwanted(row.client_order_id)
                self.agenda.put(row.client_order_id, in_s=0)

    def _note_unwanted(self, client_order_id: str) -> None:
        order = self.desk.orders.get(client_order_id)
        if order is not None:
            order.unwanted_at = max(order.unwanted_at, self.now())

    # --- what REST said ---

    def _outcome(self, outcome: Outcome) -> None:
        amended = names.amended_order(outcome.client_order_id)
        order = self.desk.orders.get(outcome.client_order_id if amended is None else amended[0])
        if outcome.code in OF_SYMBOL_RULES:
            self.rules_doubted()
        if order is None:
            return
        if outcome.sender != "streamer":
            self.sent_at[queue_of(self.desk, order)] = self.now()
        if amended is not None:
            self._amend_outcome(outcome, order, number=amended[1])
            return
        fact: Fact
        code: Code | None = None
        text = f"{outcome.code}: {outcome.text}" if outcome.code is not None else outcome.text or ""
        match outcome.word:
            case "accepted":
                if outcome.exchange_order_id is None:
                    return
                fact = Accepted(outcome.exchange_order_id)
            case "refused":
                fact, code = Refused(text), Code.EXCHANGE_REFUSED
            case "throttled":
                fact, code = Refused(text or "rate limit"), Code.THROTTLED
            case "unsent":
                fact, code = Refused(text or "no connection to the exchange"), Code.EXCHANGE_UNREACHABLE
            case "duplicate" | "unknown":
                fact = Doubtful()
        self.observe(order, fact, code=code)
        self.agenda.put(outcome.client_order_id, in_s=0.5 if outcome.word == "unknown" else 1.0)

    def _amend_outcome(self, outcome: Outcome, order: Order, *, number: int) -> None:
        """REST ends no amendment: a refusal is remembered until a query shows that the old terms stand."""
        if order.amend is None or order.amend.number != number:
            return
        text = f"{outcome.code}: {outcome.text}" if outcome.code is not None else outcome.text or ""
        code = _REFUSED_BY.get(outcome.word)
        if code is not None:
            order.amend_refused = AmendFailed(number, text, code)
        self.agenda.put(order.spec.client_order_id, in_s=1.0 if outcome.word == "accepted" else 0.0)

    # --- what the exchange said ---

    def observe(self, order: Order, fact: Fact, *, code: Code | None = None, at: int | None = None) -> None:
        """Take a fact about an order, whoever found it."""
        posting = observe(self.desk, order, fact, at=self.now() if at is None else at, code=code)
        if posting is not None:
            self.outbox.add(posting, lambda _: None if order.unproven else self.found(order))
            self.moved(order)
            if order.cancel_wanted:
                self._note_unwanted(order.spec.client_order_id)
        if posting is None:
            # It is on the agenda; what tells nothing new does not hurry whoever asks ever more seldom.
            return
        if order.trades_missing or (order.cancel_wanted and not order.state.terminal):
            self.agenda.put(order.spec.client_order_id, in_s=0.5)
        elif order.momentary and not order.state.terminal:
            self.agenda.put(order.spec.client_order_id, in_s=SILENCE_S)

    def found(self, order: Order) -> None:
        """What became of an order is known: nothing about it is unknown or vanished any more."""
        for kind in OF_ORDERS:
            self.settle_incident(kind, order.spec.client_order_id, f"it is {order.state}")

    def order_update(self, update: OrderUpdate) -> None:
        """Take an ORDER_TRADE_UPDATE: a word about an order, and perhaps a trade."""
        self._heard(update.trade_time)
        self.venue.moved = True
        word = known_word(update.status)
        why = update.expiry_reason if word.startswith("EXPIRED") else None
        reason = None if why is None else expired_because(why)
        seen = Seen(
            update.order_id, word, update.filled, reason, update.quantity, update.price, update.trade_time
        )
        order = self.order_of(update.symbol, update.order_id, update.client_order_id)
        over = WORD_RANK[word] > WORD_RANK["NEW"]
        if order is None and over:
            subject = f"{update.symbol}:{update.order_id}"
            self.settle_incident("foreign_order", subject, f"the exchange says: {word}")
        # At the first start the feed is buffered before the books are opened: what they hold comes again.
        traded = update.trade_id and update.last_quantity and not self.desk.before_books(update.trade_time)
        if traded:
            if order is None:
                self._adopt_traded(update, word)
            trade = Trade(
                symbol=update.symbol,
                exchange_order_id=update.order_id,
                trade_id=update.trade_id,
                client_order_id=update.client_order_id,
                side=update.side,
                price=update.last_price,
                quantity=update.last_quantity,
                commission=update.commission,
                commission_asset=update.commission_asset or "USDT",
                realized_pnl=update.realized_pnl,
                maker=update.maker,
                at=update.trade_time,
            )
            self.book(trade, seen=seen)
            return
        if order is None:
            if ours(update.client_order_id):
                self.behind()
            elif not over:
                self.foreign(update.symbol, update.order_id, update.client_order_id)
            return
        if word == "NEW" and order.momentary and order.state is State.PLACING:
            # Its end follows in the same breath and says all that this says: an entry less before the fill.
            self.agenda.put(order.spec.client_order_id, in_s=SILENCE_S)
            return
        if update.execution == "AMENDMENT":
            self.observe(
                order,
                Amended(update.order_id, update.quantity, update.price, update.trade_time),
                at=update.trade_time,
            )
        self.observe(order, seen, at=update.trade_time)

    def _adopt_traded(self, update: OrderUpdate, word: str) -> None:
        """Take in an order of ours that nobody remembers before its trade is booked.

        Found later, its trade would be known and not count: it could never end, its algo traded too much.
        Trap: one that was closed long ago has its row in PostgreSQL, and keeps it.
        """
        known = self.desk.knows_trade(update.symbol, update.order_id, update.trade_id)
        if known or not ours(update.client_order_id) or update.trade_time <= self.desk.forgotten_until:
            return
        self.adopt(
            OrderAnswer(
                order_id=update.order_id,
                symbol=update.symbol,
                status=word,
                client_order_id=update.client_order_id,
                side=update.side,
                type=update.order_type,
                price=update.price,
                orig_qty=update.quantity,
                executed_qty=update.filled,
                update_time=update.trade_time,
                time_in_force=update.time_in_force,
            )
        )

    def adopt(self, told: OrderAnswer) -> None:
        """Take in an order of ours that nobody remembers; once it is journaled it is looked after."""
        order, posting = adopt(
            self.desk,
            client_order_id=told.client_order_id,
            exchange_order_id=told.order_id,
            symbol=told.symbol,
            side=told.side,
            order_type=told.type,
            quantity=told.orig_qty,
            price=told.price or None,
            time_in_force=told.time_in_force,
            word=known_word(told.status),
            filled=told.executed_qty,
            at=told.update_time,
        )

        def confirmed(held: bool) -> None:
            if held:
                adopted(order, at=self.now())
                self.agenda.put(told.client_order_id, in_s=0)

        self.outbox.add(posting, confirmed)

    def book(self, trade: Trade, *, seen: Seen | None = None) -> bool:
        """Book a trade unless it is known; returns whether it was new. Raises Spoiled."""
        key = trade.symbol, trade.exchange_order_id, trade.trade_id
        posting = None if self.leaves_out(key) else self._booked(trade, key, seen)
        order = self.order_of(trade.symbol, trade.exchange_order_id, trade.client_order_id)
        if posting is not None:
            # Its rows may want others cancelled, which no longer fit into the position.
            self.outbox.add(posting, lambda held: self.unwanted(posting, held=held))
            if self.desk.incidents.get(LEFT_OUT, subject_of(key)):
                self.settle_incident(LEFT_OUT, subject_of(key), "it is booked")
            if order is not None:
                self.found(order)
                self.moved(order)
        elif order is not None and seen is not None:
            self.observe(order, seen, at=trade.at)
        if order is not None and order.trades_missing:
            self.agenda.put(order.spec.client_order_id, in_s=0.5)
        elif order is not None and order.momentary and not order.state.terminal:
            self.agenda.put(order.spec.client_order_id, in_s=SILENCE_S)
        return posting is not None

    def _booked(self, trade: Trade, key: TradeKey, seen: Seen | None) -> Posting | None:
        """Book a trade, or end this life.

        Trap: its key is known before all of it is moved. Were this life to go on behind a fault, the trade
        would be taken for booked, and the proven cursor moved past what no journal has.
        """
        before = self.desk.last_seq
        try:
            return book(self.desk, trade, fact=seen)
        except Exception as error:
            self.left_out.trades.add(key)
            self.desk.last_seq = before
            raise self._spoil(f"trade {subject_of(key)}", error) from error

    def leaves_out(self, key: TradeKey) -> bool:
        """Whether a trade is one that cannot be booked; an operator is told, for the books lack it."""
        if key not in self.left_out.trades or key in self.desk.trades:
            return False
        detail = f"trade {subject_of(key)} cannot be booked for a fault of ours: the books lack it"
        self.raise_incident(LEFT_OUT, "critical", detail, subject=subject_of(key))
        return True

    def account_update(self, update: AccountUpdate) -> None:
        """Take an ACCOUNT_UPDATE: what the wallets and the net positions are now.

        Money that moved without a trade is booked from the income history, of which this is the hint.
        """
        self._heard(update.time)
        self.venue.told += 1
        self.venue.moved = True
        for position in update.positions:
            self.venue.positions[position.symbol] = position.quantity
            self.venue.touched.add(position.symbol)
        for balance in update.balances:
            self.venue.wallets[balance.asset] = balance.wallet
        if update.reason == "MARGIN_TYPE_CHANGE":
            self.reconfigured()
        elif update.reason != "ORDER":
            self.venue.income_heard = update.time
            self.income()

    def account_config(self, update: AccountConfigUpdate) -> None:
        """Take an ACCOUNT_CONFIG_UPDATE: somebody changed a leverage, or the account's mode."""
        if update.multi_assets is not None:
            self.account_mode(multi_assets=update.multi_assets)
        self.reconfigured()

    def account_mode(self, *, multi_assets: bool) -> None:
        """Take the account's mode, as it was told or read."""
        if multi_assets and not self.gate.multi_assets:
            self.raise_incident("account_mode", "critical", "the exchange account is in multi-assets mode")
        self.gate.multi_assets = multi_assets

    def margin_call(self, call: MarginCall) -> None:
        """Take a MARGIN_CALL: the exchange itself is near to liquidating the account."""
        symbols = ", ".join(sorted(str(row.get("s", "?")) for row in call.positions)) or "no symbol named"
        self.raise_incident(
            "margin_call", "critical", f"MARGIN_CALL for {symbols}", evidence={"positions": call.positions}
        )
        self.margin_called()

    def _heard(self, at: int) -> None:
        """Note the time of a word; a later one says that the words before are complete."""
        if at > self.venue.heard_at:
            self.time_passed(self.venue.heard_at)
            self.venue.heard_at = at

    def foreign(self, symbol: str, order_id: int, client_order_id: str) -> None:
        """Alarm once about an order that is not ours; it is left alone."""
        if not self.desk.treasury.first_foreign(symbol, order_id):
            return
        kind, severity, what = foreign_kind(client_order_id)
        self.raise_incident(
            kind,
            severity,
            f"{symbol} order {order_id} ({client_order_id}) is {what}",
            subject=f"{symbol}:{order_id}",
        )

    def raise_incident(
        self,
        kind: str,
        severity: str,
        detail: str,
        *,
        subject: str | None = None,
        evidence: Mapping[str, object] | None = None,
    ) -> None:
        """Journal something that an operator should see, unless it stands already and says the same."""
        posting = incident(
            self.desk,
            at=self.now(),
            kind=kind,
            severity=severity,
            detail=detail,
            subject=subject,
            evidence=evidence,
        )
        if posting is not None:
            log.warning("incident", kind=kind, severity=severity, detail=detail)
            self.outbox.add(posting)

    def settle_incident(self, kind: str, subject: str, how: str) -> None:
        """Resolve a subject's incident by evidence, if one stands."""
        self.outbox.add(settled(self.desk, at=self.now(), kind=kind, subject=subject, how=how))

    def order_of(self, symbol: str, exchange_order_id: int, client_order_id: str | None) -> Order | None:
        """Our order, by the exchange's id or by ours."""
        coid = self.desk.by_exchange.get((symbol, exchange_order_id)) or client_order_id
        return self.desk.orders.get(coid) if coid else None

    def withdraw(self, posting: Posting) -> None:
        """Take back in memory a decision that came too late: its orders, its amendment."""
        if posting.guard is None:
            return
        self.desk.requests.pop(posting.guard.request_id, None)
        self.desk.legs.pop(posting.guard.request_id, None)
        entry = posting.entry
        # A later entry may already speak of them; then it must be followed by one that says the truth.
        told = self.desk.last_seq != entry.seq
        for row in entry.rows.orders:
            order = self.desk.orders.get(row.client_order_id)
            if order is None:
                continue
            if entry.kind == "amend_wanted":
                before = order.state
                withdraw_amend(self.desk, order, number=row.amends)
                if told or order.state is not before:
                    self.outbox.add(note(self.desk, order, at=self.now(), before=before))
                    self.moved(order)
            elif entry.kind == "admitted" and told:
                withhold(order, at=self.now() - 1)
                self.outbox.add(note(self.desk, order, at=self.now()))
                self.agenda.put(row.client_order_id, in_s=0)
            elif entry.kind == "admitted":
                self.desk.forget_order(order)
        self.outbox.add(give_back(self.desk, entry.rows.positions, posting.leverages_were, at=self.now()))


def _nobody(_: object) -> None:
    """Nobody wants to know."""
