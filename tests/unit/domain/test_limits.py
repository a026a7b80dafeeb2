"""Limits as data: which setting counts, who may change one, and that recovery finds them."""

from __future__ import annotations

from decimal import Decimal
from itertools import product

import pytest
from desk_maker import decide, desk_at
from hypothesis import given
from hypothesis import strategies as st

from pms.contract import limits as L
from pms.contract.codes import Code, Refusal
from pms.contract.journal import LimitRow, Rows, SubAccountRow, decode_entry, encode_entry
from pms.domain.desk import Desk
from pms.domain.limits import MOST_KNOWN, LimitBook

WHO = {"actor": "ann", "reason": "a new desk"}
SCOPES = ("alice", "group:fast", "*")
PLACES = tuple(product(SCOPES, ("BTCUSDT", "")))
"""From the narrowest to the widest."""


def put(desk: Desk, limit: str, value: object, *, scope: str = "*", symbol: str | None = None) -> LimitRow:
    posting = decide(
        desk, "pms.limits", action="set", scope=scope, limit=limit, value=value, symbol=symbol, **WHO
    )
    (row,) = posting.entry.rows.limits
    return row


def row(scope: str, symbol: str, value: str | None, name: str = "leverage") -> LimitRow:
    return LimitRow(
        scope=scope, name=name, symbol=symbol, value=value, actor="a", reason="r", at=1, request_id="q"
    )


@given(st.sets(st.sampled_from(PLACES)), st.sampled_from(("BTCUSDT", "ETHUSDT", "")))
def test_the_narrowest_setting_counts(places: set[tuple[str, str]], symbol: str) -> None:
    book = LimitBook()
    book.join("alice", "fast")
    for number, place in enumerate(PLACES):
        if place in places:
            book.take(row(*place, str(number)))
    holding = [number for number, place in enumerate(PLACES) if place in places and place[1] in {symbol, ""}]
    expected = Decimal(holding[0]) if holding else None
    assert book.of("alice", L.LEVERAGE, symbol) == expected
    found = next(each for each in book.effective("alice", symbol) if each.limit is L.LEVERAGE)
    assert found.value == expected
    assert (found.row is None) is (expected is None)


SETTINGS = st.tuples(
    st.sampled_from((*SCOPES, "group:default")),
    st.sampled_from(("BTCUSDT", "")),
    st.sampled_from(("leverage", "exposure")),
    st.sampled_from((None, "1", "2", "3")),
)
ASKED = tuple(product(("alice", "bob"), ("BTCUSDT", "ETHUSDT", ""), (L.LEVERAGE, L.EXPOSURE)))


@given(st.lists(st.one_of(SETTINGS, st.sampled_from(("fast", "default", "slow"))), max_size=12), st.data())
def test_what_is_known_is_what_would_be_found_anew(
    changes: list[tuple[str, str, str, str | None] | str], data: st.DataObject
) -> None:
    """After each change some are asked for, so that the next one finds them known."""
    book, rows, groups = LimitBook(), [], []
    for change in changes:
        if isinstance(change, str):
            groups.append((data.draw(st.sampled_from(("alice", "bob"))), change))
            book.join(*groups[-1])
        else:
            scope, symbol, name, value = change
            rows.append(row(scope, symbol, value, name))
            book.take(rows[-1])
        fresh = LimitBook()
        for account, group in groups:
            fresh.join(account, group)
        for each in rows:
            fresh.take(each)
        for account, symbol, limit in data.draw(st.lists(st.sampled_from(ASKED), max_size=6)):
            assert book.of(account, limit, symbol) == fresh.of(account, limit, symbol)


def test_what_holds_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    found = LimitBook._found

    def counted(book: LimitBook, account: str, limit: L.Limit[object], symbol: str) -> object:
        looked.append(account)
        return found(book, account, limit, symbol)

    monkeypatch.setattr(LimitBook, "_found", counted)
    book = LimitBook()
    book.take(row("*", "", "5"))
    for _ in range(3):
        for account in ("alice", "bob"):
            assert book.of(account, L.LEVERAGE, "BTCUSDT") == 5
            assert book.of(account, L.EXPOSURE) is None
    assert looked == ["alice"], "one for all of a group; what nobody ever set is not looked for at all"
    book.take(row("bob", "", "4"))
    for _ in range(3):
        found_now = [book.of(account, L.LEVERAGE, "BTCUSDT") for account in ("alice", "bob", "carol")]
        assert found_now == [5, 4, 5]
    assert looked == ["alice", "alice", "bob"], "and for each that has a setting of its own"


def test_only_so_many_are_known_at_a_time() -> None:
    book = LimitBook()
    book.take(row("*", "", "5"))
    for number in range(MOST_KNOWN + 10):
        assert book.of("alice", L.LEVERAGE, f"S{number}USDT") == 5
    assert len(book._known) <= MOST_KNOWN


def test_the_default_group_has_limits_of_its_own() -> None:
    book = LimitBook()
    book.take(row("group:default", "", "3"))
    assert book.of("alice", L.LEVERAGE) == 3
    book.join("alice", "fast")
    assert book.of("alice", L.LEVERAGE) is None
    book.join("alice", "default")
    assert book.of("alice", L.LEVERAGE) == 3


def test_a_setting_is_journaled_with_who_and_why_and_what_was_before() -> None:
    desk = desk_at()
    put(desk, "leverage", "20", scope="alice")
    posting = decide(
        desk,
        "pms.limits",
        action="set",
        scope="alice",
        limit="leverage",
        value=Decimal("5.50"),
        now=77,
        **WHO,
    )
    (found,) = posting.entry.rows.limits
    assert (found.value, found.actor, found.reason, found.at) == ("5.5", "ann", "a new desk", 77)
    assert posting.entry.note["before"] == "20"
    assert desk.limits.of("alice", L.LEVERAGE) == Decimal("5.5")
    removed = decide(desk, "pms.limits", action="unset", scope="alice", limit="leverage", **WHO)
    assert removed.entry.rows.limits[0].value is None
    assert desk.limits.of("alice", L.LEVERAGE) is None
    assert not desk.limits.rows


BAD = [
    ({"limit": "nosuch", "value": "1"}, Code.UNKNOWN_LIMIT, "limit"),
    ({"limit": None, "value": "1"}, Code.MISSING_FIELD, "limit"),
    ({"value": None}, Code.MISSING_FIELD, "value"),
    ({"value": "1", "actor": None}, Code.MISSING_FIELD, "actor"),
    ({"value": "1", "reason": None}, Code.MISSING_FIELD, "reason"),
    ({"value": "many"}, Code.BAD_LIMIT, "value"),
    ({"value": "-1"}, Code.BAD_LIMIT, "value"),
    ({"value": "NaN"}, Code.BAD_LIMIT, "value"),
    ({"value": "1e999"}, Code.BAD_LIMIT, "value"),
    ({"value": True}, Code.BAD_FIELD, "value"),
    ({"limit": "trading.state", "value": "active"}, Code.BAD_LIMIT, "value"),
    ({"limit": "trading.symbols", "value": "BTCUSDT,,"}, Code.BAD_LIMIT, "value"),
    ({"limit": "trading.symbols", "value": "BTCUSDT,BTCUSD"}, Code.UNKNOWN_SYMBOL, "value"),
    ({"value": "1", "symbol": "NOSUCH"}, Code.UNKNOWN_SYMBOL, "symbol"),
    ({"limit": "exposure", "value": "1", "symbol": "BTCUSDT"}, Code.BAD_LIMIT, "symbol"),
    ({"limit": "liquidation.unwind", "value": "at_once", "scope": "group:a"}, Code.BAD_LIMIT, "scope"),
    ({"limit": "orders.rate", "value": "0"}, Code.BAD_LIMIT, "value"),
    ({"limit": "orders.rate", "value": "100000"}, Code.BAD_LIMIT, "value"),
    ({"value": "1", "scope": "nobody"}, Code.UNKNOWN_ACCOUNT, "scope"),
    ({"value": "1", "scope": "house"}, Code.HOUSE_ONLY, "scope"),
    ({"value": "1", "scope": "group:"}, Code.BAD_FIELD, "scope"),
    ({"value": "1", "scope": "group:a:b"}, Code.BAD_FIELD, "scope"),
    ({"value": "1", "action": "raise"}, Code.BAD_FIELD, "action"),
    ({"action": "unset"}, Code.NOT_SET, "limit"),
]


@pytest.mark.parametrize(("fields", "code", "field"), BAD)
def test_a_bad_change_is_refused_and_sets_nothing(fields: dict[str, object], code: Code, field: str) -> None:
    desk = desk_at()
    seq = desk.last_seq
    with pytest.raises(Refusal) as refused:
        decide(desk, "pms.limits", **{"action": "set", "limit": "leverage", **WHO, **fields})
    assert (refused.value.code, refused.value.field) == (code, field)
    assert (desk.limits.rows, desk.last_seq) == ({}, seq)


def test_recovery_finds_limits_and_groups() -> None:
    desk = desk_at()
    put(desk, "leverage", 20)
    put(desk, "leverage", 10)
    put(desk, "exposure", 1000, scope="group:fast")
    put(desk, "trading.symbols", " btcusdt", scope="alice")
    put(desk, "orders.open", 7, scope="bob")
    joined = decide(desk, "pms.group", subAccountId="alice", group="fast", **WHO).entry
    gone = decide(desk, "pms.limits", action="unset", scope="bob", limit="orders.open", **WHO).entry
    later = Desk(epoch="e2")
    later.load(Rows(sub_accounts=tuple(account.row() for account in desk_at().accounts.values())))
    later.load(Rows(limits=tuple(desk.limits.rows.values())))
    for entry in (joined, gone):
        later.load(decode_entry(encode_entry(entry)).rows)
    assert later.limits.rows == desk.limits.rows
    for account, symbol in product(("alice", "bob"), ("BTCUSDT", "")):
        assert later.limits.effective(account, symbol) == desk.limits.effective(account, symbol)
    assert later.limits.of("alice", L.EXPOSURE) == 1000
    assert later.limits.of("bob", L.OPEN_ORDERS) == 200


def test_a_row_of_an_older_journal_is_in_the_default_group() -> None:
    old = b'{"id":"alice","label":"","status":"ACTIVE","balance":"1","created_at":1}'
    entry = decode_entry(b'{"v":1,"seq":1,"prev":0,"at":1,"kind":"x","rows":{"sub_accounts":[%s]}}' % old)
    assert entry.rows.sub_accounts == (
        SubAccountRow(
            id="alice", label="", status="ACTIVE", balance=Decimal(1), created_at=1, group="default"
        ),
    )


def test_a_limit_of_a_newer_release_is_kept_and_holds_nobody_up() -> None:
    book = LimitBook()
    book.take(row("*", "", "whatever", name="of.tomorrow"))
    assert [kept.name for kept in book.rows.values()] == ["of.tomorrow"]
    book.take(row("*", "", None, name="of.tomorrow"))
    assert not book.rows


def test_what_holds_is_shown_with_where_it_comes_from() -> None:
    desk = desk_at()
    put(desk, "leverage", 5, scope="group:default")
    put(desk, "position.quantity", 2, scope="alice", symbol="BTCUSDT")
    shown = decide(desk, "pms.limits", action="show", scope="alice", symbol="BTCUSDT")
    (command,) = shown.entry.rows.commands
    assert '"limit":"leverage","unit":"x","value":"5","from":"group:default"' in command.answer
    assert '"value":"2","from":"alice","symbol":"BTCUSDT","actor":"ann"' in command.answer
    one = decide(desk, "pms.limits", action="show", scope="group:default", limit="leverage")
    assert one.entry.rows.commands[0].answer.count('"unit":') == 1


def test_a_group_s_limit_may_be_set_before_anybody_joins() -> None:
    desk = desk_at()
    entry = decide(
        desk, "pms.limits", action="set", scope="group:fast", limit="leverage", value=3, **WHO
    ).entry
    assert '"members":0' in entry.rows.commands[0].answer
    decide(desk, "pms.create_account", subAccountId="carol", group="fast")
    assert desk.limits.of("carol", L.LEVERAGE) == 3
    decide(desk, "pms.group", subAccountId="carol", group="slow", **WHO)
    assert desk.limits.of("carol", L.LEVERAGE) is None


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"subAccountId": "house"}, Code.HOUSE_ONLY),
        ({"subAccountId": "nobody"}, Code.UNKNOWN_ACCOUNT),
        ({"group": "a b"}, Code.BAD_FIELD),
        ({"actor": None}, Code.BAD_FIELD),
    ],
)
def test_a_bad_group_changes_nothing(fields: dict[str, object], code: Code) -> None:
    desk = desk_at()
    with pytest.raises(Refusal) as refused:
        decide(desk, "pms.group", **{"subAccountId": "alice", "group": "fast", **WHO, **fields})
    assert refused.value.code == code
    assert desk.accounts["alice"].group == "default"


def test_every_default_reads_back() -> None:
    for limit in L.LIMITS.values():
        if limit.default_text:
            assert limit.read(limit.default_text) == limit.default
