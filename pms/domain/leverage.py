"""Leverage: what a sub-account borrows in a symbol, changed while it holds positions and has orders resting.

It is one number a symbol, also where a long stands beside a short. From the entry on it is the margin of
what is open and of what may still trade; an order that was admitted before keeps in its row the leverage
that it was placed with, and that one says nothing any more.

Trap: less leverage holds more margin back. It is refused where that would leave less than nothing, and
while a position has no price. More leverage only frees margin, and is bounded by the sub-account's limit and
by the exchange's bracket of what is open and may still trade.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from pms.contract.codes import Code, Refusal
from pms.contract.commands import SetLeverage
from pms.contract.events import PositionEvent
from pms.contract.journal import PositionRow
from pms.contract.money import plain
from pms.domain.checks import trading_account
from pms.domain.decisions import Asked, kept
from pms.domain.desk import Desk
from pms.domain.funds import check_priced
from pms.domain.instrument import Instrument
from pms.domain.leverage_brackets import check_raised
from pms.domain.limit_checks import check_set_leverage
from pms.domain.positions import Place, Position
from pms.domain.posting import Draft, Posting
from pms.domain.rows import position_row, position_view


def set_leverage(desk: Desk, asked: Asked, command: SetLeverage) -> Posting:
    """Change the leverage and tell what it makes of the margin; raises Refusal."""
    account = trading_account(desk, command.sub_account_id).id
    symbol, leverage = command.symbol, command.leverage
    instrument = _within_range(desk, symbol, leverage)
    positions = desk.positions_in(account, symbol)
    was, before = positions[0].leverage, desk.snapshot(account)
    ordered = any(symbol == of for of, _ in desk.pending.get(account, {}))
    standing = was if ordered else desk.standing_leverage(account, symbol)
    check_set_leverage(desk, account, symbol, leverage=leverage, standing=standing)
    check_raised(desk, account, instrument, leverage=leverage)
    if leverage < was:
        check_priced(desk, account, field="leverage")
    desk.set_leverage(account, symbol, leverage)
    after = desk.snapshot(account)
    if after.available_margin < min(before.available_margin, Decimal(0)):
        desk.set_leverage(account, symbol, was)
        needed = after.margin_used - before.margin_used
        raise Refusal(
            Code.MARGIN,
            f"leverage {leverage} holds {plain(needed)} more of margin back; "
            f"{plain(before.available_margin)} is available",
            field="leverage",
            limit=plain(before.available_margin),
            actual=plain(needed),
        )
    draft = desk.draft("leverage", at=asked.now)
    draft.note["reason"] = command.reason
    for position in positions:
        position.leverage_set = True
        draft.positions[position.place] = position_row(position)
        _tell(desk, draft, position)
    return kept(
        desk,
        draft,
        asked,
        account=account,
        symbol=symbol,
        leverage=str(leverage),
        was=str(standing or asked.default_leverage),
        marginUsed=plain(after.margin_used),
    )


def give_back(
    desk: Desk, given: Iterable[PositionRow], were: Mapping[Place, int], *, at: int
) -> Posting | None:
    """Give positions the leverage that they had before a command that was not decided in time; None if none.

    Trap: what was admitted since may need the newer one. Then it stays, and is journaled and told.
    """
    draft = desk.draft("leverage", at=at)
    for row in given:
        place = row.sub_account_id, row.symbol, row.position_side
        position, was = desk.position(*place), were.get(place)
        if was is not None and position.leverage == row.leverage:
            _try(desk, position, was)
        draft.positions[place] = position_row(position)
        _tell(desk, draft, position)
    if not draft.positions:
        return None
    return Posting(entry=desk.sealed(draft).entry(), events=tuple(draft.events))


def _try(desk: Desk, position: Position, leverage: int) -> None:
    """Change a leverage, unless more than there is would be held back by it."""
    account, symbol, was = position.sub_account_id, position.symbol, position.leverage
    before = desk.available_margin(account)
    desk.set_leverage(account, symbol, leverage)
    if desk.available_margin(account) < min(before, Decimal(0)):
        desk.set_leverage(account, symbol, was)


def _within_range(desk: Desk, symbol: str, leverage: int) -> Instrument:
    """The symbol, if it permits this leverage at all."""
    instrument = desk.instruments.get(symbol)
    if instrument is None:
        raise Refusal(
            Code.UNKNOWN_SYMBOL, f"the exchange does not list {symbol}", field="symbol", actual=symbol
        )
    most = instrument.max_leverage
    if most is not None and leverage > most:
        raise Refusal(
            Code.LEVERAGE_RANGE,
            f"{symbol} permits leverage up to {most}",
            field="leverage",
            limit=most,
            actual=leverage,
        )
    return instrument


def _tell(desk: Desk, draft: Draft, position: Position) -> None:
    """An open position's margin is another now."""
    if position.quantity:
        draft.events.append(
            PositionEvent(
                type="position_updated",
                seq=draft.event_seq,
                sub_account_id=position.sub_account_id,
                position=position_view(position),
                reason="LEVERAGE",
                timestamp=Decimal(draft.at) / 1000,
                account=desk.snapshot(position.sub_account_id),
            )
        )
