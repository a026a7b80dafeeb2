"""The engine: the desk in memory, driven by the inbox and the exchange's feed, leaving by the outbox.

Everything here runs on one loop and changes the desk between two awaits, so there is no lock. What
must happen later is put on the agenda; `attention` does it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

import structlog

from pms.binance.frames import AccountUpdate, OrderUpdate
from pms.bus.inbox import Arrived, Attend, BadCommand, Conflict, Message, Outcome
from pms.bus.requests import echo
from pms.contract.codes import Code, Refusal
from pms.contract.commands import Close, Command, read_command
from pms.contract.commands import Trade as TradeCommand
from pms.contract.results import Result
from pms.domain.admission import Asked, admit, incident, met_again, recalled, refuse
from pms.domain.adoption import ours
from pms.domain.booking import Trade, book, note, note_position, observe, unvoid
from pms.domain.custody import LOCAL_COMMANDS, keep, wallet_moved
from pms.domain.desk import Desk
from pms.domain.orders import (
    WORD_RANK,
    Accepted,
    Amended,
    Doubtful,
    Fact,
    Order,
    Refused,
    Seen,
    State,
    Voided,
)
from pms.domain.posting import Posting, Undecided, Unsent, Unused
from pms.streamer.agenda import Agenda
from pms.streamer.outbox import Outbox

log = structlog.get_logger()

SILENCE_S = 1.0
"""An order without the word that must follow is asked about after so long."""

TAKE_OVER_S = 0.25
"""A command without visible progress for this long is sent by the streamer itself."""


@dataclass(slots=True)
class Venue:
    """What the exchange last said of the account as a whole."""

    wallet: Decimal | None = None
    positions: dict[str, Decimal] = field(default_factory=dict)
    heard_at: int = 0


@dataclass(slots=True)
class Gate:
    """Whether commands are admitted, and the rules they are judged by."""

    closed_because: str | None = "the streamer is starting"
    live_guard: bool = False
    default_leverage: int = 10
    stale_after_ms: int = 5000
    most_lag_ms: int = 50
    run_id: str = ""
    #: the life of Redis in which this streamer leads
    signatures_live_ms: int = 5000
    #: so long behind a deadline an order that was sent in time can still reach the exchange and be told


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
        self.worker_seen_at = 0
        self.agenda: Agenda
        self.local: Callable[[Asked, Command], None]
        self.follow: Callable[[str, Callable[[], None]], bool]
        self.repeat: Callable[[Result], None]
        self.answer: Callable[[Result], None]
        self.behind: Callable[[], None]
        #: the exchange knows an order of ours that we do not: catch up with it
        self._now = redis_now_ms
        self._foreign: set[tuple[str, int]] = set()

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
            case Conflict():
                detail = f"{message.request_id} came again as {message.command}: {message.text[:300]}"
                self.raise_incident("request_id_reused", "warning", detail)
            case BadCommand():
                detail = f"{message.command} without a usable requestId: {message.text[:300]}"
                self.raise_incident("bad_command", "warning", detail)

    def decide(self, arrived: Arrived, *, patient: bool = True) -> None:
        """Admit or refuse a command; a repeat gets its first answer again.

        While `patient`, a command for a symbol without a price waits a moment for one.
        """
        known = self.desk.requests.get(arrived.request_id)
        if known is not None:
            text, answer = known
            if text != arrived.text:
                detail = f"{arrived.request_id} came again as {arrived.command}: {arrived.text[:300]}"
                self.raise_incident("request_id_reused", "warning", detail)
            else:
                self.repeat(answer)
            return
        asked = Asked(
            request_id=arrived.request_id,
            command=arrived.command,
            text=arrived.text,
            at=arrived.at,
            deadline=arrived.deadline,
            now=self._now(),
            closed_because=self.gate.closed_because,
            live_guard=self.gate.live_guard,
            default_leverage=self.gate.default_leverage,
            stale_after_ms=self.gate.stale_after_ms,
        )
        try:
            command = read_command(arrived.command, arrived.text)
            if str(command.request_id) != arrived.request_id.lower():
                raise Refusal(
                    Code.BAD_REQUEST_ID, "the record's requestId is not the command's", field="requestId"
                )
            if isinstance(command, LOCAL_COMMANDS):
                self.local(asked, command)
                return
            if isinstance(command, TradeCommand | Close) and arrived.run_id not in {"", self.gate.run_id}:
                # Redis may have forgotten that it was admitted and sent: `recall` finds out.
                return
            if patient and self._waits_for_price(arrived, command):
                return
            posting = self._met_again(asked, command) or admit(self.desk, asked, command)
        except Refusal as refusal:
            posting = refuse(self.desk, asked, refusal, echoed=echo(arrived.text.encode()))
        self.outbox.add(posting, lambda held: self._decided(posting, held=held))

    def _met_again(self, asked: Asked, command: Command) -> Posting | None:
        """The answer to a command that Redis forgot and whose order is there, whatever else forbids it."""
        return met_again(self.desk, asked) if isinstance(command, TradeCommand | Close) else None

    def recall(self, arrived: Arrived) -> None:
        """Answer a command whose decision, if there was one, was lost with an earlier life of Redis.

        An order may have come of it: none is placed now, and nothing is denied before the exchange
        would have told of it.
        """
        known = self.desk.requests.get(arrived.request_id)
        if known is not None:
            self.answer(recalled(self.desk, known[1]))
            return
        now = self._now()
        is_order = arrived.command in {TradeCommand.name, Close.name}
        if not is_order and now <= arrived.deadline:
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
        posting = met_again(self.desk, asked) if is_order else None
        if posting is None:
            if is_order and now <= arrived.deadline + self.gate.signatures_live_ms:
                return
            lost = Refusal(Code.EXPIRED, "the command was lost with Redis; proven: nothing was sent")
            posting = refuse(self.desk, asked, lost, echoed=echo(arrived.text.encode()))
        self.outbox.add(posting)

    def _waits_for_price(self, arrived: Arrived, command: Command) -> bool:
        if self.gate.closed_because is not None or not isinstance(command, TradeCommand):
            return False
        return self.follow(command.symbol, lambda: self.decide(arrived, patient=False))

    def decide_local(self, asked: Asked, command: Command) -> Posting:
        """Decide a claimed command that leaves no trace at the exchange."""
        try:
            return keep(self.desk, asked, command)
        except Refusal as refusal:
            return refuse(self.desk, asked, refusal, echoed=echo(asked.text.encode()))

    def _decided(self, posting: Posting, *, held: bool) -> None:
        if not held:
            return
        for row in posting.entry.rows.orders:
            if row.cancel_wanted:
                self._want_cancelled(row.client_order_id, since=posting.entry.seq)
            self.agenda.put(row.client_order_id, in_s=TAKE_OVER_S)

    def _want_cancelled(self, client_order_id: str, *, since: int) -> None:
        """A cancel is decided: from here on the order is unwanted.

        Rows of the order that were written while the decision was on its way do not say so yet.
        """
        order = self.desk.orders.get(client_order_id)
        if order is None or order.cancel_wanted:
            return
        order.cancel_wanted = True
        if self.desk.last_seq != since:
            self.outbox.add(note(self.desk, order, at=self._now()))

    # --- what REST said ---

    def _outcome(self, outcome: Outcome) -> None:
        if outcome.sender != "streamer":
            self.worker_seen_at = self._now()
        order = self.desk.orders.get(outcome.client_order_id)
        if order is None:
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

    # --- what the exchange said ---

    def observe(self, order: Order, fact: Fact, *, code: Code | None = None, at: int | None = None) -> None:
        """Take a fact about an order, whoever found it."""
        before = order.state
        posting = observe(self.desk, order, fact, at=self._now() if at is None else at, code=code)
        if posting is not None:
            self.outbox.add(posting, lambda held: self._observed(order, before=before, held=held))
        if order.trades_missing or (order.cancel_wanted and not order.state.terminal):
            self.agenda.put(order.spec.client_order_id, in_s=0.5)
        elif order.momentary and not order.state.terminal:
            self.agenda.put(order.spec.client_order_id, in_s=SILENCE_S)

    def void(self, order: Order, reason: str) -> None:
        """Close an order that was never sent, if that proves true; else it is looked at again."""
        self.observe(order, Voided(reason))

    def _observed(self, order: Order, *, before: State, held: bool) -> None:
        if not held:
            self.agenda.put(order.spec.client_order_id, in_s=0)

    def order_update(self, update: OrderUpdate) -> None:
        """Take an ORDER_TRADE_UPDATE: a word about an order, and perhaps a trade."""
        word = update.status if update.status in WORD_RANK else "NEW"
        reason = update.expiry_reason if word.startswith("EXPIRED") else None
        seen = Seen(update.order_id, word, update.filled, reason)
        order = self.order_of(update.symbol, update.order_id, update.client_order_id)
        if update.trade_id and update.last_quantity:
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
            else:
                self.foreign(update.symbol, update.order_id, update.client_order_id)
            return
        if update.execution == "AMENDMENT":
            self.observe(
                order,
                Amended(update.order_id, update.quantity, update.price, update.trade_time),
                at=update.trade_time,
            )
        self.observe(order, seen, at=update.trade_time)

    def book(self, trade: Trade, *, seen: Seen | None = None) -> bool:
        """Book a trade unless it is known; returns whether it was new."""
        posting = book(self.desk, trade, fact=seen)
        order = self.order_of(trade.symbol, trade.exchange_order_id, trade.client_order_id)
        if posting is not None:
            self.outbox.add(posting)
        elif order is not None and seen is not None:
            self.observe(order, seen, at=trade.at)
        if order is not None and order.trades_missing:
            self.agenda.put(order.spec.client_order_id, in_s=0.5)
        elif order is not None and order.momentary and not order.state.terminal:
            self.agenda.put(order.spec.client_order_id, in_s=SILENCE_S)
        return posting is not None

    def account_update(self, update: AccountUpdate) -> None:
        """Take an ACCOUNT_UPDATE: what the wallet and the net positions are now."""
        self.venue.heard_at = update.time
        for position in update.positions:
            self.venue.positions[position.symbol] = position.quantity
        for balance in update.balances:
            if balance.asset != "USDT":
                continue
            if update.reason != "ORDER" and balance.change:
                reference = f"{update.reason}:{update.time}"
                self.outbox.add(
                    wallet_moved(
                        self.desk,
                        at=update.time,
                        amount=balance.change,
                        reason=update.reason,
                        reference=reference,
                    )
                )
            self.venue.wallet = balance.wallet

    def foreign(self, symbol: str, order_id: int, client_order_id: str) -> None:
        """Alarm once about an order that is not ours; it is left alone."""
        if (symbol, order_id) in self._foreign or len(self._foreign) > 10_000:
            return
        self._foreign.add((symbol, order_id))
        self.raise_incident(
            "foreign_order", "warning", f"{symbol} order {order_id} ({client_order_id}) is not ours"
        )

    def raise_incident(self, kind: str, severity: str, detail: str) -> None:
        """Journal something that an operator should see."""
        log.warning("incident", kind=kind, severity=severity, detail=detail)
        self.outbox.add(incident(self.desk, at=self._now(), kind=kind, severity=severity, detail=detail))

    def order_of(self, symbol: str, exchange_order_id: int, client_order_id: str | None) -> Order | None:
        """Our order, by the exchange's id or by ours."""
        coid = self.desk.by_exchange.get((symbol, exchange_order_id)) or client_order_id
        return self.desk.orders.get(coid) if coid else None

    def withdraw(self, posting: Posting) -> None:
        """Take back in memory what the journal did not accept."""
        match posting.guard:
            case Undecided(request_id):
                self.desk.requests.pop(request_id, None)
                if posting.entry.kind != "admitted":
                    return
                for held in posting.entry.rows.positions:
                    # The leverage that came with the command stays; memory and journal must agree on it.
                    account, symbol = held.sub_account_id, held.symbol
                    self.outbox.add(note_position(self.desk, account, symbol, at=self._now()))
                for row in posting.entry.rows.orders:
                    order = self.desk.orders.get(row.client_order_id)
                    if order is None:
                        continue
                    if self.desk.last_seq == posting.entry.seq:
                        self.desk.forget_order(order)
                    else:
                        # A later entry may already speak of it, a cancel of all: then it must be seen to end.
                        self.void(order, "its command was over before it was decided")
            case Unsent(client_order_id) | Unused(client_order_id):
                order = self.desk.orders.get(client_order_id)
                if order is not None:
                    unvoid(self.desk, order)
