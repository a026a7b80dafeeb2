"""Why a command was refused: one stable word each, with what it means for the person reading it.

A refusal names the field, the limit and the actual value; the code never changes its meaning.
"""

from __future__ import annotations

from enum import StrEnum


class Code(StrEnum):
    """Refusal codes of commands, in the order in which they are looked for."""

    BAD_JSON = "BAD_JSON"
    #: The command is not a JSON object.
    UNKNOWN_COMMAND = "UNKNOWN_COMMAND"
    #: No command has this name.
    MISSING_FIELD = "MISSING_FIELD"
    #: A mandatory field is absent.
    UNKNOWN_FIELD = "UNKNOWN_FIELD"
    #: A field that the command does not have: a misspelt option must not be ignored.
    BAD_FIELD = "BAD_FIELD"
    #: A field's value is not of its type or outside its range.
    MISSING_REQUEST_ID = "MISSING_REQUEST_ID"
    #: Every command carries a requestId.
    BAD_REQUEST_ID = "BAD_REQUEST_ID"
    #: The requestId is not a UUID.
    REQUEST_ID_REUSED = "REQUEST_ID_REUSED"
    #: The requestId was seen with other content; the first command stands.
    STALE = "STALE"
    #: The command waited too long, or of an unknown age, before anyone could decide.
    EXPIRED = "EXPIRED"
    #: Nobody decided before the deadline.
    NOT_READY = "NOT_READY"
    #: Admission is closed: recovering, feed stale, ledger stopped.
    LIVE_GUARD = "LIVE_GUARD"
    #: The exchange is not on loopback and real money was not switched on.
    UNKNOWN_ACCOUNT = "UNKNOWN_ACCOUNT"
    #: No sub-account has this id.
    ACCOUNT_FROZEN = "ACCOUNT_FROZEN"
    #: The sub-account may only reduce.
    LIQUIDATING = "LIQUIDATING"
    #: The sub-account is being closed at market: until that is over it may only reduce, at once.
    TRADING_STATE = "TRADING_STATE"
    #: The limit `trading.state` permits only reducing here, or nothing.
    ACCOUNT_EXISTS = "ACCOUNT_EXISTS"
    #: A sub-account with this id, or with the same first eight characters, exists.
    HOUSE_ONLY = "HOUSE_ONLY"
    #: The house is funded and traded by other commands.
    UNKNOWN_SYMBOL = "UNKNOWN_SYMBOL"
    #: The exchange does not list this symbol.
    SYMBOL_STATUS = "SYMBOL_STATUS"
    #: The symbol does not trade at present, or is a delivery contract, in which nothing is opened.
    POSITION_SIDE = "POSITION_SIDE"
    #: Not a position side of the sub-account's mode: BOTH or none in one-way, LONG or SHORT in hedge mode.
    POSITION_MODE = "POSITION_MODE"
    #: The mode cannot change while the sub-account has positions, live orders or running algos.
    OPPOSITE_POSITION = "OPPOSITE_POSITION"
    #: In one-way mode the account holds the opposite of what the algo would open.
    SYMBOL_NOT_ALLOWED = "SYMBOL_NOT_ALLOWED"
    #: The symbol is not among those that the sub-account may trade.
    SIDE_NOT_ALLOWED = "SIDE_NOT_ALLOWED"
    #: The sub-account may not open positions of this side here.
    PRICE_MISSING = "PRICE_MISSING"
    #: The order type needs a price.
    PRICE_UNWANTED = "PRICE_UNWANTED"
    #: A market order has no price.
    PRICE_TICK = "PRICE_TICK"
    #: The price is not a multiple of the tick.
    PRICE_RANGE = "PRICE_RANGE"
    #: The price is outside the symbol's range.
    PRICE_COLLAR = "PRICE_COLLAR"
    #: The price is too far from the market.
    PRICE_THROUGH = "PRICE_THROUGH"
    #: The price is further through the best bid or ask than the sub-account's limit.
    TRIGGER_SIDE = "TRIGGER_SIDE"
    #: The price of a stop or a target is on the wrong side: of the market, or of the entry.
    SPREAD_WIDE = "SPREAD_WIDE"
    #: The spread is too wide for a market order.
    PRICE_STALE = "PRICE_STALE"
    #: There is no fresh price of this symbol to judge the order by.
    TIME_IN_FORCE = "TIME_IN_FORCE"
    #: The time in force does not fit the order type.
    QUANTITY_ZERO = "QUANTITY_ZERO"
    #: The quantity must be above zero.
    QUANTITY_STEP = "QUANTITY_STEP"
    #: The quantity is not a multiple of the step.
    QUANTITY_MIN = "QUANTITY_MIN"
    #: The quantity is below the symbol's least.
    QUANTITY_MAX = "QUANTITY_MAX"
    #: The quantity is above the symbol's most.
    MIN_NOTIONAL = "MIN_NOTIONAL"
    #: Price times quantity is below the symbol's least.
    DUST = "DUST"
    #: What is left of the position is below what the exchange takes an order for.
    ORDER_QUANTITY = "ORDER_QUANTITY"
    #: The quantity is above the sub-account's limit for one order.
    ORDER_NOTIONAL = "ORDER_NOTIONAL"
    #: Price times quantity is above the sub-account's limit for one order.
    LEVERAGE_RANGE = "LEVERAGE_RANGE"
    #: The leverage is above what the symbol permits.
    LEVERAGE_LIMIT = "LEVERAGE_LIMIT"
    #: The leverage is above the sub-account's limit.
    LEVERAGE_BRACKET = "LEVERAGE_BRACKET"
    #: With all open orders of a side traded, the position would be worth more than the leverage may carry.
    POSITION_QUANTITY = "POSITION_QUANTITY"
    #: With all open orders of this side traded, the position would be above its limit.
    POSITION_NOTIONAL = "POSITION_NOTIONAL"
    #: With all open orders of this side traded, the position would be worth more than its limit.
    EXPOSURE = "EXPOSURE"
    #: All of the sub-account's symbols together would be worth more than its limit.
    CONCENTRATION_EQUITY = "CONCENTRATION_EQUITY"
    #: The symbol would be worth too large a part of the sub-account's equity.
    CONCENTRATION_EXPOSURE = "CONCENTRATION_EXPOSURE"
    #: The symbol would be too large a part of all that the sub-account holds.
    DAILY_LOSS = "DAILY_LOSS"
    #: The sub-account has lost its limit since 00:00 UTC and may only reduce.
    MARGIN = "MARGIN"
    #: The sub-account's available margin does not carry the order.
    EXCHANGE_MARGIN = "EXCHANGE_MARGIN"
    #: The exchange account's own margin does not carry the order.
    REDUCE_ONLY = "REDUCE_ONLY"
    #: The order would not reduce the sub-account's position.
    OPEN_ORDERS = "OPEN_ORDERS"
    #: The sub-account has as many open orders as it may.
    OPEN_ORDERS_SYMBOL = "OPEN_ORDERS_SYMBOL"
    #: The sub-account has as many open orders in this symbol as it may.
    ORDER_RATE = "ORDER_RATE"
    #: The sub-account sent as many orders as it may in this time.
    DUPLICATE_ORDER = "DUPLICATE_ORDER"
    #: The same order was admitted a moment ago.
    SELF_MATCH = "SELF_MATCH"
    #: The order would meet a sibling's resting order on the one exchange account.
    UNKNOWN_POSITION = "UNKNOWN_POSITION"
    #: No open position has this id.
    UNKNOWN_ORDER = "UNKNOWN_ORDER"
    #: No order has this id, ours or the exchange's.
    ORDER_CLOSED = "ORDER_CLOSED"
    #: The order is already filled, cancelled, expired or refused.
    ORDER_UNPROVEN = "ORDER_UNPROVEN"
    #: The exchange has not confirmed the order yet; it cannot be amended before.
    CANCEL_PENDING = "CANCEL_PENDING"
    #: The order is being cancelled.
    AMEND_PENDING = "AMEND_PENDING"
    #: An amendment of the order is under way; there is one at a time.
    NOT_AMENDABLE = "NOT_AMENDABLE"
    #: Only a LIMIT order has terms to amend.
    BELOW_FILLED = "BELOW_FILLED"
    #: The total is not above what is filled: the exchange would cancel the order.
    NO_CHANGE = "NO_CHANGE"
    #: What is asked for is so already.
    UNKNOWN_ALGO = "UNKNOWN_ALGO"
    #: No algo in memory has this id, or it is of another kind.
    VOLUME_MISSING = "VOLUME_MISSING"
    #: Nothing is known of the symbol's volume, by which an algo is to trade.
    ALGO_OVER = "ALGO_OVER"
    #: The algo has ended, or only waits for its last orders.
    TOO_MANY_ALGOS = "TOO_MANY_ALGOS"
    #: The sub-account has as many algos as it may.
    BALANCE = "BALANCE"
    #: The payer's available balance is too small.
    EXCHANGE_REFUSED = "EXCHANGE_REFUSED"
    #: The exchange refused the order; its own code and text follow.
    THROTTLED = "THROTTLED"
    #: The rate limit is used up; the order was not executed.
    EXCHANGE_UNREACHABLE = "EXCHANGE_UNREACHABLE"
    #: No connection to the exchange could be made; nothing was sent.
    TAKEN_OVER = "TAKEN_OVER"
    #: The order went to the house together with the position that was liquidated.
    NOT_EXECUTED = "NOT_EXECUTED"
    #: Proven: the order never reached the exchange's engine.
    NOT_SENT = "NOT_SENT"
    #: Proven: nobody sent the order before its deadline, a halt or a cancel.
    HALTED = "HALTED"
    #: Trading is halted, for all or for this sub-account; cancels are served.
    NOT_HALTED = "NOT_HALTED"
    #: There is no halt of this scope to lift.
    UNKNOWN_LIMIT = "UNKNOWN_LIMIT"
    #: No limit has this name.
    BAD_LIMIT = "BAD_LIMIT"
    #: The value is not one that this limit can have, or it cannot be set there.
    NOT_SET = "NOT_SET"
    #: There is no such setting to remove.
    EVIDENCE = "EVIDENCE"
    #: What is proven contradicts an operator's word, or does not suffice for it yet.
    UNKNOWN_TRADE = "UNKNOWN_TRADE"
    #: No trade with these ids is booked.
    UNKNOWN_INCIDENT = "UNKNOWN_INCIDENT"
    #: No unresolved incident has this id.
    INTERNAL_ERROR = "INTERNAL_ERROR"
    #: A fault of ours: nothing was done, and an operator is told.


class Refusal(Exception):
    """A command that changes nothing, and why: code, text, field, limit and actual value."""

    def __init__(
        self,
        code: Code,
        error: str,
        *,
        field: str | None = None,
        limit: object = None,
        actual: object = None,
    ) -> None:
        super().__init__(error)
        self.code = code
        self.error = error
        self.field = field
        self.limit = None if limit is None else str(limit)
        self.actual = None if actual is None else str(actual)[:200]
