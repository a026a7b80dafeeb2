"""What an operator may do to API keys and commission rates, over rest/admin.py."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from pms.venue.account import Account
from pms.venue.symbols import plain
from pms.venue.venue import Venue

MOST_RATE = Decimal("0.1")
RATE_STEP = Decimal("0.00000001")


class KeysError(Exception):
    """A request that makes no sense; the message names the field."""


def listed(venue: Venue) -> dict[str, Any]:
    """GET keys: all keys that hold or held, without their secrets."""
    return {
        "keys": [
            {
                "account": each.account,
                "apiKey": each.key,
                "canTrade": each.trades,
                "created": each.created,
                "revoked": revoked,
            }
            for each, revoked in venue.credentials.all()
        ]
    }


def make(venue: Venue, body: Mapping[str, Any]) -> dict[str, Any]:
    """POST keys: a new key of an account; its secret is told here, once, and nowhere else."""
    account, trades = _account(venue, body), body.get("canTrade", True)
    if not isinstance(trades, bool):
        raise KeysError("canTrade must be true or false")
    made = venue.credentials.make(account.name, trades=trades)
    return {
        "account": made.account,
        "apiKey": made.key,
        "secretKey": made.secret.get_secret_value(),
        "canTrade": made.trades,
    }


def revoke(venue: Venue, body: Mapping[str, Any]) -> dict[str, Any]:
    """DELETE keys: the key opens nothing any more."""
    key = body.get("apiKey")
    if not isinstance(key, str) or not venue.credentials.revoke(key):
        raise KeysError("apiKey names no key in force")
    return {}


def set_commission(venue: Venue, body: Mapping[str, Any]) -> dict[str, Any]:
    """POST commission: rates of an account's own; null is the venue's, a maker's below zero a rebate."""
    account = _account(venue, body)
    maker, taker = (_rate(body.get(name), name) for name in ("maker", "taker"))
    venue.acts.set_commission(account, maker=maker, taker=taker)
    fees = venue.exchange.fees.of(account.wallet)
    return {"account": account.name, "maker": plain(fees.maker), "taker": plain(fees.taker)}


def _account(venue: Venue, body: Mapping[str, Any]) -> Account:
    account = venue.exchange.accounts.get(str(body.get("account")))
    if account is None:
        raise KeysError("account names no account")
    return account


def _rate(value: object, name: str) -> Decimal | None:
    if value is None:
        return None
    try:
        rate = Decimal(value) if isinstance(value, str) else None
    except InvalidOperation:
        rate = None
    if rate is None or not rate.is_finite():
        raise KeysError(f"{name} must be a decimal in a string, or null")
    if abs(rate) > MOST_RATE or rate % RATE_STEP or (name == "taker" and rate < 0):
        least = 0 if name == "taker" else -MOST_RATE
        raise KeysError(f"{name} must be from {least} to {MOST_RATE} in steps of {RATE_STEP:f}, not {value}")
    return rate
