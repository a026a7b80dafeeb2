"""Closing at market: what a group may choose in place of the book transfer, with a weaker promise.

The decision falls on the tick, in one entry: the account is marked, its live orders are wanted cancelled,
and market orders in its own name take what may be taken. The rest takes as long as the exchange takes, costs
what the market asks, and is the account's own; what it owes in the end the insurance pays (`winding_up`).

For each position, at every instant

    live + unknown + next order <= position

so an order of unknown outcome blocks its part and no more, and whatever still trades of the account's other
orders is met by the next order, which takes what is there then. No order is made by a timer's guess: what is
live, and what is held, stands in the journal, and so does the mark.

    dies before the entry                 nothing was done; the next life judges at its first tick
    dies before a worker is woken         the orders are of an epoch that is over: void, and made anew
    dies after that                       they are orders like any other: asked about, booked, made up for
    a fill late, twice, never             booked when it comes, once; until then its order blocks its part
    refused by the exchange               tried again, ever later (`close_pace`); an operator is told
    another symbol                        goes on by itself; the mark falls when all are done

A takeover that has begun is finished, wherever the price goes. A deleveraging is done in rounds: when no
order of a round lives, the account is weighed again, and sheds more or is done.

Trap: what is too little for any order goes to the house after all; nobody could ever close it. So does what
the house holds the other half of, and does not close (a panic's trades): an order for it would open at the
exchange what nobody has.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import replace
from decimal import ROUND_CEILING, Decimal

from pms.contract.limits import MARKET, MODE
from pms.domain.checks import closing as live_quantity
from pms.domain.desk import Desk
from pms.domain.handing import Handed, cancel_orders, hand_position, tell_handed
from pms.domain.instrument import Instrument
from pms.domain.insurance import cover_flat
from pms.domain.liquidation_told import Part, tell_step, tops_of
from pms.domain.orders import Order, OrderSpec
from pms.domain.positions import Place, Position
from pms.domain.posting import Draft, Posting
from pms.domain.rows import order_row
from pms.domain.shedding import parts_to_shed, taking_price
from pms.domain.sub_accounts import tag
from pms.domain.tiers import Tier, Tiers
from pms.domain.unwind_debt import held_against
from pms.domain.unwinding import LIVES_MS, ORIGIN
from pms.domain.weighing import blocked, weigh_account, without_price
from pms.domain.winding_up import closing_orders, wind_up

ZERO = Decimal(0)
MOST_AT_ONCE = 10
"""Orders for one position in one entry; what they leave the next entry takes."""


def at_market(desk: Desk, account: str) -> bool:
    """Whether an account is to be closed at market."""
    return desk.limits.of(account, MODE) == MARKET


def given_up(desk: Desk, account: str) -> bool:
    """Whether an account that is being closed at market is to be moved to the house after all."""
    return bool(desk.accounts[account].closing) and not at_market(desk, account)


def begin(
    desk: Desk, draft: Draft, account: str, tier: Tier, tiers: Tiers
) -> tuple[list[Part], list[Handed]]:
    """Mark an account, and order the closing of what its tier asks for.

    Returns what is to be closed by orders, and what was too little for any and went to the house.
    """
    holder = desk.accounts[account]
    cancel_orders(desk, draft, account)
    holder.closing = tier
    desk.note_closing(holder)
    wanted = _wanted(desk, account, tier, tiers)
    parts = [Part(p.symbol, p.position_side, quantity) for p, quantity in wanted]
    handed = _close(desk, draft, wanted, may=_always)
    return [left for part in parts if (left := _without(part, handed))], handed


def close_on(
    desk: Desk, account: str, tiers: Tiers, *, now: int, may: Callable[[Place], bool]
) -> Posting | None:
    """The next orders of an account that is being closed, or the end of it; None where there is neither.

    `may` tells whether a position may be tried now.
    """
    tier, target = Tier(desk.accounts[account].closing), tiers.ratios.deleverage_to
    if not tier or given_up(desk, account):
        return None
    if tier is Tier.DELEVERAGE and not _round_over(desk, account, now=now):
        return None
    draft = desk.draft("closing", at=now)
    if not wind_up(desk, draft, account, target=target):
        weighed = weigh_account(desk, account)
        tops = tops_of(desk, weighed.exposures)
        handed = _close(desk, draft, _wanted(desk, account, tier, tiers), may=may)
        cover_flat(desk, draft, account)
        snapshot = desk.snapshot(account)
        for each in handed:
            tell_step(
                draft,
                account,
                "TAKEOVER" if tier is Tier.TAKEOVER else "DELEVERAGE",
                desk.accounts[account].tier,
                part_of(each),
                weight=weighed.weight,
                tops=tops,
                snapshot=snapshot,
            )
            tell_handed(desk, draft, each, account=snapshot)
        wind_up(desk, draft, account, target=target)
    if not draft.orders and not draft.liquidations and not draft.ledger:
        return None
    return Posting(entry=desk.sealed(draft).entry(), events=tuple(draft.events))


def part_of(handed: Handed) -> Part:
    """What went to the house, as it is told."""
    return Part(
        handed.position.symbol,
        handed.position.position_side,
        handed.quantity,
        handed.price,
        handed.move.realized,
    )


def _without(part: Part, handed: list[Handed]) -> Part | None:
    """What of a part is yet to be closed by orders."""
    place = part.symbol, part.position_side
    gone = [each.quantity for each in handed if (each.position.symbol, each.position.position_side) == place]
    left = part.quantity - sum(gone, ZERO)
    return replace(part, quantity=left) if left * part.quantity > 0 else None


def _round_over(desk: Desk, account: str, *, now: int) -> bool:
    """Whether a deleveraging may weigh the account again: nothing of the last round lives, prices hold."""
    if closing_orders(desk, account):
        return False
    symbols = {position.symbol for position in desk.held.get(account, {}).values()}
    return not any(blocked(desk, each, now=now) for each in symbols if not without_price(desk, each))


def _wanted(desk: Desk, account: str, tier: Tier, tiers: Tiers) -> list[tuple[Position, Decimal]]:
    """Positions, and the signed part of each that is to be closed."""
    if tier is Tier.DELEVERAGE:
        return parts_to_shed(desk, account, tiers.ratios.deleverage_to)
    held = desk.held.get(account, {}).values()
    return [(each, each.quantity) for each in held if not without_price(desk, each.symbol)]


def _close(
    desk: Desk,
    draft: Draft,
    wanted: list[tuple[Position, Decimal]],
    *,
    may: Callable[[Place], bool],
) -> list[Handed]:
    """Register the orders that may be sent now; returns what no order is for, which is handed over."""
    handed: list[Handed] = []
    for position, quantity in wanted:
        instrument = desk.instruments.get(position.symbol)
        if instrument is None or instrument.status != "TRADING" or not may(position.place):
            continue
        side = "SELL" if position.quantity > 0 else "BUY"
        price = desk.valued_at(desk.exposure(position))
        least = _least(instrument, price)
        torn = blocked(desk, position.symbol, now=draft.at) is not None
        size, taken = abs(position.quantity), live_quantity(desk, position.place, side)
        most = max(min(abs(quantity), size - taken), ZERO).copy_sign(quantity)
        against = held_against(desk, position.symbol, most)
        if against and not torn:
            handed.append(_hand(desk, draft, position, against))
        size, wanted_yet = size - abs(against), abs(quantity) - abs(against)
        if wanted_yet <= 0:
            continue
        sizes = _sizes(instrument, min(max(wanted_yet, least), size - taken), price=price)
        for number, part in enumerate(sizes):
            order = _order(desk, position, side, part, number=number, now=draft.at)
            desk.add_order(order)
            draft.orders[order.spec.client_order_id] = order_row(order)
        if not taken and size < least and not torn:
            handed.append(_hand(desk, draft, position, position.quantity))
    return handed


def _hand(desk: Desk, draft: Draft, position: Position, quantity: Decimal) -> Handed:
    at, reference = taking_price(desk, position), f"liquidation:{draft.first_seq}"
    return hand_position(desk, draft, position, quantity, at, reference=reference)


def _least(instrument: Instrument, price: Decimal) -> Decimal:
    """The smallest market order that the exchange takes at a price."""
    step = instrument.market_step
    if not step:
        return max(instrument.market_min_quantity, instrument.min_notional / price)
    steps = (instrument.min_notional / price / step).to_integral_value(ROUND_CEILING)
    return max(instrument.market_min_quantity, steps * step, step)


def _sizes(instrument: Instrument, left: Decimal, *, price: Decimal) -> list[Decimal]:
    """A quantity in market orders, each of a size that the exchange takes; what remains waits its turn."""
    sizes: list[Decimal] = []
    while left > 0 and len(sizes) < MOST_AT_ONCE:
        part = instrument.floor_quantity(min(left, instrument.market_max_quantity or left), market=True)
        if not part or part * price < instrument.min_notional:
            break
        sizes.append(part)
        left -= part
    return sizes


def _order(desk: Desk, position: Position, side: str, quantity: Decimal, *, number: int, now: int) -> Order:
    spec = OrderSpec(
        client_order_id=_order_id(position.place, desk.last_seq, number),
        sub_account_id=position.sub_account_id,
        symbol=position.symbol,
        side=side,
        type="MARKET",
        quantity=quantity,
        price=None,
        time_in_force=None,
        reduce_only=True,
        leverage=position.leverage,
        origin=ORIGIN,
        parent_id=None,
        request_id=None,
        epoch=desk.epoch,
        deadline=now + LIVES_MS,
        admitted_at=now,
        position_side=position.position_side,
    )
    return Order(spec=spec, quantity=quantity, price=None, updated_at=now)


def _order_id(place: Place, seq: int, number: int) -> str:
    """`PMS_{sub8}_L_{parent}`: the parent names the entry that the order follows, so it never comes twice."""
    named = f"close:{':'.join(place)}:{seq}:{number}".encode()
    parent = base64.urlsafe_b64encode(hashlib.blake2b(named, digest_size=15).digest()).decode()
    return f"PMS_{tag(place[0])}_L_{parent}"


def _always(_: Place) -> bool:
    return True
