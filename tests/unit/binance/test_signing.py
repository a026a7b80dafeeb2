"""Signatures equal the exchange's published vectors, and the secret shows nowhere."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from pms.binance.signing import Signer, encode_params

SECRET = "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9"


WHOLE = (
    "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC"
    "&recvWindow=5000&timestamp=1591702613943"
)
QUERY_AND_BODY = (
    "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC"
    "quantity=1&price=9000&recvWindow=5000&timestamp=1591702613943"
)
"""Concatenated without an `&` between them."""


@pytest.mark.parametrize(
    ("payload", "signature"),
    [
        (WHOLE, "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9"),
        (QUERY_AND_BODY, "30baaf0fab549bbeda7f5ef201898b34122da25fd23c646cac2c529aebe670a4"),
    ],
)
def test_published_vectors(payload: str, signature: str) -> None:
    assert Signer(SecretStr(SECRET)).signature(payload) == signature


def test_signing_dates_the_parameters_and_puts_the_signature_last() -> None:
    params = [
        *(("symbol", "BTCUSDT"), ("side", "BUY"), ("type", "LIMIT"), ("quantity", "1")),
        *(("price", "9000"), ("timeInForce", "GTC")),
    ]
    signed = Signer(SecretStr(SECRET)).signed(params, timestamp_ms=1591702613943, recv_window_ms=5000)
    assert signed.endswith("&signature=3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9")


def test_values_are_percent_encoded() -> None:
    params = [("symbol", "牛来USDT"), ("list", '["a b"]'), ("id", "PMS_a-b.c:d/e")]
    assert encode_params(params) == (
        "symbol=%E7%89%9B%E6%9D%A5USDT&list=%5B%22a%20b%22%5D&id=PMS_a-b.c%3Ad%2Fe"
    )


def test_the_secret_is_not_shown() -> None:
    assert SECRET not in repr(Signer(SecretStr(SECRET)))
