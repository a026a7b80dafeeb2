"""Bad commands by the refusal they must get: what is wrong, the command, its fields, code and field.

A value that is a function is called with the table's `Facts` when the test begins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

TRADE, CLOSE, CANCEL, CANCEL_ALL = "pms.trade", "pms.close", "pms.cancel", "pms.cancel_all"
AMEND, BATCH, CLOSE_ALL = "pms.amend", "pms.batch", "pms.close_all"
CREATE, TRANSFER, FREEZE, IMPORT = "pms.create_account", "pms.transfer", "pms.freeze", "pms.import_position"
UUID = "3f1c6a52-6d2f-4c39-9d0a-3c2f0a5b7d10"
GONE = object()
"""In the fields: leave this one out."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What some bad commands are bad against."""

    resting: str
    #: a live order of bob's
    resting_price: str
    filled: str
    #: an order of alice's that is over


@dataclass(frozen=True, slots=True)
class Bad:
    """One bad command."""

    what: str
    command: str
    fields: dict[str, Any]
    code: str
    field: str | None = None


def trade(what: str, code: str, field: str | None, **changes: Any) -> Bad:
    """A bad trade: a good one with something changed."""
    good = {"subAccountId": "alice", "symbol": "BTCUSDT", "side": "BUY", "quantity": "0.01", "leverage": 10}
    fields = {name: value for name, value in {**good, **changes}.items() if value is not GONE}
    return Bad(what, TRADE, fields, code, field)


def limit(what: str, code: str, field: str | None, **changes: Any) -> Bad:
    """A bad limit order."""
    return trade(what, code, field, **{"type": "LIMIT", "price": "50000", **changes})


def bad(what: str, command: str, code: str, field: str | None, **fields: Any) -> Bad:
    return Bad(what, command, fields, code, field)


def resting(facts: Facts) -> str:
    return facts.resting


def resting_price(facts: Facts) -> str:
    return facts.resting_price


def filled(facts: Facts) -> str:
    return facts.filled


LIMITS, GROUP = "pms.limits", "pms.group"
WHY = {"reason": "a test", "actor": "ann"}
SET = {"action": "set", "scope": "bob", "limit": "leverage", "value": "5"}
LEG = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.01"}
BAD = {**LEG, "qty": "1"}
EMPTY = [{**LEG, "quantity": "0"}] * 2

BAD_COMMANDS = [
    # --- shape ---
    trade("no account", "MISSING_FIELD", "subAccountId", subAccountId=GONE),
    trade("no symbol", "MISSING_FIELD", "symbol", symbol=GONE),
    trade("no side", "MISSING_FIELD", "side", side=GONE),
    trade("no quantity", "MISSING_FIELD", "quantity", quantity=GONE),
    trade("a misspelt option", "UNKNOWN_FIELD", "reduceonly", reduceonly=True),
    trade("snake case", "UNKNOWN_FIELD", "time_in_force", time_in_force="GTC"),
    trade("side in words", "BAD_FIELD", "side", side="UP"),
    trade("side a number", "BAD_FIELD", "side", side=1),
    trade("type unknown", "BAD_FIELD", "type", type="STOP"),
    limit("time in force unknown", "BAD_FIELD", "timeInForce", timeInForce="FOREVER"),
    trade("quantity NaN", "BAD_FIELD", "quantity", quantity="NaN"),
    trade("quantity infinite", "BAD_FIELD", "quantity", quantity="Infinity"),
    trade("quantity beyond sense", "BAD_FIELD", "quantity", quantity="1e400"),
    trade("quantity a truth", "BAD_FIELD", "quantity", quantity=True),
    trade("quantity a list", "BAD_FIELD", "quantity", quantity=[1]),
    trade("quantity in words", "BAD_FIELD", "quantity", quantity="one"),
    trade("quantity empty", "BAD_FIELD", "quantity", quantity=""),
    trade("quantity null", "BAD_FIELD", "quantity", quantity=None),
    trade("quantity with 40 digits", "BAD_FIELD", "quantity", quantity="0." + "1" * 40),
    limit("price in words", "BAD_FIELD", "price", price="market"),
    trade("leverage zero", "BAD_FIELD", "leverage", leverage=0),
    trade("leverage negative", "BAD_FIELD", "leverage", leverage=-5),
    trade("leverage a fraction", "BAD_FIELD", "leverage", leverage="2.5"),
    trade("leverage above all symbols'", "BAD_FIELD", "leverage", leverage=151),
    trade("reduceOnly in words", "BAD_FIELD", "reduceOnly", reduceOnly="perhaps"),
    trade("ttl too short", "BAD_FIELD", "ttlMs", ttlMs=1),
    trade("ttl too long", "BAD_FIELD", "ttlMs", ttlMs=3_600_000),
    trade("account with a slash", "BAD_FIELD", "subAccountId", subAccountId="../house"),
    trade("account empty", "BAD_FIELD", "subAccountId", subAccountId=""),
    trade("account too long", "BAD_FIELD", "subAccountId", subAccountId="a" * 37),
    bad("position no UUID", CLOSE, "BAD_FIELD", "positionId", positionId="alice-btc"),
    bad("no position", CLOSE, "MISSING_FIELD", "positionId"),
    bad("no order", CANCEL, "MISSING_FIELD", "orderId"),
    # --- who and what ---
    trade("account unknown", "UNKNOWN_ACCOUNT", "subAccountId", subAccountId="nobody"),
    trade("the house", "HOUSE_ONLY", "subAccountId", subAccountId="house"),
    trade("account frozen", "ACCOUNT_FROZEN", "subAccountId", subAccountId="carol"),
    trade("symbol unknown", "UNKNOWN_SYMBOL", "symbol", symbol="NOSUCHUSDT"),
    trade("symbol with a space", "UNKNOWN_SYMBOL", "symbol", symbol="BTC USDT"),
    bad("position unknown", CLOSE, "UNKNOWN_POSITION", "positionId", positionId=UUID),
    bad("order unknown", CANCEL, "UNKNOWN_ORDER", "orderId", orderId="PMS_alice_M_nothing"),
    bad("exchange id unknown", CANCEL, "UNKNOWN_ORDER", "orderId", orderId=999_999_999_999),
    bad("order over", CANCEL, "ORDER_CLOSED", "orderId", orderId=lambda facts: facts.filled),
    bad("an order that is a truth", CANCEL, "BAD_FIELD", "orderId", orderId=True),
    bad("an order of more digits than a number has", CANCEL, "BAD_FIELD", "orderId", orderId="9" * 4301),
    bad("an order that is a list", CANCEL, "BAD_FIELD", "orderId", orderId=["PMS_alice_M_1"]),
    bad("cancel-all with a typo", CANCEL_ALL, "UNKNOWN_FIELD", "subaccountId", subaccountId="bob"),
    bad("cancel-all of nobody", CANCEL_ALL, "UNKNOWN_ACCOUNT", "subAccountId", subAccountId="nobody"),
    bad("close-all of nobody", CLOSE_ALL, "UNKNOWN_ACCOUNT", "subAccountId", subAccountId="nobody"),
    bad("close-all of the house", CLOSE_ALL, "HOUSE_ONLY", "subAccountId", subAccountId="house"),
    # --- limits ---
    bad("a limit that nobody wants", LIMITS, "MISSING_FIELD", "actor", **SET, reason="r"),
    bad("a limit for no reason", LIMITS, "MISSING_FIELD", "reason", **SET, actor="ann"),
    bad("an unknown limit", LIMITS, "UNKNOWN_LIMIT", "limit", **{**SET, **WHY, "limit": "levrage"}),
    bad("a limit below zero", LIMITS, "BAD_LIMIT", "value", **{**SET, **WHY, "value": "-1"}),
    bad("a limit in words", LIMITS, "BAD_LIMIT", "value", **{**SET, **WHY, "value": "much"}),
    bad("a limit that is a truth", LIMITS, "BAD_FIELD", "value", **{**SET, **WHY, "value": True}),
    bad("a limit of nobody", LIMITS, "UNKNOWN_ACCOUNT", "scope", **{**SET, **WHY, "scope": "nobody"}),
    bad("a limit of the house", LIMITS, "HOUSE_ONLY", "scope", **{**SET, **WHY, "scope": "house"}),
    bad("a setting that is not there", LIMITS, "NOT_SET", "limit", **{**SET, **WHY, "action": "unset"}),
    bad("a group of nobody", GROUP, "UNKNOWN_ACCOUNT", "subAccountId", subAccountId="x", group="a", **WHY),
    bad("a group with a space", GROUP, "BAD_FIELD", "group", subAccountId="bob", group="a b", **WHY),
    # --- amendments ---
    bad("amend no order", AMEND, "MISSING_FIELD", "orderId", price="1"),
    bad("amend nothing", AMEND, "MISSING_FIELD", "quantity", orderId=resting),
    bad("amend an unknown order", AMEND, "UNKNOWN_ORDER", "orderId", orderId="PMS_alice_M_x", price="1"),
    bad("amend an order that is over", AMEND, "ORDER_CLOSED", "orderId", orderId=filled, price="50000"),
    bad("amend to the same", AMEND, "NO_CHANGE", "price", orderId=resting, price=resting_price),
    bad("amend off the tick", AMEND, "PRICE_TICK", "price", orderId=resting, price="50000.05"),
    bad("amend off the step", AMEND, "QUANTITY_STEP", "quantity", orderId=resting, quantity="0.0105"),
    bad("amend to zero", AMEND, "QUANTITY_ZERO", "quantity", orderId=resting, quantity=0),
    bad("amend over margin", AMEND, "MARGIN", "quantity", orderId=resting, quantity="900"),
    # --- batches ---
    bad("a batch of none", BATCH, "BAD_FIELD", "orders", subAccountId="alice", orders=[]),
    bad("a batch of many", BATCH, "BAD_FIELD", "orders", subAccountId="alice", orders=[LEG] * 21),
    bad("a batch of nobody", BATCH, "UNKNOWN_ACCOUNT", "subAccountId", subAccountId="x", orders=[LEG]),
    bad(
        "a batch with a typo", BATCH, "UNKNOWN_FIELD", "orders[1].qty", subAccountId="bob", orders=[LEG, BAD]
    ),
    bad(
        "a batch all refused",
        BATCH,
        "QUANTITY_ZERO",
        "orders[0].quantity",
        subAccountId="bob",
        orders=EMPTY,
    ),
    # --- the symbol's rules ---
    trade("quantity zero", "QUANTITY_ZERO", "quantity", quantity=0),
    trade("quantity negative", "QUANTITY_ZERO", "quantity", quantity="-0.01"),
    trade("quantity off its step", "QUANTITY_STEP", "quantity", quantity="0.0105"),
    trade("quantity below the least", "QUANTITY_MIN", "quantity", quantity="0.0001"),
    limit("quantity above the most", "QUANTITY_MAX", "quantity", quantity="999999"),
    trade("notional too small", "MIN_NOTIONAL", "quantity", symbol="ETHUSDT", quantity="0.001"),
    limit("price off its tick", "PRICE_TICK", "price", price="50000.05"),
    limit("price zero", "PRICE_RANGE", "price", price=0),
    limit("price negative", "PRICE_RANGE", "price", price="-1"),
    limit("price far above the market", "PRICE_COLLAR", "price", price="90000"),
    limit("sell far below the market", "PRICE_COLLAR", "price", price="30000", side="SELL"),
    limit("no price", "PRICE_MISSING", "price", price=GONE),
    trade("market with a price", "PRICE_UNWANTED", "price", price="50000"),
    trade("market with a time in force", "TIME_IN_FORCE", "timeInForce", timeInForce="GTC"),
    trade(
        "leverage above the symbol's",
        "LEVERAGE_RANGE",
        "leverage",
        symbol="AKROUSDT",
        quantity="5000",
        leverage=150,
    ),
    trade("more than its leverage may carry", "LEVERAGE_BRACKET", "quantity", quantity="6", leverage=150),
    # --- the account's means ---
    trade("over margin", "MARGIN", "quantity", quantity="50"),
    limit("over margin, resting", "MARGIN", "quantity", quantity="100", leverage=1),
    trade(
        "reduce-only when flat", "REDUCE_ONLY", "quantity", symbol="ETHUSDT", quantity="1", reduceOnly=True
    ),
    trade("reduce-only on the wrong side", "REDUCE_ONLY", "quantity", reduceOnly=True),
    trade("reduce-only for too much", "REDUCE_ONLY", "quantity", side="SELL", quantity="5", reduceOnly=True),
    limit(
        "would meet a sibling's order",
        "SELF_MATCH",
        "price",
        side="SELL",
        price=lambda facts: facts.resting_price,
    ),
    # --- accounts ---
    bad("account with a line's end", CREATE, "BAD_FIELD", "subAccountId", subAccountId="carol\n"),
    bad("account exists", CREATE, "ACCOUNT_EXISTS", "subAccountId", subAccountId="alice"),
    bad("account with a taken tag", CREATE, "ACCOUNT_EXISTS", "subAccountId", subAccountId="longname-b"),
    bad("account without a name", CREATE, "MISSING_FIELD", "subAccountId"),
    bad("account with a dot", CREATE, "BAD_FIELD", "subAccountId", subAccountId="d.ve"),
    bad("no amount", TRANSFER, "MISSING_FIELD", "amount", fromAccountId="bob", toAccountId="alice"),
    bad("no payer", TRANSFER, "MISSING_FIELD", "fromAccountId", toAccountId="alice", amount=1),
    bad("no payee", TRANSFER, "MISSING_FIELD", "toAccountId", fromAccountId="bob", amount=1),
    bad("freeze nobody", FREEZE, "UNKNOWN_ACCOUNT", "subAccountId", subAccountId="nobody"),
    bad("label too long", CREATE, "BAD_FIELD", "label", subAccountId="dave", label="x" * 81),
    bad(
        "transfer to itself",
        TRANSFER,
        "BAD_FIELD",
        "toAccountId",
        fromAccountId="bob",
        toAccountId="bob",
        amount=1,
    ),
    bad(
        "transfer of nothing",
        TRANSFER,
        "BAD_FIELD",
        "amount",
        fromAccountId="bob",
        toAccountId="alice",
        amount=0,
    ),
    bad(
        "transfer too fine",
        TRANSFER,
        "BAD_FIELD",
        "amount",
        fromAccountId="bob",
        toAccountId="alice",
        amount="1e-9",
    ),
    bad(
        "transfer over balance",
        TRANSFER,
        "BALANCE",
        "amount",
        fromAccountId="bob",
        toAccountId="alice",
        amount=10**9,
    ),
    bad(
        "transfer to nobody",
        TRANSFER,
        "UNKNOWN_ACCOUNT",
        "toAccountId",
        fromAccountId="bob",
        toAccountId="x",
        amount=1,
    ),
    bad("deposit too fine", "pms.deposit", "BAD_FIELD", "amount", subAccountId="bob", amount="1e-9"),
    bad("deposit over the house", "pms.deposit", "BALANCE", "amount", subAccountId="bob", amount=10**9),
    bad("deposit to the house", "pms.deposit", "HOUSE_ONLY", "subAccountId", subAccountId="house", amount=1),
    bad("withdraw over balance", "pms.withdraw", "BALANCE", "amount", subAccountId="bob", amount=10**9),
    bad("withdraw, frozen", "pms.withdraw", "ACCOUNT_FROZEN", "subAccountId", subAccountId="carol", amount=1),
    bad("no leverage", "pms.leverage", "MISSING_FIELD", "leverage", subAccountId="bob", symbol="BTCUSDT"),
    bad(
        "leverage above the symbol's",
        "pms.leverage",
        "LEVERAGE_RANGE",
        "leverage",
        subAccountId="bob",
        symbol="AKROUSDT",
        leverage=150,
    ),
    bad(
        "mode with a live order",
        "pms.position_mode",
        "POSITION_MODE",
        "hedge",
        subAccountId="bob",
        hedge=True,
    ),
    bad("mode as it is", "pms.position_mode", "NO_CHANGE", "hedge", subAccountId="bob", hedge=False),
    trade("side of the other mode", "POSITION_SIDE", "positionSide", positionSide="LONG"),
    bad("freeze the house", FREEZE, "HOUSE_ONLY", "subAccountId", subAccountId="house"),
    bad(
        "import nothing",
        IMPORT,
        "QUANTITY_STEP",
        "quantity",
        subAccountId="bob",
        symbol="ETHUSDT",
        quantity=0,
        entryPrice=1,
    ),
    bad(
        "import at no price",
        IMPORT,
        "PRICE_RANGE",
        "entryPrice",
        subAccountId="bob",
        symbol="ETHUSDT",
        quantity=1,
        entryPrice=0,
    ),
]

ANSWERABLE = '{"requestId":"%s","subAccountId":"alice","symbol":"BTCUSDT","side":"BUY",%%s}'
WHOLE = ANSWERABLE.replace("%%s", '"quantity":"0.01"')
ALL, RECORD, WITH_ID = ("record", "task", "list"), ("record",), ("record", "task")


def spelt(what: str, code: str, field: str, rest: str) -> tuple[str, str, str, str | None, tuple[str, ...]]:
    """A trade in which something is spelt as only a text can spell it."""
    return what, ANSWERABLE.replace("%%s", rest), code, field, ALL


BAD_TEXTS: list[tuple[str, str, str, str | None, tuple[str, ...]]] = [
    # --- no object: a list has no requestId to answer to, a task has its own ---
    ("cut in half", '{"requestId":"%s","subAccountId":"al', "BAD_JSON", None, WITH_ID),
    ("not an object", '["%s"]', "BAD_JSON", None, RECORD),
    ("a number", "5", "BAD_JSON", None, RECORD),
    ("empty", "", "BAD_JSON", None, RECORD),
    ("a bare NaN", '{"requestId":"%s","quantity":NaN}', "BAD_JSON", None, WITH_ID),
    ("a bare Infinity", '{"requestId":"%s","quantity":Infinity}', "BAD_JSON", None, WITH_ID),
    (
        "a number of 5,000 digits",
        '{"requestId":"%s","quantity":' + "1" * 5000 + "}",
        "BAD_JSON",
        None,
        RECORD,
    ),
    ("nested 100,000 deep", '{"requestId":"%s","side":' + "[" * 100_000, "BAD_JSON", None, RECORD),
    (
        "nested 300 deep",
        '{"requestId":"%s","side":' + "[" * 300 + "]" * 300 + "}",
        "BAD_JSON",
        None,
        WITH_ID,
    ),
    # --- the requestId itself: a list item without one becomes an incident, a task takes its own id ---
    ("no requestId", '{"subAccountId":"alice"}', "MISSING_REQUEST_ID", "requestId", RECORD),
    ("requestId no UUID", '{"requestId":7,"subAccountId":"alice"}', "BAD_REQUEST_ID", "requestId", RECORD),
    ("another requestId", WHOLE.replace("%s", UUID), "BAD_REQUEST_ID", "requestId", RECORD),
    ("requestId in capitals", WHOLE.replace("%s", UUID.upper()), "BAD_REQUEST_ID", "requestId", RECORD),
    ("requestId in braces", WHOLE.replace("%s", "{%s}"), "BAD_REQUEST_ID", "requestId", RECORD),
    ("no Unicode", WHOLE.replace("BUY", "BUY\udcff"), "BAD_FIELD", "side", RECORD),
    # --- numbers and words as only a text can hold them ---
    spelt("a literal beyond sense", "BAD_FIELD", "quantity", '"quantity":1e400'),
    spelt("a literal beyond Decimal", "BAD_FIELD", "quantity", '"quantity":1e99999999999999999999'),
    spelt("a literal too fine for anyone", "BAD_FIELD", "quantity", '"quantity":1e-400'),
    spelt("a zero with an exponent", "QUANTITY_ZERO", "quantity", '"quantity":0e5'),
    spelt("a NUL in a word", "BAD_FIELD", "timeInForce", '"quantity":1,"timeInForce":"GTC\\u0000"'),
    spelt("a NUL in a field's name", "UNKNOWN_FIELD", "no\0te", '"quantity":1,"no\\u0000te":1'),
    spelt("a word of 100,000 letters", "BAD_FIELD", "type", '"quantity":1,"type":"' + "x" * 100_000 + '"'),
]
"""Texts under a good record's requestId (`%s`): what is wrong, text, code, field, the doors that answer."""

WITH_LIMIT = {
    "QUANTITY_ZERO",
    "QUANTITY_STEP",
    "QUANTITY_MIN",
    "QUANTITY_MAX",
    "MIN_NOTIONAL",
    "PRICE_TICK",
    "PRICE_RANGE",
    "PRICE_COLLAR",
    "LEVERAGE_RANGE",
    "LEVERAGE_BRACKET",
    "MARGIN",
    "BALANCE",
    "REDUCE_ONLY",
    "SELF_MATCH",
    "BAD_LIMIT",
}
"""Codes whose answer tells the limit that was broken, and by what."""

CODES = {each.code for each in BAD_COMMANDS} | {code for _, _, code, *_ in BAD_TEXTS}


def resolved(each: Bad, facts: Facts) -> dict[str, Any]:
    """The fields, with what depends on the facts filled in."""
    return {name: _value(value, facts) for name, value in each.fields.items()}


def _value(value: Any, facts: Facts) -> Any:
    return value(facts) if isinstance(value, Callable) else value  # type: ignore[arg-type]
