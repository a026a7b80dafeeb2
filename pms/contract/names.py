"""The names in Redis: keys, channels, queues and tasks. Nothing else spells one out.

pms:request:{requestId}      hash    one command: text, at, deadline, decision, result    24 h
pms:requests:open            zset    requestIds without a result, by Redis time in ms
pms:requests:unfolded        zset    those that PostgreSQL must have first, by the seq of their decision
pms:result:{requestId}       string  the answer (a channel of the same name announces it) 30 s
pms:order:{clientOrderId}    hash    what a sender needs, and the projected state
pms:right:{clientOrderId}    string  the send right: who signed, when; or "void"          48 h
                                     both exist for {clientOrderId}~{n}, too: the n-th amendment
pms:inbox                    list    facts for the streamer: commands, outcomes, adjustments
pms:journal                  stream  every state change, id {seq}-0
pms:journal:archived         string  seq up to which the archive has it on disk
pms:journal:applied          string  seq up to which PostgreSQL has it
pms:decided                  channel each decision, for the worker that waits for it
pms:stream:events            stream  the events again, for a gateway that was away
pms:epoch                    hash    nonce and run_id under which rights may be taken
pms:lease                    string  the living streamer's nonce
pms:takeovers                string  how many orders this streamer sent itself, for no worker had
pms:keep_orders              string  a streamer that ends in order stops its countdowns at the exchange
pms:ledger:stopped           string  why the fold stands still; admission is closed while it exists
pms:{kind}:{algoId}          string  an algo as it stands, kind chase, twap, ...; over     24 h
pms:halt, pms:halt:{sub}     string  no send right while it exists: {mode, reason, actor, since, requestId}
pms:price:{symbol}           string  {bid, ask, mid, ts}                                   30 s
pms:risk:{subAccountId}      string  the account snapshot                                  30 s
pms:health                   string  {state, feedAge, admission, reason}
pms:incidents:open           hash    id -> an incident that is not resolved
pms:incidents:changes        stream  each change of an incident, for the webhook; capped
pms:incidents:push           hash    how far the webhook has them
pms:recon:{id}               string  what a reconciliation found, and S's books at that moment  60 s
pms:budget                   string  the exchange's rate limits: used, and room by lane       30 s
pms:rate:budget              hash    the shared counts themselves (pms/binance/limits.lua)
pms:rate:asked:0, :1         hash    sub-accounts that asked for orders in these and the last ten seconds
pms:rate:stop                channel somebody was turned away: look at once
pms:portfolio:latest         string  the last periodic risk report                         15 min and more
pms:portfolio:{requestId}    string  the one that was asked for                            60 s
pms:portfolio:{requestId}:progress   what is being waited for                              60 s
pms:klines:{interval}:{symbol} string  closes of finished bars, for risk                   7 d
pms:brackets                 string  the exchange's maintenance margins, for risk          1 h
pms:ready:{part}             string  a process's heartbeat: which one, and its progress         10 s
pms:watchdog:{part}          string  why the watchdog last ended a process                 24 h
pms:cmd:{name}               list    commands of a gateway that only knows lists
pms:cmd:{name}:taken         list    the bridge's processing list
"""

from __future__ import annotations

from typing import Final

JOURNAL: Final = "pms:journal"
EVENTS_STREAM: Final = "pms:stream:events"
INBOX: Final = "pms:inbox"
OPEN_REQUESTS: Final = "pms:requests:open"
UNFOLDED_REQUESTS: Final = "pms:requests:unfolded"
EPOCH: Final = "pms:epoch"
LEASE: Final = "pms:lease"
HALT: Final = "pms:halt"
BOTH: Final = "BOTH"
LONG: Final = "LONG"
SHORT: Final = "SHORT"
"""Position sides: BOTH where an account holds one position a symbol, the others in hedge mode."""

EVERYTHING: Final = "*"
"""The scope of a halt that is not one sub-account's."""

DECIDED: Final = "pms:decided"
TAKE_OVERS: Final = "pms:takeovers"
HEALTH: Final = "pms:health"
BUDGET: Final = "pms:budget"
RATE_BUDGET: Final = "pms:rate:budget"
RATE_ASKED: Final = ("pms:rate:asked:0", "pms:rate:asked:1")
RATE_STOP: Final = "pms:rate:stop"
APPLIED: Final = "pms:journal:applied"
"""The ledger's last folded seq, told to whoever waits for PostgreSQL to have an entry."""

ARCHIVED: Final = "pms:journal:archived"
"""The seq up to which the archive has the journal on disk; nothing behind it is folded or forgotten."""

KEEP_ORDERS: Final = "pms:keep_orders"
"""While it exists, a streamer that ends in order stops its countdowns at the exchange."""

LEFT_ARMED: Final = "dead_man_left_armed"
"""The line of the streamer's log that names the symbols whose countdowns it has left running."""

DEAD_MAN_STOPPED: Final = "dead_man_stopped"
"""The line that proves that no countdown was left running; the symbols are those that had to be stopped."""

LEDGER_STOPPED: Final = "pms:ledger:stopped"
"""Why the fold stands still; while it exists, admission is closed."""

INCIDENTS: Final = "pms:incidents:open"
INCIDENT_CHANGES: Final = "pms:incidents:changes"
INCIDENTS_PUSHED: Final = "pms:incidents:push"

HOUSE: Final = "house"
"""The sub-account that owns whatever no other owns."""

PORTFOLIO: Final = "pms:portfolio:latest"
BRACKETS: Final = "pms:brackets"

INSURANCE: Final = "insurance"
"""The account that pays what a liquidated one owes; it holds money only, and is funded by transfers."""

REQUEST_TTL_S: Final = 86_400
RIGHT_TTL_S: Final = 172_800
RESULT_TTL_S: Final = 30
CACHE_TTL_S: Final = 30
HEALTH_TTL_S: Final = 5
"""Ten times as long as the streamer takes to tell it again: a page goes stale before anyone is hurt."""

EVENTS_KEPT: Final = 20_000
INCIDENT_CHANGES_KEPT: Final = 1_000
REPORT_TTL_S: Final = 60
KLINES_TTL_S: Final = 7 * 86_400
BRACKETS_TTL_S: Final = 3_600


class Queue:
    """Celery queues; one worker role may consume several."""

    COMMANDS: Final = "commands"
    ORDERS: Final = "orders"
    URGENT: Final = "urgent"
    LEDGER: Final = "ledger"
    SCHEDULE: Final = "schedule"
    RECON: Final = "recon"
    ALL: Final = (COMMANDS, ORDERS, URGENT, LEDGER, SCHEDULE, RECON)

    @staticmethod
    def lists(queue: str) -> tuple[str, ...]:
        """The Redis lists of a queue: Celery puts a message with a priority of 3 or more into one beside it.

        Trap: we give no priorities, but a gateway that speaks Celery may, and workers take from all of them.
        """
        return (queue, *(f"{queue}\x06\x16{step}" for step in (3, 6, 9)))


class Task:
    """Celery task names."""

    TRADE: Final = "pms.trade"
    BATCH: Final = "pms.batch"
    AMEND: Final = "pms.amend"
    CLOSE: Final = "pms.close"
    CLOSE_ALL: Final = "pms.close_all"
    CANCEL: Final = "pms.cancel"
    CANCEL_ALL: Final = "pms.cancel_all"
    HALT: Final = "pms.halt"
    RESUME: Final = "pms.resume"
    LIMITS: Final = "pms.limits"
    GROUP: Final = "pms.group"
    ALGO: Final = "pms.algo"
    CANCEL_ALGO: Final = "pms.cancel_algo"
    CHASE: Final = "pms.chase"
    TRAIL_STOP: Final = "pms.trail_stop"
    BRACKET: Final = "pms.bracket"
    BASKET: Final = "pms.basket"
    SCALPER: Final = "pms.scalper"
    TWAP: Final = "pms.twap"
    PLACE: Final = "pms.place"
    SEND_AMEND: Final = "pms.send_amend"
    FOLD: Final = "pms.fold"
    SNAPSHOT: Final = "pms.snapshot"
    KEEP_LISTEN_KEY: Final = "pms.keep_listen_key"
    SWEEP_REQUESTS: Final = "pms.sweep_requests"
    SWEEP_ALGOS: Final = "pms.sweep_algos"
    RECONCILE: Final = "pms.reconcile"
    PUSH_INCIDENTS: Final = "pms.push_incidents"
    RISK: Final = "pms.risk"
    CANARY: Final = "pms.canary"


COMMAND_QUEUE: Final = {
    Task.TRADE: Queue.COMMANDS,
    Task.BATCH: Queue.COMMANDS,
    Task.AMEND: Queue.COMMANDS,
    Task.CLOSE: Queue.COMMANDS,
    Task.CLOSE_ALL: Queue.COMMANDS,
    Task.CANCEL: Queue.URGENT,
    Task.CANCEL_ALL: Queue.URGENT,
    Task.HALT: Queue.URGENT,
    Task.CANCEL_ALGO: Queue.URGENT,
    Task.CHASE: Queue.COMMANDS,
    Task.TRAIL_STOP: Queue.COMMANDS,
    Task.BRACKET: Queue.COMMANDS,
    Task.BASKET: Queue.COMMANDS,
    Task.SCALPER: Queue.COMMANDS,
    Task.TWAP: Queue.COMMANDS,
    Task.ALGO: Queue.COMMANDS,
    # Not urgent, so that one of unknown age is refused: nobody may be surprised by trading again
    Task.RESUME: Queue.COMMANDS,
}
"""Which queue wakes the worker of each command."""

COMMAND_LISTS: Final = {
    "pms:cmd:trade": Task.TRADE,
    "pms:cmd:batch": Task.BATCH,
    "pms:cmd:amend": Task.AMEND,
    "pms:cmd:close": Task.CLOSE,
    "pms:cmd:close_all": Task.CLOSE_ALL,
    "pms:cmd:cancel": Task.CANCEL,
    "pms:cmd:cancel_all": Task.CANCEL_ALL,
    "pms:cmd:algo": Task.ALGO,
    "pms:cmd:cancel_algo": Task.CANCEL_ALGO,
    "pms:cmd:chase": Task.CHASE,
    "pms:cmd:trail_stop": Task.TRAIL_STOP,
    "pms:cmd:bracket": Task.BRACKET,
    "pms:cmd:basket": Task.BASKET,
    "pms:cmd:scalper": Task.SCALPER,
    "pms:cmd:twap": Task.TWAP,
    "pms:cmd:halt": Task.HALT,
    "pms:cmd:resume": Task.RESUME,
}


def request_key(request_id: str) -> str:
    return f"pms:request:{request_id}"


def result_key(request_id: str) -> str:
    return f"pms:result:{request_id}"


def order_key(client_order_id: str) -> str:
    return f"pms:order:{client_order_id}"


def right_key(client_order_id: str) -> str:
    return f"pms:right:{client_order_id}"


def amend_id(client_order_id: str, number: int) -> str:
    """The id of an amendment: it has a hash and a send right of its own, under the same prefixes.

    Binance's alphabet for client order ids has no `~`, so that none can be taken for an order's.
    """
    return f"{client_order_id}~{number}"


def amended_order(amend: str) -> tuple[str, int] | None:
    """The order and the number of an amendment; None if the id is an order's."""
    order, tilde, number = amend.partition("~")
    return (order, int(number)) if tilde and number.isdecimal() else None


def halt_key(scope: str) -> str:
    """Where a halt stands: of everything, or of one sub-account."""
    return HALT if scope == EVERYTHING else f"{HALT}:{scope}"


def algo_key(kind: str, algo_id: str) -> str:
    """Where an algo is shown; `trail_stop` is spelled in one word there."""
    return f"pms:{kind.replace('_', '')}:{algo_id}"


def ready_key(part: str) -> str:
    """Where a process's heartbeat lies."""
    return f"pms:ready:{part}"


def hang_key(part: str) -> str:
    """The last word of the watchdog about a process that hung, for a day."""
    return f"pms:watchdog:{part}"


def price_key(symbol: str) -> str:
    return f"pms:price:{symbol}"


def risk_key(sub_account_id: str) -> str:
    return f"pms:risk:{sub_account_id}"


def report_key(report_id: str) -> str:
    return f"pms:recon:{report_id}"


def portfolio_key(request_id: str) -> str:
    return f"pms:portfolio:{request_id}"


def portfolio_progress_key(request_id: str) -> str:
    return f"{portfolio_key(request_id)}:progress"


def klines_key(interval: str, symbol: str) -> str:
    return f"pms:klines:{interval}:{symbol}"


def event_channel(event_type: str) -> str:
    return f"pms:events:{event_type}"


def taken_list(command_list: str) -> str:
    return f"{command_list}:taken"
