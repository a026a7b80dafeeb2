"""Why the exchange let an order expire, in words: `er` of ORDER_TRADE_UPDATE.

Source: Binance USDⓈ-M docs, User Data Streams, Event: Order Update, "Expiry Reason".
"""

from __future__ import annotations

_WORDS = {
    "1": "self-trade prevention",
    "2": "what an IOC order could not trade at once",
    "3": "what an IOC order could not trade at once, by self-trade prevention",
    "4": "knocked out by another reduce-only order, or it would have turned the position",
    "5": "the exchange liquidated the account",
    "6": "the condition that it depended on is gone",
    "7": "the symbol was delisted",
    "8": "replaced as its stop triggered",
    "9": "the market had no more to trade with",
}


def expired_because(reason: str) -> str:
    """A reason in words, with the exchange's number behind it; one that is not documented is only named."""
    words = _WORDS.get(reason)
    return f"the exchange's expiry reason {reason}" if words is None else f"{words} ({reason})"
