"""Signatures over raw bytes, the time rule, parameters."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from pms.venue.app import AccountSpec
from pms.venue.auth import Credential, check_time, signed_payload
from pms.venue.errors import VenueError
from pms.venue.params import Params

SECRET = "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9"
CREDENTIAL = Credential("demo", "key", SecretStr(SECRET))
QUERY = (
    "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC"
    "&recvWindow=5000&timestamp=1591702613943"
)
SIGNATURE = "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9"
SPLIT = (
    "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC",
    "quantity=1&price=9000&recvWindow=5000&timestamp=1591702613943",
    "30baaf0fab549bbeda7f5ef201898b34122da25fd23c646cac2c529aebe670a4",
)


def accepted(query: str, body: str) -> bool:
    payload, signature = signed_payload(query, body)
    return signature is not None and CREDENTIAL.signs(payload, signature)


def test_published_vectors() -> None:
    assert accepted(f"{QUERY}&signature={SIGNATURE}", "")
    assert accepted("", f"{QUERY}&signature={SIGNATURE.upper()}")
    query, body, signature = SPLIT
    assert accepted(query, f"{body}&signature={signature}")


def test_a_changed_byte_or_order_is_refused() -> None:
    assert not accepted(f"{QUERY.replace('9000', '9001')}&signature={SIGNATURE}", "")
    assert not accepted(f"timestamp=1591702613943&{QUERY[:-24]}&signature={SIGNATURE}", "")
    assert not accepted(QUERY, "")


def test_a_signature_of_other_bytes_than_hex_is_refused() -> None:
    for added in ("\udcff", "\u212a", "é"):
        assert not accepted(f"{QUERY}&signature={SIGNATURE}{added}", "")


def test_raw_bytes_mean_what_they_mean_encoded_and_are_signed_as_they_came() -> None:
    raw = b"a=\xff&b=\xe7\x89\x9b".decode("utf-8", "surrogateescape")
    assert [Params("", raw).text(name) for name in "ab"] == [
        Params("a=%FF&b=%E7%89%9B").text(name) for name in "ab"
    ]
    assert signed_payload("", raw)[0] == b"a=\xff&b=\xe7\x89\x9b"
    with pytest.raises(VenueError) as refused:
        Params("", raw).client_order_id("a")
    assert refused.value.code == -1100


def test_what_is_sent_twice_is_refused_but_for_once_in_query_and_body() -> None:
    assert Params("a=1&b=2", "A=3&c=4").need("a") == "1"
    for made in (
        lambda: Params("a=1&b=2&a=1"),
        lambda: Params("b=2", "a=1&A=2"),
        lambda: Params.of({"a": 1, "A": 2}),
    ):
        with pytest.raises(VenueError) as refused:
            made()
        assert refused.value.code == -1101


@pytest.mark.parametrize("number", [2**63 - 1, 1 - 2**63])
def test_a_whole_number_has_64_bits(number: int) -> None:
    assert Params(f"n={number}").integer("n") == number
    with pytest.raises(VenueError) as refused:
        Params(f"n={number + (1 if number > 0 else -1)}").integer("n")
    assert refused.value.code == -1102


def test_encoded_bytes_are_signed_as_they_came() -> None:
    payload, _ = signed_payload("a=%5B1%2C2%5D&signature=00", "")
    assert payload == b"a=%5B1%2C2%5D"


@pytest.mark.parametrize(
    ("timestamp", "window", "code"),
    [
        (10_000, None, None),
        (10_999, None, None),
        (11_000, None, -1021),
        (5_000, None, None),
        (4_999, None, -1021),
        (7_999, 2000, -1021),
        (8_000, 2000, None),
        (10_000, 60_001, -1130),
    ],
)
def test_the_time_rule(timestamp: int, window: int | None, code: int | None) -> None:
    query = f"timestamp={timestamp}" + (f"&recvWindow={window}" if window else "")
    if code is None:
        check_time(Params(query), 10_000)
        return
    with pytest.raises(VenueError) as refused:
        check_time(Params(query), 10_000)
    assert refused.value.code == code


def test_names_match_in_any_case_and_the_query_wins() -> None:
    params = Params("SYMBOL=A&x=", "symbol=B&Limit=5")
    assert params.need("symbol") == "A"
    assert params.integer("limit") == 5
    with pytest.raises(VenueError, match="Parameter 'x' was empty"):
        params.text("X")
    with pytest.raises(VenueError, match="Mandatory parameter 'stopprice' was not sent"):
        params.need("stopPrice")


@pytest.mark.parametrize("value", ["1e5", "NaN", "0x1", "1.", ".5", "1 ", "１", "-", "Infinity"])
def test_what_is_no_decimal_is_refused(value: str) -> None:
    with pytest.raises(VenueError) as refused:
        Params(f"quantity={value}").decimal("quantity")
    assert refused.value.code == -1100


@pytest.mark.parametrize(
    ("value", "code"), [("a" * 36, None), ("a" * 37, -4015), ("a b", -1100), ("ä", -1100)]
)
def test_client_order_ids(value: str, code: int | None) -> None:
    params = Params(f"newClientOrderId={value}")
    if code is None:
        assert params.client_order_id("newClientOrderId") == value
        return
    with pytest.raises(VenueError) as refused:
        params.client_order_id("newClientOrderId")
    assert refused.value.code == code


@pytest.mark.parametrize("text", ["", "a:b:c", "a:b:c:d:e", "a::c:1", "a:b:c:NaN", "a:b:c:-1", "a:b:c:x"])
def test_a_wrong_account_is_refused_without_its_secret(text: str) -> None:
    with pytest.raises(ValueError, match="account") as refused:
        AccountSpec.parse(text)
    assert ":c:" not in str(refused.value)


def test_secrets_never_show() -> None:
    spec = AccountSpec.parse("demo:KEY:HIDDEN:1")
    for each in (spec, Credential("demo", "KEY", spec.secret)):
        assert "HIDDEN" not in repr(each)
        assert "HIDDEN" not in str(each)
