"""Settings: leverage, margin type, modes, listen keys."""

from __future__ import annotations

from typing import Any

from pms.venue import errors
from pms.venue.brackets import max_notional
from pms.venue.rest.endpoint import Call, Endpoint, Security
from pms.venue.symbols import plain

DONE = {"code": 200, "msg": "success"}


def set_leverage(call: Call) -> dict[str, Any]:
    """POST /v1/leverage."""
    market = call.venue.market(call.params)
    leverage = call.params.need_integer("leverage")
    call.venue.exchange.set_leverage(call.account, market.symbol.name, leverage)
    return {
        "leverage": leverage,
        "maxNotionalValue": plain(max_notional(market.symbol.name, leverage)),
        "symbol": market.symbol.name,
    }


def set_margin_type(call: Call) -> dict[str, Any]:
    """POST /v1/marginType. Isolated margin is not offered: asking for it is -1020."""
    call.venue.market(call.params)
    margin_type = call.params.need("marginType")
    if margin_type not in ("ISOLATED", "CROSSED"):
        raise errors.not_valid("marginType")
    if margin_type == "ISOLATED":
        raise errors.refusal(-1020)
    raise errors.refusal(-4046)


def position_mode(call: Call) -> dict[str, Any]:
    """GET /v1/positionSide/dual: whether longs and shorts are held side by side."""
    return {"dualSidePosition": call.account.wallet.hedge}


def set_position_mode(call: Call) -> dict[str, Any]:
    """POST /v1/positionSide/dual; orders that wait for a price are open orders, too (-4067)."""
    call.params.need("dualSidePosition")
    hedge, account = bool(call.params.flag("dualSidePosition")), call.account
    if hedge != account.wallet.hedge and call.venue.conditionals.shelves[account.name].open:
        raise errors.refusal(-4067)
    call.venue.acts.set_position_mode(account, hedge=hedge)
    return DONE


def asset_mode(call: Call) -> dict[str, Any]:
    """GET /v1/multiAssetsMargin: always single-asset."""
    return {"multiAssetsMargin": False}


def set_asset_mode(call: Call) -> dict[str, Any]:
    """POST /v1/multiAssetsMargin: single-asset needs no change (-4171), the other is not offered (-1020)."""
    call.params.need("multiAssetsMargin")
    raise errors.refusal(-1020 if call.params.flag("multiAssetsMargin") else -4171)


def fee_burn(call: Call) -> dict[str, Any]:
    """GET /v1/feeBurn: whether commissions are paid in BNB."""
    return {"feeBurn": call.account.wallet.fee_burn}


def set_fee_burn(call: Call) -> dict[str, Any]:
    """POST /v1/feeBurn."""
    call.params.need("feeBurn")
    call.venue.acts.burn_fees(call.account, on=bool(call.params.flag("feeBurn")))
    return DONE


def create_listen_key(call: Call) -> dict[str, Any]:
    """POST /v1/listenKey: the active key again, extended, if there is one."""
    return {"listenKey": call.venue.keys.create(call.account.name)}


def extend_listen_key(call: Call) -> dict[str, Any]:
    """PUT /v1/listenKey; a key sent along by old clients is ignored."""
    return {"listenKey": call.venue.keys.extend(call.account.name)}


def delete_listen_key(call: Call) -> dict[str, Any]:
    """DELETE /v1/listenKey."""
    call.venue.keys.delete(call.account.name)
    return {}


ENDPOINTS = (
    Endpoint("POST", "/fapi/v1/leverage", set_leverage),
    Endpoint("POST", "/fapi/v1/marginType", set_margin_type),
    Endpoint("GET", "/fapi/v1/positionSide/dual", position_mode, weight=30),
    Endpoint("POST", "/fapi/v1/positionSide/dual", set_position_mode),
    Endpoint("GET", "/fapi/v1/multiAssetsMargin", asset_mode, weight=30),
    Endpoint("POST", "/fapi/v1/multiAssetsMargin", set_asset_mode),
    Endpoint("GET", "/fapi/v1/feeBurn", fee_burn, weight=30),
    Endpoint("POST", "/fapi/v1/feeBurn", set_fee_burn),
    Endpoint("POST", "/fapi/v1/listenKey", create_listen_key, Security.KEY),
    Endpoint("PUT", "/fapi/v1/listenKey", extend_listen_key, Security.KEY),
    Endpoint("DELETE", "/fapi/v1/listenKey", delete_listen_key, Security.KEY),
)
