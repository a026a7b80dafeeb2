"""With each entry goes what it makes of every account that it moves: shown anew, or shown no more."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from desk_maker import decide, desk_at, move_price, trade
from filling import fill

from pms.bus.journal import _packed
from pms.contract import names
from pms.domain.desk import Desk
from pms.domain.posting import Posting


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
