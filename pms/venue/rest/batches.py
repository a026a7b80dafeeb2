"""Batch endpoints: several orders in one request, each answered as if it had come alone.

The answer is HTTP 200 with a list: an order, or the body of a refusal, in the place of each element. Only
what is wrong with the request itself is refused as a whole (USDⓈ-M docs, Place Multiple Orders).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import msgspec

from pms.venue import errors
from pms.venue.errors import VenueError
from pms.venue.params import Params
from pms.venue.rest.endpoint import Call, Endpoint
from pms.venue.rest.orders import amend, place
from pms.venue.rest.views import acknowledged

MOST_PLACED = 5
MOST_CANCELLED = 10
T = TypeVar("T")

_elements = msgspec.json.Decoder(list[dict[str, Any]], float_hook=str)
_names = msgspec.json.Decoder(list[int | str])


def place_batch(call: Call) -> list[dict[str, Any]]:
    """POST /v1/batchOrders: up to five orders, each placed or refused by itself."""
    elements = _list(call.params, "batchOrders", _elements)
    if not 1 <= len(elements) <= MOST_PLACED:
        raise errors.refusal(-4082)
    return _each(elements, lambda element: place(call.with_params(Params.of(element))))


def amend_batch(call: Call) -> list[dict[str, Any]]:
    """PUT /v1/batchOrders: up to five orders, each amended or refused by itself."""
    elements = _list(call.params, "batchOrders", _elements)
    if not 1 <= len(elements) <= MOST_PLACED:
        raise errors.refusal(-4082)
    return _each(elements, lambda element: amend(call.with_params(Params.of(element))))


def cancel_batch(call: Call) -> list[dict[str, Any]]:
    """DELETE /v1/batchOrders: up to ten orders of one symbol, by either kind of id."""
    market = call.venue.market(call.params)
    by_ours = not call.params.sent("orderIdList")
    name = "origClientOrderIdList" if by_ours else "orderIdList"
    if by_ours and not call.params.sent(name):
        raise errors.one_of_two("orderIdList", "origClientOrderIdList")
    ids = _list(call.params, name, _names)
    if not 1 <= len(ids) <= MOST_CANCELLED:
        raise errors.refusal(-4032)
    if not by_ours and not all(isinstance(each, int) for each in ids):
        raise errors.missing(name)

    def cancel(each: int | str) -> dict[str, Any]:
        order = call.venue.exchange.cancel(
            call.account,
            market.symbol.name,
            order_id=None if by_ours else int(each),
            client_order_id=str(each) if by_ours else None,
        )
        return acknowledged(order, market, accepted=False, legacy=call.venue.legacy_acks)

    return _each(ids, cancel)


def placed_ids(params: Params) -> list[str]:
    """The client order ids that a batch names; none if it cannot be read."""
    try:
        elements = _elements.decode(params.need("batchOrders"))
    except (VenueError, msgspec.DecodeError, RecursionError):
        return []
    return [str(element.get("newClientOrderId", "")) for element in elements]


def _each(elements: Iterable[T], answer: Callable[[T], dict[str, Any]]) -> list[dict[str, Any]]:
    answers = []
    for element in elements:
        try:
            answers.append(answer(element))
        except VenueError as error:
            answers.append(error.body())
    return answers


def _list(params: Params, name: str, decoder: msgspec.json.Decoder[list[T]]) -> list[T]:
    try:
        return decoder.decode(params.need(name))
    except (msgspec.DecodeError, RecursionError):
        raise errors.missing(name) from None


ENDPOINTS = (
    Endpoint("POST", "/fapi/v1/batchOrders", place_batch, weight=5, orders=(5, 1)),
    Endpoint("PUT", "/fapi/v1/batchOrders", amend_batch, weight=5, orders=(5, 1)),
    Endpoint("DELETE", "/fapi/v1/batchOrders", cancel_batch),
)
