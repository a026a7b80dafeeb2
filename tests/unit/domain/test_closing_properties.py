"""Closing at market under whatever may come: nothing twice, nothing too much, nobody left in debt."""

from __future__ import annotations

from decimal import Decimal
from random import Random

from closing_desk import ACCOUNTS
from closing_world import World
from desk_maker import D
from hypothesis import given, settings
from hypothesis import strategies as st

from pms.domain.desk import Desk
from pms.domain.tiers import Tier


def total(desk: Desk) -> Decimal:
    return sum((account.balance for account in desk.accounts.values()), D(0))


def run(seed: int, steps: int = 250) -> World:
    world = World(Random(seed))
    before = total(world.desk)
    for _ in range(steps):
        world.step()
        assert total(world.desk) == before, "the exchange moved no money here"
    world.settle()
    assert total(world.desk) == before
    return world


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32))
def test_what_is_closed_is_closed_once_and_owes_nothing(seed: int) -> None:
    world = run(seed)
    desk = world.desk
    for account in ACCOUNTS:
        holder = desk.accounts[account]
        assert not holder.closing
        if not desk.held.get(account) and not desk.orders_of(account, None):
            assert holder.balance >= 0
        for (symbol, side), position in desk.held.get(account, {}).items():
            if not world.handed:
                assert position.quantity == world.held[account, symbol, side]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32))
def test_the_journal_alone_tells_how_far_each_closing_has_come(seed: int) -> None:
    world = World(Random(seed))
    for _ in range(200):
        world.step()
        if not world.outbox:
            again = world.rebuilt()
            assert again.closing == world.desk.closing
            assert {a.id: (a.balance, a.tier, a.closing) for a in again.accounts.values()} == {
                a.id: (a.balance, a.tier, a.closing) for a in world.desk.accounts.values()
            }
            assert {coid: order.leaves for coid, order in again.live.items()} == {
                coid: order.leaves for coid, order in world.desk.live.items()
            }


def test_the_world_shows_what_it_is_made_for() -> None:
    worlds = [run(seed) for seed in range(25)]
    assert sum(world.closings for world in worlds) > 25
    assert sum(world.deaths for world in worlds) > 12
    assert sum(world.covered for world in worlds) > 0
    assert sum(None in world.sent.values() for world in worlds) > 5, "refusals"
    assert sum(bool(world.void) for world in worlds) > 5, "orders that nobody sent"
    fates = {account.tier for world in worlds for account in world.desk.accounts.values()}
    assert Tier.NONE in fates
