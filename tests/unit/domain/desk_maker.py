"""A desk with one symbol, a house and two sub-accounts: what most tests of the domain begin with."""

from __future__ import annotations

import json
from decimal import Decimal
from uuid import UUID

from pms.contract.reading import read_command
from pms.domain.admission import admit
from pms.domain.brackets import ENDLESS, Bracket
from pms.domain.custody import LOCAL_COMMANDS, keep, open_books
from pms.domain.decisions import Asked
from pms.domain.desk import Desk, Top
from pms.domain.instrument import Instrument
from pms.domain.positions import Place
from pms.domain.posting import Posting
from pms.domain.rows import position_row

D = Decimal
BTC = Instrument(
    symbol="BTCUSDT",
    base_asset="BTC",
    quote_asset="USDT",
    margin_asset="USDT",
    status="TRADING",
    tick=D("0.1"),
    min_price=D("1"),
    max_price=D("1000000"),
    step=D("0.001"),
    min_quantity=D("0.001"),
    max_quantity=D("1000"),
    market_step=D("0.001"),
    market_min_quantity=D("0.001"),
    market_max_quantity=D("100"),
    min_notional=D("5"),
    multiplier_up=D("1.05"),
    multiplier_down=D("0.95"),
    max_leverage=125,
    brackets=(Bracket(150, D(0), ENDLESS, D("0.025")),),
)
_number = 0


def request_id() -> str:
    global _number  # noqa: PLW0603  ids must differ, not be random
    _number += 1
    return str(UUID(int=_number))


def decide(
    desk: Desk,
    name: str,
    *,
    closed_because: str | None = None,
    now: int = 1000,
    exchange_now: int = 0,
    **fields: object,
) -> Posting:
    """Decide one command as the streamer would; raises Refusal."""
    fields.setdefault("requestId", request_id())
    text = json.dumps(fields, default=str)
    asked = Asked(
        request_id=str(fields["requestId"]),
        command=name,
        text=text,
        at=1000,
        deadline=6000,
        now=now,
        closed_because=closed_because,
        exchange_now=exchange_now,
    )
    command = read_command(name, text)
    return keep(desk, asked, command) if isinstance(command, LOCAL_COMMANDS) else admit(desk, asked, command)


def trade(desk: Desk, account: str = "alice", **fields: object) -> Posting:
    """A market buy of 0.01, unless told otherwise."""
    command = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.01", "leverage": 10, **fields}
    return decide(desk, "pms.trade", subAccountId=account, **command)


def desk_at(price: str = "60000", *, wallet: str = "100000") -> Desk:
    """A desk whose exchange account is flat, with a fresh price."""
    desk = Desk(epoch="e1")
    desk.instruments["BTCUSDT"] = BTC
    move_price(desk, price)
    open_books(desk, at=1, wallet=D(wallet), positions=[], cursors={"BTCUSDT": 0})
    for account in ("alice", "bob"):
        decide(desk, "pms.create_account", subAccountId=account)
        decide(desk, "pms.transfer", fromAccountId="house", toAccountId=account, amount="10000")
    return desk


def move_price(desk: Desk, price: str) -> None:
    """Put the market at a price, a tick wide."""
    desk.price("BTCUSDT", Top(D(price), D(1), D(price) + D("0.1"), D(1), 1))


def note_position(desk: Desk, place: Place, *, at: int) -> Posting:
    """Journal a position as it stands in memory."""
    draft = desk.draft("position", at=at)
    draft.positions[place] = position_row(desk.position(*place))
    return Posting(entry=desk.sealed(draft).entry())
