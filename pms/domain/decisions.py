"""A decision: the one posting that admits or refuses a command, and the names of what it admits."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, replace
from uuid import UUID

from pms.contract.account import Account
from pms.contract.codes import Code, Refusal
from pms.contract.journal import CommandRow, HaltRow
from pms.contract.money import encode, plain
from pms.contract.names import EVERYTHING, HOUSE, Task
from pms.contract.results import Result, carried
from pms.domain.desk import Desk
from pms.domain.handed_orders import GONE, handed
from pms.domain.orders import Order, State
from pms.domain.posting import Draft, Posting, Undecided
from pms.domain.sub_accounts import tag

ID_PERIOD_MS = 86_400_000
"""As long as a requestId is remembered: two uses further apart never fall into the same period."""

NEVER = 2**53
"""A deadline that never comes, ms; the greatest whole number that a Lua number holds."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A command as it reached the streamer, and the rules of the moment."""

    request_id: str
    command: str
    text: str
    at: int
    #: Redis time of arrival, ms
    deadline: int
    now: int
    #: Redis time of the decision, ms
    closed_because: str | None = None
    #: why admission is closed, or None
    live_guard: bool = False
    #: the exchange is real and real money was not switched on
    default_leverage: int = 10
    exchange_now: int = 0
    #: the exchange's time of the decision, ms; 0 where it is not known
    certain: bool = True
    #: no trade can have been missed


def refuse(desk: Desk, asked: Asked, refusal: Refusal, *, echoed: dict[str, object]) -> Posting:
    """Journal a refusal: it changes nothing but the command's own record."""
    draft = desk.draft("refused", at=asked.now)
    result = Result(
        success=False,
        request_id=asked.request_id,
        command=asked.command,
        **carried(echoed),
        error=refusal.error,
        code=refusal.code,
        field=refusal.field,
        limit=refusal.limit,
        actual=refusal.actual,
    )
    posting = decided(desk, draft, asked, result, decision="refused", final=True)
    return posting if asked.command != Task.HALT else replace(posting, standing=_standing(desk, result))


def _standing(desk: Desk, result: Result) -> tuple[HaltRow, ...]:
    """The halts in whose place the door may have put a refused one."""
    scopes = (EVERYTHING, result.sub_account_id)
    return tuple(desk.halts[scope] for scope in scopes if scope in desk.halts)


def decided(
    desk: Desk,
    draft: Draft,
    asked: Asked,
    result: Result,
    *,
    decision: str,
    final: bool,
    orders: tuple[Order, ...] = (),
    snapshots: tuple[tuple[str, Account], ...] = (),
) -> Posting:
    """Seal a decision: it stands only if the command is still undecided and in time."""
    account = result.sub_account_id
    draft.commands.append(
        CommandRow(
            request_id=asked.request_id,
            command=asked.command,
            sub_account_id=account,
            text=asked.text,
            decision=decision,
            code=result.code,
            client_order_id=orders[0].spec.client_order_id if orders else None,
            answer=encode(result).decode(),
            received_at=asked.at,
            decided_at=asked.now,
        )
    )
    desk.sealed(draft)
    if decision != "expired":
        desk.remember_request(asked.request_id, asked.text, result)
    late = _expired(asked, result)
    other = Draft(prev=draft.prev, base=draft.base, at=asked.now, kind="expired")
    other.commands.append(
        CommandRow(
            request_id=asked.request_id,
            command=asked.command,
            sub_account_id=account,
            text=asked.text,
            decision="expired",
            code=Code.EXPIRED,
            client_order_id=None,
            answer=encode(late).decode(),
            received_at=asked.at,
            decided_at=asked.now,
        )
    )
    # Both alternatives take the same seqs, so that the chain behind them does not depend on the guard.
    entry = draft.entry()
    return Posting(
        entry=entry,
        events=tuple(draft.events),
        results=(*draft.results, *((result,) if final else ())),
        guard=Undecided(asked.request_id, asked.deadline),
        snapshots=snapshots,
        otherwise=other.entry(seq=entry.seq),
        otherwise_results=(late,),
        leverages_were=draft.leverages_were,
    )


def kept(
    desk: Desk, draft: Draft, asked: Asked, *, account: str, symbol: str | None = None, **details: str
) -> Posting:
    """Seal a decision that leaves no trace at the exchange; answered when PostgreSQL has it.

    What a browser is shown of the sub-accounts that it moved is renewed with it. Not the house's: trades of
    others move its balance, and no event would renew what is shown of it.
    """
    snapshot = desk.snapshot(account)
    moved = {**dict(desk.snapshots(draft)), account: snapshot}
    moved.pop(HOUSE, None)
    result = Result(
        success=True,
        request_id=asked.request_id,
        command=asked.command,
        sub_account_id=account,
        symbol=symbol,
        state="done",
        details={
            **details,
            "balance": plain(snapshot.balance),
            "availableMargin": plain(snapshot.available_margin),
        },
    )
    return decided(
        desk, draft, asked, result, decision="admitted", final=False, snapshots=tuple(moved.items())
    )


def client_order_id(account: str, kind: str, request_id: str, *, at: int, part: str = "") -> str:
    """`PMS_{sub8}_{kind}_{parent}`: at most 36 characters of Binance's alphabet, the same all day.

    The parent is the request's id and the day of its arrival, hashed to twenty characters: 120 bits. A
    repeat of the request is a repeat of the order, of today's or yesterday's; a requestId that is used
    again when everyone has forgotten it, after 24 hours, never meets the first order's id again. `part`
    tells the orders of one request apart.
    """
    return f"PMS_{tag(account)}_{kind}_{parent_of(request_id, at=at, part=part)}"


def parent_of(request_id: str, *, at: int, part: str = "") -> str:
    """The part of a client order id that names the command, and the day of its arrival."""
    day = (at // ID_PERIOD_MS).to_bytes(8, signed=True)
    digest = hashlib.blake2b(UUID(request_id).bytes + day + part.encode(), digest_size=15).digest()
    return base64.urlsafe_b64encode(digest).decode()


def kind_of(order_id: str) -> str:
    """What an order is: M placed by a command, C closing a position, B and its place in a batch.

    The parent may contain any of these letters.
    """
    return order_id.split("_", 3)[2]


def order_id_for(desk: Desk, asked: Asked, account: str, *, kind: str, part: str = "") -> str:
    """The id of a command's order: that of the order which the same request made before, if there is one."""
    today, yesterday = (
        client_order_id(account, kind, asked.request_id, at=at, part=part)
        for at in (asked.at, asked.at - ID_PERIOD_MS)
    )
    return yesterday if yesterday in desk.orders and today not in desk.orders else today


def answer_of(asked: Asked, order: Order) -> Result:
    """What the command of one order is told once it is known what became of it."""
    spec = order.spec
    return Result(
        success=True,
        request_id=asked.request_id,
        command=asked.command,
        sub_account_id=spec.sub_account_id,
        symbol=spec.symbol,
        side=spec.side,
        quantity=spec.quantity,
        order_id=spec.client_order_id,
    ).model_copy(update=became(order))


def met(desk: Desk, asked: Asked, result: Result) -> Posting:
    """Decide a command by the orders that came of it: what was done is not undone by a deadline."""
    draft = desk.draft("met_again", at=asked.now)
    return decided(desk, draft, replace(asked, deadline=NEVER), result, decision="admitted", final=True)


def became(order: Order) -> dict[str, object]:
    """What an answer says of an order as it stands."""
    if handed(order):
        return {**GONE, "exchange_order_id": order.exchange_text}
    code = (Code.NOT_SENT if order.state is State.VOID else Code.EXCHANGE_REFUSED) if order.failed else None
    return {
        "success": not order.failed,
        "state": order.state.value,
        "exchange_order_id": order.exchange_text,
        "error": order.why if order.failed else None,
        "code": code,
    }


def _expired(asked: Asked, result: Result) -> Result:
    return Result(
        success=False,
        request_id=asked.request_id,
        command=asked.command,
        sub_account_id=result.sub_account_id,
        symbol=result.symbol,
        side=result.side,
        quantity=result.quantity,
        error="the command was not decided before its deadline; nothing was sent",
        code=Code.EXPIRED,
    )
