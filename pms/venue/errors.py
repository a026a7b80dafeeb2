"""Refusals in Binance's words: a code, an exact text, an HTTP status (USDⓈ-M docs, Error Codes)."""

from __future__ import annotations


class VenueError(Exception):
    """One refusal as the client sees it; raised before anything has changed."""

    def __init__(self, code: int, message: str, *, status: int = 400, retry_after: int | None = None) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.status = status
        self.retry_after = retry_after

    def body(self) -> dict[str, object]:
        """The answer's JSON."""
        return {"code": self.code, "msg": self.message}


TEXTS: dict[int, str] = {
    -1000: "An unknown error occured while processing the request.",
    -1020: "This operation is not supported.",
    -1021: "Timestamp for this request is outside of the recvWindow.",
    -1022: "Signature for this request is not valid.",
    -1023: "Start time is greater than end time.",
    -1115: "Invalid timeInForce.",
    -1116: "Invalid orderType.",
    -1117: "Invalid side.",
    -1120: "Invalid interval.",
    -1121: "Invalid symbol.",
    -1125: "This listenKey does not exist.",
    -1128: "Combination of optional parameters invalid.",
    -1136: "Invalid newOrderRespType.",
    -1101: "Duplicate values for a parameter detected.",
    -1111: "Precision is over the maximum defined for this asset.",
    -2011: "Unknown order sent.",
    -2013: "Order does not exist.",
    -2014: "API-key format invalid.",
    -2015: "Invalid API-key, IP, or permissions for action.",
    -2019: "Margin is insufficient.",
    -2021: "Order would immediately trigger.",
    -2022: "ReduceOnly Order is rejected.",
    -2025: "Reach max open order limit.",
    -2027: "Exceeded the maximum allowable position at current leverage.",
    -2028: "Leverage is smaller than permitted: insufficient margin balance.",
    -4001: "Price less than 0.",
    -4002: "Price greater than max price.",
    -4003: "Quantity less than or equal to zero.",
    -4004: "Quantity less than min quantity.",
    -4005: "Quantity greater than max quantity.",
    -4013: "Price less than min price.",
    -4014: "Price not increased by tick size.",
    -4015: "Client order id length should be less than 36 chars",
    -4023: "Qty not increased by step size.",
    -4032: "Exceed maximum cancel order size.",
    -4045: "Reach max stop order limit.",
    -4046: "No need to change margin type.",
    -4047: "Margin type cannot be changed if there exists open orders.",
    -4048: "Margin type cannot be changed if there exists position.",
    -4059: "No need to change position side.",
    -4060: "Invalid position side.",
    -4061: "Order's position side does not match user's setting.",
    -4062: "Invalid or improper reduceOnly value.",
    -4067: "Position side cannot be changed if there exists open orders.",
    -4068: "Position side cannot be changed if there exists position.",
    -4082: "Invalid number of batch place orders.",
    -4116: "ClientOrderId is duplicated.",
    -4118: "ReduceOnly Order Failed. Please check your existing position and open orders",
    -4120: "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.",
    -4131: "The counterparty's best price does not meet the PERCENT_PRICE filter limit.",
    -4136: "Target strategy invalid for orderType LIMIT,closePosition true",
    -4137: "Quantity must be zero with closePosition equals true",
    -4140: "Invalid symbol status for opening position",
    -4171: "Adjusted asset mode is currently set and does not need to be adjusted repeatedly.",
    -5021: "Due to the order could not be filled immediately, the FOK order has been rejected."
    " The order will not be recorded in the order history",
    -5022: "Due to the order could not be executed as maker, the Post Only order will be rejected."
    " The order will not be recorded in the order history",
    -5024: "Symbol is not in trading status. Order amendment is not permitted.",
    -5025: "Only limit order is supported.",
    -5026: "Exceed maximum modify order limit.",
    -5027: "No need to modify the order.",
    -5028: "Timestamp for this request is outside of the ME recvWindow.",
    -5037: "Invalid price match",
    -5038: "Price match only supports order type: LIMIT, STOP AND TAKE_PROFIT",
    -5039: "Invalid self trade prevention mode",
    -5040: "The goodTillDate timestamp must be greater than the current time plus 600 seconds and smaller"
    " than 253402300799000 (UTC 9999-12-31 23:59:59)",
    -5041: "No depth matches this BBO order",
    -5047: "The original order is not a reduce-only order.",
}
UNAUTHORISED = (-2014, -2015)


def refusal(code: int) -> VenueError:
    """The refusal whose text has no blanks to fill."""
    return VenueError(code, TEXTS[code], status=401 if code in UNAUTHORISED else 400)


def missing(parameter: str) -> VenueError:
    """-1102; parameter names appear in lower case on the wire."""
    return VenueError(
        -1102,
        f"Mandatory parameter '{parameter.lower()}' was not sent, was empty/null, or malformed.",
    )


def empty(parameter: str) -> VenueError:
    """-1105."""
    return VenueError(-1105, f"Parameter '{parameter.lower()}' was empty.")


def one_of_two(first: str, second: str) -> VenueError:
    """-1102 where either of two parameters would do."""
    return VenueError(
        -1102, f"Param '{first.lower()}' or '{second.lower()}' must be sent, but both were empty/null!"
    )


def illegal(parameter: str, legal: str) -> VenueError:
    """-1100 with the legal alphabet."""
    return VenueError(
        -1100, f"Illegal characters found in parameter '{parameter.lower()}'; legal range is '{legal}'."
    )


def not_required(parameter: str) -> VenueError:
    """-1106."""
    return VenueError(-1106, f"Parameter '{parameter.lower()}' sent when not required.")


def not_valid(parameter: str) -> VenueError:
    """-1130."""
    return VenueError(-1130, f"Data sent for parameter '{parameter.lower()}' is not valid.")


def window_too_long(hours: int) -> VenueError:
    """-1127."""
    return VenueError(-1127, f"More than {hours} hours between startTime and endTime.")


def bad_depth_limit(limit: object) -> VenueError:
    """-4021."""
    return VenueError(-4021, f"'{limit}' is not valid depth limit.")


def bad_leverage(leverage: object) -> VenueError:
    """-4028."""
    return VenueError(-4028, f"Leverage {leverage} is not valid")


def notional_too_small(notional: str) -> VenueError:
    """-4164."""
    return VenueError(
        -4164, f"Order's notional must be no smaller than {notional} (unless you choose reduce only)."
    )


def amended_notional_too_small(notional: str) -> VenueError:
    """-5029."""
    return VenueError(-5029, f"Order's notional must be no smaller than {notional}")


def price_too_high(cap: str) -> VenueError:
    """-4016, live text."""
    return VenueError(-4016, f"Limit price can't be higher than {cap}.")


def price_too_low(floor: str) -> VenueError:
    """-4024, live text."""
    return VenueError(-4024, f"Limit price can't be lower than {floor}.")


def too_many_requests(limit: int, *, retry_after: int) -> VenueError:
    """-1003 with HTTP 429."""
    return VenueError(
        -1003,
        f"Too many requests; current limit is {limit} requests per minute. "
        "Please use the websocket for live updates to avoid polling the API.",
        status=429,
        retry_after=retry_after,
    )


def banned(ip: str, *, until_ms: int, retry_after: int) -> VenueError:
    """-1003 with HTTP 418."""
    return VenueError(
        -1003,
        f"Way too many requests; IP({ip}) banned until {until_ms}. "
        "Please use the websocket for live updates to avoid bans.",
        status=418,
        retry_after=retry_after,
    )


def too_many_orders(limit: int, interval: str, *, retry_after: int) -> VenueError:
    """-1015 with HTTP 429."""
    return VenueError(
        -1015,
        f"Too many new orders; current limit is {limit} orders per {interval}.",
        status=429,
        retry_after=retry_after,
    )


def too_early(ahead_ms: int) -> VenueError:
    """-1021 of a request from the future."""
    return VenueError(-1021, f"Timestamp for this request was {ahead_ms}ms ahead of the server's time.")
