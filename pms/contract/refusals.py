"""What each refusal code names besides itself: when it is looked for, which field, which limit.

Data for `codes.md`; a test holds it against every place that refuses. What a limit is called that somebody
can set stands in `pms.contract.limits`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from pms.contract.codes import Code
from pms.contract.limits import LIMITS


class When(StrEnum):
    """At which step of a command's way a code is looked for."""

    READING = "Reading a command"
    PLACING = "Before an order is placed"
    AMENDING = "Before an order is amended or cancelled"
    KEEPING = "Commands that leave no trace at the exchange"
    OUTCOME = "After it was admitted"


PRE_TRADE: Final = frozenset({When.READING, When.PLACING, When.AMENDING})
"""Steps at which an order is refused before anything is sent."""


class Named(NamedTuple):
    """What a refusal of one code says of itself."""

    when: When
    fields: tuple[str, ...] = ()
    #: one of them; none where it is of no field
    limit: str = ""


ANY: Final = "the field"
"""Where the field is whichever was wrong."""

_ACCOUNT, _SYMBOL, _QUANTITY, _ORDER = ("subAccountId",), ("symbol",), ("quantity",), ("orderId",)
_TRIGGERS = ("takeProfit", "stopLoss", "activationPrice")

REFUSALS: Final[dict[Code, Named]] = {
    Code.BAD_JSON: Named(When.READING),
    Code.UNKNOWN_COMMAND: Named(When.READING, ("command",)),
    Code.MISSING_FIELD: Named(When.READING, (ANY,), "for a limit's value, its unit"),
    Code.UNKNOWN_FIELD: Named(When.READING, (ANY,)),
    Code.BAD_FIELD: Named(When.READING, (ANY,), "the field's range"),
    Code.MISSING_REQUEST_ID: Named(When.READING, ("requestId",)),
    Code.BAD_REQUEST_ID: Named(When.READING, ("requestId",)),
    Code.REQUEST_ID_REUSED: Named(When.READING, ("requestId",)),
    Code.STALE: Named(When.READING),
    Code.EXPIRED: Named(When.READING),
    Code.NOT_READY: Named(When.PLACING, (*_SYMBOL, "algoId")),
    Code.LIVE_GUARD: Named(When.PLACING, ("PMS_LIVE",)),
    Code.UNKNOWN_ACCOUNT: Named(When.PLACING, (*_ACCOUNT, ANY)),
    Code.ACCOUNT_FROZEN: Named(When.PLACING, _ACCOUNT, "what can still be reduced"),
    Code.LIQUIDATING: Named(When.PLACING, (*_ACCOUNT, "orderId", "fromAccountId")),
    Code.TRADING_STATE: Named(When.PLACING, _SYMBOL),
    Code.ACCOUNT_EXISTS: Named(When.KEEPING, _ACCOUNT),
    Code.HOUSE_ONLY: Named(When.PLACING, (*_ACCOUNT, "positionId", "toAccountId", "scope", ANY)),
    Code.UNKNOWN_SYMBOL: Named(When.PLACING, (*_SYMBOL, ANY)),
    Code.SYMBOL_STATUS: Named(When.PLACING, _SYMBOL, "TRADING, or PERPETUAL"),
    Code.POSITION_SIDE: Named(When.PLACING, ("positionSide",), "the sides of the sub-account's mode"),
    Code.POSITION_MODE: Named(When.KEEPING, ("hedge",), "0"),
    Code.OPPOSITE_POSITION: Named(When.KEEPING, ("legs",), "0"),
    Code.SYMBOL_NOT_ALLOWED: Named(When.PLACING, _SYMBOL),
    Code.SIDE_NOT_ALLOWED: Named(When.PLACING, ("side",)),
    Code.PRICE_MISSING: Named(When.PLACING, ("price",)),
    Code.PRICE_UNWANTED: Named(When.PLACING, ("price", "limitPrice")),
    Code.PRICE_TICK: Named(When.PLACING, ("price", "limitPrice", *_TRIGGERS), "the symbol's tick"),
    Code.PRICE_RANGE: Named(
        When.PLACING,
        ("price", "entryPrice", "limitPrice", *_TRIGGERS),
        "the symbol's least or greatest price",
    ),
    Code.PRICE_COLLAR: Named(When.PLACING, ("price",), "mid times the symbol's PERCENT_PRICE"),
    Code.PRICE_THROUGH: Named(When.PLACING, ("price",), "the touch and that much more"),
    Code.TRIGGER_SIDE: Named(When.PLACING, (*_TRIGGERS, "callbackPct"), "the price that it must be beyond"),
    Code.SPREAD_WIDE: Named(When.PLACING, ("type",)),
    Code.PRICE_STALE: Named(When.PLACING, (*_SYMBOL, "price"), "none where there is no price at all"),
    Code.TIME_IN_FORCE: Named(When.PLACING, ("timeInForce",), "one that fits, where it is told"),
    Code.QUANTITY_ZERO: Named(When.PLACING, (*_QUANTITY, "totalSize"), "0"),
    Code.QUANTITY_STEP: Named(When.PLACING, (*_QUANTITY, "totalSize"), "the symbol's step"),
    Code.QUANTITY_MIN: Named(When.PLACING, (*_QUANTITY, "totalSize"), "the symbol's least quantity"),
    Code.QUANTITY_MAX: Named(When.PLACING, (*_QUANTITY, "totalSize"), "the symbol's greatest quantity"),
    Code.MIN_NOTIONAL: Named(When.PLACING, (*_QUANTITY, "totalSize"), "the symbol's MIN_NOTIONAL"),
    Code.DUST: Named(When.PLACING, ("positionId",), "the symbol's least quantity"),
    Code.ORDER_QUANTITY: Named(When.PLACING, _QUANTITY),
    Code.ORDER_NOTIONAL: Named(When.PLACING, _QUANTITY),
    Code.LEVERAGE_RANGE: Named(When.PLACING, ("leverage",), "the symbol's greatest leverage"),
    Code.LEVERAGE_LIMIT: Named(When.PLACING, ("leverage",)),
    Code.LEVERAGE_BRACKET: Named(
        When.PLACING,
        (*_QUANTITY, "leverage"),
        "the worth that the leverage may carry; of `leverage` the greatest for that worth",
    ),
    Code.POSITION_QUANTITY: Named(When.PLACING, _QUANTITY),
    Code.POSITION_NOTIONAL: Named(When.PLACING, _QUANTITY),
    Code.EXPOSURE: Named(When.PLACING, _QUANTITY),
    Code.CONCENTRATION_EQUITY: Named(When.PLACING, _QUANTITY),
    Code.CONCENTRATION_EXPOSURE: Named(When.PLACING, _QUANTITY),
    Code.DAILY_LOSS: Named(When.PLACING, _QUANTITY),
    Code.MARGIN: Named(When.PLACING, (*_QUANTITY, "leverage"), "the sub-account's available margin"),
    Code.EXCHANGE_MARGIN: Named(When.PLACING, _QUANTITY, "the exchange account's available margin"),
    Code.REDUCE_ONLY: Named(When.PLACING, (*_QUANTITY, "positionId"), "what can still be reduced"),
    Code.OPEN_ORDERS: Named(When.PLACING, _ACCOUNT),
    Code.OPEN_ORDERS_SYMBOL: Named(When.PLACING, _ACCOUNT),
    Code.ORDER_RATE: Named(When.PLACING, _ACCOUNT, "how many in which time"),
    Code.DUPLICATE_ORDER: Named(When.PLACING, ("requestId",)),
    Code.SELF_MATCH: Named(When.PLACING, ("price", "side"), "the price of the other order"),
    Code.UNKNOWN_POSITION: Named(When.PLACING, ("positionId", *_SYMBOL)),
    Code.UNKNOWN_ORDER: Named(When.AMENDING, _ORDER),
    Code.ORDER_CLOSED: Named(When.AMENDING, _ORDER),
    Code.ORDER_UNPROVEN: Named(When.AMENDING, _ORDER),
    Code.CANCEL_PENDING: Named(When.AMENDING, _ORDER),
    Code.AMEND_PENDING: Named(When.AMENDING, _ORDER),
    Code.NOT_AMENDABLE: Named(When.AMENDING, _ORDER, "LIMIT"),
    Code.BELOW_FILLED: Named(When.AMENDING, (*_QUANTITY, "totalSize"), "what is filled"),
    Code.NO_CHANGE: Named(When.AMENDING, (*_QUANTITY, "price", "hedge")),
    Code.UNKNOWN_ALGO: Named(When.KEEPING, ("algoId",), "the algo's own command"),
    Code.VOLUME_MISSING: Named(When.KEEPING, ("profile",)),
    Code.ALGO_OVER: Named(When.KEEPING, ("algoId",)),
    Code.TOO_MANY_ALGOS: Named(When.KEEPING, _ACCOUNT, "200"),
    Code.BALANCE: Named(When.KEEPING, ("amount",), "what the payer has to give"),
    Code.EXCHANGE_REFUSED: Named(When.OUTCOME),
    Code.THROTTLED: Named(When.OUTCOME),
    Code.EXCHANGE_UNREACHABLE: Named(When.OUTCOME),
    Code.TAKEN_OVER: Named(When.OUTCOME, _ORDER),
    Code.NOT_EXECUTED: Named(When.OUTCOME),
    Code.NOT_SENT: Named(When.OUTCOME),
    Code.HALTED: Named(When.PLACING, ("reduceOnly",), "HALTED or REDUCE_ONLY"),
    Code.NOT_HALTED: Named(When.KEEPING, _ACCOUNT),
    Code.UNKNOWN_LIMIT: Named(When.KEEPING, ("limit",)),
    Code.BAD_LIMIT: Named(When.KEEPING, ("value", "symbol", "scope"), "what the limit can be"),
    Code.NOT_SET: Named(When.KEEPING, ("limit",)),
    Code.EVIDENCE: Named(When.KEEPING, ("outcome",), "what is proven"),
    Code.UNKNOWN_TRADE: Named(When.KEEPING, ("tradeId",)),
    Code.UNKNOWN_INCIDENT: Named(When.KEEPING, ("incidentId",)),
    Code.INTERNAL_ERROR: Named(When.KEEPING),
}


def limit_of(code: Code) -> str:
    """What the `limit` of a refusal is: the settings that it is the value of, else what the table says."""
    settings = [f"`{limit.name}`" for limit in LIMITS.values() if limit.code is code]
    return ": ".join(part for part in (", ".join(settings), REFUSALS[code].limit) if part)
