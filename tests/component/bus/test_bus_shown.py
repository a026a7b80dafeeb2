"""What is shown of accounts on a real Redis: never older than the journal, nor of a life that is over."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from chain import ACCOUNT, Chain, epoch_of, event
from redis.asyncio import Redis

from pms.bus.shown import Shown, View
from pms.contract import names
from pms.contract.account import Account
from pms.contract.journal import PositionRow, Rows, SubAccountRow

D = Decimal


def having(balance: str) -> Account:
    return ACCOUNT.model_copy(update={"balance": D(balance)})


async def shown_of(redis: Any, account: str) -> Decimal | None:
    """The balance that is shown of an account."""
    text = await redis.get(names.risk_key(account))
    return None if text is None else D(json.loads(text, parse_float=Decimal)["balance"])


def money(account: str, balance: str) -> SubAccountRow:
    return SubAccountRow(id=account, label="", status="ACTIVE", balance=D(balance), created_at=0)


def holding(account: str) -> PositionRow:
    return PositionRow(
        sub_account_id=account,
        symbol="BTCUSDT",
        id="p",
        quantity=D(1),
        cost=D(100),
        leverage=10,
        opened_seq=1,
        realized_pnl=D(0),
        updated_at=0,
    )


async def test_what_is_shown_behind_the_last_entry_is_kept_for_a_while(chain: Chain, redis: Redis) -> None:
    await chain.write()
    assert await Shown(redis, nonce="one").show([View("alice", having("5"), at_stake=True)], seq=1)
    assert await shown_of(redis, "alice") == 5
    assert 0 < await redis.ttl(names.risk_key("alice")) <= names.CACHE_TTL_S


async def test_who_has_nothing_at_stake_is_shown_anew_only_where_something_is_shown(
    chain: Chain, redis: Redis
) -> None:
    await chain.write(events=(event(1, sub_account_id="bob", account=having("1")),))
    views = [View(account, having("5"), at_stake=False) for account in ("alice", "bob")]
    assert await Shown(redis, nonce="one").show(views, seq=1)
    assert (await shown_of(redis, "alice"), await shown_of(redis, "bob")) == (None, 5)


async def test_a_slice_that_comes_behind_a_takeover_is_refused(chain: Chain, redis: Redis) -> None:
    """As one that was given up, and is run late: the account is flat, and nobody would correct it."""
    await chain.write()
    late = [View(account, having("5"), at_stake=True) for account in ("alice", "bob")]
    await chain.write(events=(event(2, account=having("0")),))
    assert not await Shown(redis, nonce="one").show(late, seq=1)
    assert (await shown_of(redis, "alice"), await shown_of(redis, "bob")) == (0, None)
    assert await Shown(redis, nonce="one").show([View("bob", having("5"), at_stake=True)], seq=2)


async def test_a_slice_of_another_life_is_refused(chain: Chain, redis: Redis) -> None:
    await chain.write()
    views = [View("alice", having("5"), at_stake=True)]
    await epoch_of(redis, "two")
    assert not await Shown(redis, nonce="one").show(views, seq=1)
    assert await shown_of(redis, "alice") is None
    assert await Shown(redis, nonce="two").show(views, seq=1)


async def test_nothing_was_ever_journaled(chain: Chain, redis: Redis) -> None:
    views = [View("alice", having("5"), at_stake=True)]
    assert not await Shown(redis, nonce="one").show(views, seq=7)
    assert await Shown(redis, nonce="one").show(views, seq=0)


async def test_behind_a_lost_tail_it_is_shown_from_where_the_epoch_goes_on(
    chain: Chain, redis: Redis
) -> None:
    await chain.write()
    views, shown = [View("alice", having("5"), at_stake=True)], Shown(redis, nonce="one")
    await chain.lead.begin_from(1000)
    assert await shown.show(views, seq=1000)
    chain.seq = 1000
    await chain.write()
    assert not await shown.show(views, seq=1000)
    assert await shown.show(views, seq=1001)


@pytest.mark.parametrize("account", ["alice", names.HOUSE, names.INSURANCE])
@pytest.mark.parametrize("what", ["money", "a position"])
async def test_an_entry_that_moves_an_account_without_a_word_of_it_takes_back_what_was_shown(
    chain: Chain, redis: Redis, account: str, what: str
) -> None:
    await chain.write(snapshots=((account, having("5")), ("bob", having("6"))))
    assert await shown_of(redis, account) == 5
    rows = (
        Rows(sub_accounts=(money(account, "4"),)) if what == "money" else Rows(positions=(holding(account),))
    )
    await chain.write(rows=rows)
    assert (await shown_of(redis, account), await shown_of(redis, "bob")) == (None, 6)
    await chain.write(rows=rows, snapshots=((account, having("3")),))
    assert await shown_of(redis, account) == 3
