"""With each entry goes what it makes of every account that it moves: shown anew, or shown no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
from desk_maker import D, decide, desk_at, move_price, trade
from filling import fill

from pms.bus import journal
from pms.bus.journal import Journal, _packed
from pms.contract import names
from pms.domain.desk import Desk
from pms.domain.funding import allot
from pms.domain.posting import Posting
from pms.domain.treasury import Rate


def views(posting: Posting) -> dict[str, str]:
    """What becomes of the views of accounts, by account; each of them once."""
    risk = names.risk_key("")
    effects = [(str(key), str(verb)) for verb, key, *_ in _packed(posting)[4] if str(key).startswith(risk)]
    assert len(dict(effects)) == len(effects)
    return {key.removeprefix(risk): verb for key, verb in effects}


def paid_by_the_insurance(desk: Desk) -> Posting:
    """A trader closes at a loss that is more than he has."""
    decide(desk, "pms.transfer", fromAccountId="house", toAccountId="insurance", amount="1500")
    fill(desk, trade(desk, quantity="1", leverage=20), price="60000")
    move_price(desk, "48000")
    closing = trade(desk, side="SELL", quantity="1", leverage=20, reduceOnly=True)
    return fill(desk, closing, price="48000", paid="7", quantity="1")


def handed_over(desk: Desk) -> Posting:
    """The house's position is given to a trader."""
    return decide(
        desk,
        "pms.import_position",
        subAccountId="alice",
        symbol="BTCUSDT",
        quantity="0.01",
        entryPrice="60000",
        reason="r",
        leverage=5,
    )


def transferred(desk: Desk) -> Posting:
    return decide(desk, "pms.transfer", fromAccountId="alice", toAccountId="bob", amount="1")


@pytest.mark.parametrize(
    ("make", "shown"),
    [
        (paid_by_the_insurance, {"alice": "SET", "insurance": "DEL", "house": "DEL"}),
        (handed_over, {"alice": "SET", "house": "DEL"}),
        (transferred, {"alice": "SET", "bob": "SET"}),
    ],
)
def test_what_an_entry_moves_is_shown_anew_or_no_more(
    make: Callable[[Desk], Posting], shown: dict[str, str]
) -> None:
    posting = make(desk_at())
    rows = posting.entry.rows
    moved = {row.id for row in rows.sub_accounts} | {row.sub_account_id for row in rows.positions}
    assert views(posting) == shown
    assert moved == shown.keys()


def test_an_order_alone_takes_nothing_back() -> None:
    assert "DEL" not in views(trade(desk_at())).values()


def test_a_funding_shows_none_of_its_holders_and_takes_all_their_views_back() -> None:
    desk = desk_at()
    for account in ("alice", "bob"):
        fill(desk, trade(desk, account, quantity="0.1", leverage=5), price="60000")
    posting = allot(desk, "BTCUSDT", Rate(3000, D("0.001"), D(60000)))
    assert posting is not None
    assert posting.snapshots == ()
    assert views(posting) == {"alice": "DEL", "bob": "DEL", "house": "DEL"}


class Away:
    """The journal's script in a Redis whose reply is lost twice."""

    def __init__(self) -> None:
        self.lost = 2
        self.called: list[bytes] = []

    async def call(self, _: str, __: list[str], ___: str, batch: bytes) -> list[Any]:
        self.called.append(batch)
        self.lost -= 1
        if self.lost >= 0:
            raise ConnectionError
        return [b"ok", 1]


async def test_what_is_tried_again_is_packed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    packed: list[Posting] = []
    monkeypatch.setattr(journal, "_packed", lambda posting: packed.append(posting) or _packed(posting))
    written, away = Journal(cast(Any, None), nonce="n"), Away()
    written._scripts = cast(Any, away)
    desk = desk_at()
    one, another = transferred(desk), transferred(desk)
    for _ in range(2):
        with pytest.raises(ConnectionError):
            await written.append([one])
    await written.append([one])
    assert packed == [one]
    assert len(set(away.called)) == 1
    await written.append([another])
    assert packed == [one, another]
    assert away.called[-1] != away.called[0]
