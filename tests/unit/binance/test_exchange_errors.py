"""Every error the exchange can answer with means one thing, and money hangs on which."""

from __future__ import annotations

import json

import pytest

from pms.binance.errors import (
    MEANING,
    TEXTS_OF_503,
    DuplicateClientId,
    ExchangeError,
    NotFound,
    Overloaded,
    Refused,
    Throttled,
    TimestampRefused,
    Unknown,
    classify,
)


def body(code: int | str | None, msg: str) -> bytes:
    """An error's body; the engine's own "unknown" comes without a code."""
    return json.dumps({"msg": msg} if code is None else {"code": code, "msg": msg}).encode()


CODES = {
    -1000: Unknown,
    -1001: Unknown,
    -1003: Throttled,
    -1006: Unknown,
    -1007: Unknown,
    -1008: Overloaded,
    -1015: Throttled,
    -1021: TimestampRefused,
    -2011: NotFound,
    -2013: NotFound,
    -4116: DuplicateClientId,
    -5028: TimestampRefused,
}
PLAIN_REFUSALS = sorted(MEANING.keys() - CODES.keys())


def test_every_code_that_is_more_than_a_refusal_is_tested() -> None:
    assert {code: kind for code, kind in MEANING.items() if kind is not Refused} == CODES
    assert len(PLAIN_REFUSALS) > 100


@pytest.mark.parametrize(("code", "kind"), CODES.items())
def test_a_code_with_a_meaning_of_its_own(code: int, kind: type[ExchangeError]) -> None:
    error = classify(400, {}, body(code, "text"))
    assert type(error) is kind
    assert (error.code, error.msg, error.http) == (code, "text", 400)


@pytest.mark.parametrize("code", [*PLAIN_REFUSALS, -9999])
def test_any_other_business_code_is_a_definite_refusal(code: int) -> None:
    error = classify(401 if code in {-2014, -2015} else 400, {}, body(code, "no"))
    assert type(error) is Refused
    assert str(error) == f"{code}: no"


TEXTS = {
    "Unknown error, please check your request or try again later.": Unknown,
    "Service Unavailable.": Unknown,
    "Internal error; unable to process your request. Please try again.": Unknown,
    "Request throttled by system-level protection. Reduce-only orders are exempt.": Overloaded,
    "Server is currently overloaded with other requests. Please try again in a few minutes.": Overloaded,
}


def test_the_table_of_texts_is_tested_whole() -> None:
    assert [next(text for text in TEXTS if text.startswith(start)) for start in TEXTS_OF_503] == list(TEXTS)


@pytest.mark.parametrize(("msg", "kind"), TEXTS.items())
def test_each_text_of_503_without_a_code(msg: str, kind: type[ExchangeError]) -> None:
    assert type(classify(503, {}, body(None, msg))) is kind


@pytest.mark.parametrize(
    ("code", "msg", "kind"),
    [
        (-1000, "Unknown error, please check your request or try again later.", Unknown),
        (0, "Service Unavailable.", Unknown),
        (-1001, "Internal error; unable to process your request. Please try again.", Unknown),
        (-1008, "Request throttled by system-level protection. Please try again.", Overloaded),
        (-1008, "a text that nobody knows", Overloaded),
        (-1007, "Request throttled by system-level protection. Please try again.", Unknown),
    ],
)
def test_with_a_code_it_is_the_code_that_counts(code: int, msg: str, kind: type[ExchangeError]) -> None:
    assert type(classify(503, {}, body(code, msg))) is kind


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 408])
@pytest.mark.parametrize("code", [None, -2019, -2011, -2013, -4116, -1021, -1003, -1015, -1007])
def test_no_5xx_or_408_proves_anything(status: int, code: int | None) -> None:
    assert type(classify(status, {}, body(code, "whatever it says"))) is Unknown


@pytest.mark.parametrize("status", [200, 204, 301, 302, 307, 403, 404])
@pytest.mark.parametrize(
    "text",
    [b"", b"<html>blocked</html>", b'{"code":', b"\xff\xfe", b'{"msg":"\xff"}', b"[]", b'{"code":"x"}'],
)
def test_what_cannot_be_read_proves_nothing(status: int, text: bytes) -> None:
    assert type(classify(status, {}, text)) is Unknown


def test_a_code_may_come_as_text() -> None:
    error = classify(400, {}, body("-2011", "Unknown order sent."))
    assert type(error) is NotFound
    assert error.code == -2011


@pytest.mark.parametrize("status", [429, 418])
@pytest.mark.parametrize("name", ["Retry-After", "retry-after", "RETRY-AFTER"])
def test_a_throttle_says_how_long(status: int, name: str) -> None:
    error = classify(status, {name: "37"}, body(-1003, "Too many requests"))
    assert isinstance(error, Throttled)
    assert (error.retry_after, error.code) == (37.0, -1003)


@pytest.mark.parametrize("value", ["", "soon", "Wed, 21 Oct 2026 07:28:00 GMT", "1e9", "9" * 30])
def test_a_retry_after_that_is_no_number_of_seconds_is_not_guessed(value: str) -> None:
    error = classify(429, {"Retry-After": value}, b"<html>slow down</html>")
    assert isinstance(error, Throttled)
    assert error.retry_after == 0


def test_a_ban_names_its_end() -> None:
    text = "Way too many requests; IP(1.2.3.4) banned until 1615183669840. Please use the websocket."
    error = classify(418, {}, body(-1003, text))
    assert isinstance(error, Throttled)
    assert error.banned_until_ms == 1615183669840
