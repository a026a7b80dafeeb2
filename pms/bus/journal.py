"""Writing the journal: postings in, one script call out, with everything that leaves with them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
from redis.asyncio import Redis

from pms.bus.lead import NotLeading
from pms.bus.scripts import Scripts
from pms.contract import names
from pms.contract.account import Account
from pms.contract.events import AlgoEvent, RiskEvent
from pms.contract.halts import standing_text
from pms.contract.journal import (
    CommandRow,
    Entry,
    HaltRow,
    IncidentRow,
    OrderRow,
    decode_entry,
    encode_entry,
)
from pms.contract.money import encode, plain
from pms.contract.results import Result
from pms.domain.custody import LOCAL_COMMANDS
from pms.domain.orders import State
from pms.domain.posting import Event, Posting, Undecided
from pms.domain.unwinding import ORIGIN

CLOSED_ORDER_TTL_S = 86_400
_ANSWERED_BY_POSTGRESQL = {command.name for command in LOCAL_COMMANDS} - {names.Task.HALT}
"""Not a halt: it holds by the door alone, and whoever halts is told so whatever is away."""

_encoder = msgspec.json.Encoder(decimal_format="string")
Effect = list[str | int]
_ACCOUNT = {"account"}
_incident = msgspec.json.Decoder(IncidentRow)


class Journal:
    """The journal of one epoch; every call checks that the epoch still stands."""

    def __init__(self, redis: Redis, *, nonce: str) -> None:
        self._redis: Any = redis
        self._scripts = Scripts(redis)
        self._nonce = nonce
        self._unsure: tuple[Sequence[Posting], bytes] = ((), b"")
        #: the call whose reply is not known yet, as it was packed

    async def append(self, postings: Sequence[Posting]) -> list[bool]:
        """Append postings in order; tells of each whether its guard held.

        Idempotent: after a lost reply the very same call is made again, and finds itself written.
        Trap: a repeat cannot tell a failed guard from a held one by its reply, so it reads the entries, and
        nobody may trim the journal beyond what the caller knows to be written.
        Raises NotLeading when this streamer must step down; redis errors when the reply is lost.
        """
        batch = self._batch(postings)
        reply = await self._scripts.call("journal", [names.EPOCH, names.JOURNAL], self._nonce, batch)
        self._unsure = (), b""
        word = reply[0].decode()
        if word == "ok":
            return [status == 1 for status in reply[1:]]
        if word == "in":
            return await self._outcome(postings)
        raise NotLeading(f"the journal refused: {word} {reply[1:]!r}")

    def _batch(self, postings: Sequence[Posting]) -> bytes:
        """The postings packed; what is tried again and again while Redis is away is packed once."""
        before, packed = self._unsure
        if len(before) != len(postings) or any(a is not b for a, b in zip(before, postings, strict=True)):
            packed = msgspec.msgpack.encode([_packed(posting) for posting in postings])
            self._unsure = tuple(postings), packed
        return packed

    async def tail(self, after: int, *, count: int = 1000) -> list[Entry]:
        """The entries behind a seq, in order."""
        found = await self._redis.xrange(names.JOURNAL, min=f"({after}-0", max="+", count=count)
        return [decode_entry(fields[b"e"]) for _, fields in found]

    async def last_seq(self) -> int:
        """The seq that Redis holds last; 0 in an empty journal."""
        found = await self._redis.xrevrange(names.JOURNAL, count=1)
        return int(found[0][0].split(b"-")[0]) if found else 0

    async def show_incidents(self, rows: Sequence[IncidentRow], *, forgot_at: int | None) -> None:
        """Write the view of what is not resolved anew: Redis may have lost or kept what it should not.

        With `forgot_at`, the seq at which the books stand behind a Redis that is another, the webhook is told
        again of what Redis does not hold as it stands there: nobody knows whether that was pushed.
        """
        again = [] if forgot_at is None else await self._forgotten(rows, at=forgot_at)
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.delete(names.INCIDENTS)
            if rows:
                pipe.hset(names.INCIDENTS, mapping={str(row.seq): _encoder.encode(row) for row in rows})
            for message in again:
                pipe.xadd(names.INCIDENT_CHANGES, message, maxlen=names.INCIDENT_CHANGES_KEPT)
            await pipe.execute()

    async def _forgotten(self, rows: Sequence[IncidentRow], *, at: int) -> list[dict[str, str]]:
        """The webhook's messages for incidents that its stream does not hold as they stand."""
        found = await self._redis.xrange(names.INCIDENT_CHANGES)
        told = [_incident.decode(fields[b"incident"]) for _, fields in found]
        stood = {row.seq: _standing(row) for row in told}
        # What was opened since leaves with its own entry.
        new = [row for row in rows if row.seq <= at and stood.get(row.seq) != _standing(row)]
        return [_message(row, at) for row in new]

    async def trim(self, seq: int) -> None:
        """Drop what lies before an entry, but never that entry, which carries the chain."""
        await self._redis.xtrim(names.JOURNAL, minid=f"{seq}-0", approximate=True)

    async def _outcome(self, postings: Sequence[Posting]) -> list[bool]:
        held = []
        for posting in postings:
            at = f"{posting.entry.seq}-0"
            found = await self._redis.xrange(names.JOURNAL, min=at, max=at)
            stands = bool(found) and found[0][1][b"e"] == encode_entry(posting.entry)
            held.append(posting.guard is None or stands)
        return held


def _packed(posting: Posting) -> list[Any]:
    entry, otherwise = posting.entry, posting.otherwise
    return [
        f"{entry.seq}-0",
        str(entry.prev),
        _text(encode_entry(entry)),
        _guard(posting.guard),
        [
            *_effects(entry, posting.events, posting.results, posting.snapshots, posting.standing),
            *(["SO_FAR", each.request_id, _text(encode(each))] for each in posting.so_far),
        ],
        _text(encode_entry(otherwise)) if otherwise else "",
        _effects(otherwise, (), posting.otherwise_results, (), posting.standing) if otherwise else [],
    ]


def _guard(guard: Undecided | None) -> Any:
    return False if guard is None else [names.request_key(guard.request_id), str(guard.deadline)]


def _effects(
    entry: Entry,
    events: Sequence[Event],
    results: Sequence[Result],
    snapshots: Sequence[tuple[str, Account]] = (),
    standing: Sequence[HaltRow] = (),
) -> list[Effect]:
    effects: list[Effect] = []
    for order in entry.rows.orders:
        effects.extend(_project(order))
    for command in entry.rows.commands:
        effects.extend(_decide(command, entry.rows.orders, standing))
        if not any(result.request_id == command.request_id for result in results):
            effects.extend(_await_fold(command, entry.seq))
    for incident in entry.rows.incidents:
        effects.extend(_tell_incident(incident, entry.seq))
    for halt in entry.rows.halts:
        effects.append(_project_halt(halt))
    newest: dict[str, Account] = {}
    written: dict[int, msgspec.Raw] = {}
    for event in events:
        if isinstance(event, RiskEvent):
            text = _text(encode(event))
        else:
            newest[event.sub_account_id] = event.account
            account = written.get(id(event.account))
            if account is None:
                account = written[id(event.account)] = msgspec.Raw(encode(event.account))
            fields = event.model_dump(by_alias=True, exclude=_ACCOUNT)
            text = _text(encode({**fields, "account": account}))
            if isinstance(event, AlgoEvent):
                effects.extend(_show_algo(event, _text(encode(fields))))
        effects.append(["PUBLISH", names.event_channel(event.type), text])
        effects.append(
            ["XADD", names.EVENTS_STREAM, "MAXLEN", "~", names.EVENTS_KEPT, f"{event.seq}-0", "e", text]
        )
    shown = {owner: _text(bytes(written[id(account)])) for owner, account in newest.items()}
    shown.update((owner, _text(encode(account))) for owner, account in snapshots)
    for owner, text in shown.items():
        effects.append(["SET", names.risk_key(owner), text, "EX", names.CACHE_TTL_S])
    for owner in _moved(entry):
        if owner not in shown:
            # What is shown of it is true no more, and nothing here tells what is.
            effects.append(["DEL", names.risk_key(owner)])
    for result in results:
        effects.append(["RESULT", result.request_id, _text(encode(result)), names.RESULT_TTL_S])
    return effects


def _moved(entry: Entry) -> dict[str, None]:
    """The accounts whose money or positions an entry leaves otherwise, in order."""
    rows = entry.rows
    return dict.fromkeys(
        [*(row.id for row in rows.sub_accounts), *(row.sub_account_id for row in rows.positions)]
    )


class ToSend(msgspec.Struct, frozen=True, kw_only=True):
    """What a sender needs of an order: the fields of the exchange's request, and its place in the budget.

    `reduces` is judged on the sub-account's own position; it is not the exchange's reduceOnly.
    """

    symbol: str
    side: str
    type: str
    quantity: Decimal
    price: Decimal | None
    time_in_force: str | None
    client_order_id: str
    account: str = ""
    reduces: bool = False
    reduce_only: bool = False
    #: the exchange's


class Announced(msgspec.Struct, frozen=True, kw_only=True):
    """A decision as it is announced: enough to act on it without reading the record again."""

    request_id: str
    command: str
    decision: str
    orders: list[str]
    order: str


_announced = msgspec.json.Decoder(Announced)


def read_announced(text: bytes) -> Announced:
    """Read an announcement."""
    return _announced.decode(text)


def _send_text(order: OrderRow, *, amended: bool = False) -> str:
    """What is to be sent of an order, or of its amendment: the same fields with the terms wished."""
    send = ToSend(
        symbol=order.symbol,
        side=order.side,
        type=order.type,
        quantity=order.amend_quantity if amended and order.amend_quantity else order.quantity,
        price=order.amend_price if amended else order.price,
        time_in_force=order.time_in_force,
        client_order_id=order.client_order_id,
        account=order.sub_account_id,
        reduces=order.reduce_only or order.sub_account_id == names.HOUSE,
        reduce_only=order.venue_reduce_only,
    )
    return _text(_encoder.encode(send))


def _project(order: OrderRow) -> list[Effect]:
    """The order's hash: what a sender needs, and the state for whoever looks; and its amendment's."""
    key = names.order_key(order.client_order_id)
    wish = "" if order.amend_quantity is None else names.amend_id(order.client_order_id, order.amends)
    fields = {
        "epoch": order.epoch,
        "deadline": str(order.deadline),
        "sub": order.sub_account_id,
        "reduces": "1" if order.reduce_only else "0",
        "exempt": "1" if order.origin == ORIGIN else "0",
        "symbol": order.symbol,
        "price": "" if order.price is None else plain(order.price),
        "send": _send_text(order),
        "state": order.state,
        "exchangeOrderId": "" if order.exchange_order_id is None else str(order.exchange_order_id),
        "filledQty": plain(order.filled_qty),
        "quantity": plain(order.quantity),
        "amend": wish,
    }
    effects: list[Effect] = [["HSET", key, *(part for field in fields.items() for part in field)]]
    if State(order.state).terminal:
        effects.append(["EXPIRE", key, CLOSED_ORDER_TTL_S])
    if wish:
        effects.extend(_project_amend(order, wish))
    return effects


def _project_amend(order: OrderRow, wish: str) -> list[Effect]:
    key = names.order_key(wish)
    fields = {
        "epoch": order.amend_epoch or "",
        "deadline": str(order.amend_deadline or 0),
        "sub": order.sub_account_id,
        "reduces": "1" if order.reduce_only else "0",
        "send": _send_text(order, amended=True),
    }
    return [
        ["HSET", key, *(part for field in fields.items() for part in field)],
        ["EXPIRE", key, CLOSED_ORDER_TTL_S],
    ]


def _tell_incident(incident: IncidentRow, seq: int) -> list[Effect]:
    """The view of what is not resolved, and the change for the webhook, under an id of its own."""
    key, text = str(incident.seq), _text(_encoder.encode(incident))
    shown: Effect = (
        ["HDEL", names.INCIDENTS, key]
        if incident.state == "resolved"
        else ["HSET", names.INCIDENTS, key, text]
    )
    kept: Effect = ["XADD", names.INCIDENT_CHANGES, "MAXLEN", "~", names.INCIDENT_CHANGES_KEPT, "*"]
    return [shown, [*kept, *(part for field in _message(incident, seq).items() for part in field)]]


def _message(incident: IncidentRow, seq: int) -> dict[str, str]:
    """What the webhook is told of a change, under the id that its entry gives it."""
    return {"id": f"{incident.seq}-{seq}", "incident": _text(_encoder.encode(incident))}


def _standing(incident: IncidentRow) -> tuple[object, ...]:
    """What no two changes of one incident have in common."""
    return incident.state, incident.times, incident.acked_at


def _project_halt(halt: HaltRow) -> Effect:
    key = names.halt_key(halt.scope)
    if halt.mode == "RESUMED":
        return ["UNHALT", key, halt.request_id, ""]
    return ["SET", key, standing_text(halt)]


def _show_algo(event: AlgoEvent, text: str) -> list[Effect]:
    """An algo as it stands, for whoever looks; one that is over is shown for a day."""
    key = names.algo_key(event.type.removesuffix("_progress"), event.algo_id)
    effects: list[Effect] = [["SET", key, text]]
    if event.ended_at is not None:
        effects.append(["EXPIRE", key, CLOSED_ORDER_TTL_S])
    return effects


def _decide(command: CommandRow, orders: Sequence[OrderRow], standing: Sequence[HaltRow]) -> list[Effect]:
    key = names.request_key(command.request_id)
    ids = [order.client_order_id for order in orders]
    send = _send_text(orders[0]) if len(orders) == 1 else ""
    announced = Announced(
        request_id=command.request_id,
        command=command.command,
        decision=command.decision,
        orders=ids,
        order=send,
    )
    taken_back: list[Effect] = []
    if command.command == names.Task.HALT and command.decision != "admitted":
        # The door has halted already, in the place of what stood
        stands = {halt.scope: standing_text(halt) for halt in standing}
        scopes = [names.EVERYTHING, *([command.sub_account_id] if command.sub_account_id else [])]
        taken_back = [
            ["UNHALT", names.halt_key(scope), command.request_id, stands.get(scope, "")] for scope in scopes
        ]
    fields = ["decision", command.decision, "answer", command.answer, "orders", " ".join(ids), "order", send]
    return [
        ["HSET", key, *fields],
        ["PUBLISH", names.DECIDED, _text(_encoder.encode(announced))],
        ["EXPIRE", key, names.REQUEST_TTL_S],
        *taken_back,
    ]


def _await_fold(command: CommandRow, seq: int) -> list[Effect]:
    """List what only PostgreSQL may answer apart from what is undecided or on its way.

    While it is away they grow many, and whoever sweeps the open ones looks at the oldest first.
    """
    if command.decision != "admitted" or command.command not in _ANSWERED_BY_POSTGRESQL:
        return []
    return [
        ["ZREM", names.OPEN_REQUESTS, command.request_id],
        ["ZADD", names.UNFOLDED_REQUESTS, seq, command.request_id],
    ]


def _text(json: bytes) -> str:
    """JSON as text: Redis 6's cmsgpack reads strings, but not the binary type."""
    return json.decode()
